"""Rules on custom resources that neither their schema nor their CEL rules hold.

Admission webhooks and controllers refuse these when the object is already stored, or later.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from .builtin import definition
from .promql import parse
from .syntax import dns_1035_problems, twice
from .walk import rule_problems

Manifest = dict[str, Any]

# Places inside custom resources that hold Kubernetes' own types: their CRDs copy the schema, and
# with it the gaps of the schema.
_EMBEDDED: dict[str, tuple[tuple[str, str], ...]] = {
    "LeaderWorkerSet": (
        ("spec.leaderWorkerTemplate.leaderTemplate", "core.v1.PodTemplateSpec"),
        ("spec.leaderWorkerTemplate.workerTemplate", "core.v1.PodTemplateSpec"),
    ),
    "PodMonitor": (("spec.selector", "meta.v1.LabelSelector"),),
    "ScaledObject": (
        (
            "spec.advanced.horizontalPodAutoscalerConfig.behavior",
            "autoscaling.v2.HorizontalPodAutoscalerBehavior",
        ),
    ),
    "ServiceMonitor": (("spec.selector", "meta.v1.LabelSelector"),),
}
_DURATION_PART = re.compile(r"([0-9]+)(ms|[ywdhms])")
_SECONDS = {"y": 31536000, "w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_HPA_NAME_LIMIT = 63
_CRON_FIELDS = 5


def _dig(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def embedded_problems(manifest: Manifest) -> Iterator[str]:
    """Yield what Kubernetes' own rules say about the types inside a custom resource."""
    for path, name in _EMBEDDED.get(manifest["kind"], ()):
        value = _dig(manifest, path)
        if value is not None:
            yield from rule_problems(value, definition(name), path)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _prometheus_trigger(metadata: dict[str, str]) -> Iterator[str]:
    for name in ("serverAddress", "query", "threshold"):
        if not metadata.get(name):
            yield f"a prometheus trigger needs {name}"
    for name in ("threshold", "activationThreshold"):
        if name in metadata and _number(metadata[name]) is None:
            yield f"{name} {metadata[name]!r} is not a number"
    if "metricName" in metadata:
        yield "metricName was removed in KEDA 2.12"
    if metadata.get("query"):
        yield from _query_problems(metadata["query"])


def _cron_trigger(metadata: dict[str, str]) -> Iterator[str]:
    for name in ("timezone", "start", "end", "desiredReplicas"):
        if not metadata.get(name):
            yield f"a cron trigger needs {name}"
    for name in ("start", "end"):
        if len(metadata.get(name, "").split()) != _CRON_FIELDS:
            yield f"{name} {metadata.get(name)!r} has not {_CRON_FIELDS} fields"
    if metadata.get("start") == metadata.get("end"):
        yield "start and end are the same"
    if not re.fullmatch("[1-9][0-9]*", metadata.get("desiredReplicas", "")):
        yield f"desiredReplicas {metadata.get('desiredReplicas')!r} is not a count above 0"


def _query_problems(text: str) -> Iterator[str]:
    try:
        parse(text)
    except ValueError as error:
        yield f"{text!r} is not PromQL: {error}"


def _scaled_object(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    name = _dig(spec, "advanced.horizontalPodAutoscalerConfig.name")
    name = name or f"keda-hpa-{manifest['metadata'].get('name', '')}"
    if len(name) > _HPA_NAME_LIMIT:
        yield f"metadata.name: {name!r} is too long for the autoscaler that KEDA makes"
    low, idle = spec.get("minReplicaCount", 0), spec.get("idleReplicaCount")
    if idle is not None and idle >= low and not (idle == 0 and "minReplicaCount" in spec):
        yield f"spec.idleReplicaCount: {idle} is not below minReplicaCount {low}"
    triggers = spec["triggers"]
    for again in twice([one["name"] for one in triggers if "name" in one]):
        yield f"spec.triggers: {again!r} stands here twice"
    on_resources = {one["type"] for one in triggers} <= {"cpu", "memory"}
    if on_resources and low == 0:
        yield "spec.minReplicaCount: 0 needs a trigger beside cpu and memory"
    if on_resources and "fallback" in spec:
        yield "spec.fallback: needs a trigger beside cpu and memory"
    kinds = {"prometheus": _prometheus_trigger, "cron": _cron_trigger}
    for index, one in enumerate(triggers):
        where = f"spec.triggers[{index}]"
        if one.get("metricType", "Value") not in {"AverageValue", "Value", "Utilization"}:
            yield f"{where}.metricType: {one['metricType']!r} is not a metric type"
        if one.get("metricType") == "Utilization" and one["type"] not in {"cpu", "memory"}:
            yield f"{where}.metricType: only cpu and memory have a utilization"
        check = kinds.get(one["type"])
        for problem in check(one["metadata"]) if check else ():
            yield f"{where}.metadata: {problem}"


def _seconds(text: str) -> float:
    return sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))


