import warnings
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    Keywords,
    chart,
    check_sample,
    manifests,
    model,
    named,
    only,
    rejected,
    unwarned,
    variants,
)
from tests.support import assert_valid
from vllm_constructs import (
    ApiKey,
    AwsAlb,
    ClusterIssuerRef,
    Drain,
    F5Nginx,
    GatewayRef,
    GkeIngress,
    IngressNginx,
    ModelFleet,
    StreamingIngress,
    TlsSecret,
    Traefik,
    VllmConstructsError,
    VllmConstructsWarning,
)
from vllm_constructs.traffic.controllers import IngressController

HOST = "llm.example.com"


@pytest.mark.parametrize(("kind", "variant"), variants("StreamingIngress"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def controllers() -> list[IngressController]:
    """One of each dialect."""
    with unwarned():
        return [
            AwsAlb(subnets=["10.0.0.0/16"]),
            F5Nginx(),
            GkeIngress(),
            IngressNginx(),
            Traefik(),
        ]


@pytest.mark.parametrize("controller", controllers(), ids=lambda item: type(item).__name__)
def test_backend(controller: IngressController) -> None:
    """Each dialect leads to the model's Service, by host and path, on its port."""
    scope = chart()
    qwen = model(scope, service_name="vllm-service", port=9000)
    front = StreamingIngress(scope, "front", target=qwen, host=HOST, controller=controller)
    assert "qwen" == front.ingress.name
    (rule,) = only(scope, "Ingress")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (HOST, "/v1", "Prefix") == (rule["host"], path["path"], path["pathType"])
    assert {"name": "vllm-service", "port": {"number": 9000}} == path["backend"]["service"]
    assert_valid(*manifests(scope))


@pytest.mark.parametrize("controller", controllers(), ids=lambda item: type(item).__name__)
def test_response_timeout(controller: IngressController) -> None:
    """The one number of the model is the timeout in every dialect that has one."""
    scope = chart()
    StreamingIngress(
        scope, "front", target=model(scope, response_timeout=1234), host=HOST, controller=controller
    )
    text = str([item for item in manifests(scope) if item["kind"] in ("Ingress", "BackendConfig")])
    assert isinstance(controller, Traefik) != ("1234" in text)


class TestGke:
    """GKE keeps its timeouts in a BackendConfig, to which the Service refers."""

    KEY = "cloud.google.com/backend-config"

    @pytest.mark.parametrize("touched", ["never", "before", "after"])
    def test_annotation(self, touched: str) -> None:
        """The Service has the annotation, whenever it is made a cdk8s-plus object."""
        scope = chart()
        qwen = model(scope, service_name="vllm-service", drain=Drain(seconds=90))
        if touched == "before":
            assert isinstance(qwen.service, kplus.Service)
        front = StreamingIngress(scope, "front", target=qwen, host=HOST, controller=GkeIngress())
        if touched == "after":
            assert isinstance(qwen.service, kplus.Service)
        service = only(scope, "Service")
        assert {self.KEY: '{"default":"vllm-service"}'} == service["metadata"]["annotations"]
        assert front.backend_config is not None
        assert "vllm-service" == front.backend_config.name
        draining = only(scope, "BackendConfig")["spec"]["connectionDraining"]
        assert {"drainingTimeoutSec": 120} == draining

    def test_twice(self) -> None:
        """A Service has one BackendConfig, so a second Ingress is rejected before it is made."""
        scope = chart()
        qwen = model(scope)
        keywords: Keywords = {"target": qwen, "host": HOST, "controller": GkeIngress()}
        StreamingIngress(scope, "a", **keywords)
        with rejected(scope, "BackendConfig 'qwen'"):
            StreamingIngress(scope, "b", name="b", **(keywords | {"host": "other.example.com"}))
        assert scope.node.try_find_child("b") is None


class TestRefusals:
    """What no controller could serve."""

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
        ],
    )
    def test_keywords(self, keyword: str, value: object) -> None:
        """A wrong target, host, path or name is rejected by its name."""
        scope = chart()
        options: Keywords = {"target": model(scope), "host": HOST, "controller": Traefik()}
        with rejected(scope, f"StreamingIngress.{keyword}"):
            StreamingIngress(scope, "front", **options | {keyword: value})

    @pytest.mark.parametrize(
        ("keyword", "value", "reason"),
        [
            ("controller", "nginx", "controller"),
            ("controller", Traefik, "controller"),
            ("tls", "llm-tls", "tls"),
            ("tls", True, "tls"),
            ("max_body", "20m", "max_body"),
            ("max_body", 0, "max_body"),
            ("annotations", {"nginx.ingress.kubernetes.io/server-snippet": "x"}, "snippet"),
            ("annotations", {"nginx.ingress.kubernetes.io/configuration-snippet": "x"}, "snippet"),
            ("annotations", {"nginx.org/server-snippets": "x"}, "snippet"),
            ("annotations", {"nginx.org/proxy-read-timeout": "60s"}, "derived"),
            ("annotations", {"cert-manager.io/cluster-issuer": "other"}, "derived"),
            ("annotations", {"a b": "x"}, "annotations"),
            ("annotations", {"example.com/n": 5}, "annotations"),
        ],
    )
    def test_ingress(self, keyword: str, value: object, reason: str) -> None:
        """A wrong controller, certificate or annotation is rejected."""
        scope = chart()
        options: Keywords = {
            "target": model(scope),
            "host": HOST,
            "controller": F5Nginx(),
            "tls": ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
            keyword: value,
        }
        with pytest.raises(VllmConstructsError, match=reason):
            StreamingIngress(scope, "front", **options)
        assert 3 == len(manifests(scope))

    def test_alb(self) -> None:
        """An ALB takes no Secret's certificate and no answer of over 4000 seconds."""
        scope = chart()
        alb = AwsAlb(subnets=["10.0.0.0/16"])
        keywords: Keywords = {"host": HOST, "controller": alb}
        with pytest.raises(VllmConstructsError, match="ACM"):
            StreamingIngress(scope, "a", target=model(scope), tls=TlsSecret("x"), **keywords)
        slow = model(scope, "slow", response_timeout=4001)
        with pytest.raises(VllmConstructsError, match="4000"):
            StreamingIngress(scope, "b", target=slow, **keywords)

    def test_namespace(self) -> None:
        """An Ingress cannot name a Service of another namespace."""
        app = App()
        qwen = named(Chart(app, "a", namespace="a"), "qwen")
        scope = Chart(app, "b", namespace="b")
        keywords: Keywords = {"target": qwen, "host": HOST}
        with pytest.raises(VllmConstructsError, match="charts of one namespace"):
            StreamingIngress(scope, "x", controller=Traefik(), **keywords)


