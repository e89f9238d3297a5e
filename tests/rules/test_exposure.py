"""N06: engines that are open to everybody."""

from __future__ import annotations

import pytest

from tests.rules.findings import found, ids, sentences
from tests.rules.network_samples import (
    CLOSED,
    deployment,
    engine,
    gateway,
    ingress,
    only,
    place,
    policy,
    route,
    service,
)

NGINX = "nginx.ingress.kubernetes.io"


def test_no_policy() -> None:
    """An engine without a policy is told once, with what settles it."""
    finding = only(engine(), "N06")

    assert "warning" == finding.level
    assert "Deployment spec.template.spec.containers.0" == place(finding)
    sentence = finding.problem.sentence()
    assert "/metrics" in sentence
    assert "accept-N06" in sentence


@pytest.mark.parametrize(
    "rules",
    [
        "[{from: [{podSelector: {}}]}]",
        "[]",
        "null",
        "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]}]",
        "[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: prometheus}}}]}]",
        "[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]",
        "[{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]",
        # Everybody may come to the port of something else.
        "[{ports: [{port: 9090}]}, {from: [{podSelector: {}}]}]",
        "[{ports: [{port: metrics}]}]",
    ],
)
def test_closed(rules: str) -> None:
    """A policy that names who may come in isolates the pods."""
    assert [] == sentences(engine() + policy(rules), "N06")


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ("[{}]", "spec.ingress.0"),
        ("[{from: []}]", "spec.ingress.0"),
        ("[{ports: [{port: 8000}]}]", "spec.ingress.0"),
        ("[{ports: [{port: http, protocol: TCP}]}]", "spec.ingress.0"),
        ("[{ports: [{port: 7000, endPort: 9000}]}]", "spec.ingress.0"),
        ("[{from: [{podSelector: {}}]}, {}]", "spec.ingress.1"),
        ("[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", "spec.ingress.0.from.0.ipBlock.cidr"),
        ("[{from: [{namespaceSelector: {}}]}]", "spec.ingress.0.from.0.namespaceSelector"),
    ],
)
def test_open_policy(rules: str, path: str) -> None:
    """A policy that lets everybody in is where the mistake is."""
    assert f"NetworkPolicy {path}" == place(only(engine() + policy(rules), "N06"))


@pytest.mark.parametrize(
    ("selector", "types", "is_isolated"),
    [
        ("{}", "[Ingress]", True),
        ("{matchExpressions: [{key: app, operator: Exists}]}", "[Ingress]", True),
        ("{matchExpressions: [{key: tier, operator: Exists}]}", "[Ingress]", False),
        ("{matchLabels: {app: qwen}}", "[Ingress, Egress]", True),
        ("{matchLabels: {app: qwen}}", "[]", True),
        ("{matchLabels: {app: qwen}}", "[Egress]", False),
    ],
)
def test_selected(selector: str, types: str, is_isolated: object) -> None:
    """Which policies isolate the pods against what comes in."""
    manifests = engine() + policy("[]", selector=selector, types=types)

    assert is_isolated is ([] == sentences(manifests, "N06"))


def in_namespace(manifests: str, name: str) -> str:
    """Manifests with a namespace."""
    return manifests.replace("metadata: {name:", f"metadata: {{namespace: {name}, name:")


def test_namespaces() -> None:
    """A policy of another namespace does not isolate; one without a namespace may."""
    assert [] == ids(in_namespace(engine(), "llm") + in_namespace(CLOSED, "llm"), "N06")
    assert [] == ids(in_namespace(engine(), "llm") + CLOSED, "N06")
    assert [] == ids(engine() + in_namespace(CLOSED, "llm"), "N06")
    assert ["N06"] == ids(in_namespace(engine(), "llm") + in_namespace(CLOSED, "web"), "N06")


