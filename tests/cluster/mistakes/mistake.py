"""A mistake: a change of a good manifest, with the API server's verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any

from cdk8s import App, Chart

from tests.cluster.nodes import Manifest
from vllm_constructs import (
    CpuUtilization,
    CronFloor,
    DisruptionBudget,
    EngineArgs,
    F5Nginx,
    GatewayRef,
    GpuPodSpec,
    HpaScaler,
    HuggingFaceToken,
    KedaScaler,
    KvCacheUsage,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    ModelRoute,
    QueueDepth,
    StreamingIngress,
    WholeGpu,
)

NAMESPACE = "refusals"
CUSTOM = {"HTTPRoute", "PrometheusRule", "ScaledObject", "ServiceMonitor"}
"""Kinds whose CRDs have to be there."""

Change = Callable[[Manifest], object]
Step = str | int


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in one manifest, and what the API server says to it.

    Attributes:
        rule: Its id in ../shared/rules.md.
        what: What is wrong, in a few words.
        kind: The good manifest that is changed.
        change: What is done to it.
        refused: Part of the words with which it is refused; several where releases differ.
        by_kubectl: Whether kubectl refuses it without asking the API server.
        admitted: Why it is admitted, so that nobody but a check notices.
        warned: Part of the one warning with which it is admitted.
        admitted_from: Where releases differ, the first one here that admits it.
        field: Where the changed field is, where a release may drop it without a word.
        dropped_by: The releases that do so.
        standing: What stands in the cluster before, where the mistake is a change of that.
        ours: The same mistake, given to this library.
    """

    rule: str
    what: str
    kind: str
    change: Change
    _: KW_ONLY
    refused: str | tuple[str, ...] = ""
    by_kubectl: bool = False
    admitted: str = ""
    warned: str = ""
    admitted_from: str = ""
    field: tuple[Step, ...] = ()
    dropped_by: tuple[str, ...] = ()
    standing: Change | None = None
    ours: Callable[[], object] | None = None

    def is_refused(self, version: str) -> bool:
        """Whether a Kubernetes release refuses it."""
        if not self.admitted_from:
            return bool(self.refused)
        return _number(version) < _number(self.admitted_from)

    @property
    def words(self) -> tuple[str, ...]:
        """What it may be refused with."""
        return (self.refused,) if isinstance(self.refused, str) else self.refused

    def manifest(self) -> Manifest:
        """The bad manifest."""
        found = good(self.kind)
        self.change(found)
        return found


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


