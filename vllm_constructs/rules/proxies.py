"""Rule of the limits of proxies: N04."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading import backends
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.traffic.ingress_annotations import (
    ALB,
    F5,
    GKE,
    INGRESS_NGINX,
    NGINX,
    NGINX_ORG,
    OPENSHIFT,
    Controller,
    mebibytes,
    seconds,
)

from .answers import Limit, generating, longest_answer, too_short
from .gateways import Gateways
from .ingress import controller_of, controllers_of, ingresses
from .routes import routes
from .rule import Found, put, rule

_NGINX_DEFAULT, _OPENSHIFT_DEFAULT = 60, 30
_SMALL_BODY = 1
_MERGED = f"{NGINX_ORG}/mergeable-ingress-type"
_UNIT = re.compile(r"[a-z]\s*$")


@dataclass(frozen=True, kw_only=True)
class _Timeout:
    """An annotation that limits how long an answer may take.

    Args:
        key: Its key.
        default: Seconds without it; None if that is not known.
        right: The value for some seconds.
        has_unit: Whether a value without a unit is not one of seconds.
    """

    key: str
    default: int | None
    right: Callable[[int], str]
    has_unit: bool


def _with_unit(number: int) -> str:
    return f"{number}s"


_ROUTER = _Timeout(
    key="haproxy.router.openshift.io/timeout",
    default=_OPENSHIFT_DEFAULT,
    right=_with_unit,
    has_unit=True,
)
# Those of other controllers are judged where they are given.
_GIVEN = (
    *(
        _Timeout(key=key, default=None, right=_with_unit, has_unit=True)
        for key in (
            "haproxy-ingress.github.io/timeout-server",
            "haproxy.org/timeout-server",
            "projectcontour.io/response-timeout",
        )
    ),
    _Timeout(
        key="appgw.ingress.kubernetes.io/request-timeout", default=None, right=str, has_unit=False
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Nginx:
    """What limits NGINX in a controller.

    Args:
        timeout: Its timeout between two reads.
        body: Key of the size of requests.
        buffering: Key of the buffering of answers.
        off: Its value that switches that off.
        is_on: Whether it is on by default.
    """

    timeout: _Timeout
    body: str
    buffering: str
    off: str
    is_on: bool


_LIMITS: Mapping[Controller, _Nginx] = {
    INGRESS_NGINX: _Nginx(
        timeout=_Timeout(
            key=f"{NGINX}/proxy-read-timeout", default=_NGINX_DEFAULT, right=str, has_unit=False
        ),
        body=f"{NGINX}/proxy-body-size",
        buffering=f"{NGINX}/proxy-buffering",
        off="off",
        is_on=False,
    ),
    F5: _Nginx(
        timeout=_Timeout(
            key=f"{NGINX_ORG}/proxy-read-timeout",
            default=_NGINX_DEFAULT,
            right=_with_unit,
            has_unit=False,
        ),
        body=f"{NGINX_ORG}/client-max-body-size",
        buffering=f"{NGINX_ORG}/proxy-buffering",
        off="false",
        is_on=True,
    ),
}


@rule("N04", "warning", "a proxy that cuts answers off, holds them back or refuses large requests")
def limits(graph: Graph) -> Iterator[Found]:
    """Proxies are set up for pages of a second, and answers of a model take minutes."""
    proxies, gateways = _Proxies(graph), Gateways(graph)
    for ingress in ingresses(graph):
        found = list(backends.backends_of(ingress))
        served = generating(graph, found)
        if served is None:
            continue
        longest, controller = longest_answer(served), controller_of(graph, ingress)
        if controller == ALB:
            yield from gateways.of_alb(ingress, longest)
        elif controller == GKE:
            yield from gateways.of_gke_ingress(found, longest)
        else:
            yield from proxies.of(ingress, controller, longest)
    for one in graph.of("Route"):
        served = generating(graph, backends.backends_of(one))
        if served is not None:
            yield from _of_annotation(one, _ROUTER, longest_answer(served))
    for route in routes(graph):
        yield from gateways.of_route(route)


def _of_annotation(manifest: Manifest, timeout: _Timeout, longest: int) -> Iterator[Found]:
    value, right = manifest.annotations.get(timeout.key), timeout.right(longest)
    path = ("metadata", "annotations", timeout.key)
    if value is None:
        if timeout.default is not None and timeout.default < longest:
            given = (
                f"is left out, which means {timeout.default} seconds if the controller has no "
                "other default"
            )
            limit = Limit(manifest=manifest, path=path, name=timeout.key, given=given, right=right)
            yield too_short(limit, longest)
        return
    found = seconds(value)
    if timeout.has_unit and not _UNIT.search(str(value)):
        return
    if found is not None and 0 < found < longest:
        given = f"is {escaped(require.shown(value))}"
        limit = Limit(manifest=manifest, path=path, name=timeout.key, given=given, right=right)
        yield too_short(limit, longest)


class _Proxies:
    """Proxies of the two controllers that run NGINX."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @lazy
    def _defaults(self) -> frozenset[str]:
        """What ConfigMaps of the controllers set for all Ingresses."""
        return frozenset(
            str(key)
            for one in self._graph.of("ConfigMap")
            if "nginx" in one.name
            for key in mapping(one.body.get("data"))
        )

    def of(self, ingress: Manifest, controller: Controller | None, longest: int) -> Iterator[Found]:
        """The limits of an Ingress.

        Args:
            ingress: The Ingress.
            controller: Its controller, if it is known.
            longest: Seconds of the longest answer.
        """
        for timeout in _GIVEN:
            yield from _of_annotation(ingress, timeout, longest)
        if controller == OPENSHIFT:
            yield from _of_annotation(ingress, _ROUTER, longest)
        elif controller is not None and controller in _LIMITS:
            yield from self._of_nginx(ingress, _LIMITS[controller], longest)
        elif len(controllers_of(self._graph, ingress)) > 1:
            yield from self._of_either(ingress, longest)

    def _of_nginx(self, ingress: Manifest, nginx: _Nginx, longest: int) -> Iterator[Found]:
        for key, setting, check in (
            (nginx.timeout.key, "proxy_read_timeout", _timeout),
            (nginx.body, "client_max_body_size", _body),
            (nginx.buffering, "proxy_buffering", _buffering),
        ):
            if not self._is_set_elsewhere(ingress, key, setting):
                yield from check(ingress, nginx, longest)

    def _is_set_elsewhere(self, ingress: Manifest, key: str, setting: str) -> bool:
        """Whether a snippet, the ConfigMap or a merged Ingress sets what an annotation lacks."""
        given = ingress.annotations
        if any("snippet" in str(one) and setting in str(text) for one, text in given.items()):
            return True
        return given.get(key) is None and (
            key.partition("/")[2] in self._defaults or _MERGED in given
        )

    def _of_either(self, ingress: Manifest, longest: int) -> Iterator[Found]:
        """The limits of an Ingress that one of both controllers serves."""
        given = ingress.annotations
        # With annotations of both, those of the right one are among them.
        for nginx in _LIMITS.values():
            if nginx.timeout.key in given:
                yield from _timeout(ingress, nginx, longest)
            if nginx.body in given:
                yield from _body(ingress, nginx, longest)
        keys = [key for one in _LIMITS.values() for key in (one.timeout.key, one.body)]
        names = {key.partition("/")[2] for key in keys}
        if any(key in given for key in keys) or names & self._defaults or longest <= _NGINX_DEFAULT:
            return
        text = (
            f"has no annotation of {' or '.join(_LIMITS)}, so that an answer may pause for "
            f"{_NGINX_DEFAULT} seconds, and a request have 1 MiB"
        )
        advice = f"add {keys[0]} and {keys[1]}, or {keys[2]} and {keys[3]}"
        path = ("metadata", "annotations")
        problem = Problem(where="Ingress", text=text, advice=advice)
        yield Found(manifest=ingress, path=path, problem=problem)


