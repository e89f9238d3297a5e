"""How long an answer takes: of foreign engines, and of this library's."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.rules.findings import found, sentences
from vllm_constructs import (
    AwsAlb,
    Drain,
    F5Nginx,
    GatewayRef,
    GkeIngress,
    IngressNginx,
    ModelDeployment,
    ModelRoute,
    StreamingIngress,
    Traefik,
    WholeGpu,
)
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.answers import LONGEST, longest_answer

NETWORK = ("N01", "N02", "N03", "N04", "N05", "N06")
CONTROLLERS = [
    F5Nginx,
    IngressNginx,
    Traefik,
    lambda: AwsAlb(subnets=["10.0.0.0/16"], scheme="internet-facing"),
    GkeIngress,
]
GATEWAYS = [
    GatewayRef("edge"),
    GatewayRef("eg", implementation="envoy"),
    GatewayRef("gke-l7-global-external-managed", implementation="gke"),
    GatewayRef("nginx", implementation="nginx"),
]
TIMES: list[dict[str, Any]] = [
    {},
    {"response_timeout": 30},
    {"response_timeout": 120},
    {"response_timeout": 1800},
    {"response_timeout": 120, "drain": Drain(seconds=600)},
]


def rendered(options: dict[str, Any], add: Any) -> list[dict[str, Any]]:
    """A model with something in front of it."""
    with warnings.catch_warnings(action="ignore"):
        chart = Chart(App(), "chart", namespace="llm")
        gpu = WholeGpu("NVIDIA-L40S")
        model = ModelDeployment(chart, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=gpu, **options)
        add(chart, model)
    manifests: list[dict[str, Any]] = chart.to_json()
    return manifests


@pytest.mark.parametrize("options", TIMES, ids=str)
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_own_ingress(controller: Any, options: dict[str, Any]) -> None:
    """Nothing is told of an Ingress of this library, however long its answers may take."""

    def add(chart: Chart, model: ModelDeployment) -> None:
        StreamingIngress(chart, "i", target=model, host="a.example.com", controller=controller())

    assert [] == sentences(rendered(options, add), *NETWORK)


@pytest.mark.parametrize("options", TIMES, ids=str)
@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda one: one.implementation)
def test_own_route(gateway: GatewayRef, options: dict[str, Any]) -> None:
    """Nothing is told of a route of this library."""

    def add(chart: Chart, model: ModelDeployment) -> None:
        ModelRoute(chart, "r", target=model, host="a.example.com", gateway=gateway)

    assert [] == sentences(rendered(options, add), *NETWORK)


def test_changed() -> None:
    """A limit below the model's own `response_timeout` is told, even above the usual one."""

    def add(chart: Chart, model: ModelDeployment) -> None:
        StreamingIngress(chart, "i", target=model, host="a.example.com", controller=F5Nginx())

    manifests = rendered({"response_timeout": 1800}, add)
    changed = next(one for one in manifests if one["kind"] == "Ingress")
    changed["metadata"]["annotations"]["nginx.org/proxy-read-timeout"] = "600s"
    (finding,) = found(manifests, "N04")

    assert "up to 1800" in finding.problem.sentence()


@pytest.mark.parametrize(("options", "seconds"), [({}, 300), ({"response_timeout": 900}, 900)])
def test_longest(options: dict[str, Any], seconds: int) -> None:
    """The longest answer of a model of this library is what it is made for."""
    engines = Graph(rendered(options, lambda *_: None)).engines

    assert seconds == longest_answer(engines)
    assert LONGEST == longest_answer([])
