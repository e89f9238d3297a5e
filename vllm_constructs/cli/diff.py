"""`vllm-constructs diff`: what an apply of new manifests would do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

if TYPE_CHECKING:
    from vllm_constructs.reading.files import Manifests

ACCEPTED, REFUSED = 0, 1
STDIN = "-"

_ABOUT = "Tell what an apply would do: what is refused, rolls, disappears, changes."
_EPILOG = (
    "OLD and NEW are each a file or folder of YAML or JSON, REVISION:PATH in git (as in "
    "HEAD~1:dist), or - for standard input: kubectl get -f dist -o yaml | vllm-constructs diff - "
    "dist. Exit code: 0 if nothing is refused, 1 if something is, 2 if an input cannot be used."
)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command.

    Args:
        verbs: The verbs of the command.
    """
    diff = verbs.add_parser(
        "diff", help=_ABOUT, description=_ABOUT, epilog=_EPILOG, allow_abbrev=False
    )
    diff.add_argument("old", metavar="OLD", help="what is applied, or what the cluster has")
    diff.add_argument("new", metavar="NEW", help="what is applied next")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    diff.add_argument(
        "--kubernetes", metavar="RELEASE", help="release of the cluster, such as 1.34"
    )
    diff.add_argument(
        "--gpu", metavar="PRODUCT", help="product of GPUs that the manifests do not name"
    )


def run(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
    """The output of the verb, and its exit code.

    Args:
        options: The options of the verb.
        flags: Nothing: the verb takes no flags of vLLM.

    Raises:
        VllmConstructsError: An option is invalid, or an input cannot be read.
    """
    from vllm_constructs.kube.kubernetes import Kubernetes
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.reading.settings import Settings
    from vllm_constructs.upgrade import report
    from vllm_constructs.upgrade.upgrade import Upgrade

    if flags:
        text = "is for flags of vllm serve, which diff has no use for"
        refuse(Problem(where="--", text=text, advice="leave it out"))
    if options.old == options.new == STDIN:
        refuse(Problem(where=STDIN, text="is given twice", advice="give it once"))
    cluster = None if options.kubernetes is None else Kubernetes(options.kubernetes)
    settings = Settings(kubernetes=cluster, gpu=options.gpu)
    old, new = (Graph(_read(one).objects, settings) for one in (options.old, options.new))
    upgrade = Upgrade(old, new)
    code = REFUSED if upgrade.refused else ACCEPTED
    if options.format == "json":
        import json

        return json.dumps(report.as_dict(upgrade), indent=2, ensure_ascii=False), code
    return report.text(upgrade), code


def _read(given: str) -> Manifests:
    """The objects of one side.

    A file that cannot be read is refused: its objects would seem to disappear.
    """
    from vllm_constructs.reading import files

    if given == STDIN:
        found = files.read_stdin()
    elif Path(given).exists():
        if given.endswith(".py"):
            text = "is an app, and diff reads manifests"
            refuse(Problem(where=require.shown(given), text=text, advice="render it first"))
        found = files.read(Path(given))
    elif ":" in given:
        from . import revisions

        found = revisions.read(given)
    else:
        text = "does not exist"
        advice = f"write a folder of a git revision as in HEAD~1:{escaped(given)}"
        refuse(Problem(where=require.shown(given), text=text, advice=advice))
    if found.unread:
        refuse(found.unread[0])
    return found
