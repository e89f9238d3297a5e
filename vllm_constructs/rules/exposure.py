"""Rule of what reaches engines: N06."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube.names import PREFIX
from vllm_constructs.reading import backends
from vllm_constructs.reading.backends import Backend
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.network_policies import PolicyReader
from vllm_constructs.traffic.ingress import ALWAYS_OPEN
from vllm_constructs.traffic.ingress_annotations import ALB

from .answers import engines_of
from .ingress import class_of, controller_of
from .routes import gateway_classes
from .rule import Found, rule

_OPEN = "/metrics, /tokenize, /invocations and others"
# Endpoints of pooling models, which are exposed on purpose.
_POOLING = frozenset(("pooling", "classify", "score", "rerank"))
_BATCH = ("Job", "CronJob")
_LOCAL = ("127.0.0.1", "localhost", "::1")
_EVERY_ADDRESS = ("0.0.0.0/0", "::/0")
# Annotations that let only some clients in, or send them through something that may.
_GUARDS = re.compile(
    r"/(router\.middlewares|policies|plugins|inbound-cidrs|security-groups)$"
    r"|auth|allow-?list|whitelist|ip[_-]allow|jwt|oidc",
)
_GUARDING_LINES = re.compile(r"\b(deny|return 4\d\d|auth_\w+)\b")
_GUARDING_KINDS = ("AuthPolicy", "AuthorizationPolicy", "SecurityPolicy", "TrafficPolicy")
# Policies of other projects, which the manifests of Kubernetes know nothing of.
_OTHER_POLICIES = (
    "AdminNetworkPolicy",
    "AuthorizationPolicy",
    "CiliumClusterwideNetworkPolicy",
    "CiliumNetworkPolicy",
    "ClusterNetworkPolicy",
    "GlobalNetworkPolicy",
)
_INTERNAL = re.compile(r"internal", re.IGNORECASE)


@rule("N06", "warning", "an engine that is open to everybody")
def exposed(graph: Graph) -> Iterator[Found]:
    """The API key guards only the paths below `/v1`, `/v2`, `/inference` and `/cohere`."""
    policies = _Policies(graph)
    told: set[int] = set()
    for kind in ("Ingress", "HTTPRoute", "Route"):
        for manifest in graph.of(kind):
            yield from _exposures(graph, manifest, policies, told)
    for engine in graph.engines:
        if id(engine) not in told and _is_reachable(engine):
            found = policies.opening(engine)
            if found is not None:
                yield found


def _is_reachable(engine: Engine) -> bool:
    """Whether it listens for others, as far as the manifests tell."""
    return (
        engine.pod.is_whole
        and not engine.is_headless
        and engine.manifest.kind not in _BATCH
        and engine.flag("host") not in _LOCAL
    )


def _exposures(
    graph: Graph, manifest: Manifest, policies: _Policies, told: set[int]
) -> Iterator[Found]:
    """The paths of an Ingress or route that lead to what vLLM does not guard."""
    seen = set()
    is_guarded: bool | None = None
    for one in backends.backends_of(manifest):
        open_path = _open_path(one)
        if open_path is None or one.path in seen:
            continue
        engines = [
            engine
            for engine in engines_of(graph, one)
            if _is_reachable(engine) and backends.reaches(graph, one, engine)
        ]
        if not engines or (open_path in _POOLING and not any(map(_has_key, engines))):
            continue
        is_guarded = _is_guarded(graph, manifest) if is_guarded is None else is_guarded
        if is_guarded or _is_guarded_rule(manifest, one):
            continue
        seen.add(one.path)
        told |= {id(engine) for engine in engines}
        yield _exposure(one, open_path, is_isolated=policies.opening(engines[0]) is None)


def _open_path(backend: Backend) -> str | None:
    """The endpoint that a path exposes, empty for all of them; None if it exposes none."""
    if backend.prefix == "/":
        return None if backend.is_exact else ""
    segments = (backend.prefix or "").split("/")
    return segments[1] if segments[1:2] and segments[1] in ALWAYS_OPEN else None


def _has_key(engine: Engine) -> bool:
    return (
        "api-key" in engine.options
        or "api-key" in engine.line.unread
        or "VLLM_API_KEY" in engine.env_paths
    )


def _exposure(backend: Backend, open_path: str, *, is_isolated: bool) -> Found:
    given = backend.manifest.at(*backend.path)
    what = f"is {require.shown(given)}" if isinstance(given, str) else "is left out"
    shown = _OPEN if not open_path else f"/{open_path}"
    text = f"{escaped(what)}, which exposes {shown} to every client: no API key guards them"
    if not is_isolated:
        text += ", and no NetworkPolicy in these manifests isolates the pods"
    advice = "expose /v1 only, or put something in front that lets only some clients in"
    problem = Problem(where="path", text=text, advice=advice)
    return Found(manifest=backend.manifest, path=backend.path, problem=problem)


def _is_guarded(graph: Graph, manifest: Manifest) -> bool:
    """Whether only some clients get through an Ingress or route, or that is not known."""
    for key, value in manifest.annotations.items():
        is_snippet = "snippet" in str(key)
        if (
            _GUARDING_LINES.search(str(value))
            if is_snippet
            else _GUARDS.search(str(key).lower()) and value not in ("", None)
        ):
            return True
    if manifest.kind == "Ingress":
        if controller_of(graph, manifest) == ALB:
            # Its default is an internal load balancer.
            scheme = manifest.annotations.get("alb.ingress.kubernetes.io/scheme")
            return scheme != "internet-facing"
        return bool(_INTERNAL.search(class_of(manifest))) or _has_backend_config(graph, manifest)
    if manifest.kind == "HTTPRoute":
        classes = [name for name, _ in gateway_classes(graph, manifest)]
        return bool(graph.of(*_GUARDING_KINDS)) or any(
            name.startswith("gke-l7-rilb") or _INTERNAL.search(name) for name in classes
        )
    return False


def _has_backend_config(graph: Graph, manifest: Manifest) -> bool:
    """Whether a Service has a BackendConfig, in which GKE has its sign-in and its firewall."""
    found = [backends.object_of(graph, one) for one in backends.backends_of(manifest)]
    return any(
        one is not None and "cloud.google.com/backend-config" in one.annotations for one in found
    )


def _is_guarded_rule(manifest: Manifest, backend: Backend) -> bool:
    """Whether a rule of an HTTPRoute has a filter of its implementation, which may be a guard."""
    filters = items(manifest.at(*backend.reference[:3], "filters"))
    return any(mapping(one).get("type") == "ExtensionRef" for one in filters)


class _Policies:
    """The NetworkPolicies for what comes into pods."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._reader = PolicyReader(graph)

    @lazy
    def _has_others(self) -> bool:
        """Whether there are policies of other projects; Calico has a kind of the same name."""
        return bool(self._graph.of(*_OTHER_POLICIES)) or any(
            one.group not in ("networking.k8s.io", "extensions")
            for one in self._graph.of("NetworkPolicy")
        )

    @lazy
    def _unclear(self) -> frozenset[str]:
        """Namespaces of policies that select no pod here: R06 tells, and they may be meant."""
        return frozenset(
            one.namespace
            for one in self._graph.of("NetworkPolicy")
            if mapping(selector := mapping(one.spec.get("podSelector")), "matchLabels")
            and not self._graph.selected_pods(one.namespace, selector)
        )

    def opening(self, engine: Engine) -> Found | None:
        """How everybody gets to an engine; None if nothing says so.

        Args:
            engine: The engine.
        """
        found = self._reader.of(engine.pod, "Ingress")
        if not found:
            is_unclear = self._has_others or engine.manifest.namespace in self._unclear
            return None if is_unclear else _unguarded(self._graph, engine)
        for policy in found:
            for path, one in policy.each("spec", "ingress"):
                peer = _everybody(one)
                if peer is not None and _has_port(one, engine):
                    return _open_rule(policy, (*path, *peer))
        return None


