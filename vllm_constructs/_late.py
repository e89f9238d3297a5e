"""A frozen dataclass whose fields are only worked out when somebody asks for them.

`dataclasses.dataclass` writes and compiles methods at every start: 20 ms for three hundred
fields. Here `__init__` stands in the source (it is generated and compiled once), the other
methods need no list of fields, and `fields`, `replace` and `is_dataclass` find what they look for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, TypeVar

from . import _check
from .errors import refuse

T = TypeVar("T", bound=type)


@cache
def _real(kind: type) -> Any:
    """A dataclass with the keywords of `kind`."""
    import inspect

    defaults = inspect.signature(kind).parameters
    made = [
        (
            name,
            kind.__annotations__.get(name, "Any"),
            # An empty mapping is the one default that is made anew for each value.
            dataclasses.field(default_factory=dict)
            if isinstance(one.default, type(EMPTY))
            else dataclasses.field(default=one.default),
        )
        for name, one in defaults.items()
    ]
    options = {"frozen": True, "kw_only": True, "init": False, "repr": False}
    return dataclasses.make_dataclass(kind.__name__, made, **options)  # type: ignore[arg-type]


EMPTY = type(type.__dict__)({})  # a read-only mapping


class _Late:
    """An attribute of the real dataclass, found when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, _: object, owner: type) -> Any:
        return getattr(_real(owner), self.name)


class _Signature:
    """What a class takes: its `__init__`, which `__new__` would hide."""

    def __get__(self, _: object, owner: type) -> Any:
        import inspect

        own = inspect.signature(owner.__init__)  # type: ignore[misc]  # of this very class
        return own.replace(parameters=list(own.parameters.values())[1:])


def _new(kind: type, *_: object, **given: object) -> object:
    """Refuse a misspelt keyword with the nearest one: Python's own TypeError knows none."""
    known = kind.__init__.__kwdefaults__ or {}  # type: ignore[misc]  # as above
    for name in given:
        if name not in known:
            end = _check.nearest(name, known) or "look at its documentation."
            refuse(f"{kind.__name__} has no keyword {name!r}, nor has the newest vLLM; {end}")
    return object.__new__(kind)


def _equal(self: object, other: object) -> bool:
    return vars(self) == vars(other) if type(self) is type(other) else NotImplemented


def _frozen(_: object, name: str, *__: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def late_dataclass(**_: bool) -> Callable[[T], T]:
    """Decorate a class with an `__init__` of its own as a frozen, keyword-only dataclass."""

    def decorate(kind: T) -> T:
        own: dict[str, Any] = {
            "__dataclass_fields__": _Late("__dataclass_fields__"),
            "__dataclass_params__": _Late("__dataclass_params__"),
            "__signature__": _Signature(),
            "__new__": _new,
            "__eq__": _equal,
            "__hash__": None,
            "__setattr__": _frozen,
            "__delattr__": _frozen,
        }
        for name, value in own.items():
            setattr(kind, name, value)
        for name, value in list(vars(kind).items()):
            if isinstance(value, dataclasses.Field):
                delattr(kind, name)
        return kind

    return decorate
