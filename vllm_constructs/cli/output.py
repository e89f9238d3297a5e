"""What a verb prints: text, or a table of rich; plain where the output is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vllm_constructs.dataclass import dataclass

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDEST = 1000
"""Columns of an output that is no terminal: its lines are not folded, for grep's sake."""


@dataclass(frozen=True)
class Output:
    """The output of a verb.

    Args:
        body: Text, or what rich renders.
        code: The exit code. Default: 0.
    """

    body: str | RenderableType
    code: int = 0


def show(output: Output) -> None:
    """Print an output.

    Args:
        output: The output.
    """
    body = output.body
    if isinstance(body, str):
        sys.stdout.write(f"{body}\n")
    elif (console := _console()).is_terminal:
        console.print(body)
    else:
        sys.stdout.write(f"{plain(body)}\n")


def plain(body: RenderableType) -> str:
    """What rich renders as plain text, whose lines are as long as they need to be.

    Args:
        body: A table or the like.
    """
    console = _console(no_color=True, force_terminal=False, width=_WIDEST)
    with console.capture() as captured:
        console.print(body)
    # A table fills its last column with blanks.
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, **options)


def has_colour() -> bool:
    """Whether the output is a terminal that shows colours (no-color.org)."""
    if not sys.stdout.isatty():
        return False
    console = _console()
    return console.color_system is not None and not console.no_color


def can_show(text: str) -> bool:
    """Whether the encoding of the output has all characters of a text.

    Args:
        text: The text.
    """
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Tell on a terminal what takes a while; nothing elsewhere.

    Args:
        what: What the command does, such as `rendering main.py`.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False, markup=False).status(f"{what} ..."):
        yield
