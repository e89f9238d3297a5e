"""Fronts: no request reaches another model."""

from __future__ import annotations

import pytest
from cdk8s import App, Chart

from tests.support import assert_valid
from vllm_constructs import (
    F5Nginx,
    Gateway,
    ModelDeployment,
    ModelFleet,
    ModelRoute,
    StreamingIngress,
    Traefik,
    VllmConstructsError,
    WholeGpu,
)

HOST = "llm.example.com"


def model(chart: Chart, name: str, served_name: str | None = None) -> ModelDeployment:
    """A small model."""
    return ModelDeployment(
        chart, name, model=f"acme/{name}", served_name=served_name, gpu=WholeGpu("NVIDIA-L4")
    )


@pytest.fixture
def chart() -> Chart:
    """A chart with a namespace."""
    return Chart(App(), "x", namespace="llm")


def test_path(chart: Chart) -> None:
    """Two models cannot have one host and path at one controller."""
    StreamingIngress(chart, "a", target=model(chart, "one"), host=HOST, controller=Traefik())
    other = model(chart, "two")
    with pytest.raises(VllmConstructsError, match=r"'llm.example.com/v1' leads to 'one' already"):
        StreamingIngress(chart, "b", target=other, host=HOST, controller=Traefik())
    StreamingIngress(chart, "b", target=other, host="two.example.com", controller=Traefik())
    assert_valid(*chart.to_json())


def test_route(chart: Chart) -> None:
    """Two models cannot have one host and path at one Gateway; another Gateway is another front."""
    edge = Gateway("edge", namespace="gateways")
    ModelRoute(chart, "a", target=model(chart, "one"), host=HOST, gateway=edge)
    other = model(chart, "two")
    with pytest.raises(VllmConstructsError, match="leads to 'one' already"):
        ModelRoute(chart, "b", target=other, host=HOST, gateway=edge)
    ModelRoute(chart, "b", target=other, host=HOST, gateway=Gateway("inside", namespace="gateways"))
    assert_valid(*chart.to_json())


def test_served_name(chart: Chart) -> None:
    """Two models of one served name cannot share a host, whatever their paths."""
    first, second = model(chart, "one", "qwen"), model(chart, "two", "qwen")
    StreamingIngress(chart, "a", target=first, host=HOST, controller=Traefik())
    with pytest.raises(VllmConstructsError, match="both as 'qwen'"):
        StreamingIngress(
            chart, "b", target=second, host=HOST, path="/v1/models", controller=Traefik()
        )
    StreamingIngress(
        chart, "b", target=first, host=HOST, path="/v1/models", controller=Traefik(), name="more"
    )


def test_f5(chart: Chart) -> None:
    """F5's controller gives a host to one Ingress, so a second one is refused."""
    one = model(chart, "one")
    StreamingIngress(chart, "a", target=one, host=HOST, controller=F5Nginx())
    with pytest.raises(VllmConstructsError, match="belongs to the Ingress of 'one' already"):
        StreamingIngress(
            chart, "b", target=one, host=HOST, path="/v1/models", controller=F5Nginx(), name="b"
        )


def test_fleet(chart: Chart) -> None:
    """A fleet's places are taken too, and it takes none that are."""
    models = [model(chart, "one"), model(chart, "two")]
    ModelFleet(chart, "fleet", models=models, host=HOST, controller=Traefik())
    third = model(chart, "three")
    path = "/acme-one/v1"
    with pytest.raises(VllmConstructsError, match=f"'{HOST}{path}' leads to 'one' already"):
        StreamingIngress(chart, "a", target=third, host=HOST, path=path, controller=Traefik())
    with pytest.raises(VllmConstructsError, match="leads to 'one' already"):
        ModelFleet(chart, "again", models=models, host=HOST, controller=Traefik())


def test_prefix(chart: Chart) -> None:
    """Below a prefix vLLM is told to serve there; a path that it does not serve is refused."""
    one = model(chart, "one")
    with pytest.raises(VllmConstructsError, match=r"'/llm', below which vLLM serves nothing"):
        StreamingIngress(chart, "a", target=one, host=HOST, path="/llm", controller=Traefik())
    StreamingIngress(chart, "a", target=one, host=HOST, path="/llm/v1", controller=Traefik())
    edge = Gateway("edge", namespace="gateways")
    with pytest.raises(VllmConstructsError, match="served under '/llm' already"):
        ModelRoute(chart, "b", target=one, host=HOST, path="/other/v1", gateway=edge)
    ModelRoute(chart, "b", target=one, host=HOST, path="/llm/v1", gateway=edge)
    StreamingIngress(
        chart, "c", target=one, host=HOST, path="/health", controller=Traefik(), name="health"
    )
    (deployment,) = (item for item in chart.to_json() if item["kind"] == "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert 1 == arguments.count("--root-path=/llm")
