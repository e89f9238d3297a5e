"""The public surface: which names there are, and what their docstrings promise."""

import dataclasses
import importlib
import inspect
import re
import types
from importlib.resources import files
from typing import Any

import pytest

import vllm_constructs
from vllm_constructs import VllmConstructsError, VllmConstructsWarning
from vllm_constructs.cdk.base import Room

NAMES = vllm_constructs.__all__
CONSTRUCTS: dict[str, str] = vars(vllm_constructs)["_CONSTRUCTS"]
VALUES: dict[str, str] = vars(vllm_constructs)["_VALUES"]
PUBLIC = [getattr(vllm_constructs, name) for name in NAMES]
CLASSES: list[type[Any]] = [one for one in PUBLIC if isinstance(one, type)]
WITH_ARGUMENTS = [kind for kind in CLASSES if not issubclass(kind, Exception)]


def sections(text: str) -> dict[str, str]:
    """The sections of a Google-style docstring, by their headings."""
    found = re.split(r"^(\w+):\n(?=    )", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def entries(section: str) -> list[str]:
    """The names that a section lists."""
    return re.findall(r"^    (\w+): ", section, re.MULTILINE)


def arguments(kind: type[Any]) -> list[str]:
    """What a class is made with; jsii's metaclass hides it from `inspect.signature(kind)`."""
    if dataclasses.is_dataclass(kind):
        return list(inspect.signature(kind).parameters)
    return list(inspect.signature(kind.__init__).parameters)[1:]


def test_sorted() -> None:
    """The names are sorted, and none stands twice."""
    assert sorted(set(NAMES)) == NAMES


def test_complete() -> None:
    """Every public name that can be reached is promised, and the other way round."""
    here = {
        name
        for name, value in vars(vllm_constructs).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # A plain True of the standard library, which the module needs for its own imports.
    assert set(NAMES) | {"TYPE_CHECKING"} == here | set(CONSTRUCTS) | set(VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_resolves(name: str) -> None:
    """Each name is a class of that name, the same one each time."""
    found = getattr(vllm_constructs, name)
    assert name == found.__name__
    assert found is getattr(vllm_constructs, name)


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_lazy(name: str) -> None:
    """A construct is loaded from the room that it is in when it is first asked for."""
    room = importlib.import_module(f"vllm_constructs.cdk.{CONSTRUCTS[name]}")
    found = vllm_constructs.__getattr__(name)
    assert getattr(room, name) is found
    assert isinstance(found, type)
    assert issubclass(found, Room)
    assert room.__name__ == found.__module__


@pytest.mark.parametrize("name", VALUES)
def test_lazy_value(name: str) -> None:
    """A value that not every app needs is loaded from its room when it is first asked for."""
    room = importlib.import_module(f"vllm_constructs.{VALUES[name]}")
    found = vllm_constructs.__getattr__(name)
    assert getattr(room, name) is found
    assert not (isinstance(found, type) and issubclass(found, Room))
    assert room.__name__ == found.__module__


@pytest.mark.parametrize("name", ["ModelDeploymnet", "_private", "Room", "base", "__wrapped__"])
def test_unknown(name: str) -> None:
    """Another name is missing in the usual way."""
    with pytest.raises(AttributeError, match=f"'vllm_constructs' has no attribute '{name}'"):
        getattr(vllm_constructs, name)


@pytest.mark.parametrize("kind", PUBLIC, ids=NAMES)
def test_docstring(kind: type[Any]) -> None:
    """Each name has a docstring of its own that begins with one sentence."""
    text = inspect.cleandoc(kind.__doc__ or "")
    first, _, _ = text.partition("\n\n")
    assert first.endswith(".")
    assert "\n" not in first
    # What `dataclass` writes by itself is no docstring.
    assert not first.startswith(f"{kind.__name__}(")


@pytest.mark.parametrize("kind", WITH_ARGUMENTS, ids=lambda kind: kind.__name__)
def test_arguments(kind: type[Any]) -> None:
    """The docstring explains every argument, in their order, and no other."""
    text = inspect.cleandoc(kind.__doc__ or "")
    assert arguments(kind) == entries(sections(text).get("Args", ""))


@pytest.mark.parametrize("kind", WITH_ARGUMENTS, ids=lambda kind: kind.__name__)
def test_raises(kind: type[Any]) -> None:
    """The docstring says when a class refuses its arguments, if it can."""
    refuses = issubclass(kind, Room) or hasattr(kind, "__post_init__")
    text = inspect.cleandoc(kind.__doc__ or "")
    assert refuses == ("VllmConstructsError" in entries(sections(text).get("Raises", "")))


@pytest.mark.parametrize("kind", PUBLIC, ids=NAMES)
def test_methods(kind: type[Any]) -> None:
    """Every public method and property has a docstring."""
    missing = [
        name
        for name, value in vars(kind).items()
        if not name.startswith("_")
        and isinstance(value, (property, classmethod, staticmethod, types.FunctionType))
        and not inspect.getdoc(value)
    ]
    assert [] == missing


@pytest.mark.parametrize(
    "kind",
    [kind for kind in WITH_ARGUMENTS if not issubclass(kind, Room)],
    ids=lambda kind: kind.__name__,
)
def test_values(kind: type[Any]) -> None:
    """What is no construct is a frozen value, compared by what it says."""
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # private to dataclasses
    assert kind.__dataclass_params__.eq  # type: ignore[attr-defined]  # private to dataclasses


@pytest.mark.parametrize("kind", [VllmConstructsError, VllmConstructsWarning])
def test_errors(kind: type[Exception]) -> None:
    """A traceback names the public module, under which a user finds the class."""
    assert "vllm_constructs" == kind.__module__
    assert kind("x").args == ("x",)


def test_star() -> None:
    """A star import gives all names."""
    found: dict[str, object] = {}
    exec("from vllm_constructs import *", found)  # noqa: S102  # there is no other way to say it
    assert set(NAMES) == set(found) - {"__builtins__"}


def test_typed() -> None:
    """Type checkers are told that the package has types."""
    assert files("vllm_constructs").joinpath("py.typed").is_file()
