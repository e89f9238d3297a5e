"""Rules of Services and monitors: N01 and N07."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube import names
from vllm_constructs.kube.peers import OPENSHIFT_PROMETHEUS
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.selectors import selects, single_labels

from .rule import Fix, Found, put, rule
from .targets import monitored_pods, namespaces

_STRICT = "fail-on-environ-validation"


def _variable(service: str) -> str:
    return f"{service.upper().replace('-', '_')}_PORT"


def _sets_variables(service: Manifest) -> bool:
    """Whether a Service has an address of its own, without which it sets no variables."""
    return (
        service.group == ""
        and service.spec.get("clusterIP") != "None"
        and service.spec.get("type") != "ExternalName"
        and service.name.startswith("vllm")
    )


@rule("N01", "error", "service links that set variables of vLLM")
def service_links(graph: Graph) -> Iterator[Found]:
    """VLLM reads `VLLM_PORT=tcp://...` as a number, after it has loaded the model, and stops."""
    stopping: dict[str, dict[str, Manifest]] = defaultdict(dict)
    others: dict[str, Manifest] = {}
    for service in filter(_sets_variables, graph.of("Service")):
        if names.service_links("name", service.name) is None:
            others.setdefault(service.namespace, service)
        else:
            stopping[service.namespace].setdefault(service.name, service)
    told = set()
    for engine in graph.engines:
        if not _has_links(engine):
            continue
        stops = _stopping(engine, stopping.get(engine.manifest.namespace, {}).values())
        told |= {service.number for service in stops}
        other = others.get(engine.manifest.namespace)
        if stops:
            yield _links(engine, _stopped(stops[0]), "error")
        elif other is not None and engine.flag(_STRICT) is True:
            yield _links(engine, _rejected(other), "error")
        elif not _uses_links(engine):
            text = (
                "so a Service called vllm or vllm-dp-master in the namespace would set VLLM_PORT "
                "or VLLM_DP_MASTER_PORT to an address, which stops vLLM"
            )
            yield _links(engine, text, "warning")
    for service in (one for found in stopping.values() for one in found.values()):
        problem = names.service_links("name", service.name)
        if problem is not None and service.number not in told:
            # Other vLLM pods of the namespace may have service links.
            path = ("metadata", "name")
            yield Found(manifest=service, path=path, problem=problem, level="warning")


def _has_links(engine: Engine) -> bool:
    return engine.pod.is_whole and engine.pod.spec.get("enableServiceLinks") in (None, True)


def _stopping(engine: Engine, services: Iterable[Manifest]) -> list[Manifest]:
    """The Services that stop an engine: those whose variable its release reads and it lacks."""
    known = engine.release.catalog["environment"]
    # A variable of the container's own is stronger.
    return [
        one
        for one in services
        if _variable(one.name) in known
        and _variable(one.name) not in engine.env
        and _variable(one.name) not in engine.env_paths
    ]


def _stopped(service: Manifest) -> str:
    return (
        f"so the Service {escaped(require.shown(service.name))} sets {_variable(service.name)} to "
        "an address, and vLLM stops after it has loaded the model"
    )


def _rejected(service: Manifest) -> str:
    return (
        f"so the Service {escaped(require.shown(service.name))} sets {_variable(service.name)}, "
        f"which vLLM does not know and --{_STRICT} rejects"
    )


def _uses_links(engine: Engine) -> bool:
    """Whether its command reads variables of service links."""
    words = [word for field in ("command", "args") for word in strings(engine.container.get(field))]
    return any("_SERVICE_HOST" in word or "_SERVICE_PORT" in word for word in words)


def _links(engine: Engine, text: str, level: Any) -> Found:
    given = "enableServiceLinks" in engine.pod.spec
    path = (*engine.pod.path, "enableServiceLinks")
    return Found(
        manifest=engine.manifest,
        path=path,
        problem=Problem(
            where="enableServiceLinks",
            text=f"{'is true' if given else 'is left out, which means true'}, {text}",
            advice="give false",
        ),
        level=level,
        fix=put(path, value=False, is_safe=not _uses_links(engine)),
    )


_GROUP = "monitoring.coreos.com"
_SELECTORS = {
    "PodMonitor": ("podMonitorSelector", "Prometheus", "PrometheusAgent"),
    "PrometheusRule": ("ruleSelector", "Prometheus", "ThanosRuler"),
    "ServiceMonitor": ("serviceMonitorSelector", "Prometheus", "PrometheusAgent"),
}
# Labels that say what an object is, by which no chart's Prometheus selects.
_DESCRIBES = frozenset(("app", "chart", "component", "heritage", "name", "version", "k8s-app"))
_DESCRIBES_PREFIXES = ("app.kubernetes.io/", "helm.sh/", "argocd.argoproj.io/", "kustomize.")


@rule("N07", "warning", "a monitor that no Prometheus picks up")
def unselected(graph: Graph) -> Iterator[Found]:
    """kube-prometheus-stack selects only what has the label of its Helm release."""
    services: _Services | None = None
    selects_all: bool | None = None
    for kind, (field, *operators) in _SELECTORS.items():
        prometheus = [one for one in graph.of(*operators) if one.group == _GROUP]
        for monitor in graph.of(kind):
            if monitor.group != _GROUP:
                continue
            chosen = [one.spec.get(field) for one in prometheus]
            if any(isinstance(one, dict) and selects(one, monitor.labels) for one in chosen):
                continue
            if not prometheus and _may_be_selected(monitor.labels):
                continue
            selects_all = _selects_all(graph) if selects_all is None else selects_all
            services = _Services(graph) if services is None else services
            if not selects_all and services.is_of_vllm(monitor):
                yield _unselected(monitor, field, prometheus)


def _may_be_selected(labels: Mapping[str, Any]) -> bool:
    return any(
        "prometheus" in str(value)
        or not (str(key) in _DESCRIBES or str(key).startswith(_DESCRIBES_PREFIXES))
        for key, value in labels.items()
    )


def _selects_all(graph: Graph) -> bool:
    """Whether the manifests are for OpenShift, or set up an operator that selects everything."""
    return any(
        "SelectorNilUsesHelmValues" in str(one.spec)
        for one in graph.of("HelmRelease", "Application", "HelmChart")
    ) or any(
        one.group == "route.openshift.io" or OPENSHIFT_PROMETHEUS in str(one.spec)
        for one in graph.of("Route", "NetworkPolicy")
    )


def _unselected(monitor: Manifest, field: str, prometheus: list[Manifest]) -> Found:
    path = ("metadata", "labels")
    if not prometheus:
        text = (
            "has no label 'release', and kube-prometheus-stack picks up only what has that of its "
            "Helm release"
        )
        advice = (
            "add the label, such as release: kube-prometheus-stack; without it, set "
            f"prometheus.prometheusSpec.{field}NilUsesHelmValues to false there"
        )
        problem = Problem(where=monitor.kind, text=text, advice=advice)
        return Found(manifest=monitor, path=path, problem=problem)
    selector = mapping(prometheus[0].spec.get(field))
    wanted = mapping(selector.get("matchLabels"))
    text = (
        f"has none of the labels by which {field} of {escaped(prometheus[0].title)} selects, so it "
        "is not picked up"
    )
    advice = f"add the labels {escaped(require.shown(wanted))}" if wanted else f"give {field} there"
    fix = None
    if wanted and len(prometheus) == 1 and not selector.get("matchExpressions"):
        fix = _labelled(monitor, wanted)
    return Found(
        manifest=monitor,
        path=path,
        problem=Problem(where=monitor.kind, text=text, advice=advice),
        fix=fix,
    )


def _labelled(monitor: Manifest, wanted: Mapping[str, Any]) -> Fix:
    return put(("metadata", "labels"), {**monitor.labels, **wanted}, is_safe=True)


class _Services:
    """Which monitors watch vLLM."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        # By namespace, of which None is any, and by key and value of a label.
        self._by_label: dict[tuple[str | None, str, str], list[Manifest]] = defaultdict(list)
        self._serving: set[int] = set()
        for service in graph.of("Service"):
            for key, value in service.labels.items():
                for name in (service.namespace, None):
                    self._by_label[name, str(key), str(value)].append(service)
        for engine in graph.engines:
            self._serving |= {one.number for one in graph.services_of(engine.pod)}

    def is_of_vllm(self, monitor: Manifest) -> bool:
        """Whether a monitor watches engines, or by its names seems to."""
        if monitor.kind == "PrometheusRule":
            return "vllm:" in str(monitor.spec.get("groups"))
        selector = mapping(monitor.spec.get("selector"))
        if monitor.kind == "PodMonitor":
            pods = monitored_pods(self._graph, monitor)
            if pods:
                return any(self._graph.engines_of(pod.manifest) for pod in pods)
        else:
            spaces = namespaces(monitor)
            services = [one for name in spaces for one in self._selected(name, selector)]
            if services:
                return any(one.number in self._serving for one in services)
        return "vllm" in f"{monitor.name} {selector}"

    def _selected(self, namespace: str, selector: Mapping[str, Any]) -> list[Manifest]:
        """The Services of a namespace, or of any, that a selector of labels selects."""
        # An object without a namespace may be in any.
        spaces = (namespace, "") if namespace else (None,)
        lists = [
            [one for name in spaces for one in self._by_label.get((name, str(key), str(value)), ())]
            for key, value in single_labels(selector).items()
        ]
        return [one for one in min(lists, key=len, default=[]) if selects(selector, one.labels)]
