"""GPUs of pods and workloads, and how many a change takes while it is on its way."""

from __future__ import annotations

import warnings
from collections import Counter

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import VllmConstructsWarning
from vllm_constructs.reading.fields import integer, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import Pod


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """GPUs of one kind.

    Args:
        before: How many are in use before.
        peak: How many at most on the way. Pods that drain keep theirs until they end, which
            comes on top.
        after: How many after.
    """

    before: int
    peak: int
    after: int

    def __add__(self, other: Gpus) -> Gpus:
        """The GPUs of two workloads that change at the same time."""
        return Gpus(
            before=self.before + other.before,
            peak=self.peak + other.peak,
            after=self.after + other.after,
        )


def gpus_of(graph: Graph, manifest: Manifest) -> Counter[str]:
    """The GPUs of one replica of a workload, by kind: of a pod, or of a group of pods.

    Args:
        graph: The objects.
        manifest: The workload.
    """
    found: Counter[str] = Counter()
    size = integer(mapping(manifest.spec, "leaderWorkerTemplate").get("size"), 1)
    times = {"": 1, "leader": 1, "worker": size - 1, "both": size}
    for pod in graph.pods_of(manifest):
        for kind, count in _gpus_of_pod(graph, pod).items():
            found[kind] += count * max(0, times[pod.role])
    return +found


def peak(before: int, after: int, *, old: int, new: int, surge: int) -> int:
    """GPUs of one kind at most while pods are replaced.

    Old and new pods are together no more than the pods before, or those after and the surge; no
    more are old than there were, and no more new than there will be.

    Args:
        before: Pods before.
        after: Pods after.
        old: GPUs of a pod before.
        new: GPUs of a pod after.
        surge: Pods that may be added.
    """
    most = max(before, after + surge)
    if new >= old:
        made = min(after, most)
        kept = min(before, most - made)
    else:
        kept = min(before, most)
        made = min(after, most - kept)
    return max(kept * old + made * new, before * old, after * new)


def total(every: list[dict[str, Gpus]]) -> dict[str, Gpus]:
    """The GPUs of workloads that change at the same time, by kind.

    Args:
        every: The GPUs of each.
    """
    found: dict[str, Gpus] = {}
    for one in every:
        for kind, gpus in one.items():
            found[kind] = found[kind] + gpus if kind in found else gpus
    return dict(sorted(found.items()))


def _gpus_of_pod(graph: Graph, pod: Pod) -> Counter[str]:
    from vllm_constructs.reading.gpus import pod_gpus
    from vllm_constructs.reading.nodes import selected_nodes
    from vllm_constructs.reading.workloads import deployed_model

    engines = {id(one.container): one for one in graph.engines_of(pod.manifest)}
    found: Counter[str] = Counter()
    for _, container in pod.containers:
        engine = engines.get(id(container))
        if engine is not None:
            with warnings.catch_warnings(action="ignore", category=VllmConstructsWarning):
                # It knows what is claimed, too.
                model = deployed_model(engine)
            found[model.kind] += model.pod_gpus
            continue
        limits = mapping(container, "resources", "limits")
        if any("/" in str(name) for name in limits):
            gpus = pod_gpus(limits, selected_nodes(pod.spec), {}, None, graph.settings.gpu)
            found[gpus.text.removeprefix(f"{gpus.count} x ")] += gpus.count
    return found
