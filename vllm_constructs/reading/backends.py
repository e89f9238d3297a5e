"""Backends of Ingresses, routes and Services: the paths by which requests reach engines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs.dataclass import dataclass

from .engines import Engine
from .fields import items, mapping
from .manifest import Manifest, Path
from .pods import Pod

if TYPE_CHECKING:
    from .graph import Graph

SERVICE, POOL = "Service", "InferencePool"
_GATEWAY = "gateway.networking.k8s.io"
# What follows the literal part of a path that takes all paths below it.
_EVERYTHING = re.compile(r"(\(/\|\$\)|\(\?:/\|\$\)|\(/\|\$|/|\?|\))*\(?\.?[*+]\)*\$?")
_SPECIAL = re.compile(r"\.?[(*\[|?+^$\\]")
_CAPTURED = re.compile(r"\$\d+$")
_F5_REWRITE = re.compile(r"serviceName=(\S+)\s+rewrite=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A path of an Ingress or route, and what serves it.

    Args:
        manifest: The Ingress or route.
        path: The fields that lead to the path; to where it belongs.
        reference: The fields that lead to the reference to the Service or pool.
        kind: `Service` or `InferencePool`.
        namespace: Its namespace; empty for any.
        name: Its name.
        port: Number or name of the Service's port; None if it is not given.
        prefix: What the paths of requests begin with at the backend; None if that is not known.
        is_exact: Whether it is a whole path.
    """

    manifest: Manifest
    path: Path
    reference: Path
    kind: str
    namespace: str
    name: str
    port: object
    prefix: str | None
    is_exact: bool


def backends_of(manifest: Manifest) -> Iterator[Backend]:
    """The backends of an Ingress, an HTTPRoute, or a Route of OpenShift; none of other objects.

    Args:
        manifest: The object.
    """
    if manifest.kind == "Ingress" and manifest.group in ("networking.k8s.io", "extensions"):
        yield from _of_ingress(manifest)
    elif manifest.kind == "HTTPRoute" and manifest.group == _GATEWAY:
        yield from _of_route(manifest)
    elif manifest.kind == "Route" and manifest.group == "route.openshift.io":
        to, path = mapping(manifest.spec.get("to")), manifest.spec.get("path")
        yield Backend(
            manifest=manifest,
            path=("spec", "path"),
            reference=("spec", "to"),
            kind=SERVICE,
            namespace=manifest.namespace,
            name=str(to.get("name") or ""),
            port=mapping(manifest.spec.get("port")).get("targetPort"),
            prefix=_cut(path),
            is_exact=False,
        )


def _of_ingress(manifest: Manifest) -> Iterator[Backend]:
    for field in ("defaultBackend", "backend"):
        default = mapping(manifest.spec.get(field))
        if default:
            yield _ingress_backend(manifest, ("spec", field), ("spec", field), {"backend": default})
    for rule, _ in manifest.each("spec", "rules"):
        for where, one in manifest.each(*rule, "http", "paths"):
            yield _ingress_backend(manifest, (*where, "path"), (*where, "backend"), one)


def _ingress_backend(
    manifest: Manifest, where: Path, reference: Path, entry: Mapping[str, Any]
) -> Backend:
    backend = mapping(entry.get("backend"))
    service = mapping(backend.get("service"))
    port = mapping(service.get("port"))
    name = str(service.get("name") or backend.get("serviceName") or "")
    return Backend(
        manifest=manifest,
        path=where,
        reference=reference,
        kind=SERVICE,
        namespace=manifest.namespace,
        name=name,
        port=port.get("number", port.get("name", backend.get("servicePort"))),
        prefix=_rewritten(manifest, name, entry.get("path")),
        is_exact=entry.get("pathType") == "Exact",
    )


def _cut(path: object) -> str | None:
    """The literal beginning of a path that takes all paths below it; None for another pattern."""
    if path is None or path == "":
        return "/"
    if not isinstance(path, str):
        return None
    found = _SPECIAL.search(path)
    if found is None:
        return path.rstrip("/") or "/"
    literal, rest = path[: found.start()], path[found.start() :]
    return (literal.rstrip("/") or "/") if _EVERYTHING.fullmatch(rest) else None


