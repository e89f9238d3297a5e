"""Rollouts: which workloads replace their pods or change their number, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.fields import integer, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .changes import Change
from .compared import Compared
from .gpus import Gpus, gpus_of, peak
from .strategy import DAEMON_SET, DEPLOYMENT, LWS, STATEFUL_SET, Strategy, strategy_of

_TEMPLATE = (("spec", "template"),)
# By group and kind, the fields of which a change replaces pods.
_ROLLED: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    DAEMON_SET: _TEMPLATE,
    DEPLOYMENT: _TEMPLATE,
    STATEFUL_SET: _TEMPLATE,
    LWS: (("spec", "leaderWorkerTemplate"), ("spec", "networkConfig")),
}
# The same for kinds whose operators roll them in ways of their own.
_OPERATED: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("argoproj.io", "Rollout"): _TEMPLATE,
    ("disaggregatedset.x-k8s.io", "DisaggregatedSet"): (("spec", "roles"),),
    ("orchestration.aibrix.ai", "RoleSet"): (("spec", "roles"),),
    ("orchestration.aibrix.ai", "StormService"): _TEMPLATE,
    ("serving.kserve.io", "ClusterServingRuntime"): (("spec",),),
    ("serving.kserve.io", "InferenceService"): (("spec", "predictor"),),
    ("serving.kserve.io", "LLMInferenceService"): (("spec",),),
    ("serving.kserve.io", "ServingRuntime"): (("spec",),),
}
# Kinds with a number of pods that do not replace them by themselves.
_ONLY_SCALED = {("", "ReplicationController"), ("apps", "ReplicaSet")}


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A workload whose pods change.

    Args:
        one: The workload before and after.
        reasons: The changes for which its pods are replaced; none if only their number changes.
        before: Pods before, or groups of them. Default: that is not known.
        after: Pods after. Default: that is not known.
        is_most: Whether these are the most that a scaler sets. Default: False.
        strategy: How its pods are replaced. Default: as its operator decides.
        gpus: Its GPUs by kind. Default: none are known.
        note: What else happens to the number of pods. Default: nothing.
    """

    one: Compared
    reasons: tuple[Change, ...]
    before: int | None = None
    after: int | None = None
    is_most: bool = False
    strategy: Strategy | None = None
    gpus: Mapping[str, Gpus] = field(default_factory=dict)
    note: str = ""

    @property
    def manifest(self) -> Manifest:
        """The workload after."""
        return self.one.new

    @property
    def is_rolling(self) -> bool:
        """Whether pods are replaced by the apply itself."""
        return bool(self.reasons) and not (self.strategy is not None and self.strategy.held)

    @property
    def stops(self) -> bool:
        """Whether pods that run are stopped."""
        return self.is_rolling or self.falls

    @property
    def falls(self) -> bool:
        """Whether there are fewer pods after."""
        return (self.after or 0) < (self.before or 0) or bool(self.note)

    @property
    def is_down(self) -> bool:
        """Whether there is a time without any ready pod."""
        if not self.is_rolling or self.strategy is None or not self.before:
            return False
        return self.strategy.unavailable >= min(self.before, self.after or 0) > 0

    @property
    def unit(self) -> str:
        """What is replaced: pods, or groups of them."""
        return "group" if self.one.kind == LWS else "pod"


def rollout(one: Compared) -> Rollout | None:
    """What happens to the pods of a workload; None if nothing does.

    Args:
        one: The workload before and after.
    """
    if one.kind in _OPERATED:
        reasons = _reasons(one, _OPERATED[one.kind])
        return Rollout(one=one, reasons=reasons) if reasons else None
    if one.kind not in _ROLLED and one.kind not in _ONLY_SCALED:
        return None
    reasons = _reasons(one, _ROLLED.get(one.kind, ()))
    before, after, is_most = _counts(one)
    note = _note(one)
    if not reasons and before == after and not note:
        return None
    strategy = strategy_of(one, after) if reasons else None
    return Rollout(
        one=one,
        reasons=reasons,
        before=before,
        after=after,
        is_most=is_most,
        strategy=strategy,
        gpus=_gpus(one, before, after, strategy),
        note=note,
    )


def _reasons(one: Compared, paths: tuple[tuple[str, ...], ...]) -> tuple[Change, ...]:
    return tuple(change for path in paths for change in one.changed(*path))


def pods_at_most(graph: Graph, manifest: Manifest) -> int | None:
    """The pods of a workload, or the most that its scaler sets; None if that is not known.

    Args:
        graph: The objects.
        manifest: The workload.
    """
    scaled = _range(graph, manifest)
    if scaled is not None:
        return scaled[1]
    if manifest.kind == "DaemonSet":
        return None
    return integer(manifest.spec.get("replicas"), 1)


def _range(graph: Graph, manifest: Manifest) -> tuple[int, int] | None:
    """The pods that a scaler sets, at least and at most."""
    from vllm_constructs.workloads.plan_annotations import read_plan_annotations

    if graph.scalers_of(manifest):
        return graph.replicas(manifest)
    return read_plan_annotations(manifest.annotations).replicas


def _counts(one: Compared) -> tuple[int | None, int | None, bool]:
    """Pods before and after, and whether these are the most that a scaler sets."""
    if one.kind == DAEMON_SET:
        return None, None, False
    before, after = (integer(value, 1) for value in one.both("spec", "replicas"))
    ranges = [_range(graph, side) for graph, side in zip(one.graphs, one.sides, strict=True)]
    if one.is_live:
        now = integer(one.old.spec.get("replicas"), 1)
        if ranges[1] is not None:
            # As far as the manifests move it; the scaler does so all the time.
            low, high = ranges[1] if ranges[0] != ranges[1] else (now, now)
            return now, min(max(now, low), high), False
        return now, after if one.sets("spec", "replicas") else now, False
    if ranges[0] is not None:
        before = ranges[0][1]
    if ranges[1] is not None:
        after = ranges[1][1]
    return before, after, any(ranges)


def _note(one: Compared) -> str:
    """What happens to a number that the manifest leaves to a scaler from now on."""
    before = integer(mapping(one.kept.get("spec")).get("replicas"), 1)
    is_left_out = "replicas" in mapping(one.kept.get("spec")) and "replicas" not in one.new.spec
    if before > 1 and is_left_out and _range(one.graphs[1], one.new) is not None:
        return (
            f"spec.replicas ({before}) is left out from now on: unless the scaler has set it "
            "before, the apply sets it to 1, and the scaler raises it again"
        )
    return ""


def _gpus(
    one: Compared, before: int | None, after: int | None, strategy: Strategy | None
) -> dict[str, Gpus]:
    if before is None or after is None:
        return {}
    old, new = (gpus_of(graph, side) for graph, side in zip(one.graphs, one.sides, strict=True))
    surge = 0 if strategy is None or strategy.held else strategy.surge
    if strategy is not None and strategy.held:
        new = old
    return {
        kind: Gpus(
            before=before * old[kind],
            peak=peak(before, after, old=old[kind], new=new[kind], surge=surge),
            after=after * new[kind],
        )
        for kind in sorted({*old, *new})
    }
