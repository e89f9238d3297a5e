"""Immutable copies of dicts and lists, which values keep instead of the caller's own objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn


class FrozenDict(dict[str, Any]):
    """An immutable dict; unlike a mapping proxy, it can be copied and pickled."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a value of vllm_constructs cannot be changed; make another one")

    if not TYPE_CHECKING:  # type checkers see it as a Mapping
        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        """Support pickle and copy."""
        return FrozenDict, (dict(self),)


# Nothing that is deeper is accepted anywhere.
_DEEPEST = 32


def frozen(value: Any, depth: int = 0) -> Any:
    """An immutable copy: dicts become `FrozenDict`, lists become tuples."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(item, depth + 1) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item, depth + 1) for item in value)
    return value
