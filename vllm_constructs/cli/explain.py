"""`vllm-constructs explain`: the page of a rule."""

from __future__ import annotations

import rich_click as click

from .options import completed, rule_ids
from .output import Output


@click.command("explain")
@click.argument(
    "names",
    nargs=-1,
    metavar="[RULE]...",
    shell_complete=completed(rule_ids),
)
def command(names: tuple[str, ...]) -> Output:
    """Explain a rule: what is wrong, what happens, how to mend it, and examples.

    Without a name, all rules are listed.
    """
    if names:
        from vllm_constructs.rules.explanation import page

        return Output("\n".join(page(id) for id in names).rstrip("\n"))
    from vllm_constructs.rules.check import every_rule

    rules = [f"{rule.id}  {rule.level:7}  {rule.title}" for rule in every_rule()]
    return Output("\n".join(rules))
