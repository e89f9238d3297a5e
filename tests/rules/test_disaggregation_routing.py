"""Rules of what stands around two sides: X02, X05 and X06."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import policy, pool
from .sides import SIDECAR, disaggregated_set, engine, side, sides, template

OWN = {"matchLabels": {"app": "m"}}
OLD_SIDECAR = {
    **SIDECAR,
    "image": "ghcr.io/llm-d/llm-d-routing-sidecar:v0.2.0",
    "args": ["-port=8000", "-vllm-port=8001", "-connector=nixlv2"],
}


def decode(port: str, sidecar: dict[str, Any], *more: str) -> dict[str, Any]:
    """A decode side behind a sidecar.

    Args:
        port: The port of the engine.
        sidecar: The sidecar.
        *more: More arguments of the engine.
    """
    return side("decode", engine("--port", port, *more), sidecar)


@pytest.mark.parametrize(
    ("manifests", "words", "place"),
    [
        ([*sides(), pool(OWN, 8200)], "has 8200, the port of the engine", "spec.targetPorts"),
        ([*sides(), pool(OWN, 8000, 8200)], "has 8200, the port of the engine", "spec.targetPorts"),
        ([*sides(), pool(OWN, 9000)], "has 9000, on which no container", "spec.targetPorts"),
        (
            # The prefill side listens on another port than the pool has.
            [
                side("prefill", engine("--port=8100")),
                side("decode", engine("--port=8200"), SIDECAR),
                pool(OWN, 8000),
            ],
            "no container of Deployment llm/m-prefill listens",
            "spec.targetPorts",
        ),
        ([decode("8000", SIDECAR)], "is 8000, on which the routing sidecar", "args.1"),
        ([side("decode", engine(), SIDECAR)], "is 8000, on which the routing sidecar", "args"),
        (
            [decode("8300", SIDECAR)],
            "gives requests to 8200, but the engine",
            "initContainers.0.args",
        ),
        ([decode("8200", OLD_SIDECAR)], "gives requests to 8001", "initContainers.0.args"),
        (
            [decode("8300", {**SIDECAR, "args": ["--port", "8000", "--vllm-port", "8200"]})],
            "gives requests to 8200",
            "args",
        ),
        (
            # The newest one has this default.
            [decode("8300", {**SIDECAR, "args": ["--port=8000"]})],
            "gives requests to 8200",
            "args",
        ),
        (
            [
                decode(
                    "8200",
                    SIDECAR,
                    "--data-parallel-multi-port-external-lb",
                    "-dp=16",
                    "--data-parallel-size-local=8",
                    "--node-rank=0",
                )
            ],
            "has one port, but the engine has 8 ports, one for each rank",
            "args",
        ),
        (
            [
                decode(
                    "8200",
                    {**SIDECAR, "args": [*SIDECAR["args"], "--data-parallel-size=8"]},
                    "--data-parallel-size=8",
                )
            ],
            "has 8 ports, but the engine has one port for all ranks",
            "args",
        ),
    ],
)
def test_sidecars(manifests: list[dict[str, Any]], words: str, place: str) -> None:
    """Ports past the sidecar, or that nobody listens on, are found."""
    findings = sentences(manifests, "X02")

    assert 1 == len(findings), findings
    assert words in findings[0]
    assert place in findings[0].partition(": ")[0]


PROXY = {"name": "proxy", "image": "envoyproxy/envoy:v1", "ports": [{"containerPort": 8000}]}
SILENT = {"name": "proxy", "image": "registry.example/proxy:1"}
BESIDE = template("prefill", engine("--port=8100"))
BESIDE["spec"]["containers"].append(PROXY)
BESIDE_SILENT = template("prefill", engine("--port=8100"))
BESIDE_SILENT["spec"]["containers"].append(SILENT)


@pytest.mark.parametrize(
    "manifests",
    [
        [*sides(), pool(OWN, 8000)],
        [decode("8001", OLD_SIDECAR), pool(OWN, 8000)],
        # An older one has another default.
        [decode("8001", {**OLD_SIDECAR, "args": ["-port=8000", "-connector=nixlv2"]})],
        [decode("$(PORT)", SIDECAR), pool(OWN, 8200)],
        [decode("8200", {**SIDECAR, "args": ["--port=$(PORT)", "--vllm-port=8200"]}), pool(OWN, 9)],
        [decode("8300", {**SIDECAR, "args": ["--configuration-file=/etc/proxy.yaml"]})],
        # Another container of the pod listens, or may.
        [{**side("prefill"), "spec": {"selector": {}, "template": BESIDE}}, pool(OWN, 8000)],
        [{**side("prefill"), "spec": {"selector": {}, "template": BESIDE_SILENT}}, pool(OWN, 8000)],
        [
            decode(
                "8200",
                {**SIDECAR, "args": [*SIDECAR["args"], "--data-parallel-size=8"], "ports": []},
                "--data-parallel-multi-port-external-lb",
                "-dp=16",
                "--data-parallel-size-local=8",
                "--node-rank=0",
            ),
            pool(OWN, *range(8000, 8008)),
        ],
        [side("decode", engine("--port=8100", config=None)), pool(OWN, 8000)],
        [*sides(), pool({}, 8200)],
        [side("decode", engine("$(MORE)"), SIDECAR)],
    ],
)
def test_good_sidecars(manifests: list[dict[str, Any]]) -> None:
    """Sidecars that reach their engine, and pools that reach them, are no mistake."""
    assert [] == sentences(manifests, "X02")


def scaler(name: str, kind: str, target: str, query: Any = "sum(vllm:num_requests_waiting)") -> Any:
    """A ScaledObject.

    Args:
        name: Its name.
        kind: The kind of its target.
        target: The name of its target.
        query: What it asks.
    """
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {
            "scaleTargetRef": {"kind": kind, "name": target},
            "triggers": [{"type": "prometheus", "metadata": {"query": query, "threshold": "4"}}],
        },
    }


def hpa(name: str, target: str, *metrics: dict[str, Any]) -> dict[str, Any]:
    """A HorizontalPodAutoscaler of a Deployment.

    Args:
        name: Its name.
        target: The name of its target.
        *metrics: Its metrics.
    """
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": target},
            "metrics": list(metrics),
        },
    }


EXTERNAL = {
    "type": "External",
    "external": {
        "metric": {"name": "waiting"},
        "target": {"type": "AverageValue", "averageValue": "4"},
    },
}
PODS = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "vllm:num_requests_running"},
        "target": {"type": "AverageValue", "averageValue": "4"},
    },
}


def test_scalers_of_both() -> None:
    """A scaler of an object with both sides is found."""
    (finding,) = found([disaggregated_set(), scaler("pd", "DisaggregatedSet", "pd")], "X05")

    assert ("spec", "scaleTargetRef") == finding.path
    assert "error" == finding.level
    assert "DisaggregatedSetRoleScaler" in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        [
            *sides(),
            scaler("p", "Deployment", "m-prefill"),
            scaler("d", "Deployment", "m-decode", " sum(vllm:num_requests_waiting)".strip()),
        ],
        [*sides(), hpa("p", "m-prefill", EXTERNAL), hpa("d", "m-decode", EXTERNAL)],
        [
            disaggregated_set(),
            scaler("p", "DisaggregatedSetRoleScaler", "pd-prefill"),
            scaler("d", "DisaggregatedSetRoleScaler", "pd-decode"),
        ],
    ],
)
def test_scalers_of_one_number(manifests: list[dict[str, Any]]) -> None:
    """Scalers of both sides that ask the same are found."""
    (finding,) = found(manifests, "X05")

    assert ("d", "warning") == (finding.manifest.name, finding.level)


@pytest.mark.parametrize(
    "manifests",
    [
        [
            *sides(),
            scaler("p", "Deployment", "m-prefill", 'sum(vllm:num_requests_waiting{pod=~"p.*"})'),
            scaler("d", "Deployment", "m-decode", 'sum(vllm:num_requests_running{pod=~"d.*"})'),
        ],
        # Each asks its own pods.
        [*sides(), hpa("p", "m-prefill", PODS), hpa("d", "m-decode", PODS)],
        [*sides(), scaler("d", "Deployment", "m-decode")],
        [disaggregated_set(), scaler("d", "DisaggregatedSetRoleScaler", "pd-decode")],
        [side("decode", engine(config=None)), scaler("d", "Deployment", "m-decode")],
    ],
)
def test_good_scalers(manifests: list[dict[str, Any]]) -> None:
    """A scaler for each side is no mistake."""
    assert [] == sentences(manifests, "X05")


API = {"ports": [{"port": 8000, "protocol": "TCP"}]}
PREFILL = {"matchLabels": {"llm-d.ai/role": "prefill"}}
DECODE = {"matchLabels": {"llm-d.ai/role": "decode"}}


@pytest.mark.parametrize(
    ("policies", "place"),
    [
        ([policy("p", PREFILL, ingress=[API])], "spec.ingress"),
        ([policy("p", OWN, policyTypes=["Ingress"])], "spec.ingress"),
        (
            # The side channel is not all.
            [
                policy(
                    "p",
                    PREFILL,
                    ingress=[{"from": [{"podSelector": DECODE}], "ports": [{"port": 5600}]}],
                )
            ],
            "spec.ingress",
        ),
        (
            [policy("d", DECODE, policyTypes=["Egress"], egress=[{"ports": [{"port": 443}]}])],
            "spec.egress",
        ),
    ],
)
def test_separated(policies: list[dict[str, Any]], place: str) -> None:
    """Policies that stop the transfer are found."""
    (line,) = sentences([*sides(), *policies], "X06")

    assert f" {place}: " in line


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [
            policy("p", PREFILL, ingress=[{"from": [{"podSelector": DECODE}]}, API]),
            policy("d", DECODE, ingress=[{"from": [{"podSelector": PREFILL}]}, API]),
        ],
        [policy("all", OWN, ingress=[{"from": [{"podSelector": OWN}]}, API])],
        [policy("open", PREFILL, ingress=[{}])],
        [policy("other", {"matchLabels": {"app": "x"}}, policyTypes=["Ingress"])],
    ],
)
def test_good_separated(policies: list[dict[str, Any]]) -> None:
    """Policies that let the sides reach each other are no mistake."""
    assert [] == sentences([*sides(), *policies], "X06")


@pytest.mark.parametrize("value", [None, [], [None], {"a": 1}, 3, "x"])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    manifests = [*sides(), decode("8200", {**SIDECAR, "args": value, "ports": value})]
    for one in (pool(OWN), scaler("s", "Deployment", "m-decode"), hpa("h", "m-decode", EXTERNAL)):
        manifests += [{**one, "spec": {**one["spec"], key: value}} for key in one["spec"]]
    manifests.append(hpa("h", "m-prefill", {"type": "External", "external": value}))

    found(manifests, "X02", "X05", "X06")
