"""Service: valid everywhere, and found by those that look for it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import GpuPodSpec, WholeGpu
from vllm_constructs.workloads import service
from vllm_constructs.workloads.service import ServiceOptions
from vllm_constructs.workloads.workload import Workload


@settings(max_examples=60, deadline=None)
@given(strategies.names(), st.integers(1024, 65535))
def test_service(name: str, port: int) -> None:
    """The Service is valid everywhere, has the labels that it selects, and leads to the port."""
    selects = Workload(name=name).selector

    found = service.manifest(name=name, selector=selects, port=port, options=ServiceOptions())

    assert validate(strategies.in_namespace(found)) == []
    assert strategies.is_plain(found)
    assert found["metadata"]["labels"] == selects == found["spec"]["selector"]
    assert found["spec"]["ports"][0]["port"] == port
    assert found["spec"]["ports"][0]["targetPort"] == port
    assert found["spec"]["type"] == "ClusterIP"


def test_port_name() -> None:
    """The port has the name of the container's port, by which monitors find both."""
    pod = GpuPodSpec(model="gpt2", gpu=WholeGpu("NVIDIA-L4"))
    (port,) = pod.manifest()["containers"][0]["ports"]

    found = service.manifest(name="qwen", selector={}, port=pod.port, options=ServiceOptions())

    assert found["spec"]["ports"][0]["name"] == port["name"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"headless": True, "port": 80}, "a headless Service translates no ports"),
        ({"labels": {"app.kubernetes.io/instance": "x"}}, "is set by this library"),
    ],
)
def test_contradictions(options: dict[str, Any], words: str) -> None:
    """A port that nobody would answer on, and a label that monitors need, are rejected."""
    selector = Workload(name="qwen").selector
    found = ServiceOptions(**options)

    assert words in strategies.refusal(
        lambda: service.manifest(name="qwen", selector=selector, port=8000, options=found)
    )