@pytest.mark.parametrize(
    "manifests",
    [
        # R06 tells of a policy that selects nothing here.
        engine() + policy("[]", selector="{matchLabels: {app: quen}}"),
        engine() + CLOSED.replace("networking.k8s.io/v1", "projectcalico.org/v3"),
        engine() + CLOSED.replace("NetworkPolicy", "CiliumNetworkPolicy"),
        engine() + CLOSED.replace("NetworkPolicy", "AuthorizationPolicy"),
        engine(args="[a/b, --host, 127.0.0.1]"),
        engine(args="[a/b, --host=localhost]"),
        engine(args="[a/b, --headless]"),
        engine().replace("kind: Deployment", "kind: Job").replace("apps/v1", "batch/v1"),
        engine().replace("vllm/vllm-openai:v0.33.0", "nginx:1.29"),
        """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: qwen}
spec: {predictor: {containers: [{name: a, image: 'vllm/vllm-openai:v0.33.0', args: [a/b]}]}}
""",
    ],
)
def test_not_known(manifests: str) -> None:
    """Policies of other projects, and engines that nobody reaches, are quiet."""
    assert [] == sentences(manifests, "N06")


@pytest.mark.parametrize(
    ("annotations", "path", "path_type"),
    [
        ({}, "/", "Prefix"),
        ({}, "/", "ImplementationSpecific"),
        ({}, "/*", "ImplementationSpecific"),
        ({}, "/(.*)", "ImplementationSpecific"),
        ({}, "/metrics", "Prefix"),
        ({}, "/tokenize", "Exact"),
        ({}, "/invocations", "Prefix"),
        ({f"{NGINX}/rewrite-target": "/$2"}, "/qwen(/|$)(.*)", "ImplementationSpecific"),
        ({f"{NGINX}/rewrite-target": "/$1"}, "/qwen/(.*)", "ImplementationSpecific"),
        ({f"{NGINX}/rewrite-target": "/"}, "/", "Prefix"),
        ({"nginx.org/rewrites": "serviceName=qwen rewrite=/"}, "/qwen/", "Prefix"),
        # A snippet and annotations that guard nothing.
        ({f"{NGINX}/configuration-snippet": "proxy_cache off;"}, "/", "Prefix"),
        ({f"{NGINX}/auth-url": ""}, "/", "Prefix"),
        ({"cert-manager.io/cluster-issuer": "letsencrypt"}, "/", "Prefix"),
    ],
)
def test_ingress(annotations: dict[str, object], path: str, path_type: str) -> None:
    """An Ingress that passes on what needs no key, behind a policy or not."""
    exposed = ingress(annotations, path=path, path_type=path_type)
    finding = only(engine() + CLOSED + exposed, "N06")

    assert "Ingress spec.rules.0.http.paths.0.path" == place(finding)
    assert repr(path) in finding.problem.sentence()
    assert "NetworkPolicy" not in finding.problem.sentence()
    assert "NetworkPolicy" in only(engine() + exposed, "N06").problem.sentence()


