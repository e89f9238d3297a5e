"""All rules, from the modules of their families."""

from __future__ import annotations

from types import ModuleType

from . import (
    accelerators,
    cloud_nodes,
    command_line,
    data_parallel,
    device_claims,
    disaggregation,
    environment,
    ingress,
    lifecycle,
    lora,
    multi_node,
    names,
    network,
    offloading,
    probes,
    queries,
    rollout,
    scaling,
    schemas,
    security,
    selectors,
    shared_memory,
    storage,
)
from .rule import Rule

_FAMILIES: tuple[ModuleType, ...] = (
    accelerators,
    cloud_nodes,
    command_line,
    data_parallel,
    device_claims,
    disaggregation,
    environment,
    ingress,
    lifecycle,
    lora,
    multi_node,
    names,
    network,
    offloading,
    probes,
    queries,
    rollout,
    scaling,
    schemas,
    security,
    selectors,
    shared_memory,
    storage,
)

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (one for family in _FAMILIES for one in vars(family).values() if isinstance(one, Rule)),
        key=lambda rule: rule.id,
    )
)
"""All rules, sorted by id."""
