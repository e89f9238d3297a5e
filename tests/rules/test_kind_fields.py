"""Fields of objects: what a walk through one finds."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from vllm_constructs.rules.kind_fields import Fault, Walk, is_open, where
from vllm_constructs.rules.kind_tables import Types, tables


def faults(name: str, value: dict[str, Any], target: int | None = None) -> list[Fault]:
    """What is wrong with a value of a type."""
    walk = Walk(tables().types, target=target)
    walk.fields(name, value, ("spec",))
    return walk.faults


def one(name: str, value: dict[str, Any], target: int | None = None) -> tuple[str, Fault]:
    """The sentence of the one fault, and the fault."""
    (fault,) = faults(name, value, target)
    return fault.problem.sentence(), fault


@pytest.mark.parametrize(
    ("value", "words", "right"),
    [
        ({"replicas": "2"}, "expected an integer; write 2 without quotes", 2),
        ({"replicas": "two"}, "is 'two'; expected an integer", None),
        ({"replicas": True}, "is true; expected an integer", None),
        ({"replicas": 1.5}, "is 1.5; expected an integer", None),
        ({"paused": "true"}, "expected true or false", True),
        ({"paused": 1}, "is 1; expected true or false", None),
        ({"selector": []}, "is a list; expected fields", None),
        ({"selector": {"matchLabels": {"a": 1}}}, "in quotes", "1"),
        ({"selector": {"matchLabels": {"a": True}}}, "is true; expected a string", "true"),
        ({"selector": {"matchExpressions": {}}}, "is a map; expected a list", None),
        ({"strategy": {"rollingUpdate": {"maxSurge": []}}}, "a number or a string", None),
        ({"strategy": {"type": "recreate"}}, "write 'Recreate'", "Recreate"),
        ({"strategy": {"type": "BlueGreen"}}, "expected one of", None),
        ({"Replicas": 2}, "did you mean 'replicas'?", None),
        ({"foo": 2}, "leave it out", None),
    ],
)
def test_wrong(value: dict[str, Any], words: str, right: Any) -> None:
    """Fields, types and values of a Deployment, with what is meant."""
    sentence, fault = one("DeploymentSpec", value)

    assert words in sentence
    if right is not None:
        assert fault.fix is not None
        assert fault.fix.is_safe
        assert right == fault.fix.edits[0].value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"replicas": None, "foo": None},
        {"replicas": 2.0},
        {"replicas": "${REPLICAS}"},
        {"replicas": "{{ .Values.replicas }}"},
        {"strategy": {"type": "$(TYPE)"}},
        {"strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}},
        {"$patch": "replace", "$setElementOrder/containers": []},
        # Kubernetes' parser of YAML has no dates.
        {"selector": {"matchLabels": {"day": date(2026, 1, 2)}}},
    ],
)
def test_right(value: dict[str, Any]) -> None:
    """What is there, what is nothing, and what is filled in later."""
    assert [] == faults("DeploymentSpec", value)


def test_renamed() -> None:
    """A field whose case is wrong keeps its value."""
    _, fault = one("DeploymentSpec", {"min_ready_seconds": 5})
    assert fault.fix is not None
    removed, added = fault.fix.edits
    assert ("spec", "min_ready_seconds") == removed.path
    assert (("spec", "minReadySeconds"), 5) == (added.path, added.value)
    assert not fault.fix.is_safe


def test_hidden() -> None:
    """The value of a variable is not shown."""
    container = {"env": [{"name": "PIN", "value": 123456}]}
    sentence, fault = one("Container", container)
    assert "123456" not in sentence
    assert ("spec", "env", 0, "value") == fault.path


@pytest.mark.parametrize(
    ("value", "target", "level", "words"),
    [
        ({"sleep": {"seconds": 5}}, 27, None, "is new in Kubernetes 1.29"),
        ({"sleep": {"seconds": 5}}, 29, "warning", "off by default before Kubernetes 1.30"),
    ],
)
def test_newer(value: dict[str, Any], target: int, level: str | None, words: str) -> None:
    """A field that the target lacks, or drops."""
    sentence, fault = one("LifecycleHandler", value, target)

    assert words in sentence
    assert f"the target is 1.{target}" in sentence
    assert level == fault.level


def test_unknown_target() -> None:
    """Without a target only what came after the maintained releases is said."""
    assert [] == faults("LifecycleHandler", {"sleep": {"seconds": 5}})
    assert [] == faults("LifecycleHandler", {"sleep": {"seconds": 5}}, 30)
    sentence, fault = one("Volume", {"name": "m", "image": {"reference": "a:1"}})
    assert "not known" in sentence
    assert "warning" == fault.level
    assert [] == faults("Volume", {"name": "m", "image": {"reference": "a:1"}}, 35)
    _, fault = one("Volume", {"name": "m", "image": {"reference": "a:1"}}, 30)
    assert fault.level is None
    assert "warning" == one("EmptyDirVolumeSource", {"mode": 511}, 37)[1].level


def test_custom() -> None:
    """Another release of a custom kind may have a field that resembles none."""
    walk = Walk(tables().types, "KEDA 2.20")
    walk.fields("ScaledObject.spec", {"minReplicas": 1, "futureField": 1})
    near, far = walk.faults
    assert (None, "warning") == (near.level, far.level)
    assert "did you mean 'minReplicaCount'?" in near.problem.sentence()
    assert "KEDA 2.20" in far.problem.sentence()


def test_required() -> None:
    """Types that have required fields say which are missing."""
    types = Types(lambda name: ({"name": "string"}, ["name"]) if name == "T" else None, 37)
    walk = Walk(types)
    walk.fields("T", {})
    walk.fields("T", {"name": "x"})
    walk.fields("Other", {"anything": 1})
    (fault,) = walk.faults
    assert ("name",) == fault.path
    assert "name is missing, and Kubernetes 1.37 requires it" in fault.problem.sentence()


def test_where() -> None:
    """The last two fields, with indices and names that have dots in brackets."""
    assert "startupProbe.periodSeconds" == where(("containers", 0, "startupProbe", "periodSeconds"))
    assert "containers[0].image" == where(("spec", "containers", 0, "image"))
    assert "annotations['a.b/c']" == where(("annotations", "a.b/c"))
    assert "spec" == where(("spec",))


def test_open() -> None:
    """What a tool fills in later."""
    assert all(map(is_open, ("${X}", "$(X)", "{{ x }}", "<x>")))
    assert not is_open("x")
