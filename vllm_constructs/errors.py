"""What this library raises and warns with."""

from __future__ import annotations

from typing import NoReturn


class VllmConstructsError(ValueError):
    """Something that cannot work was asked for.

    The only exception that this library raises for a user's input. Its text is one sentence:
    what is wrong, the value, what is allowed and what to do. It is raised where the value is
    given, before anything is put into the construct tree, so nothing is written.
    """

    __module__ = "vllm_constructs"


class NotCountedError(VllmConstructsError):
    """A memory plan was asked for, and what something takes is not known; vLLM may take it."""

    __module__ = "vllm_constructs"


class VllmConstructsWarning(UserWarning):
    """Something works, but not for long or not for everybody.

    Turn it into an error with `warnings.simplefilter("error", VllmConstructsWarning)`.
    """

    __module__ = "vllm_constructs"


def refuse(sentence: str, kind: type[VllmConstructsError] = VllmConstructsError) -> NoReturn:
    """Raise the library's error with `sentence`."""
    raise kind(sentence)


def warn(sentence: str) -> None:
    """Warn at the user's line: the nearest frame outside of this package."""
    import sys
    import warnings

    depth = 1
    frame = sys._getframe(1)  # noqa: SLF001  # the standard way to find a caller; `inspect` is slow to import
    while frame.f_back and str(frame.f_globals.get("__name__", "")).startswith(
        ("vllm_constructs.", "jsii.")
    ):
        frame = frame.f_back
        depth += 1
    warnings.warn(sentence, VllmConstructsWarning, stacklevel=depth + 1)
