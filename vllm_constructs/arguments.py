"""Arguments that a class does not take: a sentence for them, where Python has a TypeError."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped

if TYPE_CHECKING:
    from inspect import Parameter


def explained(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that rejects wrong arguments with a sentence.

    Args:
        method: The `__init__` of a class, or the function of one of its class methods.
    """

    @wraps(method)
    def call(self: object, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except TypeError as error:
            # One frame: it was not called at all. Others are errors of its own.
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            name = type(self).__name__
            if isinstance(self, type):
                name = f"{self.__name__}.{method.__name__}"
            problem = _problem(name, method, args, options)
            if problem is None:
                raise
            raise VllmConstructsError(problem) from None

    return call


def with_options(init: Callable[..., None], options: type) -> None:
    """Show the keys of a TypedDict as keywords in the signature, instead of `**pod`.

    Args:
        init: The `__init__` of a class, whose last parameter takes them.
        options: The TypedDict.
    """
    from inspect import Parameter, signature
    from typing import Literal, Required, get_args, get_origin

    def _is_required(annotation: object) -> bool:
        origin: object = get_origin(annotation)
        return origin is Required

    def type_of(name: str) -> object:
        found = options.__annotations__[name]
        bare = get_args(found)[0] if _is_required(found) else found
        # A string that editors complete has a hundred names.
        kinds: set[object] = {get_origin(one) for one in get_args(bare)}
        return str if kinds == {Literal, None} else bare

    found = signature(init)
    *own, _ = found.parameters.values()
    names = sorted(options.__annotations__, key=lambda name: name not in options.__required_keys__)  # type: ignore[attr-defined]  # of a TypedDict
    more = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if name in options.__required_keys__ else None,  # type: ignore[attr-defined]  # as above
            annotation=type_of(name),
        )
        for name in names
    ]
    init.__signature__ = found.replace(parameters=[*own, *more])  # type: ignore[attr-defined]  # what inspect reads


def _problem(
    name: str, method: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> Problem | None:
    """What is wrong with arguments; None if it is not known."""
    from inspect import signature

    _, *parameters = signature(method).parameters.values()
    known = {one.name: one for one in parameters if one.kind is not one.VAR_KEYWORD}
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    if len(args) > len(positional):
        free = [one for one in known if one not in options and one not in positional]
        return _positional(name, args[len(positional)], positional, free)
    takes_more = len(known) < len(parameters)
    for option in options:
        if option in positional[: len(args)]:
            return Problem(where=f"{name}.{option}", text="is given twice", advice="give it once")
        if option not in known and not takes_more:
            advice = require.nearest(option, known) or f"it has {_listed([*known])}"
            text = f"has no option {escaped(require.shown(option))}"
            return Problem(where=name, text=text, advice=escaped(advice))
    missing = [one for one in known.values() if _is_missing(one, positional[: len(args)], options)]
    if missing:
        first = missing[0].name
        return Problem(
            where=f"{name}.{first}", text="is missing", advice=f"give {name}({first}=...)"
        )
    return None


def _positional(
    name: str, argument: object, positional: Sequence[str], free: Sequence[str]
) -> Problem:
    # Other values are not shown, since one may be a token.
    is_number = isinstance(argument, (int, float))
    value = require.shown(argument) if is_number else f"a {type(argument).__name__}"
    written = require.shown(argument) if is_number else "..."
    after = f" after {' and '.join(positional)}" if positional else ""
    advice = f"write {free[0]}={written}" if free else "give its keyword"
    if len(free) > 1:
        advice = f"give its keyword, one of {_listed(free)}"
    return Problem(
        where=name,
        text=f"takes keyword arguments only{after}, and {escaped(value)} is positional",
        advice=escaped(advice),
    )


def _is_missing(one: Parameter, given: Sequence[str], options: Mapping[str, Any]) -> bool:
    return one.default is one.empty and one.name not in given and one.name not in options


def _listed(names: Sequence[str]) -> str:
    """The first names, of which an engine has hundreds."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{', '.join(names[:8])}{more}"
