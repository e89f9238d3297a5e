"""Rules of the ports of data-parallel ranks: D03 and D04."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import container, group, one_template, pod, pool, script, service

INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
OWN = {"matchLabels": {"app": "big"}}
RANKS = (
    "m",
    "--data-parallel-multi-port-external-lb",
    "--data-parallel-size=8",
    "--data-parallel-size-local=4",
    "--node-rank=$(LWS_WORKER_INDEX)",
    "--data-parallel-address=$(LWS_LEADER_ADDRESS)",
)
HYBRID = (
    "m",
    "--data-parallel-hybrid-lb",
    "--data-parallel-size=8",
    "--data-parallel-size-local=4",
    "--data-parallel-start-rank=$(START)",
)
SIDECAR = {
    "name": "routing-proxy",
    "image": "ghcr.io/llm-d/llm-d-routing-sidecar:v0.7.0",
    "args": ["--port=8000", "--vllm-port=8200", "--data-parallel-size=4", "--connector=nixlv2"],
    "ports": [{"containerPort": 8000 + i} for i in range(4)],
}
PORTS = [{"name": f"rank{i}", "containerPort": 8000 + i} for i in range(4)]


def ranks(*more: str, ports: Any = (), sidecar: bool = False) -> dict[str, Any]:
    """A group of two pods with four ranks each.

    Args:
        *more: More arguments.
        ports: The ports that the container lists.
        sidecar: Whether its pods have a routing sidecar.
    """
    others = [SIDECAR] if sidecar else []
    return group(None, pod(container(*RANKS, *more, ports=list(ports)), *others))


def monitor(*endpoints: dict[str, Any], name: str = "big") -> dict[str, Any]:
    """A PodMonitor of all pods.

    Args:
        *endpoints: Its endpoints.
        name: Its name.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"selector": OWN, "podMetricsEndpoints": list(endpoints)},
    }


