"""Frozen copies: what values keep of the dicts and lists that they are given."""

import copy
import json
import pickle
from collections import OrderedDict
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import AwsAlb, Metric
from vllm_constructs.frozen import FrozenDict, frozen

CHANGES: dict[str, Any] = {
    "setitem": lambda found: found.__setitem__("a", 2),
    "setitem-new": lambda found: found.__setitem__("z", 2),
    "delitem": lambda found: found.__delitem__("a"),
    "clear": lambda found: found.clear(),
    "pop": lambda found: found.pop("a"),
    "pop-default": lambda found: found.pop("z", None),
    "popitem": lambda found: found.popitem(),
    "setdefault": lambda found: found.setdefault("z", 1),
    "setdefault-known": lambda found: found.setdefault("a"),
    "update": lambda found: found.update({"a": 2}),
    "update-keywords": lambda found: found.update(a=2),
    "ior": lambda found: found.__ior__({"a": 2}),
}


@dataclass(frozen=True)
class Value:
    """A value that holds a dict."""

    options: Any


@pytest.mark.parametrize("change", CHANGES)
def test_changes(change: str) -> None:
    """Whatever would change a dict is rejected, and changes nothing."""
    found = FrozenDict(a=1)

    with pytest.raises(TypeError, match="cannot be changed; make another one"):
        CHANGES[change](found)

    assert {"a": 1} == found


def test_all_methods() -> None:
    """No method of a dict that changes it is left."""
    reading = {
        *("copy", "fromkeys", "get", "items", "keys", "values"),
        *("__class_getitem__", "__contains__", "__eq__", "__ge__", "__getattribute__"),
        *("__getitem__", "__gt__", "__hash__", "__init__", "__iter__", "__le__", "__len__"),
        *("__lt__", "__ne__", "__new__", "__or__", "__repr__", "__reversed__", "__ror__"),
        *("__sizeof__", "__doc__"),
    }
    refusing = set(vars(dict)) - reading

    assert {"__setitem__", "__delitem__", "__ior__", "clear", "pop", "update"} <= refusing
    assert {"_refuse"} == {getattr(FrozenDict, name).__name__ for name in refusing}


def test_statements() -> None:
    """The statements that change a dict are rejected like its methods."""
    found: Any = FrozenDict(a=1)
    other = found

    with pytest.raises(TypeError, match="cannot be changed"):
        found["a"] = 2
    with pytest.raises(TypeError, match="cannot be changed"):
        del found["a"]
    with pytest.raises(TypeError, match="cannot be changed"):
        found |= {"a": 2}
    with pytest.raises(AttributeError):
        found.name = 1

    assert {"a": 1} == found
    assert found is other


def test_reading() -> None:
    """In all else it is a dict."""
    found = FrozenDict(b=1, a=[2])

    assert isinstance(found, dict)
    assert {"b": 1, "a": [2]} == found
    assert ["b", "a"] == list(found)
    assert {"b": 1, "a": [2], "c": 3} == found | {"c": 3}
    assert {"b": 1, "a": [2]} == dict(found) == found.copy()
    assert "{'b': 1, 'a': [2]}" == repr(found)
    assert '{"b": 1, "a": [2]}' == json.dumps(found)
    found.copy()["c"] = 3
    (found | {})["c"] = 3
    assert ["b", "a"] == list(found)


@settings(max_examples=100, deadline=None)
@given(strategies.json_values())
def test_copies(value: Any) -> None:
    """A copy says the same, keeps its type when it is copied or pickled, and has no list in it."""
    found = frozen(value)

    for again in (
        copy.copy(found),
        copy.deepcopy(found),
        pickle.loads(pickle.dumps(found)),  # noqa: S301  # its own bytes
        frozen(found),
    ):
        assert type(found) is type(again)
        assert found == again
    assert json.dumps(value) == json.dumps(found)
    assert not any(isinstance(one, list) for one in parts(found))
    assert all(isinstance(one, FrozenDict) for one in parts(found) if isinstance(one, dict))


def parts(value: Any) -> list[Any]:
    """Return a value and all that is inside of it."""
    inner = value.values() if isinstance(value, dict) else value
    found = [value]
    if isinstance(value, (dict, list, tuple)):
        found += [part for one in inner for part in parts(one)]
    return found


def test_nested() -> None:
    """Dicts and lists are copied all the way down, so that a change of the original is none."""
    given_: dict[str, Any] = {"a": {"b": [{"c": [1]}]}, "d": ([2], {"e": 3})}
    found = frozen(given_)
    before = copy.deepcopy(found)

    given_["a"]["b"][0]["c"].append(2)
    given_["a"]["b"].clear()
    given_["d"][0].append(3)
    given_["d"][1]["e"] = 4
    del given_["a"]

    assert before == found == {"a": {"b": ({"c": (1,)},)}, "d": ((2,), {"e": 3})}
    with pytest.raises(TypeError, match="cannot be changed"):
        found["a"]["b"][0]["c"] = 1


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", b"bytes", range(3), object, {1, 2}])
def test_others(value: object) -> None:
    """What is no dict and no list is kept as it is."""
    assert value is frozen(value)


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType, FrozenDict])
def test_mappings(kind: Any) -> None:
    """Every kind of mapping becomes a dict, in its order."""
    found = frozen(kind({"b": [1], "a": 2}))

    assert type(found) is FrozenDict
    assert [("b", (1,)), ("a", 2)] == list(found.items())


def test_loops() -> None:
    """What holds itself is copied as deep as anything is accepted, and ends there."""
    endless: list[Any] = []
    endless.append(endless)

    assert isinstance(frozen(endless), tuple)
    assert isinstance(frozen({"a": endless}), FrozenDict)


def test_asdict() -> None:
    """`dataclasses.asdict` of a value that holds one gives a dict that is equal."""
    found = asdict(Value(frozen({"a": {"b": [1]}})))

    assert {"options": {"a": {"b": (1,)}}} == found
    assert isinstance(found["options"], dict)


def test_values() -> None:
    """A value with one is copied and pickled as a whole, and is not hashable."""
    value = Value(frozen({"a": {"b": [1]}}))

    assert value == copy.deepcopy(value)
    assert value == pickle.loads(pickle.dumps(value))  # noqa: S301  # its own bytes
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)


def test_yaml() -> None:
    """YAML is written of a plain copy."""
    plain = json.loads(json.dumps(frozen({"a": [1, {"b": "c"}]})))

    assert {"a": [1, {"b": "c"}]} == yaml.safe_load(yaml.safe_dump(plain))


def test_lists_of_values() -> None:
    """Values keep tuples of the lists that they are given."""
    subnets, labels = ["10.0.0.0/16"], ["model_name", "engine"]
    alb = AwsAlb(subnets=subnets)
    metric = Metric(name="gateway:x", type="gauge", unit="requests", labels=tuple(labels))
    before = alb.peers()

    subnets[0] = "10.1.0.0/16"
    subnets.append("10.2.0.0/16")
    labels.clear()

    assert ("10.0.0.0/16",) == alb.subnets
    assert before == alb.peers()
    assert ("engine", "model_name") == metric.labels
