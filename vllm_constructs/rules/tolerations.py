"""Rule of tolerations: G03."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators import amd, intel
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.nodes import node_terms
from vllm_constructs.reading.pods import Pod

from .rule import Fix, Found, put, remove, rule

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# The last two compare numbers, since Kubernetes 1.35.
_OPERATORS = ("Exists", "Equal", "Gt", "Lt")
# Labels that tell nodes with GPUs, by the prefix of the resource, which is the usual taint's key.
_LABELS = {
    "nvidia.com/": "nvidia.com/",
    "amd.com/": amd.PRODUCT.partition(".")[0],
    "gpu.intel.com/": intel.PRODUCT.partition("/")[0],
}
# Taints that Kubernetes itself sets for states of nodes.
_OWN = "node.kubernetes.io/"
# Platforms that add the toleration, or whose nodes have the taints that their user writes.
_PLATFORMS = (
    "alpha.eksctl.io/",
    "cloud.google.com/",
    "eks.amazonaws.com/",
    "karpenter",
    "kubernetes.azure.com/",
    "agentpool",
    "ack.",
    "aliyun.",
    "alibabacloud.com/",
    "machine.cluster.vke.",
    "gpu.nvidia.com/",
)


@rule("G03", "warning", "GPU nodes without the toleration of their taint")
def toleration(graph: Graph) -> Iterator[Found]:
    """GPU nodes usually have a taint, and the pod waits for ever for one without it."""
    for pod in graph.pods:
        for path, one in pod.manifest.each(*pod.path, "tolerations"):
            for field, problem, fix in _wrong(path, one):
                where = (*path, field)
                yield Found(
                    manifest=pod.manifest, path=where, problem=problem, level="error", fix=fix
                )
    for engine in graph.engines:
        if engine.pod.is_whole and not _has_own(engine.pod):
            yield from _missing(engine)


def _wrong(path: Path, one: Mapping[str, Any]) -> Iterator[tuple[str, Problem, Fix | None]]:
    """The fields of a toleration that the API server refuses."""
    operator, value, effect = one.get("operator"), one.get("value"), one.get("effect")
    if operator == "Exists" and value not in (None, ""):
        text = (
            f"is {escaped(require.shown(value))}, and Kubernetes refuses a value with operator "
            "Exists, which tolerates any"
        )
        problem = Problem(where="tolerations.value", text=text, advice="leave one of them out")
        yield "value", problem, remove((*path, "value"), is_safe=True)
    if operator not in (None, "", *_OPERATORS):
        yield _unknown(path, "operator", operator, _OPERATORS)
    elif not one.get("key") and operator != "Exists":
        text = "is missing, and only operator Exists goes without it"
        advice = "give the key of the taint, such as nvidia.com/gpu"
        yield "key", Problem(where="tolerations.key", text=text, advice=advice), None
    if effect not in (None, "", *_EFFECTS):
        yield _unknown(path, "effect", effect, _EFFECTS)


def _unknown(
    path: Path, field: str, value: object, known: tuple[str, ...]
) -> tuple[str, Problem, Fix | None]:
    text = f"is {escaped(require.shown(value))}, which Kubernetes does not know"
    right = next((one for one in known if one.lower() == str(value).lower()), None)
    problem = Problem(where=f"tolerations.{field}", text=text, allowed=require.one_of(known[:3]))
    return field, problem, None if right is None else put((*path, field), right, is_safe=True)


def _has_own(pod: Pod) -> bool:
    """Whether the pod has a toleration, or is put on a node without the scheduler."""
    keys = [str(mapping(one).get("key") or "") for one in items(pod.spec.get("tolerations"))]
    return bool(pod.spec.get("nodeName")) or any(not key.startswith(_OWN) for key in keys)


def _missing(engine: Engine) -> Iterator[Found]:
    """A pod that selects nodes with GPUs, and tolerates no taint."""
    resource = next(
        (str(one) for one in engine.limits if str(one).startswith(tuple(_LABELS))), None
    )
    terms = node_terms(engine.pod) if resource is not None else []
    if resource is None or any(
        label.key.startswith(_PLATFORMS) for term in terms for label in term
    ):
        return
    prefix = next(one for one in _LABELS if resource.startswith(one))
    named = [[one for one in term if one.key.startswith(_LABELS[prefix])] for term in terms]
    if not all(named):
        return
    # The taint has the name of the resource, whatever the slices and shares of a GPU are called.
    key = "nvidia.com/gpu" if prefix == "nvidia.com/" else resource
    label = escaped(named[0][0].key)
    problem = Problem(
        where="tolerations",
        text=f"does not have {key}, but the pod selects nodes by {label}: if they have the usual "
        f"taint {key}:NoSchedule, the pod stays Pending",
        advice=f"tolerate it: {{{{key: {key}, operator: Exists, effect: NoSchedule}}}}; on nodes "
        "without the taint that changes nothing",
    )
    path: Path = (*engine.pod.path, "tolerations")
    entry = {"key": key, "operator": "Exists", "effect": "NoSchedule"}
    own = items(engine.pod.spec.get("tolerations"))
    yield Found(
        manifest=engine.manifest,
        path=path,
        problem=problem,
        fix=put(path, [*own, entry], is_safe=True),
    )
