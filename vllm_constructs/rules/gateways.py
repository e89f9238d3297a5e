"""Limits of Gateways and load balancers, for N04: HTTPRoutes, and GKE's and AWS' own objects."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading import backends
from vllm_constructs.reading.backends import Backend
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Manifest, Path

from .answers import Limit, engines_of, generating, longest_answer, too_short
from .routes import TIMEOUTS, gateway_classes, is_on_gke, timeout_seconds
from .rule import Found

_ALB_ATTRIBUTES = "alb.ingress.kubernetes.io/load-balancer-attributes"
_ALB_GROUP = "alb.ingress.kubernetes.io/group.name"
_ALB_TIMEOUT = re.compile(r"idle_timeout\.timeout_seconds\s*=\s*(\d{1,9})")
_ALB_DEFAULT, _ALB_MOST = 60, 4000
_BACKEND_CONFIG = "cloud.google.com/backend-config"
_GKE_DEFAULT = 30
_ENVOY_DEFAULT = 15


class Gateways:
    """The limits that are in objects beside Ingresses and routes."""

    def __init__(self, graph: Graph) -> None:
        """Keep the graph.

        Args:
            graph: The graph.
        """
        self._graph = graph

    @lazy
    def _backend_configs(self) -> dict[str, list[Manifest]]:
        return _by((one.name, one) for one in self._graph.of("BackendConfig"))

    @lazy
    def _backend_policies(self) -> dict[str, list[Manifest]]:
        return _by(
            (str(mapping(one.spec.get("targetRef")).get("name")), one)
            for one in self._graph.of("GCPBackendPolicy")
        )

    def of_alb(self, ingress: Manifest, longest: int) -> Iterator[Found]:
        """The idle timeout of an Application Load Balancer.

        Args:
            ingress: Its Ingress.
            longest: Seconds of the longest answer.
        """
        value = ingress.annotations.get(_ALB_ATTRIBUTES)
        found = _ALB_TIMEOUT.search(str(value))
        # Other Ingresses of a group, and parameters of the class, set attributes, too.
        if found is None and (
            _ALB_GROUP in ingress.annotations or self._graph.of("IngressClassParams")
        ):
            return
        current, right = int(found[1]) if found else _ALB_DEFAULT, min(longest, _ALB_MOST)
        if current >= right:
            return
        setting = f"idle_timeout.timeout_seconds={right}"
        given = f"has idle_timeout.timeout_seconds={current}"
        whole = _ALB_TIMEOUT.sub(setting, str(value))
        if found is None:
            given = f"has no idle_timeout.timeout_seconds, which means {current}"
            whole = f"{value},{setting}" if isinstance(value, str) and value else setting
        path = ("metadata", "annotations", _ALB_ATTRIBUTES)
        limit = Limit(manifest=ingress, path=path, name=_ALB_ATTRIBUTES, given=given, right=whole)
        yield too_short(limit, longest)

    def of_gke_ingress(self, found: Iterable[Backend], longest: int) -> Iterator[Found]:
        """The timeout in a BackendConfig, to which an annotation of the Service refers.

        Args:
            found: The backends of the Ingress.
            longest: Seconds of the longest answer.
        """
        services = {}
        for one in found:
            service = backends.object_of(self._graph, one)
            if service is not None and engines_of(self._graph, one):
                services[service.number] = service
        for service in services.values():
            named = service.annotations.get(_BACKEND_CONFIG)
            if named is None and longest > _GKE_DEFAULT:
                path = ("metadata", "annotations", _BACKEND_CONFIG)
                text = (
                    f"is left out, so that GKE's load balancer cuts answers off after "
                    f"{_GKE_DEFAULT} seconds"
                )
                advice = f"name a BackendConfig there, with timeoutSec {longest}"
                problem = Problem(where=_BACKEND_CONFIG, text=text, advice=advice)
                yield Found(manifest=service, path=path, problem=problem)
            for name in re.findall(r'"([^"]+)"', str(named)):
                for config in self._backend_configs.get(name, ()):
                    if config.may_be_in(service.namespace):
                        yield from _config(config, longest)

    def of_route(self, route: Manifest) -> Iterator[Found]:
        """The timeouts of an HTTPRoute, or those that it has without saying so.

        Args:
            route: The HTTPRoute.
        """
        rules: dict[Path, list[Backend]] = defaultdict(list)
        for one in backends.backends_of(route):
            # spec, rules and the rule's number.
            rules[one.reference[:3]].append(one)
        for path, found in rules.items():
            served = generating(self._graph, found)
            if served is None:
                continue
            longest = longest_answer(served)
            timeouts = mapping(route.at(*path, "timeouts"))
            for field in TIMEOUTS:
                limit = timeout_seconds(timeouts.get(field))
                if limit is not None and limit < longest:
                    given = f"is {escaped(require.shown(timeouts[field]))} for the whole answer"
                    yield _timeout(route, (*path, "timeouts", field), given, longest)
            if not timeouts:
                yield from self._by_default(route, path, found, longest)

    def _by_default(
        self, route: Manifest, path: Path, found: Sequence[Backend], longest: int
    ) -> Iterator[Found]:
        if is_on_gke(self._graph, route):
            yield from self._without_policy(route, found, longest)
            return
        for name, controller in gateway_classes(self._graph, route):
            is_envoy = controller.startswith("gateway.envoyproxy.io/") or (
                not controller and name in ("eg", "envoy-gateway")
            )
            if is_envoy and longest > _ENVOY_DEFAULT and not self._graph.of("BackendTrafficPolicy"):
                given = f"is left out, which means {_ENVOY_DEFAULT} seconds to Envoy Gateway"
                yield _timeout(route, (*path, "timeouts", "request"), given, longest)
                return
            is_nginx = controller.startswith("gateway.nginx.org/") or (
                not controller and name == "nginx"
            )
            if is_nginx and not self._graph.of("ProxySettingsPolicy"):
                text = (
                    "has no ProxySettingsPolicy, and NGINX Gateway Fabric collects tokens before "
                    "it passes them on"
                )
                advice = "add one with buffering.disable true, whose targetRefs name the route"
                problem = Problem(where="HTTPRoute", text=text, advice=advice)
                yield Found(manifest=route, path=path, problem=problem)
                return

    def _without_policy(
        self, route: Manifest, found: Iterable[Backend], longest: int
    ) -> Iterator[Found]:
        for backend in {one.reference: one for one in found}.values():
            limits = [
                mapping(one.spec.get("default")).get("timeoutSec", _GKE_DEFAULT)
                for one in self._backend_policies.get(backend.name, ())
                if one.may_be_in(backend.namespace)
            ]
            short = [one for one in limits if isinstance(one, int) and 0 < one < longest]
            if len(short) < len(limits) or (not limits and longest <= _GKE_DEFAULT):
                continue
            given = (
                f"has a GCPBackendPolicy of {short[0]} seconds"
                if short
                else f"has no GCPBackendPolicy, which means {_GKE_DEFAULT} seconds"
            )
            problem = Problem(
                where=f"{backend.kind} {require.shown(backend.name)}",
                text=f"{given}: GKE's load balancer cuts longer answers off",
                advice=f"give it a GCPBackendPolicy with timeoutSec {longest}",
            )
            yield Found(manifest=route, path=backend.reference, problem=problem)


def _by(named: Iterable[tuple[str, Manifest]]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = defaultdict(list)
    for name, one in named:
        found[name].append(one)
    return found


def _timeout(route: Manifest, path: Path, given: str, longest: int) -> Found:
    name = f"timeouts.{path[-1]}"
    limit = Limit(manifest=route, path=path, name=name, given=given, right=f"{longest}s")
    return too_short(limit, longest)


def _config(config: Manifest, longest: int) -> Iterator[Found]:
    value = config.spec.get("timeoutSec", _GKE_DEFAULT)
    if isinstance(value, int) and 0 < value < longest:
        is_given = "timeoutSec" in config.spec
        given = f"is {value}" if is_given else f"is left out, which means {value} seconds"
        path = ("spec", "timeoutSec")
        limit = Limit(manifest=config, path=path, name="timeoutSec", given=given, right=longest)
        yield too_short(limit, longest)