def _timeout(ingress: Manifest, nginx: _Nginx, longest: int) -> Iterator[Found]:
    return _of_annotation(ingress, nginx.timeout, longest)


def _body(ingress: Manifest, nginx: _Nginx, longest: int) -> Iterator[Found]:
    del longest
    value = ingress.annotations.get(nginx.body)
    size = mebibytes(value)
    if value is not None and (size is None or size > _SMALL_BODY):
        return
    given = f"is {require.shown(value)}"
    if value is None:
        given = "is left out, which means 1m if the controller has no other default"
    path = ("metadata", "annotations", nginx.body)
    problem = Problem(
        where=nginx.body,
        text=f"{escaped(given)}: a request with an image or a very long prompt is answered 413",
        advice="give 100m, or 0 for no limit",
    )
    yield Found(manifest=ingress, path=path, problem=problem, fix=put(path, "100m"))


def _buffering(ingress: Manifest, nginx: _Nginx, longest: int) -> Iterator[Found]:
    del longest
    value = ingress.annotations.get(nginx.buffering)
    is_on = nginx.is_on if value is None else str(value).strip().lower() in ("on", "true", "t", "1")
    if not is_on:
        return
    given = f"is {require.shown(value)}"
    if value is None:
        given = "is left out, which means true if the controller has no other default"
    path = ("metadata", "annotations", nginx.buffering)
    problem = Problem(
        where=nginx.buffering,
        text=f"{escaped(given)}: the proxy collects tokens before it passes them on",
        advice=f"give '{nginx.off}'",
    )
    yield Found(manifest=ingress, path=path, problem=problem, fix=put(path, nginx.off))
