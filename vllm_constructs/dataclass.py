"""dataclass: `dataclasses.dataclass`, whose methods are compiled when they are first used.

Compiling them takes half a millisecond for each class, and most runs use few of the many classes
that they load, and compare or show fewer. Fields, defaults and what `dataclasses` knows of a class
are there at once. A type checker sees `dataclasses.dataclass` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  # exported
else:
    from collections.abc import Callable
    from dataclasses import FrozenInstanceError, is_dataclass
    from dataclasses import dataclass as _at_once
    from threading import RLock
    from typing import Any

    from vllm_constructs.arguments import explained

    _LOCK = RLock()

    class _Deferred:
        """A method of a class that is compiled when something asks for it."""

        def __init__(self, cls: type, name: str, compiled: Callable[[], type]) -> None:
            self._cls = cls
            self._name = name
            self._compiled = compiled
            self._method: Any = None

        def __get__(self, instance: object, owner: type) -> Any:
            with _LOCK:
                if self._method is None:
                    method = vars(self._compiled())[self._name]
                    self._method = explained(method) if self._name == "__init__" else method
                    # A user may have put another one in its place.
                    if vars(self._cls).get(self._name) is self:
                        setattr(self._cls, self._name, self._method)
            # The method of this class: a subclass that calls it by super() has one of its own.
            return self._method.__get__(instance, owner)

    def _compiled_by(cls: type, options: dict[str, bool]) -> Callable[[], type]:
        """Makes a class that has the methods, which use no more of a class than its fields."""
        made: list[type] = []

        def compiled() -> type:
            if not made:
                made.append(_at_once(**options)(type(cls.__name__, (cls,), {})))
            return made[0]

        return compiled

    def _freeze(cls: type) -> None:
        """Reject changes of an instance, as a frozen dataclass does."""
        fields = frozenset(cls.__dataclass_fields__)

        def set_attribute(self: object, name: str, value: object) -> None:
            if type(self) is cls or name in fields:
                raise FrozenInstanceError(f"cannot assign to field {name!r}")
            super(cls, self).__setattr__(name, value)

        def delete_attribute(self: object, name: str) -> None:
            if type(self) is cls or name in fields:
                raise FrozenInstanceError(f"cannot delete field {name!r}")
            super(cls, self).__delattr__(name)

        cls.__setattr__, cls.__delattr__ = set_attribute, delete_attribute

    def dataclass(
        *,
        init: bool = True,
        repr: bool = True,  # noqa: A002  # the library's name
        eq: bool = True,
        frozen: bool = False,
        kw_only: bool = False,
    ) -> Callable[[type], type]:
        """Make a dataclass.

        Args:
            init: As in `dataclasses.dataclass`, as are all others.
            repr: Whether it shows its fields.
            eq: Whether instances are compared by their fields.
            frozen: Whether they cannot be changed.
            kw_only: Whether fields are keywords.
        """

        def decorate(cls: type) -> type:
            own = vars(cls)
            for name, made in [*own.items()]:
                if isinstance(made, classmethod) and not name.startswith("_"):
                    setattr(cls, name, classmethod(explained(made.__func__)))
            # Python sets it to None where a class has its own `__eq__`.
            if not init and "__init__" in own:
                cls.__init__ = explained(cls.__init__)
            has_hash = own.get("__hash__") is not None
            has_frozen_base = any(is_dataclass(base) for base in cls.__mro__[1:]) and frozen
            _at_once(init=False, repr=False, eq=False, frozen=has_frozen_base, kw_only=kw_only)(cls)
            parameters = cls.__dataclass_params__
            parameters.init, parameters.repr, parameters.eq = init, repr, eq
            parameters.frozen = frozen
            if frozen and not has_frozen_base:
                _freeze(cls)
            if eq and not frozen and not has_hash:
                cls.__hash__ = None
            common = {"frozen": frozen, "kw_only": kw_only}
            made = _compiled_by(cls, {"repr": False, "eq": False, **common})
            shown = _compiled_by(cls, {"init": False, "repr": repr, "eq": eq, **common})
            for is_wanted, name, compiled in (
                (init and "__init__" not in own, "__init__", made),
                (repr and "__repr__" not in own, "__repr__", shown),
                (eq and "__eq__" not in own, "__eq__", shown),
                (eq and frozen and not has_hash, "__hash__", shown),
            ):
                if is_wanted:
                    setattr(cls, name, _Deferred(cls, name, compiled))
            return cls

        return decorate