def _monitor(manifest: Manifest) -> Iterator[str]:
    field = "endpoints" if manifest["kind"] == "ServiceMonitor" else "podMetricsEndpoints"
    ports = {"port", "targetPort", "portNumber"}
    if not manifest["spec"].get(field):
        yield f"spec.{field}: nothing to scrape"
    for index, one in enumerate(manifest["spec"].get(field, ())):
        where = f"spec.{field}[{index}]"
        if len(ports.intersection(one)) != 1:
            yield f"{where}: exactly one of {', '.join(sorted(ports))}"
        interval, timeout = one.get("interval"), one.get("scrapeTimeout")
        if interval and timeout and _seconds(timeout) > _seconds(interval):
            yield f"{where}.scrapeTimeout: {timeout} is longer than the interval {interval}"


def _prometheus_rule(manifest: Manifest) -> Iterator[str]:
    groups = manifest["spec"].get("groups", [])
    for again in twice([one["name"] for one in groups]):
        yield f"spec.groups: {again!r} stands here twice"
    for index, group in enumerate(groups):
        for number, one in enumerate(group.get("rules", ())):
            where = f"spec.groups[{index}].rules[{number}]"
            if ("alert" in one) == ("record" in one):
                yield f"{where}: exactly one of alert, record"
            if "record" in one and {"for", "keep_firing_for", "annotations"}.intersection(one):
                yield f"{where}: a recording rule has no for and no annotations"
            for problem in _query_problems(str(one["expr"])):
                yield f"{where}.expr: {problem}"


def _external_secret(manifest: Manifest) -> Iterator[str]:
    spec = manifest.get("spec", {})
    if not spec.get("data") and not spec.get("dataFrom"):
        yield "spec: data or dataFrom is needed"
    keys = [one["secretKey"] for one in spec.get("data", ())]
    for again in twice(keys):
        yield f"spec.data: the key {again!r} stands here twice"
    for index, one in enumerate(spec.get("data", ())):
        if not _dig(spec, "secretStoreRef.name") and "sourceRef" not in one:
            yield f"spec.data[{index}]: neither a secretStoreRef nor a sourceRef"


def _application(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    if ("source" in spec) == ("sources" in spec):
        yield "spec: exactly one of source, sources"
    destination = spec.get("destination", {})
    if ("server" in destination) == ("name" in destination):
        yield "spec.destination: exactly one of server, name"
    for one in [spec.get("source", {}), *spec.get("sources", ())]:
        if one and not {"path", "chart", "ref"}.intersection(one):
            yield "spec.source: path, chart or ref is needed"


def _cluster_issuer(manifest: Manifest) -> Iterator[str]:
    types = {"acme", "ca", "selfSigned", "vault", "venafi"}.intersection(manifest["spec"])
    if len(types) != 1:
        yield f"spec: exactly one kind of issuer, not {sorted(types) or 'none'}"


def _certificate(manifest: Manifest) -> Iterator[str]:
    names = {"commonName", "dnsNames", "emailAddresses", "ipAddresses", "uris", "literalSubject"}
    if not names.union({"otherNames"}).intersection(manifest.get("spec", {})):
        yield "spec: a certificate needs a name"


def _leader_worker_set(manifest: Manifest) -> Iterator[str]:
    yield from (f"metadata.name: {one}" for one in dns_1035_problems(manifest["metadata"]["name"]))
    rolling = _dig(manifest, "spec.rolloutStrategy.rollingUpdateConfiguration") or {}
    if str(rolling.get("maxUnavailable", 1)) == str(rolling.get("maxSurge", 0)) == "0":
        yield "spec.rolloutStrategy: maxSurge and maxUnavailable can not both be 0"
    template = manifest["spec"]["leaderWorkerTemplate"]
    size, group = template.get("size", 1), _dig(template, "subGroupPolicy.subGroupSize")
    if group and size % group and (size - 1) % group:
        yield f"spec.leaderWorkerTemplate.subGroupPolicy: {group} divides neither {size} nor less 1"


_CHECKS: dict[str, Callable[[Manifest], Iterator[str]]] = {
    "Application": _application,
    "Certificate": _certificate,
    "ClusterIssuer": _cluster_issuer,
    "ExternalSecret": _external_secret,
    "LeaderWorkerSet": _leader_worker_set,
    "PodMonitor": _monitor,
    "PrometheusRule": _prometheus_rule,
    "ScaledObject": _scaled_object,
    "ServiceMonitor": _monitor,
}


def webhook_problems(manifest: Manifest) -> Iterator[str]:
    """Yield what the owner of a custom resource would refuse."""
    check = _CHECKS.get(manifest["kind"])
    return check(manifest) if check else iter(())