@cache
def _rendered() -> list[Manifest]:
    chart = Chart(App(), "good", namespace=NAMESPACE)
    weights = ModelCache(chart, "cache", name="weights", size="200Gi")
    qwen = ModelDeployment(
        chart,
        "qwen",
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name="qwen-7b",
        gpu=WholeGpu("NVIDIA-L40S", count=2),
        cpu=("4", "8"),
        memory=("32Gi", "64Gi"),
        shared_memory="16Gi",
        cache=weights,
        hf_token=HuggingFaceToken.from_secret("hf-token"),
    )
    KedaScaler(
        chart,
        "scaler",
        target=qwen,
        min_replicas=2,
        max_replicas=4,
        prometheus="http://prometheus-operated.monitoring.svc:9090",
        triggers=[
            QueueDepth(5),
            KvCacheUsage(0.85),
            CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=3),
        ],
    )
    StreamingIngress(chart, "ingress", target=qwen, host="llm.example.com", controller=F5Nginx())
    ModelRoute(chart, "route", target=qwen, host="llm.example.com", gateway=GatewayRef("edge"))
    release = {"release": "kube-prometheus-stack"}
    ModelMonitor(chart, "monitor", target=qwen, labels=release, dashboard=False)
    DisruptionBudget(chart, "budget", target=qwen, min_available=1)
    coder = ModelDeployment(
        chart,
        "coder",
        model="Qwen/Qwen2.5-Coder-7B-Instruct",
        served_name="coder",
        gpu=WholeGpu("NVIDIA-L40S"),
        engine=EngineArgs(max_model_len=4096, delivery="config-map"),
        cache=weights,
    )
    HpaScaler(
        chart, "hpa", target=coder, max_replicas=3, triggers=[QueueDepth(5), CpuUtilization(70)]
    )
    found: list[Manifest] = chart.to_json()
    template = next(item for item in found if item["kind"] == "Deployment")["spec"]["template"]
    metadata = {"name": "qwen", "namespace": NAMESPACE, **template["metadata"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return [*found, pod]


def all_good() -> list[Manifest]:
    """What this library renders for two models, and a bare pod of the first one's template."""
    return deepcopy(_rendered())


def good(kind: str) -> Manifest:
    """The first good manifest of a kind."""
    return next(item for item in all_good() if item["kind"] == kind)


def put(*path: Step, to: Any) -> Change:
    """Set what stands at a path."""

    def change(manifest: Manifest) -> None:
        *steps, last = path
        _at(manifest, steps)[last] = deepcopy(to)

    return change


def drop(*path: Step) -> Change:
    """Remove what stands at a path."""

    def change(manifest: Manifest) -> None:
        *steps, last = path
        del _at(manifest, steps)[last]

    return change


def add(*path: Step, item: Any) -> Change:
    """Append to the list at a path."""
    return lambda manifest: _at(manifest, path).append(deepcopy(item))


def say(*path: Step, old: str, new: str) -> Change:
    """Replace a part of the text at a path."""

    def change(manifest: Manifest) -> None:
        *steps, last = path
        place = _at(manifest, steps)
        assert old in place[last]
        place[last] = place[last].replace(old, new)

    return change


def has(manifest: Manifest, path: Sequence[Step]) -> bool:
    """Whether something stands at a path."""
    try:
        _at(manifest, path)
    except (IndexError, KeyError):
        return False
    return True


def both(*changes: Change) -> Change:
    """Several changes."""

    def change(manifest: Manifest) -> None:
        for one in changes:
            one(manifest)

    return change


def _at(manifest: Manifest, path: Sequence[Step]) -> Any:
    found: Any = manifest
    for step in path:
        found = found[step]
    return found


DEPLOYMENT = "Deployment"
HPA = "HorizontalPodAutoscaler"
SCALER = "ScaledObject"
BUDGET = "PodDisruptionBudget"
CLAIM = "PersistentVolumeClaim"
GPU = "nvidia.com/gpu"
SHARED = "/dev/shm"  # noqa: S108  # a path of the pod, not of this machine

POD: tuple[Step, ...] = ("spec", "template", "spec")
ENGINE: tuple[Step, ...] = (*POD, "containers", 0)
LIMITS: tuple[Step, ...] = (*ENGINE, "resources", "limits")
REQUESTS: tuple[Step, ...] = (*ENGINE, "resources", "requests")
INSTANCE = "app.kubernetes.io/instance"
VERSION = "app.kubernetes.io/version"

# Where lists of the good manifests have what.
SERVED, PARALLEL = 2, 3
SHM, WEIGHTS = 0, 1
QUEUE, KV, CRON = 0, 1, 2

ARGS = "args are free text to the API server"
VARIABLES = "values of variables are free text to the API server"
ANNOTATIONS = "annotations are free text to the API server; the controller reads them later"
ONE = "the API server looks at one object at a time"
METADATA = "a trigger's metadata is any text to the API server"
LEGAL = "valid Kubernetes; it is wrong for vLLM only"
PODS = "only its pods are rejected, later, in events of the ReplicaSet"


def argue(*more: Any) -> Change:
    """More arguments of the engine."""
    return both(*(add(*ENGINE, "args", item=item) for item in more))


def variable(name: str, value: Any) -> Change:
    """One more variable of the engine."""
    return add(*ENGINE, "env", item={"name": name, "value": value})


def metadata(trigger: int, key: str, value: Any) -> Change:
    """A key of a trigger."""
    return put("spec", "triggers", trigger, "metadata", key, to=value)


def query(trigger: int, old: str, new: str) -> Change:
    """A part of a trigger's query."""
    return say("spec", "triggers", trigger, "metadata", "query", old=old, new=new)


def annotation(key: str, value: Any) -> Change:
    """An annotation."""
    return put("metadata", "annotations", key, to=value)


def engine(**flags: Any) -> Callable[[], object]:
    """Flags given to this library."""
    model, gpu = "a/b", WholeGpu("NVIDIA-L40S")
    return lambda: GpuPodSpec(model=model, gpu=gpu, engine=EngineArgs(**flags))


def pod(**options: Any) -> Callable[[], object]:
    """Options of a pod given to this library."""
    given = {"model": "a/b", "gpu": WholeGpu("NVIDIA-L40S"), **options}
    return lambda: GpuPodSpec(**given)
