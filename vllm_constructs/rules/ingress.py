"""Rules of the annotations of Ingresses: N02 and N03."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.traffic import ingress_annotations as dialects
from vllm_constructs.traffic.controllers import CLASS_ANNOTATION
from vllm_constructs.traffic.ingress_annotations import (
    F5,
    INGRESS_NGINX,
    NGINX,
    NGINX_ORG,
    TRAEFIK,
    Controller,
)

from .rule import Found, put, rule

_BOTH = (INGRESS_NGINX, F5)
# The same setting of the two controllers whose class is called nginx.
_PAIRS = (
    (f"{NGINX}/proxy-read-timeout", f"{NGINX_ORG}/proxy-read-timeout", dialects.seconds),
    (f"{NGINX}/proxy-send-timeout", f"{NGINX_ORG}/proxy-send-timeout", dialects.seconds),
    (f"{NGINX}/proxy-body-size", f"{NGINX_ORG}/client-max-body-size", dialects.mebibytes),
)
_ALLOWS_SNIPPETS = re.compile(r"allow-?snippet-?annotations['\"]?: ?['\"]?true", re.IGNORECASE)
_ENABLES_SNIPPETS = re.compile(r"enable-?snippets['\"]?: ?['\"]?true", re.IGNORECASE)


def ingresses(graph: Graph) -> list[Manifest]:
    """The Ingresses of Kubernetes.

    Args:
        graph: The graph.
    """
    return [one for one in graph.of("Ingress") if one.group in ("networking.k8s.io", "extensions")]


def class_of(ingress: Manifest) -> str:
    """The class of an Ingress; empty if it names none.

    Args:
        ingress: The Ingress.
    """
    named = ingress.spec.get("ingressClassName") or ingress.annotations.get(CLASS_ANNOTATION)
    return named if isinstance(named, str) else ""


def controllers_of(graph: Graph, ingress: Manifest) -> tuple[Controller, ...]:
    """The controllers that may serve an Ingress, by its class; none if that is not known.

    Args:
        graph: The graph.
        ingress: The Ingress.
    """
    name = class_of(ingress)
    found = graph.find("IngressClass", "", name) if name else None
    if found is None:
        return dialects.of_class(name)
    known = dialects.of_controller(str(found.spec.get("controller")))
    return () if known is None else (known,)


def controller_of(graph: Graph, ingress: Manifest) -> Controller | None:
    """The controller that serves an Ingress; None if neither class nor annotations tell.

    Args:
        graph: The graph.
        ingress: The Ingress.
    """
    known = controllers_of(graph, ingress)
    if len(known) == 1:
        return known[0]
    # Of two controllers with one class, or without a known class, the annotations tell.
    owners = set(_owners(ingress).values())
    if known:
        owners &= set(known)
    return owners.pop() if len(owners) == 1 else None


def _owners(ingress: Manifest) -> dict[str, Controller]:
    """The controllers of its annotations, by key."""
    owners: dict[str, Controller] = {}
    for key in map(str, ingress.annotations):
        owner = dialects.of_key(key)
        if owner is not None:
            owners[key] = owner
    return owners


@rule("N02", "error", "annotations that the ingress controller refuses or ignores")
def values(graph: Graph) -> Iterator[Found]:
    """A refused value stops the Ingress; an ignored annotation leaves the limits at 60 seconds."""
    for ingress in ingresses(graph):
        if not ingress.annotations:
            continue
        ignored = _ignored(graph, ingress)
        if ignored is not None:
            yield ignored
            continue
        yield from _refused(ingress)
        if controllers_of(graph, ingress) == _BOTH:
            yield from _contradictions(ingress)


def _place(key: str) -> Path:
    return ("metadata", "annotations", key)


def _refused(ingress: Manifest) -> Iterator[Found]:
    for key, value in ingress.annotations.items():
        problem = dialects.refused(str(key), value)
        if problem is not None:
            right = dialects.corrected(key, value)
            fix = None if right is None else put(_place(key), right, is_safe=True)
            yield Found(manifest=ingress, path=_place(key), problem=problem, fix=fix)


def _ignored(graph: Graph, ingress: Manifest) -> Found | None:
    """Annotations of other controllers only, which the one of its class does not read."""
    known, owners = controllers_of(graph, ingress), _owners(ingress)
    # One Ingress may have annotations for several controllers, to be used with any of them.
    if not known or not owners or set(owners.values()) & set(known):
        return None
    key, owner = min(owners.items())
    reads_nginx = known == (TRAEFIK,) and owner == INGRESS_NGINX
    name = escaped(require.shown(class_of(ingress)))
    text = (
        f"is an annotation of {owner}, and the class {name} is that of {' or '.join(known)}, "
        "which ignores it"
    )
    advice = f"use the annotations of {' or '.join(known)}, or the class of {owner}"
    if reads_nginx:
        text += " unless its provider kubernetesIngressNGINX serves the class"
    return Found(
        manifest=ingress,
        path=_place(key),
        problem=Problem(where=key, text=text, advice=advice),
        level="warning" if reads_nginx else None,
    )


def _contradictions(ingress: Manifest) -> Iterator[Found]:
    given = ingress.annotations
    for key, other, read in _PAIRS:
        first, second = read(given.get(key)), read(given.get(other))
        if first is None or second is None or first == second:
            continue
        if any(dialects.refused(one, given[one]) is not None for one in (key, other)):
            continue
        shown = escaped(require.shown(given[other]))
        text = (
            f"is {shown}, and {key} is {escaped(require.shown(given[key]))}: the class is that of "
            f"{' or '.join(_BOTH)}, and each ignores the annotation of the other"
        )
        advice = "keep the annotations of the controller that serves the class"
        yield Found(
            manifest=ingress,
            path=_place(other),
            problem=Problem(where=other, text=text, advice=advice),
            level="warning",
        )


@rule("N03", "error", "snippets that the ingress controller refuses")
def snippets(graph: Graph) -> Iterator[Found]:
    """ingress-nginx refuses the whole Ingress by default, since snippets can read all Secrets."""
    allowed: dict[str, bool] = {}
    for ingress in ingresses(graph):
        for key in map(str, ingress.annotations):
            owner = dialects.of_key(key)
            if owner not in _BOTH or not dialects.is_snippet(key):
                continue
            known = controllers_of(graph, ingress)
            if known and owner not in known:
                # N02 tells that it is ignored.
                continue
            if owner not in allowed:
                allowed[owner] = _are_allowed(graph, owner)
            if not allowed[owner]:
                yield _snippet(ingress, key, owner)


def _snippet(ingress: Manifest, key: str, owner: str) -> Found:
    if owner == INGRESS_NGINX:
        text = (
            "is a snippet, which ingress-nginx refuses since 1.9 unless its ConfigMap has "
            "allow-snippet-annotations, and since 1.12 annotations-risk-level Critical, too"
        )
    else:
        text = f"is a snippet, which {owner} refuses unless it is started with -enable-snippets"
    advice = "leave it out: buffering, timeouts and sizes have annotations of their own"
    return Found(
        manifest=ingress,
        path=_place(key),
        problem=Problem(where=key, text=text, advice=advice),
        level=None if owner == INGRESS_NGINX else "warning",
    )


def _are_allowed(graph: Graph, owner: str) -> bool:
    """Whether the configuration of a controller that is in the manifests allows snippets."""
    if owner == INGRESS_NGINX:
        found = [mapping(one.body.get("data")) for one in graph.of("ConfigMap")]
        if any(str(one.get("allow-snippet-annotations")).lower() == "true" for one in found):
            return True
        pattern = _ALLOWS_SNIPPETS
    else:
        pattern = _ENABLES_SNIPPETS
        args = (str(one.get("args")) for pod in graph.pods for _, one in pod.containers)
        if any("-enable-snippets" in one and "-enable-snippets=false" not in one for one in args):
            return True
    return any(pattern.search(str(one.spec)) for one in graph.of("HelmRelease", "Application"))
