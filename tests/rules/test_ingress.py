"""N02 and N03: annotations and snippets of Ingresses, in the dialects of their controllers."""

from __future__ import annotations

import pytest

from tests.rules.findings import found, ids, sentences
from tests.rules.network_samples import ingress, only, place, right

NGINX = "nginx.ingress.kubernetes.io"
F5 = "nginx.org"


def ingress_class(controller: str, name: str = "nginx") -> str:
    """An IngressClass."""
    return f"""
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {name}}}
spec: {{controller: {controller}}}
---
"""


REFUSED = [
    (f"{NGINX}/proxy-buffering", "false", "'on' or 'off'", "off"),
    (f"{NGINX}/proxy-buffering", False, "no string", "off"),
    (f"{NGINX}/proxy-buffering", "disabled", "'on' or 'off'", "off"),
    (f"{NGINX}/proxy-request-buffering", "True", "'on' or 'off'", "on"),
    (f"{NGINX}/proxy-read-timeout", "3600s", "without a unit", "3600"),
    (f"{NGINX}/proxy-read-timeout", "10m", "without a unit", "600"),
    (f"{NGINX}/proxy-send-timeout", 600, "no string", "600"),
    (f"{NGINX}/proxy-connect-timeout", "5 s", "without a unit", "5"),
    (f"{NGINX}/proxy-body-size", "100MB", "'100m'", "100m"),
    (f"{NGINX}/proxy-body-size", "1Gi", "'100m'", "1g"),
    (f"{NGINX}/proxy-http-version", 1.1, "no string", "1.1"),
    (f"{NGINX}/proxy-next-upstream-tries", 3, "no string", "3"),
    (f"{F5}/proxy-buffering", "off", "'true' or 'false'", "false"),
    (f"{F5}/proxy-buffering", True, "no string", "true"),
    (f"{F5}/proxy-read-timeout", 600, "no string", "600s"),
    (f"{F5}/client-max-body-size", "100MiB", "'100m'", "100m"),
]


@pytest.mark.parametrize(("key", "value", "words", "mended"), REFUSED)
def test_refused(key: str, value: object, words: str, mended: str) -> None:
    """A value that the controller cannot read is told, and written as it reads it."""
    finding = only(ingress({key: value}), "N02")

    assert "error" == finding.level
    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert words in finding.problem.sentence()
    assert mended == right(finding)
    assert finding.fix is not None
    assert finding.fix.is_safe
    assert [] == found(ingress({key: mended}), "N02")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{NGINX}/proxy-read-timeout", "forever"),
        (f"{NGINX}/proxy-body-size", "unlimited"),
        (f"{NGINX}/proxy-buffering", ["off"]),
        (f"{NGINX}/proxy-read-timeout", {"seconds": 60}),
        (f"{F5}/proxy-read-timeout", ""),
        (f"{F5}/proxy-buffering", "none"),
    ],
)
def test_refused_without_meaning(key: str, value: object) -> None:
    """What a value was meant to say is not guessed."""
    assert only(ingress({key: value}), "N02").fix is None


ACCEPTED = [
    {f"{NGINX}/proxy-buffering": "on", f"{NGINX}/proxy-body-size": "0"},
    {f"{NGINX}/proxy-body-size": "1G", f"{NGINX}/proxy-buffer-size": "16k"},
    {f"{NGINX}/proxy-body-size": "", f"{NGINX}/proxy-read-timeout": ""},
    {f"{NGINX}/proxy-read-timeout": "${READ_TIMEOUT}"},
    {f"{NGINX}/proxy-read-timeout": None},
    {f"{NGINX}/backend-protocol": "HTTPS", f"{NGINX}/whatever-else": "3600s"},
    {f"{F5}/proxy-read-timeout": "1h 30m", f"{F5}/proxy-buffering": "False"},
    {f"{F5}/proxy-read-timeout": "600", f"{F5}/proxy-send-timeout": "500ms"},
    {f"{F5}/client-max-body-size": "0"},
    {"cert-manager.io/cluster-issuer": "letsencrypt", "external-dns.alpha.kubernetes.io/ttl": "60"},
    {"proxy-read-timeout": "600s"},
]


@pytest.mark.parametrize("annotations", ACCEPTED)
@pytest.mark.parametrize("kind", ["nginx", "nginx-internal", None])
def test_accepted(annotations: dict[str, object], kind: str | None) -> None:
    """What the controllers accept, or what is none of theirs, is quiet."""
    assert [] == sentences(ingress(annotations, kind=kind), "N02")


@pytest.mark.parametrize(
    ("kind", "key", "level"),
    [
        ("alb", f"{NGINX}/proxy-read-timeout", "error"),
        ("gce", f"{NGINX}/proxy-read-timeout", "error"),
        ("haproxy", f"{NGINX}/proxy-read-timeout", "error"),
        ("openshift-default", f"{F5}/proxy-read-timeout", "error"),
        ("nginx", "alb.ingress.kubernetes.io/scheme", "error"),
        ("traefik", f"{F5}/proxy-read-timeout", "error"),
        # A provider of Traefik reads them.
        ("traefik", f"{NGINX}/proxy-read-timeout", "warning"),
    ],
)
def test_other_controller(kind: str, key: str, level: str) -> None:
    """Annotations that the controller of the class ignores."""
    finding = only(ingress({key: "600"}, kind=kind), "N02")

    assert level == finding.level
    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert repr(kind) in finding.problem.sentence()


