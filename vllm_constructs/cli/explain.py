"""`vllm-constructs explain`: the page of a rule."""

from __future__ import annotations

import argparse
from typing import Any

_ABOUT = "Explain a rule: what is wrong, what happens, how to mend it, and examples."


def add_parser(verbs: Any) -> None:
    """Add the verb to the command.

    Args:
        verbs: The verbs of the command.
    """
    explain = verbs.add_parser("explain", help=_ABOUT, description=_ABOUT, allow_abbrev=False)
    explain.add_argument(
        "rules", nargs="*", metavar="RULE", help="id, such as P01; default: a list of all rules"
    )


def run(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
    """The output of the verb, and its exit code.

    Args:
        options: The options of the verb.
        flags: Nothing: the verb takes no flags of vLLM.

    Raises:
        VllmConstructsError: No rule has such an id.
    """
    del flags
    if options.rules:
        from vllm_constructs.rules.explanation import page

        return "\n".join(page(id) for id in options.rules).rstrip("\n"), 0
    from vllm_constructs.rules.check import every_rule

    rules = [f"{rule.id}  {rule.level:7}  {rule.title}" for rule in every_rule()]
    return "\n".join(rules), 0