def test_annotations() -> None:
    """Annotations that the dialect does not derive are kept beside its own."""
    scope = chart()
    StreamingIngress(
        scope,
        "front",
        target=model(scope),
        host=HOST,
        controller=F5Nginx(),
        annotations={"example.com/owner": "search", "nginx.org/keepalive": "32"},
    )
    found = only(scope, "Ingress")["metadata"]["annotations"]
    assert ("search", "32", "false") == (
        found["example.com/owner"],
        found["nginx.org/keepalive"],
        found["nginx.org/proxy-buffering"],
    )


class TestClearKeys:
    """An API key goes over TLS."""

    def test_ingress(self) -> None:
        """Without a certificate it is warned about, and with one, or without a key, it is not."""
        scope = chart()
        locked = model(scope, "locked", api_key=ApiKey.from_secret("clients"))
        given: Any = {"target": locked, "controller": Traefik()}
        sentence = (
            r"StreamingIngress\.tls is missing, so clients send the API key of 'locked' in clear"
        )
        with pytest.warns(VllmConstructsWarning, match=sentence):
            StreamingIngress(scope, "a", host="a.example.com", **given)
        tls = TlsSecret("llm-tls")
        StreamingIngress(scope, "b", host="b.example.com", name="b", tls=tls, **given)
        given["controller"] = AwsAlb(subnets=["10.0.0.0/16"])
        StreamingIngress(scope, "c", host="c.example.com", name="c", **given)
        given = {"target": model(scope, "open", served_name="open"), "controller": Traefik()}
        StreamingIngress(scope, "d", host="d.example.com", **given)

    def test_fleet(self) -> None:
        """So it is for a fleet, and for a Gateway the listeners decide."""
        for options, count in (
            ({"controller": Traefik()}, 1),
            ({"controller": Traefik(), "tls": TlsSecret("llm-tls")}, 0),
            ({"gateway": GatewayRef("edge")}, 0),
        ):
            scope = chart()
            locked = model(scope, "locked", api_key=ApiKey.from_secret("clients"))
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                more: Any = options
                ModelFleet(scope, "f", models=[locked], host="llm.example.com", **more)
            assert count == len(said)