@pytest.mark.parametrize(
    ("annotations", "path", "path_type", "kind"),
    [
        ({}, "/v1", "Prefix", "nginx"),
        ({}, "/v1/(.*)", "ImplementationSpecific", "nginx"),
        ({}, "/", "Exact", "nginx"),
        ({}, "/health", "Prefix", "nginx"),
        ({}, "/qwen/v1", "Prefix", "nginx"),
        # Not known what these lead to.
        ({}, "/(v1|health)", "ImplementationSpecific", "nginx"),
        ({f"{NGINX}/rewrite-target": "/"}, "/qwen", "Prefix", "nginx"),
        ({"haproxy.org/path-rewrite": "/qwen/(.*) /\\1"}, "/", "Prefix", "haproxy"),
        (
            {f"{NGINX}/rewrite-target": "/v1/$2"},
            "/qwen(/|$)(.*)",
            "ImplementationSpecific",
            "nginx",
        ),
        # Guarded.
        ({f"{NGINX}/auth-url": "https://auth.example.com"}, "/", "Prefix", "nginx"),
        ({f"{NGINX}/auth-type": "basic"}, "/", "Prefix", "nginx"),
        ({f"{NGINX}/auth-tls-secret": "llm/clients"}, "/", "Prefix", "nginx"),
        ({f"{NGINX}/whitelist-source-range": "10.0.0.0/8"}, "/", "Prefix", "nginx"),
        ({f"{NGINX}/configuration-snippet": "deny all;"}, "/", "Prefix", "nginx"),
        ({"nginx.org/policies": "keys"}, "/", "Prefix", "nginx"),
        ({"nginx.com/jwt-key": "keys"}, "/", "Prefix", "nginx"),
        ({"traefik.ingress.kubernetes.io/router.middlewares": "a"}, "/", "Prefix", "traefik"),
        ({"konghq.com/plugins": "key-auth"}, "/", "Prefix", "kong"),
        ({"alb.ingress.kubernetes.io/scheme": "internal"}, "/", "Prefix", "alb"),
        ({}, "/", "Prefix", "alb"),
        ({}, "/", "Prefix", "gce-internal"),
        ({}, "/", "Prefix", "nginx-internal"),
    ],
)
def test_guarded_ingress(
    annotations: dict[str, object], path: str, path_type: str, kind: str
) -> None:
    """An Ingress that passes only the API on, or lets only some clients in, is quiet."""
    exposed = ingress(annotations, path=path, path_type=path_type, kind=kind)

    assert [] == sentences(engine() + CLOSED + exposed, "N06")


def test_public_alb() -> None:
    """A load balancer of AWS is internal unless it says otherwise."""
    public = ingress({"alb.ingress.kubernetes.io/scheme": "internet-facing"}, kind="alb", path="/")

    assert ["N06"] == ids(engine() + CLOSED + public, "N06")


def test_default_backend() -> None:
    """The default backend gets every path."""
    body = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: qwen}
