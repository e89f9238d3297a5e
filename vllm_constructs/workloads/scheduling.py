"""Scheduling: which nodes a pod may run on, and how pods are spread over them.

Names of fields are those of Kubernetes (core/v1, "Affinity", "TopologySpreadConstraint").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names

HOST = "kubernetes.io/hostname"


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint that the pod tolerates, beside the taint of its GPU.

    Args:
        key: Key of the taint.
        value: Value of the taint. Default: any value.
        effect: `"NoSchedule"` (default), `"PreferNoSchedule"` or `"NoExecute"`.

    Raises:
        VllmConstructsError: An invalid key or value, or an unknown effect.
    """

    key: str
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"

    def __post_init__(self) -> None:
        names.key("Toleration.key", self.key)
        if self.value is not None:
            names.label_map("Toleration", {self.key: self.value})
        effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        require.choice("Toleration.effect", self.effect, effects)

    def manifest(self) -> dict[str, str]:
        """The entry of `tolerations`."""
        if self.value is None:
            return {"key": self.key, "operator": "Exists", "effect": self.effect}
        return {
            "key": self.key,
            "operator": "Equal",
            "value": self.value,
            "effect": self.effect,
        }


@dataclass(frozen=True)
class NodeRequirement:
    """A requirement on one label of the node.

    Args:
        key: Key of the label.
        values: The values, for all operators but `Exists` and `DoesNotExist`. Default: none.
        operator: `"In"` (default with values), `"NotIn"`, `"Exists"` (default without values),
            `"DoesNotExist"`, `"Gt"` or `"Lt"`.

    Raises:
        VllmConstructsError: An invalid key or value, or values that the operator does not take.
    """

    key: str
    values: Sequence[str] = ()
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] | None = field(
        default=None, kw_only=True
    )

    def __post_init__(self) -> None:
        names.key("NodeRequirement.key", self.key)
        values = require.texts("NodeRequirement.values", self.values)
        for value in values:
            names.label_map("NodeRequirement.values", {self.key: value})
        operator = ("In" if values else "Exists") if self.operator is None else self.operator
        operators = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
        require.choice("NodeRequirement.operator", operator, operators)
        wanted = {"Exists": "no values", "DoesNotExist": "no values", "Gt": "one", "Lt": "one"}
        is_number = len(values) == 1 and values[0].lstrip("-").isdecimal()
        fits = {"no values": not values, "one": is_number}
        allowed = wanted.get(operator, "values")
        if not fits.get(allowed, bool(values)):
            allowed = "one integer" if allowed == "one" else allowed
            require.wrong("NodeRequirement.values", self.values, f"{allowed} with {operator!r}")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "operator", operator)

    def manifest(self) -> dict[str, Any]:
        """The entry of `matchExpressions`."""
        entry: dict[str, Any] = {"key": self.key, "operator": self.operator}
        return entry | ({"values": list(self.values)} if self.values else {})


@dataclass(frozen=True, kw_only=True)
class PodAffinityTerm:
    """A term of affinity or anti-affinity to other pods.

    Args:
        labels: Labels of these pods.
        topology_key: Label of the nodes that defines what is near: `kubernetes.io/hostname`
            (default), `topology.kubernetes.io/zone` or another one.
        required: Whether the scheduler must comply. Default: False, it prefers to.
        namespaces: Namespaces of these pods. Default: that of the pod.

    Raises:
        VllmConstructsError: No labels, or an invalid key, label or namespace.
    """

    labels: Mapping[str, str]
    topology_key: str = HOST
    required: bool = False
    namespaces: Sequence[str] = ()

    def __post_init__(self) -> None:
        labels = names.label_map("PodAffinityTerm.labels", self.labels)
        if not labels:
            require.wrong("PodAffinityTerm.labels", self.labels, "at least one label")
        names.key("PodAffinityTerm.topology_key", self.topology_key)
        require.boolean("PodAffinityTerm.required", self.required)
        where = "PodAffinityTerm.namespaces"
        spaces = require.items(where, self.namespaces, "a list of namespaces")
        object.__setattr__(self, "labels", FrozenDict(labels))
        object.__setattr__(self, "namespaces", tuple(names.label(where, one) for one in spaces))

    def manifest(self) -> dict[str, Any]:
        """The term, without its weight."""
        term: dict[str, Any] = {
            "labelSelector": {"matchLabels": dict(self.labels)},
            "topologyKey": self.topology_key,
        }
        return term | ({"namespaces": list(self.namespaces)} if self.namespaces else {})


