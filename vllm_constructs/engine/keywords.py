"""A dataclass of several hundred keywords that costs nothing at start.

`dataclasses.dataclass` writes `__init__`, `__eq__` and `__repr__` as text that names every field,
and compiles it at each start: 20 ms for three hundred fields. Here these methods loop over the
fields instead. All else, such as `dataclasses.replace`, is Python's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, TypeVar

T = TypeVar("T", bound=type)


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    return {one.name: one.default for one in dataclasses.fields(kind)}


def _init(self: Any, **given: object) -> None:
    kind: Any = type(self)
    known = _defaults(kind)
    for name in given:
        if name not in known:
            self._refuse_keyword(name)
    values = self.__dict__
    values.update(known, **given)
    for name, value in values.items():
        if value is dataclasses.MISSING:
            values[name] = self.__dataclass_fields__[name].default_factory()
    self.__post_init__()


def _equal(self: object, other: object) -> bool:
    return vars(self) == vars(other) if type(self) is type(other) else NotImplemented


def _frozen(_: object, name: str, *__: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


class _Signature:
    """What `inspect.signature` says of the class: all keywords, worked out when asked for."""

    def __get__(self, _: object, owner: type) -> Any:
        from inspect import Parameter, Signature

        return Signature(
            [
                Parameter(
                    one.name,
                    Parameter.KEYWORD_ONLY,
                    # An empty value is made anew for each object, as by Python's dataclasses.
                    default={} if one.default is dataclasses.MISSING else one.default,
                    annotation=one.type,
                )
                for one in dataclasses.fields(owner)
            ],
            return_annotation=None,
        )


def keywords(**_: bool) -> Callable[[T], T]:
    """Decorate a class whose fields are those of the `dataclass` that inherits from it."""
    return lambda kind: kind


def dataclass(**_: bool) -> Callable[[T], T]:
    """Decorate a class as `dataclass(frozen=True, kw_only=True)` does.

    The class has `_refuse_keyword`, which is called with a keyword that it lacks.
    """

    def decorate(kind: T) -> T:
        found: dict[str, Any] = {}
        for base in reversed(kind.__mro__):
            found |= vars(base).get("__annotations__", {})
        # In a text it would look for ClassVar by a regular expression, for each field.
        kind.__annotations__ = dict.fromkeys(found, object)
        dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(kind)
        kind.__annotations__ = found
        for name, one in vars(kind)["__dataclass_fields__"].items():
            one.type = found[name]
        methods = {
            "__init__": _init,
            "__eq__": _equal,
            "__hash__": None,
            "__setattr__": _frozen,
            "__delattr__": _frozen,
            "__signature__": _Signature(),
        }
        for name, method in methods.items():
            setattr(kind, name, method)
        # As others see it: nothing that is not frozen may inherit from it.
        params: Any = vars(kind)["__dataclass_params__"]
        params.eq = params.frozen = True
        return kind

    return decorate
