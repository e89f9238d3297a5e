"""Explanation: the page of a rule, which `vllm-constructs explain` prints."""

from __future__ import annotations

import re
from importlib import resources

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse


def page(id: str) -> str:
    """The page of a rule, in Markdown.

    Args:
        id: Its id; capitals do not matter.

    Raises:
        VllmConstructsError: No rule has that id.
    """
    folder = resources.files("vllm_constructs.rules") / "pages"
    known = sorted(one.name.removesuffix(".md") for one in folder.iterdir())
    name = id.upper()
    if name not in known:
        families = "".join(sorted({one[0] for one in known}))
        advice = require.nearest(name, known) or f"give an id such as P01; families are {families}"
        refuse(Problem(where="rule", text=f"{require.shown(id)} is not known", advice=advice))
    return (folder / f"{name}.md").read_text(encoding="utf-8")


def introduction(text: str) -> str:
    """What a page says before its first section, without title and level.

    Args:
        text: The page.
    """
    body = text.partition("\n## ")[0].partition("\nLevel: ")[2].partition("\n")[2]
    return re.sub(r"\s+", " ", body).strip()
