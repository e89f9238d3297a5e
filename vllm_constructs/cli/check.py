"""`vllm-constructs check`: known mistakes in manifests of any origin."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse

from . import reports, settings

if TYPE_CHECKING:
    from vllm_constructs.reading.files import Manifests
    from vllm_constructs.rules.rule import Rule

FORMATS = ("text", "json", "sarif", "github", "junit")
STDIN = "-"

_ABOUT = "Find known mistakes in manifests of vLLM, whoever has written them."
_EPILOG = (
    "Exit code: 0 without findings of the level of --fail-on, 1 with some, 2 if an input cannot "
    "be used. A finding is accepted by the annotation vllm-constructs.dev/accept-RULE of its "
    "object, whose value is the reason. Defaults of the options may stand in "
    "[tool.vllm-constructs] of the nearest pyproject.toml."
)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command.

    Args:
        verbs: The verbs of the command.
    """
    check = verbs.add_parser(
        "check", help=_ABOUT, description=_ABOUT, epilog=_EPILOG, allow_abbrev=False
    )
    check.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="file, or folder of files, in YAML or JSON; - for standard input",
    )
    check.add_argument("--format", choices=FORMATS, help="default: text")
    check.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        help="the level from which a finding fails the command; default: error",
    )
    check.add_argument(
        "--select", metavar="RULES", help="ids or families such as P01,S; default: all rules"
    )
    check.add_argument("--ignore", metavar="RULES", help="ids or families; default: none")
    check.add_argument(
        "--vllm", metavar="RELEASE", help="vLLM release in images that do not tell, such as 0.33.0"
    )
    check.add_argument(
        "--kubernetes", metavar="RELEASE", help="release of the cluster, such as 1.34"
    )
    check.add_argument(
        "--gpu", metavar="PRODUCT", help="product of GPUs that the manifests do not name"
    )
    check.add_argument(
        "--fix",
        action="store_true",
        help="mend what follows from the manifests alone, and show the other changes",
    )


def run(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
    """The output of the verb, and its exit code.

    Args:
        options: The options of the verb.
        flags: Nothing: the verb takes no flags of vLLM.

    Raises:
        VllmConstructsError: An option is invalid, or no input can be read.
    """
    del flags
    given = settings.with_defaults(options)
    rules = chosen(given.select, given.ignore)
    if given.fix and STDIN in options.paths:
        refuse(Problem(where="--fix", text="needs files, not standard input", advice="name them"))
    found = _read(options.paths)
    if given.fix:
        from . import fix

        return fix.run(found, rules, given)
    report = reports.report_of(found, rules, given)
    return reports.shown(report, given.format), reports.exit_code(report, given.fail_on)


def chosen(select: Sequence[str], ignore: Sequence[str]) -> list[Rule]:
    """The rules that are selected and not ignored.

    Args:
        select: Ids or their beginnings; none selects all.
        ignore: Ids or their beginnings.

    Raises:
        VllmConstructsError: No rule begins so.
    """
    from vllm_constructs.rules.check import every_rule

    rules = every_rule()
    for name, ids in (("--select", select), ("--ignore", ignore)):
        for id in ids:
            if not any(rule.id.startswith(id) for rule in rules):
                text = f"names {escaped(require.shown(id))}, and no rule has that id"
                near = require.nearest(id, [rule.id for rule in rules])
                advice = near or "see vllm-constructs explain for all of them"
                refuse(Problem(where=name, text=text, advice=advice))
    return [
        rule
        for rule in rules
        if (not select or rule.id.startswith(tuple(select)))
        and not rule.id.startswith(tuple(ignore) or ("-",))
    ]


def _read(paths: Sequence[str]) -> Manifests:
    from vllm_constructs.reading import files

    if paths.count(STDIN) > 1:
        refuse(Problem(where=STDIN, text="is given twice", advice="give it once"))
    parts, problems = [], []
    for path in paths:
        if path == STDIN:
            parts.append(files.read_stdin())
            continue
        if path.endswith(".py"):
            text = "is an app, and check reads manifests"
            advice = "render it first, or let its own synth check it"
            refuse(Problem(where=require.shown(path), text=text, advice=advice))
        if not Path(path).exists():
            refuse(Problem(where=require.shown(path), text="does not exist"))
        try:
            parts.append(files.read(Path(path)))
        except VllmConstructsError as error:
            problems.append(error.problem)
    if problems and not any(part.objects for part in parts):
        refuse(problems[0])
    unread = files.Manifests(objects=[], origins=[], unread=tuple(problems))
    return files.joined([*parts, unread])
