"""Probes: how often the kubelet asks a running engine, and how many failures it accepts."""

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import Drain, GpuPodSpec, Probes, Startup, WholeGpu

NAMES = ("startupProbe", "readinessProbe", "livenessProbe")


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


def probes_of(**fields: Any) -> dict[str, strategies.Manifest]:
    """Return the probes of a small pod with these fields, which Kubernetes takes."""
    spec = pod(**fields).manifest()
    metadata = {"name": "qwen", "namespace": "llm"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert validate(whole, releases=["1.27", "1.37"]) == []
    return {name: spec["containers"][0][name] for name in NAMES}


def test_defaults() -> None:
    """Without options each number is what its documentation says."""
    ask = {"httpGet": {"path": "/health", "port": "http"}}

    assert probes_of() == {
        "startupProbe": ask
        | {
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 91,
            "terminationGracePeriodSeconds": 30,
        },
        "readinessProbe": ask | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": ask
        | {
            "periodSeconds": 30,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": 30,
        },
    }
    assert pod().probes == Probes()


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        Probes,
        readiness_period=st.integers(1, 3600),
        readiness_failures=st.integers(1, 1000),
        liveness_period=st.integers(1, 3600),
        liveness_failures=st.integers(1, 1000),
        timeout=st.one_of(st.none(), st.integers(1, 600)),
    ),
    strategies.startups(),
)
def test_numbers(probes: Probes, startup: Startup) -> None:
    """Each number reaches its probe; the startup probe waits as long as `Startup` says."""
    found = probes_of(probes=probes, startup=startup)
    starts, ready, alive = (found[name] for name in NAMES)

    assert (ready["periodSeconds"], ready["failureThreshold"]) == (
        probes.readiness_period,
        probes.readiness_failures,
    )
    assert (alive["periodSeconds"], alive["failureThreshold"]) == (
        probes.liveness_period,
        probes.liveness_failures,
    )
    plain = pod(startup=startup).manifest()["containers"][0]["startupProbe"]
    assert starts == plain | {"timeoutSeconds": starts["timeoutSeconds"]}
    timeouts = [found[name]["timeoutSeconds"] for name in NAMES]
    assert timeouts == ([5, 5, 10] if probes.timeout is None else [probes.timeout] * 3)


def test_port() -> None:
    """The probes ask the port by its name, so that they follow its number."""
    assert probes_of(port=9000) == probes_of()
    asked = Probes().manifest("api", startup_failures=7, restart_grace_period=20)
    assert [one["httpGet"]["port"] for one in asked.values()] == ["api"] * 3
    assert asked["startupProbe"]["failureThreshold"] == 7


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 86400), st.integers(1, 3600))
def test_grace_periods(seconds: int, pre_stop: int) -> None:
    """A container that a probe restarts is not drained; what a pod gets more is the drain."""
    drain = Drain(seconds=seconds, pre_stop=pre_stop)
    found = probes_of(drain=drain)
    whole = pod(drain=drain).manifest()["terminationGracePeriodSeconds"]

    graces = [found[name].get("terminationGracePeriodSeconds") for name in NAMES]

    assert graces == [whole - seconds, None, whole - seconds]
    assert whole - seconds > pre_stop


def test_copies() -> None:
    """Probes can be copied, compared and replaced, and each manifest is a new one."""
    found = Probes(readiness_period=5, timeout=3)
    made = partial(found.manifest, "http", startup_failures=3, restart_grace_period=20)

    assert found == deepcopy(found) == replace(found)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301  # its own bytes
    assert len({found, replace(found), replace(found, timeout=4)}) == 2
    made()["readinessProbe"]["httpGet"].clear()
    assert made()["readinessProbe"]["httpGet"]["path"] == "/health"


def test_frozen() -> None:
    """Probes cannot be changed after they were checked."""
    with pytest.raises(FrozenInstanceError):
        Probes().timeout = 1  # type: ignore[misc]  # the point


@pytest.mark.parametrize("name", [one.name for one in fields(Probes)])
@pytest.mark.parametrize("value", [0, -1, 3601, True, 1.0, "often", [5]])
def test_out_of_range(name: str, value: Any) -> None:
    """Each option is a whole number in its range."""
    sentence = strategies.refusal(lambda: Probes(**{name: value}))

    assert sentence.startswith(f"Probes.{name} is {value!r}; expected an integer ")


def probes(**fields: Any) -> Probes:
    """Return probes with these fields."""
    return Probes(**fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: probes(readiness_period=None), ("Probes.readiness_period is None",)),
    (lambda: probes(liveness_period="1m"), ("'1m'", "write 60 and leave the unit out")),
    (lambda: probes(timeout="5"), ("Probes.timeout is '5'", "write 5 without quotes")),
    (lambda: probes(timeout=601), ("an integer of seconds from 1 to 600.",)),
    (lambda: probes(liveness_failures=1001), ("an integer from 1 to 1000.",)),
    (lambda: pod(probes=10), ("probes is 10", "Probes(...)")),
    (lambda: pod(probes={"timeout": 5}), ("probes is {'timeout': 5}", "Probes(...)")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
