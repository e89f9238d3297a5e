"""dataclass: `dataclasses.dataclass`, whose methods are made when a class is first used.

Compiling them takes half a millisecond for each class, and most runs use few of the many classes
that they load. A type checker sees `dataclasses.dataclass` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  # exported
else:
    from collections.abc import Callable
    from dataclasses import dataclass as _at_once
    from threading import RLock
    from typing import Any

    _MADE_BY = {
        "init": ("__init__",),
        "repr": ("__repr__",),
        "eq": ("__eq__", "__hash__"),
        "frozen": ("__setattr__", "__delattr__"),
    }
    _LOCK = RLock()

    class _Deferred:
        """Stands for an attribute that a class has when it is complete."""

        def __init__(self, name: str, complete: Callable[[], None]) -> None:
            self._name = name
            self._complete = complete

        def __get__(self, instance: object, owner: type) -> Any:
            self._complete()
            # There is no `__signature__` then either, so that `inspect` looks at `__init__`.
            return getattr(owner if instance is None else instance, self._name)

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Make a dataclass.

        Args:
            **options: The options of `dataclasses.dataclass`. With `slots` it would be another
                class, so that is not supported.
        """

        def decorate(cls: type) -> type:
            def complete() -> None:
                with _LOCK:
                    if names:
                        for name in names:
                            delattr(cls, name)
                        names.clear()
                        _at_once(**options)(cls)

            names = ["__dataclass_fields__", "__dataclass_params__", "__signature__"]
            for option, methods in _MADE_BY.items():
                if options.get(option, option != "frozen"):
                    names += [name for name in methods if name not in vars(cls)]
            for name in names:
                setattr(cls, name, _Deferred(name, complete))
            return cls

        return decorate
