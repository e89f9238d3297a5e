"""`vllm-constructs explain`: rules, fields, alerts, and files with a comment at derived fields."""

from __future__ import annotations

import re
from pathlib import Path

import rich_click as click

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .options import STDIN, check_stdin, completed, rule_ids
from .output import Output

_FIELD = re.compile(r"[A-Z]\w+\..+")
_ALERT = re.compile(r"Vllm\w+")


@click.command("explain")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completed(rule_ids))
def command(names: tuple[str, ...]) -> Output:
    """Explain a rule, a field, an alert, or a file.

    A rule (P01): what is wrong, what happens, how to mend it, and examples. A field
    (Deployment.spec.strategy): why it is rendered so, what it is derived from, and the source. An
    alert (VllmEngineDown): what it means and what to do. A file of YAML (dist/qwen.k8s.yaml) is
    printed with a comment at each derived field, and - is a file on standard input.

    Without a name, all rules are listed.
    """
    check_stdin(names)
    if not names:
        from vllm_constructs.rules.check import every_rule

        rules = [f"{rule.id}  {rule.level:7}  {rule.title}" for rule in every_rule()]
        return Output("\n".join(rules))
    return Output("\n\n".join(_explained(name).rstrip("\n") for name in names))


def _explained(name: str) -> str:
    """What a name means."""
    if name == STDIN:
        from .annotated import annotated_stdin

        return annotated_stdin()
    if Path(name).is_file():
        from .annotated import annotated_file

        return annotated_file(Path(name))
    if name.endswith((".yaml", ".yml", ".json")):
        return refuse(Problem(where=escaped(require.shown(name)), text="does not exist"))
    if _ALERT.fullmatch(name):
        from vllm_constructs.monitoring.runbook import section

        return section(name)
    if _FIELD.fullmatch(name):
        from vllm_constructs.rules.fields import explained

        return explained(name)
    from vllm_constructs.rules.explanation import page

    return page(name)
