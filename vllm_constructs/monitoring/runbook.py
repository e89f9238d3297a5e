"""The runbook: what each alert means, what to look at, and what to do."""

from __future__ import annotations

from functools import cache
from importlib import resources

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse


@cache
def sections() -> dict[str, str]:
    """The sections of the page, in Markdown, by alert."""
    text = (resources.files("vllm_constructs.monitoring") / "runbook.md").read_text("utf-8")
    parts = text.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"# {part.rstrip()}\n" for part in parts}


def section(alert: str) -> str:
    """What the runbook says of an alert.

    Args:
        alert: Name of the alert.

    Raises:
        VllmConstructsError: There is no such alert.
    """
    known = sections()
    if alert not in known:
        advice = require.nearest(alert, known) or require.one_of(list(known))
        refuse(Problem(where="alert", text=f"{require.shown(alert)} is not known", advice=advice))
    return known[alert]
