"""Scalers: HorizontalPodAutoscalers, ScaledObjects and KServe's autoscaling, by one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .fields import items, mapping
from .lazy import lazy
from .manifest import Manifest, Path

if TYPE_CHECKING:
    from .engines import Engine
    from .graph import Graph

KEDA_NAME = "scaledobject.keda.sh/name"
"""The label of an HPA that KEDA has made."""
RESOURCES = ("ContainerResource", "Resource", "cpu", "memory")
"""Kinds of triggers that read the CPU or memory of the pods."""
_PAUSED = "autoscaling.keda.sh/paused"
_FORCED = "autoscaling.keda.sh/force-activation"
_AVERAGE = "AverageValue"


class Trigger:
    """One signal of a scaler.

    Attributes:
        path: The fields that lead to it.
        kind: Its type, such as `prometheus`, `cron` or `Pods`.
        name: The metric's name in an HPA; the trigger's own in KEDA; empty without one.
        name_path: The fields that lead to the name.
        query: The PromQL; None if it has none.
        query_path: The fields that lead to it.
        metric_type: How the value is compared, with KEDA's default; None if it is malformed.
        type_path: The fields that lead to that.
        threshold: What the value is compared with; None without it.
        threshold_path: The fields that lead to it.
        metadata: KEDA's metadata; the metric's fields in an HPA.
        metadata_path: The fields that lead to them.
    """

    def __init__(self, path: Path, kind: str) -> None:
        """Make a trigger without a signal.

        Args:
            path: The fields that lead to it.
            kind: Its type.
        """
        self.path = path
        self.kind = kind
        self.name = ""
        self.name_path: Path = path
        self.query: str | None = None
        self.query_path: Path = path
        self.metric_type: str | None = None
        self.type_path: Path = path
        self.threshold: Any = None
        self.threshold_path: Path = path
        self.metadata: dict[str, Any] = {}
        self.metadata_path: Path = path

    @property
    def reads_resources(self) -> bool:
        """Whether it reads the CPU or memory of the pods."""
        return self.kind in RESOURCES

    def __repr__(self) -> str:
        return f"<{self.kind} trigger {self.name}>"


class Scaler:
    """What scales an object.

    Attributes:
        graph: The graph.
        manifest: The object that scales.
        is_keda: Whether it is a ScaledObject.
        triggers: Its signals.
    """

    def __init__(self, graph: Graph, manifest: Manifest) -> None:
        """Read a scaler.

        Args:
            graph: The graph.
            manifest: The object that scales.
        """
        self.graph = graph
        self.manifest = manifest
        self.is_keda = manifest.kind == "ScaledObject"
        self.triggers: list[Trigger] = _TRIGGERS[manifest.kind](manifest)

    @lazy
    def reference(self) -> tuple[str, str, str]:
        """Namespace, kind and name of its target."""
        target = mapping(self.manifest.spec.get("scaleTargetRef"))
        kind = str(target.get("kind") or "Deployment")
        return self.manifest.namespace, kind, str(target.get("name") or "")

    @lazy
    def target(self) -> Manifest | None:
        """The object that it scales; None if that is not in the manifests."""
        if self.manifest.kind == "InferenceService":
            return self.manifest
        return self.graph.target_of(self.manifest)

    @lazy
    def engines(self) -> list[Engine]:
        """The engines of its target that answer requests; none if they are not known."""
        found = [] if self.target is None else self.graph.engines_of(self.target)
        return [one for one in found if not one.is_headless]

    @lazy
    def low(self) -> int | None:
        """The minimum that is given; None without one."""
        names = {"ScaledObject": "minReplicaCount", "InferenceService": "minReplicas"}
        return self._count(names.get(self.manifest.kind, "minReplicas"))

    @lazy
    def high(self) -> int | None:
        """The maximum that is given; None without one."""
        names = {"ScaledObject": "maxReplicaCount", "InferenceService": "maxReplicas"}
        return self._count(names.get(self.manifest.kind, "maxReplicas"))

    def _count(self, field: str) -> int | None:
        spec = self.manifest.spec
        place = mapping(spec.get("predictor")) if self._is_kserve else spec
        value = place.get(field)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def _is_kserve(self) -> bool:
        return self.manifest.kind == "InferenceService"

    @lazy
    def formula(self) -> dict[str, Any]:
        """KEDA's scalingModifiers, which make one value of all triggers; empty without them."""
        return mapping(self.manifest.spec, "advanced", "scalingModifiers")

    @property
    def is_made_by_keda(self) -> bool:
        """Whether KEDA has made the HPA for a ScaledObject."""
        owners = map(mapping, items(mapping(self.manifest.body, "metadata").get("ownerReferences")))
        return (
            KEDA_NAME in self.manifest.labels
            or any(one.get("kind") == "ScaledObject" for one in owners)
            or (not self.is_keda and self.manifest.name.startswith("keda-hpa-"))
        )

    @property
    def is_paused(self) -> bool:
        """Whether an annotation stops the ScaledObject."""
        given = self.manifest.annotations
        return f"{_PAUSED}-replicas" in given or str(given.get(_PAUSED)).lower() == "true"

    @property
    def is_forced(self) -> bool:
        """Whether an annotation keeps the ScaledObject active."""
        return str(self.manifest.annotations.get(_FORCED)).lower() == "true"

    @property
    def concerns_engines(self) -> bool:
        """Whether it scales engines, or reads metrics that begin with vLLM's name."""
        return bool(self.engines) or any(
            "vllm" in f"{one.query or ''} {one.name}" for one in self.triggers
        )

    def __repr__(self) -> str:
        return f"<scaler {self.manifest.title}>"


