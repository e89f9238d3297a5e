"""Controllers: each has its dialect, with the timeouts that the longest response needs."""

import itertools
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, validate
from tests.traffic.samples import ARN, controllers, made, old_nginx, proxy_settings
from vllm_constructs import (
    AwsAlb,
    ClusterIssuerRef,
    F5Nginx,
    GkeIngress,
    IngressNginx,
    TlsSecret,
    Traefik,
)
from vllm_constructs.kube.peers import GOOGLE
from vllm_constructs.traffic.controllers import CONTROLLERS, ProxySettings


def test_all() -> None:
    """Every controller that there is is tested."""
    assert set(CONTROLLERS) == {type(one) for one in controllers()}


@settings(max_examples=60, deadline=None)
@given(proxy_settings())
def test_ingress_nginx(proxy: ProxySettings) -> None:
    """The community's controller takes seconds without a unit, and `off`."""
    found = old_nginx().annotations(proxy)

    prefix = "nginx.ingress.kubernetes.io/proxy-"
    assert "off" == found[f"{prefix}buffering"]
    assert "off" == found[f"{prefix}request-buffering"]
    for name in ("read-timeout", "send-timeout"):
        assert int(found[prefix + name]) >= proxy.response_timeout
    assert f"{proxy.max_body}m" == found[f"{prefix}body-size"]


@settings(max_examples=60, deadline=None)
@given(proxy_settings())
def test_f5_nginx(proxy: ProxySettings) -> None:
    """F5's controller takes seconds with a unit, and `false`; challenges change the Ingress."""
    found = F5Nginx().annotations(proxy)

    assert "false" == found["nginx.org/proxy-buffering"]
    for name in ("read", "send"):
        assert f"{proxy.response_timeout}s" == found[f"nginx.org/proxy-{name}-timeout"]
    in_place = "acme.cert-manager.io/http01-edit-in-place" in found
    assert isinstance(proxy.tls, ClusterIssuerRef) is in_place


def test_traefik() -> None:
    """Traefik streams by itself and needs to be told of TLS only."""
    prefix = "traefik.ingress.kubernetes.io/router"
    assert {} == Traefik().annotations(made())
    expected = {f"{prefix}.entrypoints": "web2", f"{prefix}.tls": "true"}
    assert expected == Traefik(entry_point="web2").annotations(made(tls=TlsSecret("tls")))


@settings(max_examples=60, deadline=None)
@given(proxy_settings(4000))
def test_aws_alb(proxy: ProxySettings) -> None:
    """An ALB keeps connections for the longest answer, and its targets while they drain."""
    plain = replace(proxy, tls=None)

    found = AwsAlb(subnets=["10.0.0.0/8"], certificate=ARN).annotations(plain)

    prefix = "alb.ingress.kubernetes.io"
    idle = f"idle_timeout.timeout_seconds={proxy.response_timeout}"
    assert idle == found[f"{prefix}/load-balancer-attributes"]
    _, _, delay = found[f"{prefix}/target-group-attributes"].partition("timeout_seconds=")
    assert min(proxy.drain, 3600) == int(delay)
    assert "ip" == found[f"{prefix}/target-type"]
    assert ARN == found[f"{prefix}/certificate-arn"]


@settings(max_examples=30, deadline=None)
@given(proxy_settings(), strategies.names(), st.integers(1024, 65535))
def test_gke(proxy: ProxySettings, name: str, port: int) -> None:
    """GKE's timeouts are in a BackendConfig beside the Ingress."""
    found = GkeIngress().backend_config(name, port, proxy)

    assert_valid(strategies.in_namespace(found))
    assert proxy.response_timeout == found["spec"]["timeoutSec"]
    assert found["spec"]["connectionDraining"]["drainingTimeoutSec"] <= 3600
    health = {"type": "HTTP", "requestPath": "/health", "port": port}
    assert health == found["spec"]["healthCheck"]
    assert {"kubernetes.io/ingress.class": "gce"} == GkeIngress().annotations(proxy)