def test_class_in_annotation() -> None:
    """The class may be in the old annotation."""
    annotations = {"kubernetes.io/ingress.class": "alb", f"{NGINX}/proxy-read-timeout": "600"}

    assert ["N02"] == ids(ingress(annotations, kind=None), "N02")


@pytest.mark.parametrize(
    ("controller", "key", "expected"),
    [
        ("k8s.io/ingress-nginx", f"{NGINX}/proxy-read-timeout", []),
        ("k8s.io/ingress-nginx", f"{F5}/proxy-read-timeout", ["N02"]),
        ("nginx.org/ingress-controller", f"{F5}/proxy-read-timeout", []),
        ("nginx.org/ingress-controller", f"{NGINX}/proxy-read-timeout", ["N02"]),
        # Traefik takes the name of the class over while it replaces ingress-nginx.
        ("example.com/own", f"{NGINX}/proxy-read-timeout", []),
    ],
)
def test_ingress_class(controller: str, key: str, expected: list[str]) -> None:
    """An IngressClass of the manifests tells whose the class is."""
    assert expected == ids(ingress_class(controller) + ingress({key: "600"}), "N02")


@pytest.mark.parametrize(
    ("kind", "annotations"),
    [
        ("higress", {f"{NGINX}/proxy-read-timeout": "600"}),
        ("nginx-public", {f"{NGINX}/proxy-read-timeout": "600"}),
        ("mse", {f"{NGINX}/proxy-read-timeout": "600"}),
        ("alb", {f"{NGINX}/proxy-read-timeout": "600", "alb.ingress.kubernetes.io/scheme": "x"}),
        ("nginx", {f"{NGINX}/proxy-read-timeout": "600", f"{F5}/proxy-read-timeout": "600s"}),
        ("nginx", {f"{NGINX}/proxy-body-size": "1g", f"{F5}/client-max-body-size": "1024m"}),
        ("nginx", {f"{NGINX}/proxy-buffering": "off", f"{F5}/proxy-buffering": "false"}),
    ],
)
def test_portable(kind: str, annotations: dict[str, object]) -> None:
    """Annotations for several controllers, and classes that are not known, are quiet."""
    assert [] == sentences(ingress(annotations, kind=kind), "N02")


def test_contradiction() -> None:
    """Annotations of both controllers that say different things are a warning."""
    given = {f"{NGINX}/proxy-read-timeout": "600", f"{F5}/proxy-read-timeout": "60s"}
    finding = only(ingress(given), "N02")

    assert "warning" == finding.level
    assert f"Ingress metadata.annotations.{F5}/proxy-read-timeout" == place(finding)


@pytest.mark.parametrize(
    ("key", "level"),
    [
        (f"{NGINX}/configuration-snippet", "error"),
        (f"{NGINX}/server-snippet", "error"),
        (f"{NGINX}/auth-snippet", "error"),
        (f"{F5}/location-snippets", "warning"),
        (f"{F5}/server-snippets", "warning"),
    ],
)
@pytest.mark.parametrize("kind", ["nginx", "nginx-public", None])
def test_snippet(key: str, level: str, kind: str | None) -> None:
    """Snippets of both controllers, which ingress-nginx refuses by default."""
    finding = only(ingress({key: "proxy_buffering off;"}, kind=kind), "N03")

    assert level == finding.level
    assert f"Ingress metadata.annotations.{key}" == place(finding)
    assert "leave it out" in finding.problem.sentence()


CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {allow-snippet-annotations: "true", annotations-risk-level: Critical}
---
"""
VALUES = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: ingress}
spec: {values: {controller: {allowSnippetAnnotations: true, enableSnippets: true}}}
---
"""
CONTROLLER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx-ingress}
spec:
  template:
    spec:
      containers: [{name: nginx, image: nginx/nginx-ingress:5.5.4, args: [-enable-snippets]}]
---
"""


@pytest.mark.parametrize(
    ("key", "beside", "kind"),
    [
        (f"{NGINX}/server-snippet", CONFIG, "nginx"),
        (f"{NGINX}/server-snippet", VALUES, "nginx"),
        (f"{F5}/server-snippets", VALUES, "nginx"),
        (f"{F5}/server-snippets", CONTROLLER, "nginx"),
        # N02 tells that these are ignored.
        (f"{NGINX}/server-snippet", "", "alb"),
        (f"{NGINX}/server-snippet", "", "traefik"),
        ("example.com/config-snippet", "", "nginx"),
    ],
)
def test_allowed_snippet(key: str, beside: str, kind: str) -> None:
    """Snippets that the manifests allow, or that nobody reads, are quiet."""
    assert [] == sentences(beside + ingress({key: "x y;"}, kind=kind), "N03")


def test_snippets_off() -> None:
    """A controller that is set up without snippets refuses them."""
    without = CONFIG.replace('"true"', '"false"') + VALUES.replace("true", "false")
    given = {f"{NGINX}/server-snippet": "x y;", f"{F5}/server-snippets": "x y;"}

    assert 2 == len(found(without + ingress(given), "N03"))


@pytest.mark.parametrize("annotations", [None, [], "x", {1: 2, None: None, False: "off"}])
def test_garbage(annotations: object) -> None:
    """Nothing raises, whatever the fields are."""
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    specs: list[object] = [None, [], "x", {"ingressClassName": 5, "rules": [None, {"http": []}]}]
    for spec in specs:
        assert [] == found(
            [{**body, "metadata": {"annotations": annotations}, "spec": spec}], "N02", "N03"
        )
