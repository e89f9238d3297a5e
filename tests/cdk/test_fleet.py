from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    Keywords,
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
from vllm_constructs import (
    F5Nginx,
    GatewayRef,
    GkeIngress,
    ModelFleet,
    ModelRoute,
    TlsSecret,
    Traefik,
    VllmConstructsError,
)

EDGE = GatewayRef("edge")
HOST = "llm.example.com"


@pytest.mark.parametrize(("kind", "variant"), variants("ModelFleet"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


class TestPaths:
    """One host, and a path for each model."""

    def test_prefix(self) -> None:
        """Each model answers below its own path, which the Ingress and vLLM both know."""
        scope = chart()
        models = [model(scope, "a", served_name="Qwen/Qwen2.5-7B"), named(scope, "coder")]
        fleet = ModelFleet(scope, "fleet", models=models, host=HOST, controller=Traefik())
        (rule,) = only(scope, "Ingress")["spec"]["rules"]
        for id, prefix, entry in zip(
            ("a", "coder"), ("/qwen-qwen2-5-7b", "/coder"), rule["http"]["paths"], strict=True
        ):
            assert f"{prefix}/v1" == entry["path"]
            assert id == entry["backend"]["service"]["name"]
            assert f"--root-path={prefix}" == container(scope, id)["args"][-1]
        assert {
            "Qwen/Qwen2.5-7B": f"{HOST}/qwen-qwen2-5-7b/v1",
            "coder": f"{HOST}/coder/v1",
        } == fleet.urls

    def test_two_fleets(self) -> None:
        """A model may stand in two fleets of one prefix; the flag is said once."""
        scope = chart()
        qwen = named(scope, "qwen")
        ModelFleet(scope, "in", models=[qwen], host=HOST, controller=Traefik())
        ModelFleet(scope, "out", models=[qwen], host="api.example.com", gateway=EDGE)
        assert 1 == container(scope)["args"].count("--root-path=/qwen")

    def test_another_prefix(self) -> None:
        """An engine has one prefix; a second one is rejected, and nothing is made."""
        scope = chart()
        qwen, coder = named(scope, "qwen"), named(scope, "coder")
        ModelRoute(scope, "route", target=qwen, host=HOST, path="/other/v1", gateway=EDGE)
        with rejected(scope, "one prefix"):
            ModelFleet(scope, "fleet", models=[coder, qwen], host=HOST, controller=Traefik())
        assert scope.node.try_find_child("fleet") is None


class TestHosts:
    """One domain, and a host for each model."""

    def test_hosts(self) -> None:
        """Each model has its own host, and needs no prefix."""
        scope = chart()
        models = [named(scope, "qwen"), named(scope, "coder")]
        fleet = ModelFleet(
            scope,
            "fleet",
            models=models,
            domain=HOST,
            controller=F5Nginx(),
            tls=TlsSecret("llm-tls"),
        )
        hosts = ["qwen.llm.example.com", "coder.llm.example.com"]
        spec = only(scope, "Ingress")["spec"]
        assert hosts == [rule["host"] for rule in spec["rules"]]
        assert [{"hosts": hosts, "secretName": "llm-tls"}] == spec["tls"]
        assert {"qwen": f"{hosts[0]}/v1", "coder": f"{hosts[1]}/v1"} == fleet.urls
        for id in ("qwen", "coder"):
            assert not any("root-path" in item for item in container(scope, id)["args"])

    def test_routes(self) -> None:
        """A Gateway gets one route per host, since a route's hosts share its rules."""
        scope = chart()
        models = [named(scope, "qwen"), named(scope, "coder")]
        fleet = ModelFleet(scope, "fleet", models=models, domain=HOST, gateway=EDGE)
        assert ["fleet-qwen", "fleet-coder"] == [item.name for item in fleet.objects]
        assert_valid(*manifests(scope))


def test_network_policies() -> None:
    """The controller may reach each of its models, and no other."""
    scope = chart()
    models = [named(scope, "qwen"), named(scope, "coder")]
    named(scope, "inner")
    ModelFleet(scope, "fleet", models=models, host=HOST, controller=Traefik())
    found = {
        id: len(only(scope, "NetworkPolicy", id)["spec"]["ingress"])
        for id in ("qwen", "coder", "inner")
    }
    assert {"qwen": 2, "coder": 2, "inner": 1} == found


def test_slowest() -> None:
    """The Ingress waits for the slowest of its models."""
    scope = chart()
    models = [
        model(scope, "a", served_name="a", response_timeout=30),
        model(scope, "b", served_name="b", response_timeout=900),
    ]
    ModelFleet(scope, "fleet", models=models, host=HOST, controller=F5Nginx())
    annotations = only(scope, "Ingress")["metadata"]["annotations"]
    assert "900s" == annotations["nginx.org/proxy-read-timeout"]


def test_gke() -> None:
    """On GKE each model's Service gets its BackendConfig."""
    scope = chart()
    models = [named(scope, "qwen"), named(scope, "coder")]
    ModelFleet(scope, "fleet", models=models, domain=HOST, controller=GkeIngress())
    for id in ("qwen", "coder"):
        only(scope, "BackendConfig", id)
        annotations = only(scope, "Service", id)["metadata"]["annotations"]
        assert {"cloud.google.com/backend-config": f'{{"default":"{id}"}}'} == annotations


@pytest.mark.parametrize(
    ("first", "second"), [("qwen", "qwen"), ("Qwen", "qwen"), ("qwen-7b", "qwen.7b")]
)
def test_same_name(first: str, second: str) -> None:
    """Two models of one served name, or of two that look alike in a path, are rejected."""
    scope = chart()
    models = [model(scope, "a", served_name=first), model(scope, "b", served_name=second)]
    with pytest.raises(VllmConstructsError, match="change the served_name= of one"):
        ModelFleet(scope, "fleet", models=models, host=HOST, controller=Traefik())
    assert 6 == len(manifests(scope))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"models": []}, "ModelFleet.models"),
        ({"models": ["qwen"]}, "ModelFleet.models"),
        ({"models": None}, "ModelFleet.models"),
        ({"host": None}, "either host= or domain="),
        ({"domain": HOST}, "either host= or domain="),
        ({"host": "LLM"}, "ModelFleet.host"),
        ({"host": None, "domain": "llm_"}, "ModelFleet.domain"),
        ({"controller": None}, "either controller= or gateway="),
        ({"gateway": EDGE}, "either controller= or gateway="),
        ({"controller": "nginx"}, "ModelFleet.controller"),
        ({"controller": None, "gateway": "edge"}, "ModelFleet.gateway"),
        (
            {"controller": None, "gateway": EDGE, "tls": TlsSecret("x")},
            "whose listeners have",
        ),
        ({"tls": "x"}, "tls"),
        ({"max_body": "20m"}, "max_body"),
        ({"name": "Fleet"}, "ModelFleet.name"),
    ],
)
def test_refusals(change: Keywords, reason: str) -> None:
    """A fleet that could not be is rejected, and nothing is made."""
    scope = chart()
    options: dict[str, Any] = {
        "models": [named(scope, "qwen")],
        "host": HOST,
        "controller": Traefik(),
    }
    with pytest.raises(VllmConstructsError, match=reason):
        ModelFleet(scope, "fleet", **options | change)
    assert 3 == len(manifests(scope))


def test_namespace() -> None:
    """A fleet's models are of its own namespace."""
    app = App()
    qwen = named(Chart(app, "a", namespace="a"), "qwen")
    scope = Chart(app, "b", namespace="b")
    with pytest.raises(VllmConstructsError, match="charts of one namespace"):
        ModelFleet(scope, "fleet", models=[qwen], host=HOST, controller=Traefik())


def test_sixteen_rules() -> None:
    """More models than a route takes rules are rejected on one host, and fine on a domain."""
    scope = chart()
    models = [named(scope, f"m{i}") for i in range(17)]
    keywords: Keywords = {"models": models, "gateway": EDGE}
    with pytest.raises(VllmConstructsError, match="16 rules"):
        ModelFleet(scope, "a", host=HOST, **keywords)
    assert 17 == len(ModelFleet(scope, "b", domain=HOST, **keywords).objects)