def service_monitor(*names: str) -> dict[str, Any]:
    """A ServiceMonitor.

    Args:
        *names: The ports that it scrapes.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {
            "selector": {"matchLabels": {"app": "api"}},
            "endpoints": [{"port": name} for name in names],
        },
    }


def labeled(one: dict[str, Any]) -> dict[str, Any]:
    """A Service with the label that the ServiceMonitor selects.

    Args:
        one: The Service.
    """
    return {**one, "metadata": {**one["metadata"], "labels": {"app": "api"}}}


@pytest.mark.parametrize(
    ("manifests", "words"),
    [
        ([ranks("--data-parallel-supervisor-port=8003")], "is 8003, which is one of the ports"),
        ([ranks("--port=9254")], "--data-parallel-supervisor-port is 9256"),
        ([ranks("--data-parallel-rpc-port", "8001")], "--data-parallel-rpc-port is 8001"),
        ([ranks("--port=29500")], "--master-port is 29501"),
        (
            [
                group(
                    None, pod(container(*RANKS), {"name": "x", "ports": [{"containerPort": 8002}]})
                )
            ],
            "another container of the pod listens on 8002",
        ),
        ([ranks(sidecar=True)], "another container of the pod listens on 8000"),
        ([ranks(), pool(OWN, 8000, 8001)], "lacks 8002, 8003, so that 2 of the 4 ranks"),
        (
            [ranks(), pool(OWN, 8000, 8001, 8002, 8003, 9256)],
            "has 9256, the port of the supervisor",
        ),
        (
            [ranks("--port=8200", sidecar=True), pool(OWN, 8000, 8001, 8002)],
            "lacks 8003",
        ),
        (
            [
                group(
                    None,
                    pod(
                        script(
                            "exec vllm serve m --data-parallel-multi-port-external-lb --port 8000 "
                            "--data-parallel-supervisor-port 8001 --data-parallel-size $((N * L)) "
                            "--data-parallel-size-local $L --node-rank $R",
                            env=[{"name": "L", "value": "4"}],
                        )
                    ),
                ),
            ],
            "is 8001",
        ),
    ],
)
def test_ports(manifests: list[dict[str, Any]], words: str) -> None:
    """Ports that overlap, and a pool that lists others or not all, are found."""
    findings = sentences(manifests, "D03")

    assert 1 == len(findings), findings
    assert words in findings[0]


GOOD_PORTS: list[list[dict[str, Any]]] = [
    [ranks(ports=PORTS), pool(OWN, 8000, 8001, 8002, 8003)],
    [ranks("--data-parallel-supervisor-port=8004")],
    [
        ranks("--port", "8200", "--data-parallel-supervisor-port=8208", sidecar=True),
        pool(OWN, 8000, 8001, 8002, 8003),
    ],
    # What is in variables may be right.
    [ranks("--data-parallel-supervisor-port=$(SUPERVISOR)", "--port=9254")],
    [ranks("--port=$(PORT)"), pool(OWN, 8000)],
    [ranks("$(MORE)"), pool(OWN, 8000, 8001)],
    # One port for all ranks.
    [one_template(*HYBRID), pool(OWN, 8000)],
    [one_template("m", "--data-parallel-size=8", "--port=9256")],
]


@pytest.mark.parametrize("manifests", GOOD_PORTS)
def test_good_ports(manifests: list[dict[str, Any]]) -> None:
    """Ports of their own for all ranks are no mistake."""
    assert [] == sentences(manifests, "D03")


@pytest.mark.parametrize(
    ("manifests", "kind"),
    [
        ([ranks(), pool(OWN, 8000)], "InferencePool"),
        ([ranks("--port=8200", sidecar=True), pool(OWN, 8000)], "InferencePool"),
        ([ranks(ports=PORTS), monitor({"port": "rank0"})], "PodMonitor"),
        ([ranks(ports=PORTS), monitor({"port": "rank0"}, {"port": "rank1"})], "PodMonitor"),
        ([ranks(ports=PORTS), monitor({"portNumber": 8000})], "PodMonitor"),
        ([ranks("--port=8200", sidecar=True), monitor({"targetPort": 8000})], "PodMonitor"),
        (
            [ranks(), labeled(service("api", {"app": "big"}, 8000)), service_monitor("p0")],
            "ServiceMonitor",
        ),
        ([one_template(*HYBRID), service("api", {"app": "big", INDEX: "0"}, 8000)], "Service"),
        (
            [one_template(*HYBRID), pool({"matchLabels": {"app": "big", INDEX: "0"}}, 8000)],
            "InferencePool",
        ),
    ],
)
def test_first(manifests: list[dict[str, Any]], kind: str) -> None:
    """A monitor or pool of the first rank, or of the first pod, is found."""
    (finding,) = found(manifests, "D04")

    assert (kind, "warning") == (finding.manifest.kind, finding.level)


GOOD_FIRST: list[list[dict[str, Any]]] = [
    *GOOD_PORTS,
    [ranks(ports=PORTS), monitor(*({"port": f"rank{i}"} for i in range(4)))],
    [
        ranks(ports=PORTS),
        monitor({"port": "rank0"}, {"port": "rank1"}),
        monitor({"port": "rank2"}, {"port": "rank3"}, name="more"),
    ],
    [ranks(ports=PORTS), monitor({"port": "agent"})],
    [
        ranks(),
        labeled(service("api", {"app": "big"}, 8000, 8001, 8002, 8003)),
        service_monitor("p0", "p1", "p2", "p3"),
    ],
    [one_template(*HYBRID), service("api", {"app": "big"}, 8000)],
    [one_template(*HYBRID), service("head", {"app": "big", INDEX: "0"}, 29550, clusterIP="None")],
    [one_template("m", "--tensor-parallel-size=8"), service("api", {"app": "big", INDEX: "0"})],
]


@pytest.mark.parametrize("manifests", GOOD_FIRST)
def test_good_first(manifests: list[dict[str, Any]]) -> None:
    """Monitors and pools that see all ranks are no mistake."""
    assert [] == sentences(manifests, "D04")


@pytest.mark.parametrize("value", [None, "x", [None], {"a": 1}, 3])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    manifests: list[dict[str, Any]] = [ranks(ports=[value])]
    for one in (
        pool(OWN, 8000),
        monitor({"port": "rank0"}),
        service_monitor("p0"),
        service("s", {}),
    ):
        manifests += [{**one, "spec": {**one["spec"], key: value}} for key in one["spec"]]
    other = ranks(sidecar=True)
    template = other["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    template["spec"]["containers"][1] = {**SIDECAR, "args": value, "ports": value}

    found([*manifests, other], "D03", "D04")
