"""Placement: node selector, tolerations, spread and IP families of a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nodes import Nodes, check_named, mismatch, products_named
from vllm_constructs.accelerators.nvidia import PRODUCT, WholeGpu
from vllm_constructs.errors import Problem, escaped, refuse, warn
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names

from .availability import Drain
from .dns import host_aliases
from .scheduling import Affinity, Toleration, check_spreads

_ENDING = 2
"""Seconds for the error events of the requests that a drain ends (measured: 0.3)."""


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a pod that say where it runs, checked.

    Args:
        options: All options of the pod by their names.

    Raises:
        VllmConstructsError: An invalid value, or labels of nodes that contradict its GPU.
    """
    selector = FrozenDict(names.label_map("node_selector", options["node_selector"]))
    allowed = "a list of Toleration(...)"
    tolerations = require.instances("tolerations", options["tolerations"], Toleration, allowed)
    families = require.items("ip_families", options["ip_families"], "a list of 'IPv4' and 'IPv6'")
    for family in families:
        require.choice("ip_families", family, ("IPv4", "IPv6"))
    if len(set(families)) < len(families):
        require.wrong("ip_families", options["ip_families"], "each family once")
    scheduler = options["scheduler"]
    return {
        "node_selector": selector,
        "nodes": _nodes(options["gpu"], options["nodes"], selector, options["affinity"]),
        "tolerations": tolerations,
        "ip_families": families,
        "topology_spread": check_spreads("topology_spread", options["topology_spread"]),
        "scheduler": None if scheduler is None else names.subdomain("scheduler", scheduler),
        "host_aliases": host_aliases(options["host_aliases"]),
    }


def _nodes(gpu: Gpu, nodes: Nodes, selector: Mapping[str, str], affinity: Affinity) -> Nodes:
    """How the nodes are found: a label of the user that names the GPU is enough."""
    wanted: dict[str, tuple[str, tuple[str, ...]]]
    wanted = {f"node_selector[{key!r}]": (key, (value,)) for key, value in selector.items()}
    for one in affinity.nodes:
        if one.operator == "In":
            wanted[f"Affinity.nodes[{one.key!r}]"] = (one.key, tuple(one.values))
    named = [
        where
        for where, (key, values) in wanted.items()
        if key != PRODUCT and any(products_named(key, value) for value in values)
    ]
    if named and nodes == Nodes():
        is_part = not isinstance(gpu, WholeGpu) and gpu.resource == "nvidia.com/gpu"
        if is_part and gpu.product is not None:
            refuse(
                Problem(
                    where=named[0],
                    text=f"names the GPU, but says nothing about its parts, and {{gpu}} is a "
                    f"{{{type(gpu).__name__}}}",
                    advice="give {nodes}, such as {nodes=Nodes('gke')}, or their labels in "
                    "Nodes(labels={{...}})",
                )
            )
        nodes = Nodes("any")
    for key in nodes.labels_for(gpu):
        if key in selector:
            what = "{gpu}" if nodes == Nodes() else "{nodes}"
            where = f"node_selector[{key!r}]"
            refuse(Problem(where=where, text=f"is set by {what}", advice="leave it out"))
    check_named("node_selector", gpu, selector)
    _check_affinity(gpu, nodes, affinity)
    return nodes


def _check_affinity(gpu: Gpu, nodes: Nodes, affinity: Affinity) -> None:
    """Reject required labels of nodes that no node with the GPU has."""
    own = nodes.labels_for(gpu)
    for one in affinity.nodes:
        where = f"Affinity.nodes[{one.key!r}]"
        if one.operator == "In":
            wrong = [mismatch(gpu, one.key, value) for value in one.values]
            if all(wrong):
                text = f"is {escaped(require.shown(one.values))}, {wrong[0]}"
                refuse(Problem(where=where, text=text, advice="change one of them"))
            if one.key in own and not set(own[one.key]) & set(one.values):
                text = (
                    f"is {escaped(require.shown(one.values))}, but {{nodes}} and {{gpu}} select "
                    f"{' or '.join(own[one.key])}"
                )
                refuse(Problem(where=where, text=text, advice="change one of them"))
        if one.operator == "NotIn" and one.key in own and set(own[one.key]) <= set(one.values):
            text = f"excludes {' and '.join(own[one.key])}, which {{nodes}} and {{gpu}} select"
            refuse(Problem(where=where, text=text, advice="leave it out"))


def is_longer(pause: int, seconds: int, notice: int) -> bool:
    """Whether a drain takes longer than a spot node lives.

    Args:
        pause: Seconds until load balancers have removed the pod.
        seconds: Seconds at most until its requests have ended.
        notice: Seconds between the notice that the node gets and its end.
    """
    return pause + seconds > notice - _ENDING


def check_notice(nodes: Nodes, drain: Drain) -> None:
    """Warn about a drain that takes longer than a spot node lives.

    Args:
        nodes: How the nodes are found.
        drain: The drain of the pod.
    """
    notice = nodes.notice
    if notice is None or not drain.seconds or not is_longer(drain.pre_stop, drain.seconds, notice):
        return
    pause = drain.pre_stop if drain.pre_stop < notice else max(1, notice // 3)
    own = "" if pause == Drain.pre_stop else f", pre_stop={pause}"
    change = f"drain=Drain(seconds={max(1, notice - _ENDING - pause)}{own})"
    warn(
        Problem(
            where="Nodes.spot",
            text=f"gives a pod {notice} seconds, but it takes {drain.pre_stop} until load "
            f"balancers have removed it and up to {drain.seconds} until its requests have ended, "
            "so that longer ones are cut without an error event",
            value="True",
            advice=f"give {{{change}}}, or expect that clients repeat their requests",
        )
    )
