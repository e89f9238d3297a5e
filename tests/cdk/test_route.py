import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    chart,
    check_sample,
    container,
    manifests,
    model,
    named,
    only,
    rejected,
    variants,
)
from tests.support import assert_valid
from vllm_constructs import GatewayRef, ModelRoute, VllmConstructsError

HOST = "llm.example.com"


@pytest.mark.parametrize(("kind", "variant"), variants("ModelRoute"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_backend() -> None:
    """A route leads to the model's Service on its port, and is called like the model."""
    scope = chart()
    qwen = model(scope, service_name="vllm-service", port=9000)
    made = ModelRoute(scope, "route", target=qwen, host=HOST, gateway=GatewayRef("edge"))
    assert "qwen" == made.route.name
    spec = only(scope, "HTTPRoute")["spec"]
    assert [HOST] == spec["hostnames"]
    (rule,) = spec["rules"]
    assert [{"path": {"type": "PathPrefix", "value": "/v1"}}] == rule["matches"]
    (backend,) = rule["backendRefs"]
    assert ("vllm-service", 9000) == (backend["name"], backend["port"])
    assert_valid(*manifests(scope))


def test_response_timeout() -> None:
    """The one number of the model is the route's timeout."""
    scope = chart()
    qwen = model(scope, response_timeout=1234)
    ModelRoute(scope, "route", target=qwen, host=HOST, gateway=GatewayRef("edge"))
    assert "1234s" in str(only(scope, "HTTPRoute"))


def test_root_path() -> None:
    """Below a prefix vLLM is told to serve there."""
    scope = chart()
    edge = GatewayRef("edge")
    ModelRoute(scope, "route", target=model(scope), host=HOST, path="/qwen/v1", gateway=edge)
    assert "--root-path=/qwen" == container(scope)["args"][-1]


def test_network_policy() -> None:
    """The Gateway's namespace may reach the model."""
    scope = chart()
    edge = GatewayRef("edge", namespace="gateways")
    ModelRoute(scope, "route", target=model(scope), host=HOST, gateway=edge)
    _, rule = only(scope, "NetworkPolicy")["spec"]["ingress"]
    assert "'kubernetes.io/metadata.name': 'gateways'" in str(rule["from"])


def test_policies() -> None:
    """What a Gateway's implementation needs beside the route is made, and counted."""
    found = {}
    for implementation in ("standard", "gke", "nginx"):
        scope = chart()
        gateway = GatewayRef("edge", implementation=implementation)
        route = ModelRoute(scope, "route", target=model(scope), host=HOST, gateway=gateway)
        found[implementation] = [policy.kind for policy in route.policies]
    assert {
        "standard": [],
        "gke": ["GCPBackendPolicy", "HealthCheckPolicy"],
        "nginx": ["ProxySettingsPolicy"],
    } == found


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("target", "qwen"),
        ("host", "LLM.example.com"),
        ("host", "https://llm.example.com"),
        ("host", "*.example.com"),
        ("host", "llm"),
        ("host", 5),
        ("path", "v1"),
        ("path", "/v1/"),
        ("path", "/a//b"),
        ("path", "/a b"),
        ("path", None),
        ("name", "Front"),
        ("gateway", "edge"),
        ("gateway", None),
        ("gateway", GatewayRef),
    ],
)
def test_refusals(keyword: str, value: object) -> None:
    """A wrong target, host, path, name or Gateway is rejected by its name."""
    scope = chart()
    options = {"target": model(scope), "host": HOST, "gateway": GatewayRef("edge"), keyword: value}
    with rejected(scope, f"ModelRoute.{keyword}"):
        ModelRoute(scope, "route", **options)  # type: ignore[arg-type]  # what is tested


def test_namespace() -> None:
    """A route cannot name a Service of another namespace."""
    app = App()
    qwen = named(Chart(app, "a", namespace="a"), "qwen")
    scope = Chart(app, "b", namespace="b")
    with pytest.raises(VllmConstructsError, match="charts of one namespace"):
        ModelRoute(scope, "route", target=qwen, host=HOST, gateway=GatewayRef("edge"))
    assert [] == scope.node.children
