"""Hosts and paths lead to one model each: no request reaches another one."""

from __future__ import annotations

import pytest
from cdk8s import App, Chart

from tests.support import assert_valid
from vllm_constructs import (
    F5Nginx,
    GatewayRef,
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
    """Two models cannot have one host and path at one Gateway, but at two Gateways they can."""
    edge = GatewayRef("edge", namespace="gateways")
    ModelRoute(chart, "a", target=model(chart, "one"), host=HOST, gateway=edge)
    other = model(chart, "two")
    with pytest.raises(VllmConstructsError, match="leads to 'one' already"):
        ModelRoute(chart, "b", target=other, host=HOST, gateway=edge)
    ModelRoute(
        chart, "b", target=other, host=HOST, gateway=GatewayRef("inside", namespace="gateways")
    )
    assert_valid(*chart.to_json())


def test_namespaces() -> None:
    """A controller serves all namespaces, so a host and path is taken for all of them."""
    app = App()
    first, second = (Chart(app, id, namespace=id) for id in ("a", "b"))
    StreamingIngress(first, "a", target=model(first, "one"), host=HOST, controller=Traefik())
    # The same name and served name, in another namespace, is another model.
    other = model(second, "one")
    with pytest.raises(VllmConstructsError, match="leads to 'one' already"):
        StreamingIngress(second, "b", target=other, host=HOST, controller=Traefik())
    with pytest.raises(VllmConstructsError, match="serves 'one' and 'one' both as 'acme/one'"):
        StreamingIngress(second, "b", target=other, host=HOST, path="/", controller=Traefik())


def test_gateway_namespaces() -> None:
    """A Gateway without a namespace is that of the chart, so two of one name may be two."""
    app = App()
    for id in ("a", "b"):
        scope = Chart(app, id, namespace=id)
        edge = GatewayRef("edge")
        ModelRoute(scope, "route", target=model(scope, id), host=HOST, gateway=edge)
    again = GatewayRef("edge", namespace="a")
    with pytest.raises(VllmConstructsError, match="leads to 'a' already"):
        ModelRoute(scope, "again", target=model(scope, "c"), host=HOST, gateway=again)


def test_apps(chart: Chart) -> None:
    """Another app has its own controller."""
    for scope in (chart, Chart(App(), "x", namespace="llm")):
        StreamingIngress(scope, "a", target=model(scope, "one"), host=HOST, controller=Traefik())
        assert_valid(*scope.to_json())


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
    """F5's controller gives a host to one Ingress, so a second one is rejected."""
    one = model(chart, "one")
    StreamingIngress(chart, "a", target=one, host=HOST, controller=F5Nginx())
    with pytest.raises(VllmConstructsError, match="belongs to the Ingress of 'one' already"):
        StreamingIngress(
            chart, "b", target=one, host=HOST, path="/v1/models", controller=F5Nginx(), name="b"
        )


def test_fleet(chart: Chart) -> None:
    """The paths of a fleet are taken too, and it takes none that are."""
    models = [model(chart, "one"), model(chart, "two")]
    ModelFleet(chart, "fleet", models=models, host=HOST, controller=Traefik())
    third = model(chart, "three")
    path = "/acme-one/v1"
    with pytest.raises(VllmConstructsError, match=f"'{HOST}{path}' leads to 'one' already"):
        StreamingIngress(chart, "a", target=third, host=HOST, path=path, controller=Traefik())
    with pytest.raises(VllmConstructsError, match="leads to 'one' already"):
        ModelFleet(chart, "again", models=models, host=HOST, controller=Traefik())


def test_prefix(chart: Chart) -> None:
    """Below a prefix vLLM is told to serve there; a path that it does not serve is rejected."""
    one = model(chart, "one")
    with pytest.raises(VllmConstructsError, match=r"'/llm', below which vLLM serves nothing"):
        StreamingIngress(chart, "a", target=one, host=HOST, path="/llm", controller=Traefik())
    StreamingIngress(chart, "a", target=one, host=HOST, path="/llm/v1", controller=Traefik())
    edge = GatewayRef("edge", namespace="gateways")
    with pytest.raises(VllmConstructsError, match="served under '/llm' already"):
        ModelRoute(chart, "b", target=one, host=HOST, path="/other/v1", gateway=edge)
    ModelRoute(chart, "b", target=one, host=HOST, path="/llm/v1", gateway=edge)
    StreamingIngress(
        chart, "c", target=one, host=HOST, path="/health", controller=Traefik(), name="health"
    )
    (deployment,) = (item for item in chart.to_json() if item["kind"] == "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert 1 == arguments.count("--root-path=/llm")
