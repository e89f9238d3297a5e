"""Dataclasses whose methods are made when the class is first used."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
import threading
from collections.abc import Callable, Hashable
from dataclasses import InitVar, field
from typing import Any, ClassVar
from unittest import mock

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One that is pickled, which needs a name in a module."""

    number: int
    names: tuple[str, ...] = ()


def make(dataclass: Any = dataclass) -> dict[str, Any]:
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
    """What `dataclasses` and `inspect` know of a class is what the library says, from the start."""
    ours, theirs = make()[kind], make(dataclasses.dataclass)[kind]
    assert str(inspect.signature(theirs)) == str(inspect.signature(ours))
    assert repr(theirs.__dataclass_params__) == repr(ours.__dataclass_params__)
    assert theirs.__match_args__ == ours.__match_args__
    assert [repr(one) for one in dataclasses.fields(theirs)] == [
        repr(one) for one in dataclasses.fields(ours)
    ]
    assert isinstance(theirs(x=1), Hashable) == isinstance(ours(x=1), Hashable)
    for name in ("y", "kind", "scale"):
        assert getattr(theirs, name, None) == getattr(ours, name, None)


def test_super() -> None:
    """A subclass calls a method of its base, and not its own again."""
    point = make()["Point"]
    calls = []

    class Mine(point):  # type: ignore[misc,valid-type]  # a class that is made here
        def __init__(self, zone: str) -> None:
            calls.append(zone)
            super().__init__(1, y=2)

        def __repr__(self) -> str:
            return f"<{super().__repr__()}>"

        def __eq__(self, other: object) -> bool:
            return bool(super().__eq__(other))

        def __hash__(self) -> int:
            return hash(("Mine", super().__hash__()))

    first, second = Mine("a"), Mine("b")
    assert ["a", "b"] == calls
    assert (1, 1) == (repr(first).count("Mine"), repr(first).count("x=1"))
    assert {first} == {second}


def test_match() -> None:
    """An instance that was not made by `__init__` matches by position."""
    point = make()["Point"]
    found = object.__new__(point)
    vars(found).update(x=1, y=2, label="")
    match found:
        case point(x, y):
            assert (1, 2) == (x, y)
        case _:
            raise AssertionError(found)


def test_patched() -> None:
    """A method that a user puts into a class stays, and one that is put back works."""
    point = make()["Point"]
    point.__repr__ = lambda _: "mine"
    assert point(1) == point(1)
    assert "mine" == repr(point(1))
    other = make()["Point"]
    with mock.patch.object(other, "__init__", return_value=None):
        assert 3 == len(dataclasses.fields(other))
    assert 1 == other(1).x


def test_wrong_arguments() -> None:
    """A wrong argument of the very first call is rejected with a sentence."""
    with pytest.raises(VllmConstructsError, match="Point has no option 'z'; it has x, y, label"):
        make()["Point"](z=1)
    with pytest.raises(VllmConstructsError, match=r"Point\.x is missing; give Point\(x=\.\.\.\)"):
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
    """No method is compiled for a class that is not used, and none that is not used."""
    point = make()["Point"]
    names = ("__init__", "__repr__", "__eq__", "__hash__")
    assert [] == [name for name in names if inspect.isfunction(vars(point)[name])]
    point(1)
    assert ["__init__"] == [name for name in names if inspect.isfunction(vars(point)[name])]


def test_threads() -> None:
    """Threads that use a class first at the same time all get whole instances."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(20):
            deep, start = make()["Deep"], threading.Barrier(8)
            found: list[object] = []

            def use(deep: Any = deep, start: Any = start, found: list[object] = found) -> None:
                start.wait()
                try:
                    found.append((repr(deep(1)), hash(deep(1)), deep(1) == deep(1)))
                except Exception as error:  # noqa: BLE001  # what is tested
                    found.append(error)

            threads = [threading.Thread(target=use) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [(repr(deep(1)), hash(deep(1)), True)] * 8 == found
    finally:
        sys.setswitchinterval(interval)
