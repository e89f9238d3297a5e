"""`vllm-constructs diff`: what an apply of new manifests would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .options import STDIN, check_stdin, format_option, gpu, kubernetes
from .output import Output, progress

if TYPE_CHECKING:
    from vllm_constructs.reading.files import Manifests

ACCEPTED, REFUSED = 0, 1


@click.command("diff")
@click.argument("old")
@click.argument("new")
@format_option(("text", "json"))
@kubernetes
@gpu
def command(
    old: str,
    new: str,
    format: str,  # noqa: A002  # the option's name
    kubernetes: str | None,
    gpu: str | None,
) -> Output:
    """Tell what an apply of NEW over OLD would do: what is refused, rolls, disappears, changes.

    Each is a file or folder of YAML or JSON, REVISION:PATH in git (as in HEAD~1:dist), or - for
    standard input: kubectl get -f dist -o yaml | vllm-constructs diff - dist

    Exit code: 0 if nothing is refused, 1 if something is, 2 if an input cannot be used.
    """
    from vllm_constructs.kube.kubernetes import Kubernetes
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.reading.settings import Settings
    from vllm_constructs.upgrade import report
    from vllm_constructs.upgrade.upgrade import Upgrade

    check_stdin((old, new))
    cluster = None if kubernetes is None else Kubernetes(kubernetes)
    settings = Settings(kubernetes=cluster, gpu=gpu)
    with progress("comparing"):
        before, after = (Graph(_read(one).objects, settings) for one in (old, new))
        upgrade = Upgrade(before, after)
    code = REFUSED if upgrade.refused else ACCEPTED
    if format == "json":
        import json

        return Output(json.dumps(report.as_dict(upgrade), indent=2, ensure_ascii=False), code)
    return Output(report.text(upgrade), code)


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