spec: {defaultBackend: {service: {name: qwen, port: {name: http}}}}
---
"""
    assert "Ingress spec.defaultBackend" == place(only(engine() + CLOSED + body, "N06"))


SIDECAR = "[{name: http, port: 8000, targetPort: 4180}]"


@pytest.mark.parametrize(
    "manifests",
    [
        # A container beside the engine asks for a token.
        service(ports=SIDECAR) + deployment(),
        # Another Service, and none.
        engine().replace("name: qwen}", "name: other}"),
        deployment(),
        engine().replace("vllm/vllm-openai:v0.33.0", "open-webui:v0.6"),
    ],
)
def test_not_the_engine(manifests: str) -> None:
    """An Ingress to something else is quiet."""
    assert [] == sentences(manifests + CLOSED + ingress(path="/"), "N06")


POOLING = ["/score", "/rerank", "/pooling", "/classify"]


@pytest.mark.parametrize("path", POOLING)
def test_pooling(path: str) -> None:
    """The paths of a ranker are exposed on purpose, unless its key should guard them."""
    exposed = CLOSED + ingress(path=path)
    key = "env: [{name: VLLM_API_KEY, valueFrom: {secretKeyRef: {name: a, key: b}}}]"

    assert [] == ids(engine() + exposed, "N06")
    assert ["N06"] == ids(engine(container=key) + exposed, "N06")
    assert ["N06"] == ids(engine(args="[a/b, --api-key, $(KEY)]") + exposed, "N06")


POOL = """
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool}
spec: {selector: {matchLabels: {app: qwen}}, targetPorts: [{number: 8000}]}
---
"""
OLD_POOL = """
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: pool}
spec: {selector: {app: qwen}, targetPortNumber: 8000}
---
"""
TO_POOL = "{group: inference.networking.k8s.io, kind: InferencePool, name: pool}"
REWRITE = (
    "matches: [{path: {type: PathPrefix, value: /qwen}}], filters: [{type: URLRewrite, "
    "urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]"
)


@pytest.mark.parametrize(
    ("manifests", "path"),
    [
        (route(""), "spec.rules.0.matches.0"),
        (
            route("matches: [{path: {type: PathPrefix, value: /}}]"),
            "spec.rules.0.matches.0.path.value",
        ),
        (route("matches: [{headers: [{name: a, value: b}]}]"), "spec.rules.0.matches.0"),
        (route(REWRITE), "spec.rules.0.matches.0.path.value"),
        (
            route("matches: [{path: {type: Exact, value: /metrics}}]"),
            "spec.rules.0.matches.0.path.value",
        ),
        (POOL + route("", backend=TO_POOL), "spec.rules.0.matches.0"),
        (OLD_POOL + route("", backend=TO_POOL), "spec.rules.0.matches.0"),
    ],
)
def test_route(manifests: str, path: str) -> None:
    """HTTPRoutes, with a Service or a pool behind."""
    assert f"HTTPRoute {path}" == place(only(engine() + CLOSED + manifests, "N06"))


@pytest.mark.parametrize(
    "manifests",
    [
        route("matches: [{path: {type: PathPrefix, value: /v1}}]"),
        route("matches: [{path: {type: Exact, value: /}}]"),
        route("matches: [{path: {type: RegularExpression, value: '/v1/.*'}}]"),
        route("filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}]"),
        route("filters: [{type: RequestRedirect}]", backend=""),
        route("") + "{apiVersion: a/v1, kind: SecurityPolicy, metadata: {name: a}}\n",
        route("") + gateway("gke-l7-rilb"),
        POOL.replace("8000", "9000") + route("", backend=TO_POOL),
    ],
)
def test_guarded_route(manifests: str) -> None:
    """HTTPRoutes of the API alone, or behind something that may guard, are quiet."""
    assert [] == sentences(engine() + CLOSED + manifests, "N06")


def test_openshift() -> None:
    """A Route without a path exposes everything."""
    body = """
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: qwen}
spec: {to: {kind: Service, name: qwen}, port: {targetPort: http}}
---
"""
    assert "Route spec.path" == place(only(engine() + CLOSED + body, "N06"))
    assert [] == ids(engine() + CLOSED + body.replace("to:", "path: /v1, to:"), "N06")


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_service(kind: str) -> None:
    """A Service that is reachable from outside, before pods that nothing isolates."""
    public = service(more=f"type: {kind}")

    assert "Service spec.type" == place(only(public + deployment(), "N06"))
    assert [] == ids(public + deployment() + CLOSED, "N06")


@pytest.mark.parametrize(
    "public",
    [
        service(more="type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8]"),
        service(more="type: LoadBalancer").replace(
            "{name: qwen}",
            "{name: qwen, annotations: {networking.gke.io/load-balancer-type: Internal}}",
        ),
        service(more="type: LoadBalancer", ports=SIDECAR),
    ],
)
def test_internal_service(public: str) -> None:
    """Where the Service lets only some in, the pods are what is told."""
    finding = only(public + deployment(), "N06")

    assert "Deployment spec.template.spec.containers.0" == place(finding)


def test_one_each() -> None:
    """Each engine, and each path of an Ingress, is told once."""
    two = engine() + deployment(name="other")

    assert 2 == len(found(two, "N06"))
    assert 1 == len(found(two + ingress(path="/"), "N06"))


@pytest.mark.parametrize("value", [None, [], "x", 5, [None, {"from": "x", "ports": [None, 3]}]])
def test_garbage(value: object) -> None:
    """Nothing raises, whatever the fields are."""
    manifests = [
        {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        for group, kind in (
            ("networking.k8s.io", "NetworkPolicy"),
            ("networking.k8s.io", "Ingress"),
            ("route.openshift.io", "Route"),
            ("gateway.networking.k8s.io", "HTTPRoute"),
        )
        for spec in (value, {"ingress": value, "podSelector": value, "rules": value, "to": value})
    ]

    assert {"N06"} >= set(ids(manifests, "N06"))