def _rewritten(manifest: Manifest, service: str, path: object) -> str | None:
    """The beginning of the paths at the backend, after the rewrites that are known."""
    literal = _cut(path)
    rewrites = {key: value for key, value in manifest.annotations.items() if "rewrite" in str(key)}
    target = str(rewrites.get("nginx.ingress.kubernetes.io/rewrite-target") or "")
    if not rewrites or target == path:
        return literal
    if _CAPTURED.search(target) and literal is not None and literal != path:
        return _CAPTURED.sub("", target).rstrip("/") or "/"
    found = dict(_F5_REWRITE.findall(str(rewrites.get("nginx.org/rewrites") or "")))
    if service in found:
        return str(found[service]).rstrip("/;") or "/"
    return literal if found else None


def _of_route(manifest: Manifest) -> Iterator[Backend]:
    for where, rule in manifest.each("spec", "rules"):
        replaced = [
            mapping(one, "urlRewrite", "path")
            for one in map(mapping, items(rule.get("filters")))
            if one.get("type") == "URLRewrite"
        ]
        matches = manifest.each(*where, "matches") or [((*where, "matches", 0), {})]
        for match, one in matches:
            given = mapping(one.get("path"))
            kind, value = given.get("type", "PathPrefix"), given.get("value", "/")
            prefix = _cut(value)
            if kind == "RegularExpression" and prefix == value:
                kind = "Exact"
            for path in replaced:
                if "replacePrefixMatch" in path:
                    prefix = _cut(path["replacePrefixMatch"])
                elif "replaceFullPath" in path:
                    kind, prefix = "Exact", _cut(path["replaceFullPath"])
            for reference, to in manifest.each(*where, "backendRefs"):
                yield Backend(
                    manifest=manifest,
                    path=(*match, "path", "value") if "value" in given else match,
                    reference=reference,
                    kind=str(to.get("kind") or SERVICE),
                    namespace=str(to.get("namespace") or manifest.namespace),
                    name=str(to.get("name") or ""),
                    port=to.get("port"),
                    prefix=prefix,
                    is_exact=kind == "Exact",
                )


def object_of(graph: Graph, backend: Backend) -> Manifest | None:
    """The Service or pool of a backend; None if it is not in the manifests.

    Args:
        graph: The graph.
        backend: The backend.
    """
    found = graph.find(backend.kind, backend.namespace, backend.name)
    # Knative and others have a kind Service, too.
    return found if found is not None and _is_known(found) else None


def _is_known(found: Manifest) -> bool:
    return found.group == "" or (found.kind == POOL and found.group.startswith("inference."))


def pods_of_backend(graph: Graph, backend: Backend) -> list[Pod] | None:
    """The pods of a backend; None if its Service or pool is not in the manifests.

    Args:
        graph: The graph.
        backend: The backend.
    """
    found = object_of(graph, backend)
    if found is None:
        return None
    if found.kind == SERVICE:
        return graph.pods_behind(found)
    selector = mapping(found.spec.get("selector"))
    # Before its first release, the selector of a pool was a map of labels.
    labels = mapping(selector.get("matchLabels", selector))
    return graph.selected_pods(found.namespace, {"matchLabels": labels}) if labels else []


def reaches(graph: Graph, backend: Backend, engine: Engine) -> bool:
    """Whether a backend sends requests to the port of an engine, not to a container beside it.

    Args:
        graph: The graph.
        backend: The backend.
        engine: An engine in one of its pods.
    """
    found = object_of(graph, backend)
    if found is None or engine.port is None:
        return False
    if found.kind == POOL:
        ports = [mapping(one).get("number") for one in items(found.spec.get("targetPorts"))]
        return engine.port in (*ports, found.spec.get("targetPortNumber"))
    return service_reaches(found, backend.port, engine)


def service_reaches(service: Manifest, port: object, engine: Engine) -> bool:
    """Whether a port of a Service is that of an engine.

    Args:
        service: The Service.
        port: Number or name of the port, or of its target; None for any.
        engine: An engine in one of the Service's pods.
    """
    for one in map(mapping, items(service.spec.get("ports"))):
        target = one.get("targetPort") or one.get("port")
        if port is None or port in (one.get("port"), one.get("name"), one.get("targetPort")):
            number = engine.pod.ports.get(target) if isinstance(target, str) else target
            if number == engine.port or str(target) == str(engine.port):
                return True
    return False
