"""PodFacts: the options of a pod with their defaults, checked, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, Unpack

from vllm_constructs import require
from vllm_constructs.accelerators import kinds
from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nodes import Labels, Nodes
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.command_line_writer import as_text
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.model_names import ModelName
from vllm_constructs.engine.parallelism import Parallelism, share_problem
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.frozen import FrozenDict, frozen
from vllm_constructs.kube import names, quantity
from vllm_constructs.kube.references import name_of
from vllm_constructs.releases.environment import switch
from vllm_constructs.releases.image import Platform
from vllm_constructs.releases.release import VllmRelease, default_image

from . import additions, lora_adapter, model_checks, parts, placement, plan_annotations, storage
from .availability import Drain, Startup
from .container import Container
from .credentials import check_flags
from .dns import Dns
from .env_sources import EnvFromSource, EnvVarSource
from .kv_offload import KvOffload, offload_of
from .lmcache import LmCache, LmCacheClient
from .lora_adapter import LoraAdapter
from .object_stores import URL
from .pod_additions import PodAdditions
from .pod_options import PodOptions
from .pod_security import PodSecurity
from .pod_variables import check_variables, referred
from .probes import Probes
from .scheduling import Affinity, NodeRequirement, Toleration, TopologySpread
from .secrets import ApiKey, HuggingFaceToken
from .storage import EphemeralCache, ExistingClaim
from .volumes import Volume
from .weights import WeightsSource, weights_of

_MODEL = re.compile(
    rf"/?[A-Za-z0-9][\w.-]*(/[\w.-]+)*(:[\w.-]+)?|{URL.pattern}",
    re.ASCII,
)
_SERVED = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,252}", re.ASCII)

MODEL_ANNOTATION = plan_annotations.MODEL
CHECKSUM_ANNOTATION = f"{names.PREFIX}/engine-checksum"
SCRAPE_ANNOTATIONS = ("prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path")


@cache
def _defaults() -> Mapping[str, Any]:
    """The default of each option that may be left out; each is immutable, so pods share it."""
    return {
        "nodes": Nodes(),
        "served_name": None,
        "image": None,
        "vllm": None,
        "image_pull_policy": None,
        "command": None,
        "engine": EngineArgs(),
        "port": 8000,
        "cpu": None,
        "memory": None,
        "resources": FrozenDict(),
        "shared_memory": None,
        "kv_offload": None,
        "weights": None,
        "cache": EphemeralCache(),
        "lora_adapters": (),
        "runtime_lora_loading": False,
        "hf_token": None,
        "api_key": None,
        "startup": Startup(),
        "drain": None,
        "response_timeout": 300,
        "probes": Probes(),
        "env": FrozenDict(),
        "env_from": (),
        "volumes": FrozenDict(),
        "files": FrozenDict(),
        "ports": FrozenDict(),
        "sidecars": (),
        "init_containers": (),
        "ip_families": (),
        "node_selector": FrozenDict(),
        "tolerations": (),
        "affinity": Affinity(),
        "topology_spread": (TopologySpread(),),
        "scheduler": None,
        "dns": Dns(),
        "host_aliases": FrozenDict(),
        "priority_class": None,
        "runtime_class": None,
        "service_account": None,
        "automount_service_account_token": False,
        "image_pull_secrets": (),
        "pod_annotations": FrozenDict(),
        "security": PodSecurity(),
    }


def _default_image(platform: Platform) -> str:
    """The newest image for a platform that this library knows.

    Args:
        platform: What it must be built for.

    Raises:
        VllmConstructsError: No image is published.
    """
    image = default_image(platform)
    if image is None:
        text = f"is missing, and no image of vLLM for {platform} is published"
        advice = "build one, and give it with {vllm} for its release"
        refuse(Problem(where="image", text=text, advice=advice))
    return image


def reject_unknown(owner: str, given: Mapping[str, object], own: Mapping[str, object]) -> None:
    """Reject unknown options, and the absence of required ones.

    Args:
        owner: Name of the class that accepts the options.
        given: The options that are given.
        own: Options of the class beside those of a pod.

    Raises:
        VllmConstructsError: An option is unknown, or a required one is missing.
    """
    known = {**PodOptions.__annotations__, **own}
    for name in given:
        if name not in PodOptions.__annotations__:
            advice = require.nearest(name, known) or "see its documentation"
            text = f"has no option {escaped(require.shown(name))}"
            refuse(Problem(where=owner, text=text, advice=advice))
    for name in sorted(PodOptions.__required_keys__, reverse=True):
        if given.get(name) is None:
            refuse(Problem(where=name, text="is missing", advice=f"give {owner}({name}=...)"))


# Stands for a default, which `_defaults` has.
_DEFAULT: Any = None


@dataclass(frozen=True, kw_only=True, init=False)
class PodFacts(PodAdditions):
    """The options of a pod with their defaults, checked, and what follows from them."""

    model: ModelName
    gpu: Gpu
    nodes: Nodes = _DEFAULT
    served_name: str | tuple[str, ...] | None = _DEFAULT
    image: str = _DEFAULT
    vllm: str | None = _DEFAULT
    image_pull_policy: str | None = _DEFAULT
    command: tuple[str, ...] = _DEFAULT
    engine: EngineArgs = _DEFAULT
    port: int = _DEFAULT
    cpu: str | tuple[str, str] | None = _DEFAULT
    memory: str | tuple[str, str] | None = _DEFAULT
    resources: Mapping[str, str] = _DEFAULT
    shared_memory: str | None = _DEFAULT
    kv_offload: KvOffload | LmCache | LmCacheClient | None = _DEFAULT
    weights: WeightsSource | None = _DEFAULT
    cache: ExistingClaim | EphemeralCache = _DEFAULT
    lora_adapters: tuple[LoraAdapter, ...] = _DEFAULT
    runtime_lora_loading: bool = _DEFAULT
    hf_token: HuggingFaceToken | None = _DEFAULT
    api_key: ApiKey | None = _DEFAULT
    startup: Startup = _DEFAULT
    drain: Drain | None = _DEFAULT
    response_timeout: int = _DEFAULT
    probes: Probes = _DEFAULT
    env: Mapping[str, str | EnvVarSource] = _DEFAULT
    env_from: tuple[EnvFromSource, ...] = _DEFAULT
    volumes: Mapping[str, Volume] = _DEFAULT
    files: Mapping[str, str | bytes] = _DEFAULT
    ports: Mapping[str, int] = _DEFAULT
    sidecars: tuple[Container, ...] = _DEFAULT
    init_containers: tuple[Container, ...] = _DEFAULT
    ip_families: tuple[str, ...] = _DEFAULT
    node_selector: Mapping[str, str] = _DEFAULT
    tolerations: tuple[Toleration, ...] = _DEFAULT
    affinity: Affinity = _DEFAULT
    topology_spread: tuple[TopologySpread, ...] = _DEFAULT
    scheduler: str | None = _DEFAULT
    dns: Dns = _DEFAULT
    host_aliases: Mapping[str, tuple[str, ...]] = _DEFAULT
    priority_class: str | None = _DEFAULT
    runtime_class: str | None = _DEFAULT
    service_account: str | None = _DEFAULT
    automount_service_account_token: bool = _DEFAULT
    image_pull_secrets: tuple[str, ...] = _DEFAULT
    pod_annotations: Mapping[str, str] = _DEFAULT
    security: PodSecurity = _DEFAULT

    def __init__(self, **options: Unpack[PodOptions]) -> None:
        """Check the options, and keep copies of them."""
        reject_unknown("GpuPodSpec", options, {})
        vars(self).update(options)
        self.__post_init__()

    def __post_init__(self) -> None:
        # A dataclass that inherits from this one comes here from an `__init__` of its own.
        order = PodFacts.__dataclass_fields__
        given = {name: vars(self).get(name) for name in order}
        defaults = _defaults()
        values = {
            name: defaults.get(name) if value is None else value for name, value in given.items()
        }
        reject_unknown("GpuPodSpec", values, {})
        vars(self).update(values)
        self._check()
        # After the checks, so that errors show values as they are given. Defaults are immutable.
        vars(self).update(
            {name: frozen(vars(self)[name]) for name in order if given[name] is not None}
        )

    def _keep(self, name: str, value: object) -> None:
        vars(self)[name] = value

    def _check(self) -> None:
        allowed = (
            "a Hugging Face id such as 'Qwen/Qwen2.5-7B-Instruct', an absolute path, or the URL of "
            "a bucket"
        )
        require.matching("model", self.model, _MODEL, allowed)
        self._check_served_name()
        self._keep("cache", storage.claim_of(self.cache))
        self._keep("kv_offload", offload_of(self.kv_offload))
        self._keep("weights", weights_of(self.weights, self.model))
        self._keep("lora_adapters", lora_adapter.check_adapters(self.lora_adapters))
        require.boolean("runtime_lora_loading", self.runtime_lora_loading)
        self._check_kinds()
        require.integer("port", self.port, 1024, 65535)
        require.integer("response_timeout", self.response_timeout, 1, 86400, "seconds")
        require.boolean("automount_service_account_token", self.automount_service_account_token)
        vars(self).update(placement.checked(vars(self)))
        self._check_references()
        self._check_image()
        offline = self.cache.is_read_only
        added = (lora_adapter.RUNTIME,) if self.runtime_lora_loading else ()
        env = check_variables(self.env, self.release, is_offline=offline, added=added)
        self._keep("env", env)
        self._check_resources()
        vars(self).update(parts.checked(vars(self), self.release.family))
        self._merge()
        _ = self.pod_volumes
        # One that does not fit into the memory is rejected here.
        _ = self.shared_memory_size
        self._check_gpu()
        placement.check_notice(self.nodes, self.drain_time)
        self.engine.check(self.release)
        check_flags("EngineArgs", self.engine.given())
        check_flags("EngineArgs.extra", self.engine.extra)
        self._check_delivery()
        if self.drain_time.seconds == 0 and self.engine.runner != "pooling":
            refuse(
                Problem(
                    where="Drain.seconds",
                    text="is 0, which aborts streamed responses at every rollout",
                    value="0",
                    advice="give the seconds that running requests may take (0 is for "
                    "{runner='pooling'} only)",
                )
            )
        lora_adapter.check(self)
        model_checks.check(self)

    def _merge(self) -> None:
        """Add to flags, variables, volumes and containers what other options need of them."""
        added = additions.merged(vars(self), self._additions)
        if added:
            vars(self).update(added)
            vars(self).update(parts.checked(vars(self), self.release.family))

    def _check_delivery(self) -> None:
        """Reject references to variables in a file, where the kubelet replaces none."""
        if self.engine.delivery == "args":
            return
        for name, value in self.engine.given().items():
            found = referred(as_text(value), self.env)
            if found:
                refuse(
                    Problem(
                        where=f"EngineArgs.{name}",
                        text=f"refers to the variable {found[0]!r}, but vLLM reads it from a file, "
                        "in which no variable is replaced",
                        advice="give {EngineArgs.delivery='args'}",
                    )
                )

    def _check_served_name(self) -> None:
        if self.served_name is None:
            return
        allowed = "at most 253 letters, digits and any of '._:/@+-', first a letter or digit"
        if isinstance(self.served_name, str):
            require.matching("served_name", self.served_name, _SERVED, allowed)
            return
        served = require.items("served_name", self.served_name, "a name, or a list of names")
        for name in served:
            require.matching("served_name", name, _SERVED, allowed)
        if not served or len(set(served)) < len(served):
            require.wrong("served_name", self.served_name, "a name, or a list of different names")

    def _check_kinds(self) -> None:
        expected: dict[str, tuple[type | tuple[type, ...], str]] = {
            "gpu": (kinds.KINDS, kinds.EXPECTED),
            "engine": (EngineArgs, "EngineArgs(...)"),
            "hf_token": (
                (HuggingFaceToken, type(None)),
                "HuggingFaceToken.from_secret(name of a Secret)",
            ),
            "api_key": ((ApiKey, type(None)), "ApiKey.from_secret(name of a Secret)"),
            "startup": (Startup, "Startup(minutes=...)"),
            "drain": ((Drain, type(None)), "Drain(seconds=...)"),
            "nodes": (Nodes, "Nodes(...)"),
            "probes": (Probes, "Probes(...)"),
            "affinity": (Affinity, "Affinity(...)"),
            "dns": (Dns, "Dns(...)"),
            "security": (PodSecurity, "PodSecurity(...)"),
        }
        for name, (kind, allowed) in expected.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                if name in ("hf_token", "api_key"):
                    text = f"is a {type(value).__name__} (not shown)"
                    refuse(Problem(where=name, text=text, allowed=allowed))
                require.wrong(
                    name, value, allowed, kinds.advice_for(value) if name == "gpu" else ""
                )

    def _check_references(self) -> None:
        for name in ("priority_class", "runtime_class"):
            if getattr(self, name) is not None:
                self._keep(name, names.subdomain(name, getattr(self, name)))
        if self.service_account is not None:
            account = name_of("service_account", self.service_account, "ServiceAccount")
            self._keep("service_account", account)
        allowed = "a list of names of Secrets"
        secrets = require.items("image_pull_secrets", self.image_pull_secrets, allowed)
        kept = tuple(name_of("image_pull_secrets", item, "Secret") for item in secrets)
        self._keep("image_pull_secrets", kept)
        annotations = names.annotation_map("pod_annotations", self.pod_annotations)
        for key in annotations:
            if key in SCRAPE_ANNOTATIONS or key.startswith(f"{names.PREFIX}/"):
                where = f"pod_annotations[{key!r}]"
                refuse(Problem(where=where, text="is set by this library", advice="leave it out"))
        self._keep("pod_annotations", FrozenDict(annotations))

    def _check_image(self) -> None:
        if self.image is None:
            self._keep("image", _default_image(self.gpu.platform))
        image, needed = require.shown(self.image), self.gpu.platform
        built_for, newest = self.release.named_accelerator or needed, default_image(needed)
        if built_for != needed:
            kind = f"{{gpu}} is {{{type(self.gpu).__name__}}}, for which it must be built for"
            refuse(
                Problem(
                    where="image",
                    text=f"is {escaped(image)}, which is built for {built_for}, but {kind} "
                    f"{needed}",
                    value=image,
                    advice=f"use {newest!r}, or leave it out" if newest else "use one that is",
                )
            )
        if self.command is None:
            self._keep("command", self.release.family.command)
        if newest is None and self.release.version is None:
            refuse(
                Problem(
                    where="vllm",
                    text=f"is missing, and images for {needed} are built from releases of a plugin",
                    advice="give the release of vLLM in {image}",
                )
            )

    def _check_resources(self) -> None:
        if isinstance(self.gpu, Cpu):
            self._check_cpus()
        for name in ("cpu", "memory"):
            if getattr(self, name) is not None:
                quantity.pair(name, getattr(self, name))

    def _check_cpus(self) -> None:
        """Reject what the accelerator says itself if it is CPUs."""
        for name, option in (("cpu", "cores"), ("memory", "memory_gib")):
            if getattr(self, name) is not None:
                refuse(Problem(where=name, text="is set by {gpu}", advice=f"give {{Cpu.{option}}}"))
        for name in ("kv_cache_memory_bytes", "gpu_memory_utilization"):
            if getattr(self.engine, name) is not None:
                text = "has no effect on CPUs, whose KV cache has the size that {gpu} says"
                advice = "give {Cpu.kv_cache_gib}"
                refuse(Problem(where=f"EngineArgs.{name}", text=text, advice=advice))
        if self.engine.cpu_offload_gb:
            text = "keeps weights in the memory of the pod, where CPUs have them anyway"
            refuse(Problem(where="EngineArgs.cpu_offload_gb", text=text, advice="leave it out"))

    def _check_modelscope(self) -> None:
        """Reject downloads for which an image lacks the package."""
        name, release = "VLLM_USE_MODELSCOPE", self.release
        is_on = bool(switch(self.plain_env, name))
        if is_on and release.is_official and release.family.accelerator != "CUDA":
            text = f"is on, but the image for {release.family.accelerator} has no modelscope"
            advice = "leave it out, or use an image of your own that has it"
            refuse(Problem(where=f"env[{name!r}]", text=text, advice=advice))

    def _check_gpu(self) -> None:
        self._check_modelscope()
        problem = Parallelism.of(self.engine, self.gpu.devices).problem(self.gpu)
        if problem is not None:
            refuse(problem)
        utilization = self.engine.gpu_memory_utilization
        too_much = None if utilization is None else share_problem(utilization, self.gpu.sharers)
        if too_much is not None:
            refuse(too_much)

    @cached_property
    def _release(self) -> VllmRelease:
        kind = None if self.gpu.platform == "CUDA" else self.gpu.platform
        return VllmRelease(self.image, vllm=self.vllm, accelerator=kind)

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        return self._release

    @property
    def name_in_metrics(self) -> str:
        """The `model_name` of all metrics: the first served name, else the model."""
        return self.served_names[0]

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of the model in requests."""
        if self.served_name is None:
            return (self.model,)
        return (self.served_name,) if isinstance(self.served_name, str) else self.served_name

    @property
    def all_node_labels(self) -> Labels:
        """Labels that the node must have, with their allowed values."""
        own = {key: (value,) for key, value in self.node_selector.items()}
        return dict(sorted((self.nodes.labels_for(self.gpu) | own).items()))

    @property
    def node_labels(self) -> dict[str, str]:
        """The `nodeSelector` of the pod."""
        found = self.all_node_labels
        return {key: values[0] for key, values in found.items() if len(values) == 1}

    @property
    def node_requirements(self) -> tuple[NodeRequirement, ...]:
        """The labels of the GPU's nodes that may have one of several values."""
        found = self.all_node_labels
        return tuple(
            NodeRequirement(key, values) for key, values in found.items() if len(values) > 1
        )

    @cached_property
    def drain_time(self) -> Drain:
        """The given drain, otherwise one of `response_timeout` seconds."""
        return self.drain or Drain(seconds=self.response_timeout)

    @property
    def is_offline(self) -> bool:
        """Whether downloads are off, since the cache cannot be written."""
        # The values are those of huggingface_hub (constants.py).
        is_off = self.plain_env.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        return self.cache.is_read_only or is_off

    def _derived_options(self) -> dict[str, Any]:
        """The flags that follow from the other options."""
        derived: dict[str, Any] = {}
        if (
            self.served_name is not None
            or self.is_offline
            or self.source != self.model
            or self.is_streamed
        ):
            # Otherwise vLLM uses the path of a folder as its name.
            derived["served-model-name"] = list(self.served_names)
        if self.port != 8000:
            derived["port"] = self.port
        if "IPv6" in self.ip_families:
            # On Linux a socket of all IPv6 addresses accepts IPv4, too.
            derived["host"] = "::"
        engine = self.engine
        tensor = Parallelism.of(engine, self.gpu.devices).tensor
        if engine.tensor_parallel_size is None and tensor > 1:
            derived["tensor-parallel-size"] = tensor
        share = self.gpu.gpu_memory_utilization
        if share is not None and engine.gpu_memory_utilization is None:
            derived["gpu-memory-utilization"] = share
        return derived

    def options(self) -> dict[str, Any]:
        """All flags of the engine, the given and the derived ones."""
        return self.engine.options(self._derived_options())