@pytest.mark.parametrize("controller", controllers(), ids=repr)
def test_peers(controller: Any) -> None:
    """Each controller says where its requests come from, as a NetworkPolicy takes it."""
    rules = [{"from": [peer]} for peer in controller.peers()]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": rules},
    }

    assert len(rules) >= 1
    assert [] == validate(policy)
    if hasattr(controller, "namespace"):
        label = {"kubernetes.io/metadata.name": controller.namespace}
        assert [{"from": [{"namespaceSelector": {"matchLabels": label}}]}] == rules


@pytest.mark.parametrize(
    ("one", "other"), [*itertools.combinations([F5Nginx(), Traefik(), GkeIngress()], 2)], ids=repr
)
def test_dialects(one: Any, other: Any) -> None:
    """No annotation of one controller is another's."""
    proxy = made(tls=TlsSecret("tls"))

    assert set() == set(one.annotations(proxy)) & set(other.annotations(proxy))


def test_google() -> None:
    """Requests of GKE come from Google's front ends and from the proxy-only subnets."""
    found = GkeIngress(class_name="gce-internal", proxy_subnets=["10.129.0.0/23"]).peers()

    expected = [{"ipBlock": {"cidr": one}} for one in (*GOOGLE, "10.129.0.0/23")]
    assert expected == found


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: F5Nginx(class_name=""), ("F5Nginx.class_name is ''", "lower-case")),
    (lambda: F5Nginx(namespace="a.b"), ("F5Nginx.namespace is 'a.b'", "'a-b'")),
    (lambda: Traefik(entry_point="Web"), ("Traefik.entry_point is 'Web'", "'web'")),
    (lambda: IngressNginx(namespace="A"), ("IngressNginx.namespace is 'A'", "'a'")),
    (
        lambda: GkeIngress(class_name="gce-internal"),
        ("GkeIngress.proxy_subnets is empty", "proxy-only subnet", "'10.129.0.0/23'"),
    ),
    (lambda: GkeIngress(proxy_subnets=["x"]), ("GkeIngress.proxy_subnets is 'x'", "such as")),
    (lambda: AwsAlb(subnets=[]), ("AwsAlb.subnets is []", "at least one")),
    (lambda: AwsAlb(subnets="10.0.0.0/8"), ("'10.0.0.0/8'", "a list of address ranges")),
    (lambda: AwsAlb(subnets=["x"]), ("AwsAlb.subnets is 'x'", "'10.0.0.0/16'")),
    (lambda: AwsAlb(subnets=["10.0.0.0/8"], certificate="x"), ("'x'", "the ARN")),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"], scheme="public"),  # type: ignore[arg-type]  # the mistake
        ("'public'", "'internal', 'internet-facing'"),
    ),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"]).annotations(made(4001)),
        ("response_timeout is 4001", "4000 seconds", "lower it"),
    ),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"]).annotations(made(tls=TlsSecret("tls"))),
        ("tls", "an ALB cannot use", "certificate=..."),
    ),
    (lambda: GkeIngress(class_name="nginx"), ("'nginx'", "'gce', 'gce-internal'")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.filterwarnings("ignore::vllm_constructs.VllmConstructsWarning")
@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a controller would reject or ignore is rejected with what it takes."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """Controllers cannot be changed after they were checked, nor can the lists in them."""
    with pytest.raises(FrozenInstanceError):
        Traefik().namespace = "A"  # type: ignore[misc]  # the point

    ranges = ["10.0.0.0/16"]
    alb, gke = AwsAlb(subnets=ranges), GkeIngress(proxy_subnets=ranges)
    ranges.append("internet")
    assert [{"ipBlock": {"cidr": "10.0.0.0/16"}}] == alb.peers()
    assert ("10.0.0.0/16",) == alb.subnets == gke.proxy_subnets
