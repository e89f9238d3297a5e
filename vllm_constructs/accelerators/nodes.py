"""Nodes: how the nodes of a GPU are found in a cluster.

GPU feature discovery labels nodes by the product of their GPU. Clouds have labels of their own,
which are known before a node exists, so that a pool can scale up from zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias, TypedDict, cast, get_args

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names

from . import amd, intel
from .amd import AmdGpu
from .cpu import Cpu
from .device_claim import DeviceClaim
from .google import ACCELERATOR, TPUS, Tpu
from .intel import IntelGpu
from .kinds import Gpu
from .nvidia import KINDS as NVIDIA
from .nvidia import PRODUCT, MigSlice, NvidiaGpu, TimeSlicedGpu, VirtualGpu, WholeGpu, catalog

Platform: TypeAlias = Literal[
    "feature-discovery",
    "gke",
    "eks",
    "karpenter",
    "eks-auto-mode",
    "aks",
    "ack",
    "vke",
    "coreweave",
    "any",
]
Labels: TypeAlias = dict[str, tuple[str, ...]]

_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
PARTITION = "cloud.google.com/gke-gpu-partition-size"
SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
# Labels by which others name a product, beside those of the platforms.
_MORE = ("karpenter.azure.com/sku-gpu-name", "gpu.nvidia.com/model")


# Products of other vendors whose labels are known: others may be spelled in any way.
_KNOWN = {*amd.MEMORY, *intel.MEMORY, *TPUS}


class _Spot(TypedDict):
    label: tuple[str, str]
    notice: int
    taint: bool


class _Platform(TypedDict):
    title: str
    source: str
    label: str
    values: dict[str, list[str]]
    instances: dict[str, dict[str, int]]
    memory_label: str
    memories: dict[str, str]
    taints: list[tuple[str, str]]
    any: dict[str, list[str]]
    spot: _Spot | None


# What a platform has that the data file does not list.
_EMPTY: _Platform = {
    "title": "",
    "source": "",
    "label": "",
    "values": {},
    "instances": {},
    "memory_label": "",
    "memories": {},
    "taints": [],
    "any": {},
    "spot": None,
}


@cache
def platforms() -> dict[str, _Platform]:
    """The platforms with labels of their own."""
    path = Path(__file__).parents[1] / "data" / "nodes.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: cast("_Platform", {**_EMPTY, **entry}) for name, entry in found.items()}


@dataclass(frozen=True)
class Nodes:
    """How the nodes of a pod's GPU are found: by their labels, with the taints that are usual.

    Args:
        platform: Whose labels and taints they have:

            - `"feature-discovery"` (default): the label that the vendor's feature discovery
              writes, such as `nvidia.com/gpu.product`, which the GPU Operator installs;
            - `"gke"`, `"eks"` (managed nodes), `"karpenter"` (on AWS), `"eks-auto-mode"`, `"aks"`,
              `"ack"` (Alibaba), `"vke"` (Volcengine) or `"coreweave"`: the platform's own;
            - `"any"`: no labels; any node that has the resource.
        labels: Labels that select the nodes, instead of those that name the product on the
            platform. Default: none.
        instance_types: Instance types that select the nodes, instead of those of the platform that
            have the GPU; for `"eks"`, `"karpenter"`, `"eks-auto-mode"` and `"aks"`. Default: all
            known ones with enough GPUs.
        spot: Whether the pods run on spot nodes, with their label and, where it is usual, their
            taint. Default: False. A drain that takes longer than the notice that such a node gets
            causes a warning.

    Raises:
        VllmConstructsError: An unknown platform, an invalid label, or a platform without instance
            types or spot nodes.
    """

    platform: Platform = "feature-discovery"
    labels: Mapping[str, str] | None = field(default=None, kw_only=True)
    instance_types: Sequence[str] = field(default=(), kw_only=True)
    spot: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        require.choice("Nodes.platform", self.platform, get_args(Platform))
        if self.labels is not None:
            labels = names.label_map("Nodes.labels", self.labels)
            if not labels:
                advice = "give Nodes('any') to select no nodes"
                require.wrong("Nodes.labels", self.labels, "at least one label", advice)
            object.__setattr__(self, "labels", FrozenDict(labels))
        types = require.texts("Nodes.instance_types", self.instance_types)
        for one in types:
            names.label_map("Nodes.instance_types", {_INSTANCE_TYPE: one})
        object.__setattr__(self, "instance_types", tuple(dict.fromkeys(types)))
        if types and not (self._data["instances"] or self._data["memory_label"]):
            text = f"is given, but Nodes({self.platform!r}) does not select by it"
            advice = f"leave it out, or give labels={{{{{_INSTANCE_TYPE!r}: ...}}}}"
            self._refuse("instance_types", text, advice)
        if types and self.labels is not None:
            self._refuse("instance_types", "is given beside {labels}")
        require.boolean("Nodes.spot", self.spot)
        if self.spot and self._data["spot"] is None:
            text = f"is True, but {self._title} has no label of spot nodes that is known"
            own = "give a platform that has one, such as Nodes('gke', spot=True), or"
            self._refuse("spot", text, f"{own} their label in {{node_selector}}")

    def _refuse(self, option: str, text: str, advice: str = "leave it out") -> None:
        refuse(Problem(where=f"Nodes.{option}", text=text, advice=advice))

    @property
    def _data(self) -> _Platform:
        # Most apps use no cloud, and need not read the data.
        own = self.platform in ("feature-discovery", "any")
        return _EMPTY if own else platforms()[self.platform]

    @property
    def _title(self) -> str:
        titles = {"feature-discovery": "GPU feature discovery", "any": "any node"}
        return self._data["title"] or titles[self.platform]

    @property
    def _spot(self) -> _Spot | None:
        return self._data["spot"] if self.spot else None

    @property
    def notice(self) -> int | None:
        """Seconds between the notice that a spot node gets and its end; None for others."""
        return self._spot["notice"] if self._spot else None

    def labels_for(self, gpu: Gpu) -> Labels:
        """Labels of the nodes and the values that they may have.

        Args:
            gpu: The GPU of the pod.

        Raises:
            VllmConstructsError: The platform does not have the GPU, or has no label that is known.
        """
        found = self._labels_for(gpu)
        if self._spot:
            key, value = self._spot["label"]
            found[key] = (value,)
        return found

    def _labels_for(self, gpu: Gpu) -> Labels:
        self._check_kind(gpu)
        fixed: Labels = {key: (value,) for key, value in gpu.fixed_labels.items()}
        if self.labels is not None:
            check_named("Nodes.labels", gpu, self.labels)
            return fixed | {key: (value,) for key, value in self.labels.items()}
        if self.platform == "any":
            return fixed
        if self.instance_types:
            for one in self.instance_types:
                check_named("Nodes.instance_types", gpu, {_INSTANCE_TYPE: one})
            return fixed | {_INSTANCE_TYPE: tuple(self.instance_types)}
        if not self._data["title"] or not isinstance(gpu, NVIDIA):
            return {key: (value,) for key, value in gpu.node_labels.items()}
        if gpu.product is None:
            return {key: tuple(values) for key, values in self._data["any"].items()}
        return self._named(gpu, gpu.product) | self._part(gpu)

    def _named(self, gpu: Gpu, product: str) -> Labels:
        """The label that names a product."""
        data = self._data
        if data["instances"]:
            known = data["instances"].get(product, {})
            fitting = tuple(name for name, count in known.items() if count >= gpu.count)
            if fitting:
                return {data["label"]: fitting}
            what = f"with {gpu.count} {product}" if known else f"with {product}"
            self._unknown(f"no instance type {what} is known", "instance_types=[...]")
        values = data["values"].get(product)
        if values is None and self.platform in ("ack", "vke"):
            # Their labels are those of the driver, as feature discovery's are.
            values = [product]
        if values is None:
            text = f"no node with {product} is known, only with {', '.join(data['values'])}"
            self._unknown(text, f"labels={{{data['label']!r}: ...}}")
        found = {data["label"]: tuple(values)}
        if product in data["memories"]:
            found[data["memory_label"]] = (data["memories"][product],)
        return found

    def _unknown(self, text: str, option: str) -> NoReturn:
        name = f"Nodes({self.platform!r}"
        refuse(
            Problem(
                where=f"{name})",
                text=f"does not go with {{gpu}}: {escaped(text)}",
                advice=escaped(f"give {name}, {option})"),
            )
        )

    def _part(self, gpu: Gpu) -> Labels:
        """The labels of nodes whose GPUs are cut or shared; GKE sets them for a node pool."""
        if self.platform != "gke":
            return {}
        if isinstance(gpu, MigSlice):
            return {PARTITION: (gpu.profile,)}
        if isinstance(gpu, TimeSlicedGpu):
            sharing = "time-sharing" if gpu.sharing == "time-slicing" else "mps"
            return {SHARING: (sharing,), CLIENTS: (str(gpu.replicas),)}
        return {}

    def _check_kind(self, gpu: Gpu) -> None:
        """Reject kinds of GPUs that a platform does not have, or for which it makes no nodes."""
        is_plugin = isinstance(gpu, NVIDIA)
        problem = self._kind_problem(gpu) if is_plugin else self._vendor_problem(gpu)
        if problem is not None:
            text, advice = problem
            refuse(Problem(where=f"Nodes({self.platform!r})", text=text, advice=advice))

    def _kind_problem(self, gpu: Gpu) -> tuple[str, str] | None:
        if isinstance(gpu, WholeGpu) or not self._data["title"]:
            return None
        if self.platform == "gke" and isinstance(gpu, MigSlice) and "+" in gpu.profile:
            return f"has no pools of the profile {gpu.profile!r}", "use another profile"
        if self.platform == "eks-auto-mode":
            text = f"has no {{{type(gpu).__name__}}}: its device plugin cannot be configured"
            return text, "use {WholeGpu}"
        if isinstance(gpu, VirtualGpu):
            return "has no {VirtualGpu}", "use {WholeGpu}, or Nodes(labels={{...}}) for own nodes"
        if gpu.resource != "nvidia.com/gpu" and self.platform in ("gke", "karpenter"):
            option = "strategy='single'" if isinstance(gpu, MigSlice) else "renamed=False"
            text = f"makes no node for {gpu.resource!r}: it names all parts 'nvidia.com/gpu'"
            return text, f"give {{{type(gpu).__name__}.{option}}}"
        return None

    def _vendor_problem(self, gpu: Gpu) -> tuple[str, str] | None:
        """What is wrong with accelerators that are no resources of NVIDIA's device plugin."""
        if isinstance(gpu, DeviceClaim) and self.platform in ("karpenter", "eks-auto-mode"):
            text = "has no nodes for pods with device claims, which its provisioner ignores"
            return text, "use {WholeGpu}, or nodes that are always there"
        is_gke = self.platform == "gke" and isinstance(gpu, Tpu)
        is_named = bool(self.labels or self.instance_types or not self._data["title"])
        if isinstance(gpu, (DeviceClaim, Cpu)) or is_gke or is_named:
            return None
        text = f"has no labels of nodes with {{{type(gpu).__name__}}} that are known"
        return text, "give their labels: Nodes(labels={{...}})"

    def tolerations(self, gpu: Gpu) -> list[dict[str, str]]:
        """Tolerations of the usual taints of these nodes.

        Args:
            gpu: The GPU of the pod.
        """
        found = list(gpu.tolerations)
        # Taints keep pods without accelerators away.
        taints = [] if isinstance(gpu, Cpu) else list(self._data["taints"])
        if self._spot and self._spot["taint"]:
            taints.append(self._spot["label"])
        for key, value in taints:
            entry = {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            found.append(entry)
        return found


def labels_of_products() -> frozenset[str]:
    """The keys of all node labels that name a product."""
    keys = {one["label"] for one in platforms().values()}
    return frozenset(keys | {PRODUCT, *_MORE})


def products_named(key: str, value: str) -> list[str]:
    """The products that a node label names; none if it does not name one.

    Args:
        key: Key of the label.
        value: Its value.
    """
    if key == PRODUCT:
        # Without what feature discovery appends to shared and sliced GPUs.
        return [value.removesuffix("-SHARED").partition("-MIG-")[0]]
    if key == _INSTANCE_TYPE:
        return sorted(
            product
            for one in platforms().values()
            for product, types in one["instances"].items()
            if value in types
        )
    if key not in labels_of_products():
        return []
    listed = sorted(
        product
        for one in platforms().values()
        if one["label"] == key
        for product, values in one["values"].items()
        if value in values
    )
    if listed:
        return listed
    from .product_names import products_of

    memories = {name: one["memory_mib"] for name, one in catalog().items()}
    return products_of(value.replace("_", "-"), memories)


def check_named(where: str, gpu: Gpu, labels: Mapping[str, str]) -> None:
    """Reject labels that name another product than a GPU's, or nodes with fewer GPUs.

    Args:
        where: Name of the option that has the labels.
        gpu: The GPU of the pod.
        labels: Labels of the node.

    Raises:
        VllmConstructsError: Such a label.
    """
    for key, value in labels.items():
        what = mismatch(gpu, key, value)
        if what is None:
            continue
        option = where if where == "Nodes.instance_types" else f"{where}[{key!r}]"
        refuse(
            Problem(
                where=option,
                text=f"is {value!r}, {what}",
                value=repr(value),
                advice="change one of them",
            )
        )


def mismatch(gpu: Gpu, key: str, value: str) -> str | None:
    """What is wrong with nodes that have a label, in a template; None if they may have a GPU.

    Args:
        gpu: The GPU of the pod.
        key: Key of the label.
        value: Its value.
    """
    named = products_named(key, value)
    fixed = gpu.fixed_labels.get(key, value)
    if fixed != value:
        return f"but {{gpu}} needs {fixed!r}"
    if not isinstance(gpu, NvidiaGpu):
        return _of_others(gpu, key, value, named)
    if key in (amd.PRODUCT, intel.PRODUCT, ACCELERATOR):
        return f"a node of another vendor, but {{gpu}} is {{{type(gpu).__name__}}}"
    most = max((_gpus_of(value, one) for one in named), default=gpu.count)
    if gpu.product in catalog() and named and gpu.product not in named:
        return f"a node with {' or '.join(named)}, but {{gpu}} is {gpu.product}"
    if key == _INSTANCE_TYPE and most < gpu.count:
        return f"a node with {most} GPU{'s' * (most > 1)}, but {{gpu}} has {gpu.count}"
    return None


def _of_others(gpu: Gpu, key: str, value: str, named: list[str]) -> str | None:
    """As `mismatch`, for accelerators that are not NVIDIA's."""
    if isinstance(gpu, Cpu):
        return None
    if key == amd.PRODUCT:
        named = [amd.product_of(value) or value]
    elif key == intel.PRODUCT:
        named = [value]
    elif key == ACCELERATOR:
        named = [next((one for one, tpu in TPUS.items() if tpu["label"] == value), value)]
    kinds = {amd.PRODUCT: AmdGpu, intel.PRODUCT: IntelGpu, ACCELERATOR: Tpu}
    is_own = isinstance(gpu, kinds.get(key, ()))
    is_any = gpu.product is None or not any(one in _KNOWN for one in named)
    if not named or (is_own and (is_any or gpu.product in named)):
        return None
    what = gpu.product or f"{{{type(gpu).__name__}}}"
    return f"a node with {' or '.join(map(escaped, named))}, but {{gpu}} is {what}"


def _gpus_of(instance_type: str, product: str) -> int:
    """How many GPUs of a product an instance type has; 1024 if it is not known."""
    counts = (one["instances"].get(product, {}).get(instance_type) for one in platforms().values())
    return next((count for count in counts if count), 2**10)


def products_selected(labels: Mapping[str, Sequence[str]]) -> list[str]:
    """The products that all of a pod's node labels together allow; none if no label names one.

    Args:
        labels: Labels of the node with their allowed values.
    """
    found: set[str] | None = None
    for key, values in labels.items():
        named = {product for value in values for product in products_named(key, value)}
        if named:
            found = named if found is None else found & named
    for one in platforms().values():
        sizes = labels.get(one["memory_label"], ())
        memories = one["memories"]
        if found and sizes:
            found = {name for name in found if memories.get(name, sizes[0]) in sizes}
    return sorted(found or ())
