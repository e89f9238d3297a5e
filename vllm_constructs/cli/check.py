"""`vllm-constructs check`: known mistakes in manifests of any origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse

from . import reports, settings
from .options import STDIN, Choice, check_stdin, completed, format_option, gpu, kubernetes, rule_ids
from .output import Output, progress
from .settings import FAIL_ON

if TYPE_CHECKING:
    from vllm_constructs.reading.files import Manifests
    from vllm_constructs.rules.rule import Rule

FORMATS = ("text", "json", "sarif", "github", "junit")


@click.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@format_option(FORMATS)
@click.option(
    "--fail-on",
    type=Choice(FAIL_ON),
    help="Level from which a finding fails the command: error, warning or never.  [default: error]",
)
@click.option(
    "--select",
    metavar="RULES",
    shell_complete=completed(rule_ids),
    help="Ids or families such as P01,S.  [default: all rules]",
)
@click.option(
    "--ignore",
    metavar="RULES",
    shell_complete=completed(rule_ids),
    help="Ids or families.  [default: none]",
)
@click.option(
    "--vllm",
    metavar="RELEASE",
    help="Release of vLLM in images that do not tell, such as 0.33.0.",
)
@kubernetes
@gpu
@click.option(
    "--fix",
    is_flag=True,
    help="Mend what follows from the manifests alone, and show the other changes.",
)
def command(paths: tuple[str, ...], **options: Any) -> Output:
    """Find known mistakes in manifests of vLLM, whoever has written them.

    A PATH is a file, or a folder of files, in YAML or JSON, or - for standard input.

    Exit code: 0 without findings of the level of --fail-on, 1 with some, 2 if an input cannot be
    used. A finding is accepted by the annotation vllm-constructs.dev/accept-RULE of its object,
    whose value is the reason. Defaults of the options may stand in [tool.vllm-constructs] of the
    nearest pyproject.toml.
    """
    from vllm_constructs.formats.report import counted

    given = settings.with_defaults(options)
    rules = chosen(given.select, given.ignore)
    if given.fix and STDIN in paths:
        refuse(Problem(where="--fix", text="needs files, not standard input", advice="name them"))
    found = _read(paths)
    with progress(f"checking {counted(len(found.objects), 'object')}"):
        if given.fix:
            from . import fix

            return Output(*fix.run(found, rules, given))
        report = reports.report_of(found, rules, given)
        text = reports.shown(report, given.format)
    return Output(text, reports.exit_code(report, given.fail_on))


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

    check_stdin(paths)
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
