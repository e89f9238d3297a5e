"""The ports that the containers of a pod listen on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.several_pods import container, deployment, pod
from tests.rules.sides import SIDECAR, engine, side
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.listeners import (
    declared_ports,
    pool_ports,
    rank_ports,
    routing_sidecar,
    supervisor_port,
)

RANKS = ("--data-parallel-multi-port-external-lb", "-dp=8", "--data-parallel-size-local=4")


def of(manifest: dict[str, Any]) -> Any:
    """The engine of an object."""
    return Graph([manifest]).engines[0]


def alone(*args: str) -> Any:
    """An engine with arguments."""
    return of(deployment("m", pod(container("m", *args))))


@pytest.mark.parametrize(
    ("args", "ports", "supervisor"),
    [
        ((), (8000,), None),
        (("--port=9000",), (9000,), None),
        (RANKS, (8000, 8001, 8002, 8003), 9256),
        ((*RANKS, "--data-parallel-supervisor-port=8004"), (8000, 8001, 8002, 8003), 8004),
        (("--port=$(PORT)",), None, None),
        (("--headless",), None, None),
        (("$(MORE)",), None, None),
        ((*RANKS[:2], "--data-parallel-size-local=$(L)"), None, 9256),
    ],
)
def test_rank_ports(
    args: tuple[str, ...], ports: tuple[int, ...] | None, supervisor: int | None
) -> None:
    """An engine has one port, or one for each of its ranks."""
    assert ports == rank_ports(alone(*args))
    assert supervisor == supervisor_port(alone(*args))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--port=8000", "--model-server-port=8200"], ((8000,), 8200)),
        (["-port", "8080", "-vllm-port", "8001"], ((8080,), 8001)),
        (["--data-parallel-size=2"], ((8000, 8001), 8200)),
        (["--port=$(PORT)"], (None, 8200)),
        (["--configuration-file=/x"], (None, None)),
        (None, ((8000,), 8200)),
    ],
)
def test_sidecar(args: Any, expected: tuple[Any, Any]) -> None:
    """A sidecar has ports of its own, and one that it forwards to."""
    found = routing_sidecar(of(side("decode", engine(), {**SIDECAR, "args": args})))

    assert found is not None
    assert expected == (found.ports, found.target)


def test_no_sidecar() -> None:
    """Other containers are none."""
    other = {"name": "x", "image": "x", "restartPolicy": "Always", "args": ["--port=1"]}

    assert routing_sidecar(of(side("decode", engine(), other))) is None


def test_declared() -> None:
    """The ports of a container may be left out."""
    one = of(side("decode", engine(ports=[{"containerPort": 8200}, {}, None]), SIDECAR))

    assert {8000, 8200} == declared_ports(one.pod)
    assert {8000} == declared_ports(one.pod, besides=one.container)


@pytest.mark.parametrize(
    ("spec", "ports"),
    [
        ({"targetPorts": [{"number": 8000}, {"number": 8001}]}, (8000, 8001)),
        ({"targetPortNumber": 8000}, (8000,)),
        ({"targetPorts": [{"number": "x"}]}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_pool_ports(spec: Any, ports: tuple[int, ...]) -> None:
    """Ports that are no numbers are not known."""
    assert ports == pool_ports(spec)
