"""Placement: where a pod runs, as its options say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Nodes, products_named
from vllm_constructs.accelerators.nvidia import PRODUCT, Gpu
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names

from .dns import host_aliases
from .scheduling import Toleration, check_spreads

if TYPE_CHECKING:
    from .availability import Drain


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a pod that say where it runs, as the pod keeps them.

    Args:
        options: All options of the pod by their names.

    Raises:
        VllmConstructsError: An invalid value, or labels of nodes that contradict its GPU.
    """
    selector = FrozenDict(names.label_map("node_selector", options["node_selector"]))
    allowed = "a list of Toleration(...)"
    tolerations = require.items("tolerations", options["tolerations"], allowed)
    for item in tolerations:
        require.instance("tolerations", item, Toleration, allowed)
    families = require.items("ip_families", options["ip_families"], "a list of 'IPv4' and 'IPv6'")
    for family in families:
        require.choice("ip_families", family, ("IPv4", "IPv6"))
    if len(set(families)) < len(families):
        require.wrong("ip_families", options["ip_families"], "each family once")
    scheduler = options["scheduler"]
    return {
        "node_selector": selector,
        "nodes": _nodes(options["gpu"], options["nodes"], selector),
        "tolerations": tolerations,
        "ip_families": families,
        "topology_spread": check_spreads("topology_spread", options["topology_spread"]),
        "scheduler": None if scheduler is None else names.subdomain("scheduler", scheduler),
        "host_aliases": host_aliases(options["host_aliases"]),
    }


def _nodes(gpu: Gpu, nodes: Nodes, selector: Mapping[str, str]) -> Nodes:
    """How the nodes are found: a label in `node_selector` that names the GPU is enough."""
    product = gpu.product
    for key, value in selector.items():
        named = products_named(key, value)
        if not named or key == PRODUCT:
            continue
        if product is not None and product not in named:
            refuse(
                Problem(
                    where=f"node_selector[{key!r}]",
                    text=f"is {value!r}, a node with {' or '.join(named)}, but {{gpu}} is "
                    f"{product}",
                    value=repr(value),
                    advice="change one of them",
                )
            )
        if nodes == Nodes():
            nodes = Nodes("any")
    for key in nodes.labels_for(gpu):
        if key in selector:
            what = "{gpu}" if nodes == Nodes() else "{nodes}"
            where = f"node_selector[{key!r}]"
            refuse(Problem(where=where, text=f"is set by {what}", advice="leave it out"))
    return nodes


def check_notice(nodes: Nodes, drain: Drain) -> None:
    """Warn about a drain that takes longer than a spot node lives.

    Args:
        nodes: How the nodes are found.
        drain: The drain of the pod.
    """
    notice = nodes.notice
    if notice is None or not drain.seconds or drain.pre_stop + drain.seconds <= notice:
        return
    fits = notice - drain.pre_stop
    change = f"{{drain=Drain(seconds={fits})}}" if fits > 0 else "a shorter {Drain.pre_stop}"
    warn(
        Problem(
            where="Nodes.spot",
            text=f"gives a pod {notice} seconds, but it takes {drain.pre_stop} until load "
            f"balancers have removed it and up to {drain.seconds} until its requests have ended, "
            "so that longer ones are cut",
            value="True",
            advice=f"give {change}, or expect that clients repeat their requests",
        )
    )
