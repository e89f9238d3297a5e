"""Rules of cloud nodes: W01 and W02."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.nodes import NodeLabel, node_terms
from vllm_constructs.reading.pods import Pod

from .lifecycle import pre_stop
from .rule import Found, rule

# The prefixes of labels that only one cloud sets.
_CLOUDS = {
    "GKE": ("cloud.google.com/",),
    "EKS": ("eks.amazonaws.com/", "karpenter.k8s.aws/", "alpha.eksctl.io/"),
    "AKS": ("kubernetes.azure.com/", "karpenter.azure.com/"),
    "Alibaba ACK": ("aliyun.accelerator/", "alibabacloud.com/"),
    "Volcengine VKE": ("machine.cluster.vke.volcengine.com/",),
    "CoreWeave": ("gpu.nvidia.com/",),
}
# What GPU feature discovery writes on a node that exists.
_DISCOVERED = (
    "nvidia.com/gpu.product",
    "nvidia.com/gpu.memory",
    "nvidia.com/gpu.count",
    "nvidia.com/gpu.family",
    "nvidia.com/gpu.machine",
    "nvidia.com/gpu.compute.",
    "nvidia.com/mig.",
)
_PROVISIONERS = ("karpenter.", "eks.amazonaws.com/instance-")
_AUTO_MODE = ("eks.amazonaws.com/compute-type", ("auto",))
_GKE_GPU, _AKS_GPU = "cloud.google.com/gke-accelerator", "kubernetes.azure.com/accelerator"
_EC2_GPUS = ("karpenter.k8s.aws/instance-gpu-name", "eks.amazonaws.com/instance-gpu-name")
_POOLS = ("NodePool", "NodeClass", "EC2NodeClass", "Provisioner")
# Models as people name them, without the vendor that GKE's values begin with.
_MODEL = re.compile(r"(tesla-)?(k80|p4|p100|t4|v100|l4|a100|h100|h200|b200|gb200)(-.*)?")
_LONG_PAUSE = 30
"""Seconds of a pause that is meant as a drain, since the engine works on until it is over."""


def is_provisioned(label: NodeLabel) -> bool:
    """Whether a label selects nodes that Karpenter makes, which EKS Auto Mode runs, too.

    Args:
        label: The label.
    """
    return label.key.startswith(_PROVISIONERS) or (label.key, label.values) == _AUTO_MODE


@rule("W01", "warning", "node labels that no node of the platform has")
def labels(graph: Graph) -> Iterator[Found]:
    """No node is found, or none is made, and the pod stays Pending."""
    declared: set[str] | None = None
    for engine in graph.engines:
        # The pods of a DaemonSet follow nodes, and cause none.
        if engine.manifest.kind == "DaemonSet":
            continue
        found = [_wrong(term) for term in node_terms(engine.pod)]
        # A node has to meet one of the terms.
        if found[0] is None or not all(found):
            continue
        declared = _declared(graph) if declared is None else declared
        label, problem = found[0]
        if label.key not in declared:
            yield Found(manifest=engine.manifest, path=label.path, problem=problem)


def _declared(graph: Graph) -> set[str]:
    """Labels that pools of nodes in the manifests set."""
    keys: set[str] = set()
    for pool in graph.of(*_POOLS):
        template = mapping(pool.spec, "template")
        keys |= {str(key) for key in mapping(template, "metadata", "labels")}
        keys |= {str(key) for key in mapping(pool.spec, "labels")}
        needed = items(mapping(template, "spec").get("requirements"))
        keys |= {str(mapping(one).get("key")) for one in needed}
    return keys


def _wrong(term: Sequence[NodeLabel]) -> tuple[NodeLabel, Problem] | None:
    """The first label of a term that no node has."""
    clouds = {
        cloud: label
        for label in reversed(term)
        for cloud, prefixes in _CLOUDS.items()
        if label.key.startswith(prefixes)
    }
    if len(clouds) > 1:
        (first, one), (second, other), *_ = clouds.items()
        text = f"is a label of {second}, and {escaped(one.key)} is one of {first}: no node has both"
        return other, _problem(other, text, "leave out what belongs to the other platform")
    for label in term:
        found = _value(label)
        if found is not None:
            return label, found
    return _discovered(term, clouds)


def _problem(label: NodeLabel, text: str, advice: str) -> Problem:
    return Problem(where=f"the node label {escaped(label.key)}", text=text, advice=advice)


def _value(label: NodeLabel) -> Problem | None:
    """Values that a platform does not set."""
    if not label.values or any("$" in one or "{{" in one for one in label.values):
        return None
    shown = escaped(require.shown(label.values[0] if len(label.values) == 1 else label.values))
    if label.key == _GKE_GPU and all(
        one != one.lower() or _MODEL.fullmatch(one) for one in label.values
    ):
        text = f"is {shown}, and GKE's values begin with nvidia-, in lower case"
        return _problem(label, text, "give a value such as nvidia-l4 or nvidia-h100-80gb")
    is_model = all("nvidia" in one.lower() and one != "nvidia" for one in label.values)
    if label.key == _AKS_GPU and is_model:
        text = f"is {shown}, and AKS names only the vendor there: nvidia"
        advice = "give nvidia, and select the model by node.kubernetes.io/instance-type"
        return _problem(label, text, advice)
    if label.key in _EC2_GPUS and all(one != one.lower() for one in label.values):
        text = f"is {shown}, and its values are short names in lower case"
        return _problem(label, text, "give a value such as l4, a10g or h100")
    return None


def _discovered(
    term: Sequence[NodeLabel], clouds: Collection[str]
) -> tuple[NodeLabel, Problem] | None:
    """A label of feature discovery on a platform that does not have it in time, or at all."""
    label = next((one for one in term if one.key.startswith(_DISCOVERED)), None)
    if label is None:
        return None
    provisioner = next(filter(is_provisioned, term), None)
    if provisioner is not None:
        text = (
            "is set by GPU feature discovery when a node runs, and "
            f"{escaped(provisioner.key)} selects nodes that a provisioner makes: it makes none for "
            "a label that it does not know"
        )
        own = _EC2_GPUS["instance-" in provisioner.key or provisioner.key == _AUTO_MODE[0]]
        own = "karpenter.azure.com/sku-gpu-name" if "AKS" in clouds else own
        advice = f"select by the provisioner's own label, such as {own}, or set the label in its "
        return label, _problem(label, text, f"{advice}NodePool")
    if "GKE" in clouds:
        text = "is set by GPU feature discovery, which GKE's nodes do not have by themselves"
        advice = f"select by {_GKE_GPU}, or make sure that the GPU Operator runs there"
        return label, _problem(label, text, advice)
    return None


@rule("W02", "warning", "a drain that takes longer than a spot node lives")
def notice(graph: Graph) -> Iterator[Found]:
    """The node is gone before the requests have ended, and they are lost."""
    from vllm_constructs.workloads.placement import is_longer

    for engine in graph.engines:
        pod = engine.pod
        found = _notice(pod) if pod.is_whole else None
        if found is None:
            continue
        platform, seconds, path = found
        pause, wait = pre_stop(engine.container) or (0, 0)
        shutdown = engine.flag("shutdown-timeout", 0)
        shutdown = shutdown if isinstance(shutdown, int) else 0
        drains = wait + shutdown > 0 or pause >= _LONG_PAUSE
        if not drains or not is_longer(pause, wait + shutdown, seconds):
            continue
        parts = [f"preStop takes {pause + wait}"] if pause + wait else []
        parts += [f"--shutdown-timeout {shutdown}"] if shutdown else []
        problem = Problem(
            where=str(path[len(pod.path)]),
            text=f"allows spot nodes of {platform}, which end {seconds} seconds after their "
            f"notice, but {' and '.join(parts)}: requests that run longer are cut",
            advice="shorten the drain to the notice, or expect that clients repeat their requests",
        )
        yield Found(manifest=engine.manifest, path=path, problem=problem)


def _notice(pod: Pod) -> tuple[str, int, Path] | None:
    """The platform of the spot nodes that a pod may get, with their notice, and what says so."""
    from vllm_constructs.accelerators.nodes import platforms

    terms = node_terms(pod)
    allowed = [(label.key, label.values, label.path) for term in terms for label in term]
    for path, one in pod.manifest.each(*pod.path, "tolerations"):
        is_any = one.get("operator") == "Exists"
        allowed.append((str(one.get("key")), () if is_any else (str(one.get("value")),), path))
    if not any("spot" in key or "apacity" in key or "scaleset" in key for key, _, _ in allowed):
        return None
    for name, platform in platforms().items():
        # EKS Auto Mode has the label of Karpenter.
        if platform["spot"] is not None and name != "eks-auto-mode":
            key, value = platform["spot"]["label"]
            for label, values, path in allowed:
                if label == key and (value in values or not values):
                    return platform["title"], platform["spot"]["notice"], path
    return None
