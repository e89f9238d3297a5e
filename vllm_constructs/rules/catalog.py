"""All rules, from the modules of their families.

At synth, only those modules are imported whose rules may find something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from importlib import import_module

from .rule import Rule

_SCALERS = ("HTTPScaledObject", "HorizontalPodAutoscaler", "PodAutoscaler", "ScaledObject")
_QUERIES = (
    "ClusterRules",
    "ConfigMap",
    "GlobalRules",
    "GrafanaDashboard",
    "HelmRelease",
    "PrometheusRule",
    "Rules",
    "VMRule",
)
_OWN = None
"""Rules about one object, of which values judge what they make."""
_COMPARED = ("",)
"""Rules about how objects go together that constructs compare as they are made: of a kind that no
object has, so that they are left out where there are only objects of constructs."""
# What each module is about: objects of their own, or how objects of some kinds go together; of any
# kinds where there are none.
_FAMILIES: dict[str, tuple[str, ...] | None] = {
    "accelerators": _OWN,
    "aggregation": _SCALERS,
    "clear_text": _OWN,
    "cloud_nodes": _OWN,
    "command_line": _OWN,
    "data_parallel": _OWN,
    "device_claims": _OWN,
    "disaggregation": (),
    "disaggregation_routing": (),
    "disruption": ("PodDisruptionBudget",),
    "environment": _OWN,
    "exposure": (),
    "flags": _OWN,
    "gpu_requests": _OWN,
    "images": _OWN,
    "ingress": _OWN,
    "keda_fields": _SCALERS,
    "kv_connectors": _OWN,
    "lifecycle": _OWN,
    "lmcache": _OWN,
    "lora": _OWN,
    "model_cache": _COMPARED,
    "multi_node": _OWN,
    "multi_node_lifecycle": _OWN,
    "multi_node_needs": _OWN,
    "multi_node_network": _OWN,
    "names": _OWN,
    "network": (),
    "offloading": _OWN,
    "parallel_sizes": _OWN,
    "probes": _OWN,
    "proxies": ("HTTPRoute", "Ingress", "Route"),
    "queries": _SCALERS + _QUERIES,
    "query_labels": _SCALERS + _QUERIES,
    "rank_ports": (),
    "repeated_keys": _OWN,
    "repeated_objects": (),
    "rollout": _OWN,
    "routes": _OWN,
    "scaling": _SCALERS,
    "schemas": _OWN,
    "security": _OWN,
    "selectors": (),
    "service_account": _OWN,
    "service_ports": (),
    "shared_memory": _OWN,
    "storage": _COMPARED,
    "thresholds": _SCALERS + _QUERIES,
    "tolerations": _OWN,
    "waking": _SCALERS,
}


@cache
def _rules_of(family: str) -> tuple[Rule, ...]:
    module = import_module(f".{family}", __package__)
    return tuple(one for one in vars(module).values() if isinstance(one, Rule))


def _sorted(families: Iterable[str]) -> tuple[Rule, ...]:
    found = (one for family in families for one in _rules_of(family))
    return tuple(sorted(found, key=lambda rule: rule.id))


@cache
def every_rule() -> tuple[Rule, ...]:
    """All rules, sorted by id."""
    return _sorted(_FAMILIES)


@cache
def ids_of_own_rules() -> frozenset[str]:
    """The ids of rules about one object, of which values judge what they make."""
    return frozenset(
        rule.id for rule in _sorted(n for n, kinds in _FAMILIES.items() if kinds is None)
    )


def rules_between(kinds: Collection[str]) -> tuple[Rule, ...]:
    """The rules about how objects of constructs go together, sorted by id.

    Args:
        kinds: The kinds of all objects.
    """
    return _sorted(
        name
        for name, needed in _FAMILIES.items()
        if needed is not None and (not needed or not {*needed}.isdisjoint(kinds))
    )
