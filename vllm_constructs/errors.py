"""Problems, and the error and the warning that carry them.

A check returns a `Problem` or None. Values raise it, the command prints it and `plan` lists it for
each model; each spells the options as its own users write them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

if TYPE_CHECKING:
    from types import FrameType, TracebackType


ProblemKind: TypeAlias = Literal["invalid", "does not fit", "not counted"]
Spelling: TypeAlias = Callable[[str, "str | None"], str]

# An option in a template, `{max_num_seqs}` or `{max_num_seqs=8}`, or an escaped brace.
_MARK = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.]*)(?:=([^{}]*))?\}", re.ASCII)
_OPTION = re.compile(r"[A-Za-z]\w*(?:\.[a-z]\w*)?(?:\[.*)?", re.ASCII | re.DOTALL)


def python(option: str, value: str | None = None) -> str:
    """The spelling in a Python app: `Drain.seconds`, `port=8000` or `WholeGpu(count=8)`.

    Args:
        option: Name of the option, such as `WholeGpu.count` or `port`.
        value: Its value as Python code. Default: None, which names the option only.
    """
    owner, _, name = option.rpartition(".")
    if value is None:
        return option
    return f"{owner}({name}={value})" if owner else f"{name}={value}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why something is rejected: what is wrong, its value, what is allowed and what to do.

    All parts are strings. `text`, `allowed` and `advice` are templates: `{option}` and
    `{option=value}` are an option by its Python name, which `sentence` spells for its reader, and
    `{{` is a brace.

    Args:
        where: What is wrong: the Python name of an option, such as `Drain.seconds`, or a phrase,
            which is not a template. Default: empty, so that `text` is the whole statement.
        text: What is wrong with it, after `where`. Default: `is` and the value.
        value: The value, shortened for the sentence. Default: empty.
        allowed: What is expected instead. Default: empty.
        advice: What to do. Default: empty.
        kind: `"does not fit"` for a model that is too large, `"not counted"` for a memory plan
            that cannot be made though vLLM may start. Default: `"invalid"`, for all others.
    """

    where: str = ""
    text: str = ""
    value: str = ""
    allowed: str = ""
    advice: str = ""
    kind: ProblemKind = "invalid"

    def sentence(self, spelling: Spelling = python) -> str:
        """The problem in one sentence.

        Args:
            spelling: How options are written. Default: as in a Python app.
        """
        text, allowed, advice = (
            spelt(template, spelling) for template in (self.text, self.allowed, self.advice)
        )
        where = spelling(self.where, None) if _OPTION.fullmatch(self.where) else self.where
        parts = [f"{where} {text or f'is {self.value}'}" if where else text]
        parts += [f"expected {allowed}"] if allowed else []
        parts += [advice] if advice else []
        sentence = "; ".join(parts)
        return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def spelt(text: str, spelling: Spelling = python) -> str:
    """A template of a problem, with its options as its reader writes them.

    Args:
        text: A template with `{option}` or `{option=value}` in it.
        spelling: How options are written. Default: as in a Python app.
    """
    return _MARK.sub(lambda mark: spelling(mark[1], mark[2]) if mark[1] else mark[0][0], text)


def escaped(text: str) -> str:
    """A template that yields the string as it is, braces included."""
    return text.replace("{", "{{").replace("}", "}}")


class VllmConstructsError(ValueError):
    """The input is invalid, or cannot work.

    The only exception that this library raises for a user's input. Its message is one sentence:
    what is wrong, the value, what is allowed and what to do. It is raised where the value is
    given, before anything is put into the construct tree, so nothing is written.

    Attributes:
        problem: The problem in parts.
    """

    __module__ = "vllm_constructs"

    def __init__(self, problem: Problem | str, spelling: Spelling = python) -> None:
        """Make the message from a problem, or take a sentence as it is."""
        if isinstance(problem, str):
            problem = Problem(text=escaped(problem))
        super().__init__(problem.sentence(spelling))
        self.problem = problem
        self._spelling = spelling
        _end_tracebacks_at_the_user()
        _keep_for_jsii(self)

    def __reduce__(self) -> tuple[type[VllmConstructsError], tuple[Problem, Spelling]]:
        """Support pickle."""
        return type(self), (self.problem, self._spelling)


