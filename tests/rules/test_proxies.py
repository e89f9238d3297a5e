"""N04: limits of Ingresses and of OpenShift's Routes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.findings import found, ids, sentences
from tests.rules.network_samples import deployment, engine, ingress, only, place, right, service

NGINX = "nginx.ingress.kubernetes.io"
F5 = "nginx.org"
GOOD: dict[str, dict[str, object]] = {
    NGINX: {f"{NGINX}/proxy-read-timeout": "600", f"{NGINX}/proxy-body-size": "100m"},
    F5: {
        f"{F5}/proxy-read-timeout": "600s",
        f"{F5}/client-max-body-size": "100m",
        f"{F5}/proxy-buffering": "false",
    },
}


@pytest.mark.parametrize("prefix", [NGINX, F5])
@pytest.mark.parametrize("kind", ["nginx", "nginx-public", None])
def test_good(prefix: str, kind: str | None) -> None:
    """With all limits set, nothing is told."""
    assert [] == sentences(engine() + ingress(GOOD[prefix], kind=kind), "N04")


@pytest.mark.parametrize(
    ("prefix", "name", "mended"),
    [
        (NGINX, "proxy-read-timeout", "300"),
        (NGINX, "proxy-body-size", "100m"),
        (F5, "proxy-read-timeout", "300s"),
        (F5, "client-max-body-size", "100m"),
        (F5, "proxy-buffering", "false"),
    ],
)
def test_default(prefix: str, name: str, mended: str) -> None:
    """A limit that is left out has a default that is too small."""
    key = f"{prefix}/{name}"
    annotations = {one: value for one, value in GOOD[prefix].items() if one != key}
    finding = only(engine() + ingress(annotations), "N04")

    assert "warning" == finding.level
    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert "left out" in finding.problem.sentence()
    assert mended == right(finding)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{NGINX}/proxy-read-timeout", "60"),
        (f"{NGINX}/proxy-read-timeout", "120"),
        # N02 tells of the unit.
        (f"{NGINX}/proxy-read-timeout", "90s"),
        (f"{NGINX}/proxy-body-size", "1m"),
        (f"{NGINX}/proxy-body-size", "512k"),
        (f"{NGINX}/proxy-body-size", "1000000"),
        (f"{NGINX}/proxy-buffering", "on"),
        (f"{F5}/proxy-read-timeout", "60s"),
        (f"{F5}/proxy-read-timeout", "2m"),
        (f"{F5}/client-max-body-size", "1m"),
        (f"{F5}/proxy-buffering", "true"),
    ],
)
def test_small(key: str, value: str) -> None:
    """A limit that is given, and is too small."""
    annotations = {**GOOD[key.partition("/")[0]], key: value}
    finding = only(engine() + ingress(annotations), "N04")

    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert repr(value) in finding.problem.sentence()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{NGINX}/proxy-read-timeout", "300"),
        (f"{NGINX}/proxy-read-timeout", "${TIMEOUT}"),
        (f"{NGINX}/proxy-read-timeout", "x"),
        (f"{NGINX}/proxy-body-size", "0"),
        (f"{NGINX}/proxy-body-size", "8m"),
        (f"{NGINX}/proxy-body-size", "1g"),
        (f"{NGINX}/proxy-buffering", "off"),
        (f"{NGINX}/proxy-buffering", False),
        (f"{F5}/proxy-read-timeout", "10m"),
        (f"{F5}/proxy-buffering", "off"),
        (f"{F5}/proxy-buffering", False),
    ],
)
def test_large(key: str, value: object) -> None:
    """What suffices, or what N02 tells of, is quiet."""
    annotations = {**GOOD[key.partition("/")[0]], key: value}

    assert [] == sentences(engine() + ingress(annotations), "N04")


def test_either() -> None:
    """The class nginx is that of two controllers, whose defaults are the same."""
    finding = only(engine() + ingress(), "N04")

    assert "Ingress metadata.annotations" == place(finding)
    assert "60 seconds" in finding.problem.sentence()
    assert [] == ids(engine() + ingress(GOOD[NGINX] | GOOD[F5]), "N04")
    short = GOOD[NGINX] | GOOD[F5] | {f"{F5}/proxy-read-timeout": "60s"}
    assert f"{F5}/proxy-read-timeout" in sentences(engine() + ingress(short), "N04")[0]


CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller}
data: {proxy-read-timeout: "600", proxy-body-size: 100m}
---
"""
F5_CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: nginx-config}
data: {proxy-read-timeout: 600s, client-max-body-size: 100m, proxy-buffering: "False"}
---
"""
ROUTER = deployment(args="[--port, '8000']").replace("vllm/vllm-openai", "lmcache/lmstack-router")


@pytest.mark.parametrize(
    "manifests",
    [
        # Set elsewhere.
        CONFIG + engine() + ingress({f"{NGINX}/ssl-redirect": "true"}),
        CONFIG + engine() + ingress(),
        F5_CONFIG + engine() + ingress({f"{F5}/redirect-to-https": "true"}),
        engine() + ingress({f"{F5}/mergeable-ingress-type": "minion"}),
        engine()
        + ingress(
            {
                f"{F5}/location-snippets": "proxy_read_timeout 1h; proxy_buffering off;"
                "client_max_body_size 1g;"
            }
        ),
        # Classes with other defaults, or none that are known.
        engine() + ingress(kind="traefik"),
        engine() + ingress(kind="haproxy"),
        engine() + ingress(kind="kong"),
        engine() + ingress(kind="own"),
        engine() + ingress(kind=None),
        # Something else is behind.
        engine().replace("vllm/vllm-openai:v0.33.0", "open-webui:v0.6") + ingress(),
        ingress(backend="web"),
        ingress(backend="vllm-ui"),
        ingress(backend="vllm-grafana"),
        # Numbers instead of words, at once.
        engine(args="[BAAI/bge-m3]") + ingress(),
        engine(args="[a/b, --runner, pooling]") + ingress(),
        engine(args="[a/b, --task=embed]") + ingress(),
    ],
)
def test_quiet(manifests: str) -> None:
    """Limits that are set elsewhere, and proxies of other things."""
    assert [] == sentences(manifests, "N04")


@pytest.mark.parametrize(
    "manifests",
    [
        # Elsewhere, but vLLM by its name.
        ingress(backend="vllm-service"),
        service("vllm-server") + ingress(backend="vllm-server"),
        # A router in front of engines.
        service("router") + ROUTER + ingress(backend="router"),
        engine(args="[Qwen/Qwen3-Embedding-8B, --runner, generate]") + ingress(),
        engine()
        .replace("vllm/vllm-openai:v0.33.0", "own:1")
        .replace("args: [", "command: [vllm, serve, ")
        + ingress(),
    ],
)
def test_behind(manifests: str) -> None:
    """What seems to generate is behind."""
    assert ["N04"] == ids(manifests, "N04")


@pytest.mark.parametrize(
    ("kind", "key", "value", "mended"),
    [
        ("haproxy", "haproxy.org/timeout-server", "60s", "300s"),
        ("haproxy", "haproxy-ingress.github.io/timeout-server", "1m", "300s"),
        ("contour", "projectcontour.io/response-timeout", "60s", "300s"),
        ("azure-application-gateway", "appgw.ingress.kubernetes.io/request-timeout", "30", "300"),
        ("openshift-default", "haproxy.router.openshift.io/timeout", "60s", "300s"),
    ],
)
def test_other_controllers(kind: str, key: str, value: str, mended: str) -> None:
    """Timeouts of other controllers, where they are given."""
    finding = only(engine() + ingress({key: value}, kind=kind), "N04")

    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert mended == right(finding)
    assert [] == ids(engine() + ingress({key: mended}, kind=kind), "N04")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("haproxy.org/timeout-server", "50000"),
        ("haproxy.router.openshift.io/timeout", "30000"),
        ("projectcontour.io/response-timeout", "infinity"),
    ],
)
def test_other_units(key: str, value: str) -> None:
    """A number without a unit is not one of seconds there."""
    assert [] == sentences(engine() + ingress({key: value}, kind="own"), "N04")


def test_openshift() -> None:
    """The router of OpenShift waits for 30 seconds."""
    body = """
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: qwen, annotations: {a: b}}
spec: {to: {kind: Service, name: qwen}}
---
"""
    finding = only(engine() + body, "N04")

    assert "Route metadata.annotations.haproxy.router.openshift.io/timeout" == place(finding)
    assert "30 seconds" in finding.problem.sentence()
    good = body.replace("a: b", "haproxy.router.openshift.io/timeout: 10m")
    assert [] == ids(engine() + good, "N04")
    knative = body.replace("route.openshift.io", "serving.knative.dev")
    assert [] == ids(engine() + knative, "N04")


@pytest.mark.parametrize("value", [None, [], "x", 5, {"data": None}])
def test_garbage(value: object) -> None:
    """Nothing raises, whatever the fields are."""
    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"annotations": value},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"annotations": {f"{NGINX}/proxy-read-timeout": value}},
            "spec": {"defaultBackend": {"service": {"name": "vllm"}}, "rules": value},
        },
        {"apiVersion": "route.openshift.io/v1", "kind": "Route", "spec": {"to": value}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nginx"}, "data": value},
    ]

    assert {"N04"} >= set(ids(manifests, "N04"))


def test_once() -> None:
    """Each limit is told once, however many engines and paths there are."""
    assert 2 == len(found(engine() + deployment(name="b") + ingress({f"{NGINX}/x": "y"}), "N04"))
