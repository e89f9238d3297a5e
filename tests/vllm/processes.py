"""The processes of containers, as processes outside of them see them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def find(number: int, fits: Callable[[Path], bool]) -> int:
    """The process that has a number in its own namespace.

    Args:
        number: What the process itself takes for its number.
        fits: Whether a process with that number, given its folder in /proc, is the wanted one.

    Raises:
        LookupError: None is there.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (folder / "status").read_text(encoding="utf-8").splitlines()
            numbers = next(line.split()[1:] for line in told if line.startswith("NSpid:"))
            if numbers[-1] == str(number) and fits(folder):
                return int(folder.name)
    raise LookupError(f"process {number}")