class VllmConstructsWarning(UserWarning):
    """The input works, but not reliably, or not on every cluster.

    Turn it into an error with `warnings.simplefilter("error", VllmConstructsWarning)`.
    """

    __module__ = "vllm_constructs"


def _is_ours(module: object) -> bool:
    """Whether a module is of this library, or calls it: jsii, cached properties and imports."""
    name = str(module)
    return name in ("vllm_constructs", "functools") or name.startswith(
        ("vllm_constructs.", "jsii.", "importlib._bootstrap")
    )


# The last error that was raised inside of a callback of jsii, which replaces it by one of its own.
_in_callback: list[VllmConstructsError] = []


def _keep_for_jsii(error: VllmConstructsError) -> None:
    """Keep an error that jsii will replace, such as one in a validation of the user's."""
    import sys

    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # as in `warn`
    while frame is not None and frame.f_globals.get("__name__") != "jsii._kernel":
        frame = frame.f_back
    if frame is not None:
        _in_callback[:] = [error]


def _replaced(error: BaseException) -> VllmConstructsError | None:
    """The error that jsii replaced by this one."""
    if isinstance(error, RuntimeError) and _in_callback and str(_in_callback[0]) == str(error):
        return _in_callback[0]
    return None


def _note_construct(error: BaseException, trace: TracebackType | None) -> None:
    """Name the construct that jsii called back, or in which something was made then."""
    import sys

    kind: Any = getattr(sys.modules.get("constructs"), "Construct", ())
    path = ""
    while trace is not None:
        inside = trace.tb_frame.f_locals
        # One that is being made is not in the tree yet.
        scope: Any = inside.get("scope")
        own: Any = inside.get("self")
        if isinstance(scope, kind):
            path = f"{scope.node.path}/{inside.get('id')}"
        elif isinstance(own, kind) and hasattr(own, "__jsii_ref__"):
            path = own.node.path
        trace = trace.tb_next
    if path:
        error.add_note(f"The construct is {path!r}.")


def _end_at_the_user(error: VllmConstructsError, trace: TracebackType | None) -> None:
    """Cut the frames below the user's last one, and an error that this library handled itself."""
    last = None
    while trace is not None:
        if not _is_ours(trace.tb_frame.f_globals.get("__name__")):
            last = trace
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None
    handled = error.__context__.__traceback__ if error.__context__ else None
    if handled is not None and _is_ours(handled.tb_frame.f_globals.get("__name__")):
        # A traceback begins in the frame that handled the error.
        error.__context__ = error.__cause__ = None


def _end_tracebacks_at_the_user() -> None:
    """Let an error that ends the program show the user's line last, and nothing below it."""
    import sys

    if getattr(sys.excepthook, "is_of_vllm_constructs", False):
        return
    show = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        own = _replaced(error)
        if own is not None:
            kind, error, trace = type(own), own, own.__traceback__
            while trace and trace.tb_next and _is_ours(trace.tb_frame.f_globals.get("__name__")):
                trace = trace.tb_next
            error.__traceback__ = trace
            _note_construct(error, trace)
        if isinstance(error, VllmConstructsError):
            _end_at_the_user(error, trace)
        show(kind, error, trace)

    hook.is_of_vllm_constructs = True  # type: ignore[attr-defined]  # to find it again
    sys.excepthook = hook


def refuse(problem: Problem | str) -> NoReturn:
    """Raise a `VllmConstructsError`.

    Args:
        problem: The problem, or a sentence that is not a template.
    """
    raise VllmConstructsError(problem)


# Problems of which the user was warned, so that a check does not warn again.
_warned: set[Problem] = set()


def was_warned(problem: Problem) -> bool:
    """Whether a warning about the same problem was issued.

    Args:
        problem: The problem.
    """
    return problem in _warned


def warn(problem: Problem | str) -> None:
    """Issue a `VllmConstructsWarning` for the user's line, the nearest one outside this package.

    Args:
        problem: The problem, or a sentence that is not a template.
    """
    import sys
    import warnings

    depth = 1
    frame = sys._getframe(1)  # noqa: SLF001  # the standard way to find a caller; `inspect` is slow to import
    while frame.f_back and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
        depth += 1
    if isinstance(problem, Problem):
        _warned.add(problem)
    sentence = problem if isinstance(problem, str) else problem.sentence()
    warnings.warn(sentence, VllmConstructsWarning, stacklevel=depth + 1)
