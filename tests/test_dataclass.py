"""Dataclasses whose methods are made when the class is first used."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import threading
from collections.abc import Callable, Hashable
from dataclasses import InitVar, field
from typing import Any, ClassVar

import pytest

from vllm_constructs.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One that is pickled, which needs a name in a module."""

    number: int
    names: tuple[str, ...] = ()


def make() -> dict[str, Any]:
    """New classes: a plain one, one that inherits, and one that is changeable."""

    @dataclass(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 0
        label: str = field(default="", repr=False, compare=False)
        kind: ClassVar[str] = "point"

    @dataclass(frozen=True, kw_only=True)
    class Deep(Point):
        """A point with a default that is made."""

        tags: list[str] = field(default_factory=list, hash=False)
        scale: InitVar[int] = 1

        def __post_init__(self, scale: int) -> None:
            object.__setattr__(self, "x", self.x * scale)

    @dataclass(kw_only=True)
    class Open:
        """One that may be changed."""

        x: int = 1

    @dataclass(frozen=True, kw_only=True, init=False)
    class Own:
        """One with an `__init__` and a representation of its own."""

        x: int

        def __init__(self, **options: int) -> None:
            vars(self).update(options)

        def __repr__(self) -> str:
            return "Own"

    return {"Point": Point, "Deep": Deep, "Open": Open, "Own": Own}


# Each is the first thing that is done with a class.
FIRST: dict[str, Callable[[dict[str, Any]], object]] = {
    "instance": lambda made: made["Point"](1),
    "fields": lambda made: [item.name for item in dataclasses.fields(made["Point"])],
    "is_dataclass": lambda made: dataclasses.is_dataclass(made["Point"]),
    "signature": lambda made: str(inspect.signature(made["Deep"])),
    "init": lambda made: inspect.signature(made["Deep"].__init__),
    "derived": lambda made: made["Deep"](1, scale=3),
    "own": lambda made: made["Own"](x=1),
    "repr": lambda made: made["Point"].__repr__,
    "eq": lambda made: made["Point"](1) == made["Point"](2),
    "hash": lambda made: hash(made["Point"](1)),
    "unpickled": lambda made: object.__new__(made["Point"]) == 1,
}


@pytest.mark.parametrize("name", FIRST)
def test_first_use(name: str) -> None:
    """Whatever is done first, the class is then as `dataclasses.dataclass` would make it."""
    made = make()
    FIRST[name](made)
    point, deep, own = made["Point"], made["Deep"], made["Own"]
    assert ["x", "y", "label"] == [item.name for item in dataclasses.fields(point)]
    assert point(1, label="a") == point(1, 0, label="b") != point(2)
    assert "Point(x=1, y=0)" == repr(point(1)).rpartition(".")[2]
    assert hash(point(1)) == hash(point(1, label="a"))
    assert ("x", "y", "label") == point.__match_args__
    assert deep(2, scale=3).x == 6
    assert deep(2).tags is not deep(2).tags
    assert point(1) != deep(1)
    for frozen in (point(1), deep(1), own(x=1)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.x = 5
        with pytest.raises(dataclasses.FrozenInstanceError):
            del frozen.x
    assert ("Own", own(x=1)) == (repr(own(x=1)), own(x=1))
    changed = made["Open"]()
    changed.x = 7
    assert changed == made["Open"](x=7)
    assert not isinstance(changed, Hashable)


@pytest.mark.parametrize("kind", ["Point", "Deep", "Open", "Own"])
def test_same_as_library(kind: str) -> None:
    """Every attribute of a class is of the kind that the library gives it."""
    made = make()[kind]
    sample = made(x=1)
    assert (repr(sample), sample) == (repr(sample), made(x=1))
    assert {"dataclass", "vllm_constructs.dataclass"}.isdisjoint(
        getattr(item, "__module__", "") for item in vars(made).values()
    )
    assert "__signature__" not in vars(made)
    assert str(inspect.signature(made)).startswith("(")


def test_wrong_arguments() -> None:
    """A wrong argument of the very first call is the usual error."""
    with pytest.raises(TypeError, match=r"__init__\(\) got an unexpected keyword argument 'z'"):
        make()["Point"](z=1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        make()["Point"]()


def test_copies() -> None:
    """An instance is copied and pickled, also into a process that has not used the class."""
    sample = Sample(number=1, names=("a",))
    for found in (copy.copy(sample), copy.deepcopy(sample), pickle.loads(pickle.dumps(sample))):  # noqa: S301  # our own bytes
        assert found == sample
        assert dataclasses.replace(found, number=2) == Sample(number=2, names=("a",))
    fresh = make()["Point"]
    unpickled = object.__new__(fresh)
    vars(unpickled).update(x=1, y=0, label="")
    assert unpickled == fresh(1)
    assert hash(object.__new__(Sample).__class__(number=1)) == hash(Sample(number=1))


def test_not_made() -> None:
    """Nothing is compiled for a class that is not used."""
    point = make()["Point"]
    assert not inspect.isfunction(vars(point)["__dataclass_fields__"])
    assert not isinstance(vars(point)["__dataclass_fields__"], dict)
    point(1)
    assert isinstance(vars(point)["__dataclass_fields__"], dict)


def test_threads() -> None:
    """Threads that use a class first at the same time all get whole instances."""
    for _ in range(20):
        deep, start = make()["Deep"], threading.Barrier(4)
        found: list[str] = []

        def use(deep: Any = deep, start: Any = start, found: list[str] = found) -> None:
            start.wait()
            found.append(repr(deep(1)))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ([repr(deep(1))] * 4) == found