def _everybody(entry: Mapping[str, Any]) -> Path | None:
    """The fields of a rule that let everybody in; None if it names who may come in."""
    peers = items(entry.get("from"))
    if not peers:
        return ()
    for i, peer in enumerate(map(mapping, peers)):
        block = mapping(peer.get("ipBlock"))
        if block.get("cidr") in _EVERY_ADDRESS and not block.get("except"):
            return "from", i, "ipBlock", "cidr"
        # Null is no selector, and an empty one selects all.
        if peer.get("namespaceSelector") == {} and not mapping(peer.get("podSelector")):
            return "from", i, "namespaceSelector"
    return None


def _has_port(entry: Mapping[str, Any], engine: Engine) -> bool:
    ports = [mapping(one) for one in items(entry.get("ports"))]
    if not ports:
        return True
    for one in ports:
        port, last = one.get("port"), one.get("endPort")
        number = engine.pod.ports.get(port) if isinstance(port, str) else port
        if port is None or (number is not None and number == engine.port):
            return True
        if _is_between(number, engine.port, last):
            return True
    return False


def _is_between(*numbers: object) -> bool:
    known = [one for one in numbers if isinstance(one, int)]
    return len(known) == len(numbers) and sorted(known) == known


def _open_rule(policy: Manifest, path: Path) -> Found:
    text = f"lets everybody in, also to {_OPEN}, which no API key guards"
    if path[-1:] == ("namespaceSelector",):
        text = f"lets the pods of all namespaces in, also to {_OPEN}, which no API key guards"
    advice = "name the namespaces or pods of the clients, of the proxy and of Prometheus"
    problem = Problem(where="ingress", text=text, advice=advice)
    return Found(manifest=policy, path=path, problem=problem)


def _unguarded(graph: Graph, engine: Engine) -> Found:
    for service in graph.services_of(engine.pod):
        path = _public(service)
        if path is not None and backends.service_reaches(service, None, engine):
            text = (
                f"is {escaped(require.shown(service.spec.get('type')))}, which exposes {_OPEN} "
                "outside of the cluster: no API key guards them, and no NetworkPolicy in these "
                "manifests isolates the pods"
            )
            advice = "let it be ClusterIP behind a proxy that exposes /v1 only"
            problem = Problem(where="type", text=text, advice=advice)
            return Found(manifest=service, path=path, problem=problem)
    text = (
        "no NetworkPolicy in these manifests isolates the pods, so every pod of the cluster "
        f"reaches {_OPEN}, which no API key guards"
    )
    advice = (
        "add one that lets in the clients, the proxy and Prometheus; if it is elsewhere, say so in "
        f"the annotation {PREFIX}/accept-N06"
    )
    problem = Problem(text=text, advice=advice)
    return Found(manifest=engine.manifest, path=engine.path, problem=problem)


def _public(service: Manifest) -> Path | None:
    """The field that makes a Service reachable from outside; None if it is not, or not known."""
    kind = service.spec.get("type")
    if service.group != "" or kind not in ("LoadBalancer", "NodePort"):
        return None
    is_internal = any(_INTERNAL.search(f"{key}={one}") for key, one in service.annotations.items())
    if is_internal or service.spec.get("loadBalancerSourceRanges"):
        return None
    return ("spec", "type")
