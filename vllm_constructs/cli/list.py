"""`vllm-constructs list`: what the catalogs of this library have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from . import catalogs
from .options import Choice, format_option
from .output import Output

if TYPE_CHECKING:
    from rich.table import Table

KINDS = tuple(catalogs.CATALOGS)
# Of a list of labels or choices, a table shows the beginning.
_WIDEST = 60


@click.command("list")
@click.argument("kind", metavar=f"[{'|'.join(KINDS)}]", type=Choice(KINDS))
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--vllm", metavar="RELEASE", help="Release of vLLM.  [default: the newest known one]")
@format_option(("text", "json"))
def command(kind: str, words: tuple[str, ...], vllm: str | None, format: str) -> Output:  # noqa: A002  # the option's name
    """List what the catalogs have: models, GPUs, flags of vllm serve, metrics of vLLM.

    With words, only the rows that have all of them.

    Examples: list gpus h100, list flags kv cache, list metrics time to first.
    """
    from vllm_constructs.releases.release import NEWEST, releases

    release = NEWEST if vllm is None else vllm.removeprefix("v")
    if release not in releases():
        advice = require.nearest(release, releases())
        allowed = f"one of {', '.join(releases())}"
        refuse(Problem(where="--vllm", value=escaped(repr(vllm)), allowed=allowed, advice=advice))
    rows = catalogs.found(catalogs.CATALOGS[kind](release), words)
    if format == "json":
        import json

        return Output(json.dumps(rows, indent=2, ensure_ascii=False))
    if not rows:
        text = f"none of the {kind} has {' and '.join(map(repr, words))}"
        refuse(Problem(text=escaped(text), advice="give fewer words"))
    return Output(_table(rows))


def _table(rows: list[catalogs.Row]) -> Table:
    from rich.table import Table

    used = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in used:
        numbers = all(isinstance(row[name], (int, float, type(None))) for row in rows)
        is_number = numbers and not any(isinstance(row[name], bool) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in used))
    return table


def _cell(value: catalogs.Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]} ..."