@dataclass(frozen=True, kw_only=True)
class Affinity:
    """Nodes that the pod needs or prefers, and pods near which it runs.

    Select GPU nodes with `nodes=`; this is for constraints of one model.

    Args:
        nodes: Requirements that a node must meet, all of them. Default: none.
        preferred_nodes: Requirements that the scheduler prefers to meet. Default: none.
        near: Pods near which it runs. Default: none.
        apart_from: Pods apart from which it runs. Default: none; `topology_spread` spreads the
            model's own pods.

    Raises:
        VllmConstructsError: A wrong type.
    """

    nodes: Sequence[NodeRequirement] = ()
    preferred_nodes: Sequence[NodeRequirement] = ()
    near: Sequence[PodAffinityTerm] = ()
    apart_from: Sequence[PodAffinityTerm] = ()

    def __post_init__(self) -> None:
        kinds = {
            "nodes": NodeRequirement,
            "preferred_nodes": NodeRequirement,
            "near": PodAffinityTerm,
            "apart_from": PodAffinityTerm,
        }
        for name, kind in kinds.items():
            where, allowed = f"Affinity.{name}", f"a list of {kind.__name__}(...)"
            own: tuple[object, ...] = require.instances(where, getattr(self, name), kind, allowed)
            object.__setattr__(self, name, own)

    def manifest(self, more: Sequence[NodeRequirement] = ()) -> dict[str, Any]:
        """The `affinity` of the pod; empty if there is none.

        Args:
            more: More requirements that a node must meet. Default: none.
        """
        affinity: dict[str, Any] = {}
        required = [one.manifest() for one in (*more, *self.nodes)]
        nodes: dict[str, Any] = {}
        if required:
            terms = [{"matchExpressions": required}]
            nodes["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
        if self.preferred_nodes:
            nodes["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": 100, "preference": {"matchExpressions": [one.manifest()]}}
                for one in self.preferred_nodes
            ]
        if nodes:
            affinity["nodeAffinity"] = nodes
        pods = {"podAffinity": _of_pods(self.near), "podAntiAffinity": _of_pods(self.apart_from)}
        return affinity | {name: found for name, found in pods.items() if found}


def _of_pods(terms: Sequence[PodAffinityTerm]) -> dict[str, Any]:
    must = [one.manifest() for one in terms if one.required]
    may = [{"weight": 100, "podAffinityTerm": one.manifest()} for one in terms if not one.required]
    found = {
        "requiredDuringSchedulingIgnoredDuringExecution": must,
        "preferredDuringSchedulingIgnoredDuringExecution": may,
    }
    return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class TopologySpread:
    """Spreads the model's pods over the values of a node label.

    Args:
        topology_key: Key of the label, such as `topology.kubernetes.io/zone`. Default:
            `kubernetes.io/hostname`.
        max_skew: Largest difference in pods between two values. Default: 1.
        required: Whether the scheduler must comply. Default: False, it prefers to.

    Raises:
        VllmConstructsError: An invalid key or number.
    """

    topology_key: str = HOST
    max_skew: int = field(default=1, kw_only=True)
    required: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        names.key("TopologySpread.topology_key", self.topology_key)
        require.integer("TopologySpread.max_skew", self.max_skew, 1, 1000)
        require.boolean("TopologySpread.required", self.required)

    def manifest(self, selector: Mapping[str, str]) -> dict[str, Any]:
        """The entry of `topologySpreadConstraints`.

        Args:
            selector: Labels of the pods that are spread.
        """
        return {
            "maxSkew": self.max_skew,
            "topologyKey": self.topology_key,
            "whenUnsatisfiable": "DoNotSchedule" if self.required else "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
            # Otherwise the pods of the old revision would count during a rollout.
            "matchLabelKeys": ["pod-template-hash"],
        }


def check_spreads(where: str, value: object) -> tuple[TopologySpread, ...]:
    """The spreads of a pod, each over another label.

    Args:
        where: Name of the option.
        value: Its value.

    Raises:
        VllmConstructsError: A wrong type, or two spreads over one label.
    """
    allowed = "a list of TopologySpread(...)"
    found: list[TopologySpread] = []
    for spread in require.instances(where, value, TopologySpread, allowed):
        if spread.topology_key in [one.topology_key for one in found]:
            text = f"has two spreads over {spread.topology_key!r}"
            refuse(Problem(where=where, text=text, advice="leave one out"))
        found.append(spread)
    return tuple(found)