def scalers(graph: Graph) -> list[Scaler]:
    """All scalers but the HPAs that KEDA makes.

    Args:
        graph: The graph.
    """
    if "scalers" not in graph.made:
        graph.made["scalers"] = list(_scalers(graph))
    found: list[Scaler] = graph.made["scalers"]
    return found


def _scalers(graph: Graph) -> Iterator[Scaler]:
    for manifest in graph.of(*_TRIGGERS):
        if manifest.group in _GROUPS[manifest.kind]:
            scaler = Scaler(graph, manifest)
            is_idle = manifest.kind == "InferenceService" and not scaler.triggers
            if not scaler.is_made_by_keda and not is_idle:
                yield scaler


def _of_keda(manifest: Manifest) -> list[Trigger]:
    found = []
    for path, entry in manifest.each("spec", "triggers"):
        one = Trigger(path, str(entry.get("type") or ""))
        one.metadata = mapping(entry.get("metadata"))
        one.metadata_path = (*path, "metadata")
        one.name, one.name_path = str(entry.get("name") or ""), (*path, "name")
        given = entry.get("metricType", _AVERAGE)
        one.metric_type = given if isinstance(given, str) else None
        one.type_path = (*path, "metricType")
        field = _QUERIES.get(one.kind, "")
        query = one.metadata.get(field)
        one.query = query if isinstance(query, str) else None
        one.query_path = (*one.metadata_path, field)
        field = _THRESHOLDS.get(one.kind, "threshold")
        one.threshold = one.metadata.get(field)
        one.threshold_path = (*one.metadata_path, field)
        found.append(one)
    return found


# By kind of trigger, the key of what it reads; a metrics API may be the engine's own.
_QUERIES = {"metrics-api": "valueLocation", "predictkube": "query", "prometheus": "query"}
_THRESHOLDS = {"cpu": "value", "memory": "value", "metrics-api": "targetValue"}
_TARGETS = (
    ("Utilization", "averageUtilization"),
    (_AVERAGE, "averageValue"),
    ("Value", "value"),
)


def _of_hpa(manifest: Manifest) -> list[Trigger]:
    found = [_of_metric(path, entry) for path, entry in manifest.each("spec", "metrics")]
    field = "targetCPUUtilizationPercentage"
    if manifest.api_version == "autoscaling/v1" or (not found and field in manifest.spec):
        path: Path = ("spec", field)
        one = Trigger(path, "Resource")
        one.name, one.metric_type = "cpu", "Utilization"
        one.threshold, one.threshold_path = manifest.spec.get(field), path
        found.append(one)
    return found


def _of_metric(path: Path, entry: dict[str, Any]) -> Trigger:
    kind = str(entry.get("type") or "")
    one = Trigger(path, kind)
    field = f"{kind[:1].lower()}{kind[1:]}"
    source = mapping(entry.get(field))
    one.metadata, one.metadata_path = source, (*path, field)
    if kind in RESOURCES:
        one.name, one.name_path = str(source.get("name") or ""), (*path, field, "name")
    else:
        name = mapping(source.get("metric")).get("name", source.get("metricName"))
        one.name = name if isinstance(name, str) else ""
        one.name_path = (*path, field, "metric", "name")
    _put_target(one, mapping(source.get("target")), (*path, field, "target"))
    return one


def _put_target(one: Trigger, target: Mapping[str, Any], path: Path) -> None:
    given = target.get("type")
    one.metric_type = given if isinstance(given, str) else None
    one.type_path = (*path, "type")
    fields = [name for kind, name in _TARGETS if kind == given and name in target]
    fields += [name for _, name in _TARGETS if name in target]
    if fields:
        one.threshold, one.threshold_path = target[fields[0]], (*path, fields[0])


def _of_kserve(manifest: Manifest) -> list[Trigger]:
    found = []
    for field in ("autoScaling", "autoscaling"):
        for path, entry in manifest.each("spec", "predictor", field, "metrics"):
            source = mapping(entry.get("external"))
            metric = mapping(source.get("metric"))
            query = metric.get("query")
            if metric.get("backend", "prometheus") != "prometheus" or not isinstance(query, str):
                continue
            one = Trigger(path, "prometheus")
            one.metadata, one.metadata_path = metric, (*path, "external", "metric")
            one.query, one.query_path = query, (*one.metadata_path, "query")
            _put_target(one, mapping(source.get("target")), (*path, "external", "target"))
            found.append(one)
    return found


_TRIGGERS = {
    "HorizontalPodAutoscaler": _of_hpa,
    "InferenceService": _of_kserve,
    "ScaledObject": _of_keda,
}
_GROUPS = {
    "HorizontalPodAutoscaler": ("autoscaling",),
    "InferenceService": ("serving.kserve.io",),
    "ScaledObject": ("keda.sh",),
}
