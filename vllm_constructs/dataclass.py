"""dataclass: `dataclasses.dataclass`, whose methods are made when they are first used.

Compiling them takes half a millisecond for each class, and most runs use few of the many classes
that they load, and compare or show fewer. A type checker sees `dataclasses.dataclass` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  # exported
else:
    from collections.abc import Callable, Iterable
    from dataclasses import dataclass as _at_once
    from dataclasses import field, fields, make_dataclass
    from threading import RLock
    from typing import Any

    _LOCK = RLock()

    class _Deferred:
        """Stands for an attribute of a class until something asks for it."""

        def __init__(self, names: list[str], name: str, make: Callable[[], None]) -> None:
            self._names = names
            self._name = name
            self._make = make

        def __get__(self, instance: object, owner: type) -> Any:
            with _LOCK:
                # Another thread may have been faster.
                if self._name in self._names:
                    self._make()
            # There is no `__signature__` then either, so that `inspect` looks at `__init__`.
            return getattr(owner if instance is None else instance, self._name)

    def _defer(cls: type, names: Iterable[str], make: Callable[[], None]) -> None:
        """Let a class have attributes that are made together."""
        missing = [name for name in names if name not in vars(cls)]

        def replace() -> None:
            for name in missing:
                delattr(cls, name)
            missing.clear()
            make()

        for name in [*missing]:
            setattr(cls, name, _Deferred(missing, name, replace))

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Make a dataclass.

        Args:
            **options: The options of `dataclasses.dataclass`. With `slots` it would be another
                class, so that is not supported.
        """
        is_frozen, has_repr = options.get("frozen", False), options.get("repr", True)
        has_eq = options.get("eq", True)
        made = ["__dataclass_fields__", "__dataclass_params__", "__signature__"]
        made += ["__init__"] if options.get("init", True) else []
        made += ["__setattr__", "__delattr__"] if is_frozen else []
        compared = ["__repr__"] if has_repr else []
        compared += ["__eq__", "__hash__"] if has_eq else []

        def decorate(cls: type) -> type:
            def complete() -> None:
                _at_once(**options | {"repr": False, "eq": False})(cls)

            def borrow() -> None:
                # Of a class of equal fields: what a class has once, the library does not make
                # again, and these use no more of the class than its fields.
                equal = make_dataclass(
                    cls.__name__,
                    [
                        (one.name, Any, field(repr=one.repr, hash=one.hash, compare=one.compare))
                        for one in fields(cls)
                    ],
                    init=False,
                    repr=has_repr,
                    eq=has_eq,
                    unsafe_hash=has_eq and is_frozen,
                )
                for name in own:
                    setattr(cls, name, vars(equal)[name])

            own = [name for name in compared if name not in vars(cls)]
            _defer(cls, made, complete)
            _defer(cls, own, borrow)
            return cls

        return decorate
