from collections.abc import Callable
from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, manifests, model, only, variants
from tests.support import assert_valid
from vllm_constructs import (
    ApiKey,
    ClusterIssuerRef,
    Gateway,
    GatewayRef,
    ModelFleet,
    ModelRoute,
    TlsSecret,
    VllmConstructsError,
    VllmConstructsWarning,
)

HOST = "llm.example.com"
TLS = ClusterIssuerRef("letsencrypt", secret="llm-tls")


def gateway(scope: Chart, **options: Any) -> Gateway:
    """A Gateway with HTTPS."""
    return Gateway(scope, "public", **{"gateway_class": "eg", "host": HOST, "tls": TLS, **options})


def rejected(make: Callable[[], object]) -> str:
    """The sentence with which something is rejected."""
    with pytest.raises(VllmConstructsError) as refusal:
        make()
    return str(refusal.value)


@pytest.mark.parametrize(("kind", "variant"), variants("Gateway"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_route() -> None:
    """A model answers HTTPS only; plain HTTP is redirected, for all hosts of the Gateway."""
    scope = chart()
    made = gateway(scope, host=HOST)
    ModelRoute(scope, "route", target=model(scope), host=HOST, gateway=made)

    (parent,) = only(scope, "HTTPRoute", "qwen")["spec"]["parentRefs"]
    assert ("public", "https") == (parent["name"], parent["sectionName"])
    moved = only(scope, "HTTPRoute", "public-redirect")["spec"]
    assert "http" == moved["parentRefs"][0]["sectionName"]
    (rule,) = moved["rules"]
    assert {"scheme": "https", "statusCode": 301} == rule["filters"][0]["requestRedirect"]
    assert "backendRefs" not in rule
    assert_valid(*manifests(scope))


def test_without_redirect() -> None:
    """Without one, nothing listens on plain HTTP; without a certificate, that is all there is."""
    assert gateway(chart(), redirect=False).redirect is None
    assert "http" == gateway(chart(), tls=None).ref.section


def test_fleet() -> None:
    """A fleet takes a Gateway, too."""
    scope = chart()
    made = gateway(scope, host="*.example.com")
    ModelFleet(scope, "fleet", models=[model(scope)], domain="llm.example.com", gateway=made)
    (parent,) = only(scope, "HTTPRoute", "fleet")["spec"]["parentRefs"]
    assert "https" == parent["sectionName"]


def test_redirect_of_existing() -> None:
    """With a Gateway that is there already, the redirect is a route of the model's host."""
    scope = chart()
    edge = GatewayRef("edge", namespace="gateways", section="https", http_section="http")
    made = ModelRoute(scope, "route", target=model(scope), host=HOST, gateway=edge)

    assert made.redirect is not None
    moved = only(scope, "HTTPRoute", "qwen-redirect")["spec"]
    assert [HOST] == moved["hostnames"]
    assert {"name": "edge", "namespace": "gateways", "sectionName": "http"} == moved["parentRefs"][
        0
    ]
    assert_valid(*manifests(scope))


def test_clear_key() -> None:
    """An API key over plain HTTP is warned about."""
    scope = chart()
    made = gateway(scope, tls=None)
    keyed = model(scope, api_key=ApiKey.from_secret("key"))
    with pytest.warns(VllmConstructsWarning, match="send the API key of 'qwen' in clear"):
        ModelRoute(scope, "route", target=keyed, host=HOST, gateway=made)


def route_to(scope: Chart, made: object, host: str = HOST) -> ModelRoute:
    """A route of a model to a Gateway."""
    given: Any = made
    return ModelRoute(scope, "route", target=model(scope), host=host, gateway=given)


def test_refusals() -> None:
    """Routes that cannot attach, and Gateways that cannot be, are refused."""
    scope = chart()
    made = gateway(scope, host="*.example.com")
    assert "ModelRoute.gateway is 'edge'; expected a GatewayRef(...) or a Gateway." == rejected(
        lambda: route_to(chart(), "edge")
    )
    assert (
        "ModelRoute has the host 'llm.example.org', and Gateway 'public' serves '*.example.com'; "
        "change one of them."
    ) == rejected(lambda: route_to(scope, made, "llm.example.org"))

    app = App()
    gateways = Chart(app, "gateways", namespace="gateways")
    others = Chart(app, "models", namespace="llm")
    own = gateway(gateways)
    assert (
        "ModelRoute is in namespace 'llm', and Gateway 'public' takes routes of 'gateways' only; "
        "give Gateway(routes_from='All')."
    ) == rejected(lambda: route_to(others, own))
    assert "ModelRoute.gateway is in another app; put both into one app." == rejected(
        lambda: route_to(chart(), own)
    )
    assert "Gateway.redirect is True; expected False without tls; give tls." == rejected(
        lambda: gateway(chart(), tls=None, redirect=True)
    )
    tls: Any = "letsencrypt"
    assert (
        "Gateway.tls is 'letsencrypt'; expected a ClusterIssuerRef(...) or TlsSecret(...)."
    ) == rejected(lambda: gateway(chart(), tls=tls))
    assert (
        "Gateway.host is missing, and cert-manager requests no certificate for a listener without "
        "one; give it, or a TlsSecret."
    ) == rejected(lambda: gateway(chart(), host=None))
    other = TlsSecret("tls", namespace="other")
    assert "'other'" in rejected(lambda: gateway(chart(), tls=other))


def test_http_section() -> None:
    """A redirect needs the listener for HTTPS, or the model would answer plain HTTP, too."""
    message = rejected(lambda: GatewayRef("edge", http_section="http"))
    assert message == (
        "GatewayRef.http_section is 'http' without another section, so that the model would "
        "answer plain HTTP, too; give the name of the listener for HTTPS in section."
    )
