"""GpuPodSpec: the pod that runs one vLLM engine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.accelerators import nvidia as accelerators
from vllm_constructs.accelerators.nvidia import MigSlice, TimeSlicedGpu, VirtualGpu, WholeGpu
from vllm_constructs.engine.command_line_writer import file_options
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names, quantity
from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.releases import environment
from vllm_constructs.releases.release import DEFAULT_IMAGE, VllmRelease

from . import container, storage
from .availability import Drain, Startup
from .secrets import ApiKey, HuggingFaceToken
from .storage import EphemeralCache, ExistingClaim

Gpu: TypeAlias = "WholeGpu | MigSlice | TimeSlicedGpu | VirtualGpu"


_MODEL = re.compile(r"/?[A-Za-z0-9][\w.-]*(/[\w.-]+)*(:[\w.-]+)?", re.ASCII)
_SERVED = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,252}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Variables that would say again, or break, what is derived here.
_RESERVED = {
    "CUDA_VISIBLE_DEVICES": "the device plugin hands out the GPUs",
    "NVIDIA_VISIBLE_DEVICES": "the device plugin hands out the GPUs",
    "HF_HOME": "cache= says where weights are kept",
    "HF_TOKEN": "hf_token= refers to a Secret, so that the token is in no manifest",
    "HUGGING_FACE_HUB_TOKEN": "hf_token= refers to a Secret, so that the token is in no manifest",
    "HOME": "the pod's user and its folder belong together",
    "USER": "the pod's user and its folder belong together",
    "VLLM_API_KEY": "api_key= refers to a Secret, so that the key is in no manifest",
    "VLLM_ENGINE_READY_TIMEOUT_S": "startup= sets it",
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "longest_answer= sets it",
    "VLLM_PORT": "it is vLLM's internal port, not the API's; port= is that",
    "VLLM_HOST_IP": "it is only for engines over several nodes",
    "VLLM_SERVER_DEV_MODE": "it opens administrative endpoints to every client",
}


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint that the pod tolerates, beside `nvidia.com/gpu`.

    Args:
        key: Key of the taint.
        value: Its value; default: any.
        effect: `"NoSchedule"` (default), `"PreferNoSchedule"` or `"NoExecute"`.

    Raises:
        VllmConstructsError: An illegal key or value, or an unknown effect.
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
        found = {"key": self.key, "operator": "Equal", "value": self.value}
        return found | {"effect": self.effect}


@dataclass(frozen=True, kw_only=True)
class GpuPodSpec:
    """The pod that runs one vLLM engine: the value behind ModelDeployment.

    Use it alone to get the pod for a workload of your own: `spec.manifest()` gives the pod's
    `spec`, `spec.annotations()` what belongs on its template.

    Args:
        model: Hugging Face id such as `Qwen/Qwen2.5-7B-Instruct`, or an absolute path in the
            image or cache.
        gpu: What the engine runs on.
        served_name: Name that clients send, and the `model_name` of all metrics. Default: the
            model as given.
        image: vLLM image with a tag or digest. Default: the newest release known here.
        vllm: The release in the image, such as `"0.33.0"`, where its tag does not say it: an
            image of your own, or a digest. Default: what the tag says, else the newest.
        engine: Flags of `vllm serve`.
        port: Port of the API and of the metrics. Default 8000.
        cpu: Cores as request, or as (request, limit). Default: 4 per GPU and no limit, since
            throttling slows every token.
        memory: Memory as request and limit in one, or as (request, limit). Default: 16Gi and
            32Gi per GPU.
        shared_memory: Size of `/dev/shm`. Default: what vLLM's workers and NCCL need.
        cache: Where weights are kept. Default: the node's disk, filled by each pod again.
        hf_token: Token for downloads. Default: none.
        api_key: Key that clients must send. Default: none.
        startup: How long loading may take. Default 15 minutes.
        drain: How long running requests may take to end. Default: `longest_answer`.
        longest_answer: Seconds that the longest answer may take, first to last byte; timeouts
            of every ingress and route in front follow from it. Default 300.
        env: More variables of the container.
        node_selector: More labels that nodes must have.
        tolerations: More taints that are tolerated.
        priority_class: Name of a PriorityClass.
        runtime_class: Name of a RuntimeClass, such as `nvidia`, where the cluster needs it.
        service_account: Name of a ServiceAccount. Its token is not mounted in any case.
        image_pull_secrets: Names of Secrets for the registry.
        pod_annotations: More annotations of the pod.
        run_as_root: Run as root, for images or storage that need it. Default False: user 2000,
            group 0, which Pod Security "restricted" admits.

    Raises:
        VllmConstructsError: A value that cannot work, or values that contradict each other.
    """

    model: str
    gpu: Gpu
    served_name: str | None = None
    image: str = DEFAULT_IMAGE
    vllm: str | None = None
    engine: EngineArgs = field(default_factory=EngineArgs)
    port: int = 8000
    cpu: str | tuple[str, str] | None = None
    memory: str | tuple[str, str] | None = None
    shared_memory: str | None = None
    cache: ExistingClaim | EphemeralCache = field(default_factory=EphemeralCache)
    hf_token: HuggingFaceToken | None = None
    api_key: ApiKey | None = None
    startup: Startup = field(default_factory=Startup)
    drain: Drain | None = None
    longest_answer: int = 300
    env: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Toleration] = ()
    priority_class: str | None = None
    runtime_class: str | None = None
    service_account: str | None = None
    image_pull_secrets: Sequence[str] = ()
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    run_as_root: bool = False

    def __post_init__(self) -> None:
        allowed = "a Hugging Face id such as 'Qwen/Qwen2.5-7B-Instruct', or an absolute path"
        require.matching("model", self.model, _MODEL, allowed)
        if self.served_name is not None:
            allowed = "at most 253 letters, digits and any of '._:/@+-', first a letter or digit"
            require.matching("served_name", self.served_name, _SERVED, allowed)
        self._check_kinds()
        require.integer("port", self.port, 1024, 65535)
        require.integer("longest_answer", self.longest_answer, 1, 86400, "seconds")
        require.boolean("run_as_root", self.run_as_root)
        self._check_scheduling()
        self._check_image()
        self._check_environment()
        self._check_resources()
        storage.shared_memory(self.gpu.count, self.shared_memory, self.memory_pair[1])
        self._check_parallelism()
        self.engine.check(self.release)
        if self.answers.seconds == 0 and self.engine.runner != "pooling":
            refuse(
                "Drain.seconds is 0, which aborts streamed answers at every rollout; give the "
                "seconds that running answers may take (0 is for runner='pooling' only)."
            )

    def _check_kinds(self) -> None:
        kinds: dict[str, tuple[type | tuple[type, ...], str]] = {
            "gpu": (accelerators.KINDS, "a WholeGpu, MigSlice, TimeSlicedGpu or VirtualGpu"),
            "engine": (EngineArgs, "EngineArgs(...)"),
            "cache": (
                (ExistingClaim, EphemeralCache),
                "a ModelCache, ExistingClaim or EphemeralCache",
            ),
            "hf_token": (
                (HuggingFaceToken, type(None)),
                "HuggingFaceToken.from_secret(name of a Secret)",
            ),
            "api_key": ((ApiKey, type(None)), "ApiKey.from_secret(name of a Secret)"),
            "startup": (Startup, "Startup(minutes=...)"),
            "drain": ((Drain, type(None)), "Drain(seconds=...)"),
        }
        for name, (kind, allowed) in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                secret = name in ("hf_token", "api_key")
                if secret:
                    refuse(f"{name} is a {type(value).__name__} (not shown); it takes {allowed}.")
                require.wrong(name, value, allowed)

    def _check_scheduling(self) -> None:
        for key in names.label_map("node_selector", self.node_selector):
            if key in self.gpu.node_labels:
                refuse(f"node_selector has {key!r}, which gpu= derives; leave it out.")
        allowed = "a list of Toleration(...)"
        for item in require.items("tolerations", self.tolerations, allowed):
            require.instance("tolerations", item, Toleration, allowed)
        for name in ("priority_class", "runtime_class", "service_account"):
            if getattr(self, name) is not None:
                names.subdomain(name, getattr(self, name))
        allowed = "a list of names of Secrets"
        for item in require.items("image_pull_secrets", self.image_pull_secrets, allowed):
            names.subdomain("image_pull_secrets", item)
        names.annotation_map("pod_annotations", self.pod_annotations)

    def _check_image(self) -> None:
        if self.answers.seconds and not self.release.has_flag("shutdown-timeout"):
            warn(
                f"image is {self.image!r}, whose {self.release.called} has no --shutdown-timeout: "
                "answers that run when a pod stops are aborted after the pause of Drain.pre_stop; "
                "take 0.19.1 or newer."
            )
        family = self.release.family
        if family.accelerator != "CUDA":
            refuse(
                f"image is {self.image!r}, which is built for {family.accelerator}, and gpu is one "
                "of NVIDIA's; take 'vllm/vllm-openai'."
            )

    def _check_environment(self) -> None:
        for name, value in require.text_map("env", self.env).items():
            allowed = "a variable of letters, digits and '_'"
            require.matching("a key of env", name, _VARIABLE, allowed)
            if name in _RESERVED:
                refuse(f"env has {name}, but {_RESERVED[name]}; leave it out.")
            environment.check(self.release, name, value)

    def _check_resources(self) -> None:
        for name, amount in (("cpu", quantity.cpu), ("memory", quantity.memory)):
            value = getattr(self, name)
            pair = (value, value) if isinstance(value, str) else value
            if pair is None:
                continue
            allowed = "one quantity, or (request, limit)"
            parts = require.items(name, pair, allowed)
            if len(parts) != 2:
                require.wrong(name, value, allowed)
            request, limit = (amount(name, part) for part in parts)
            if request > limit:
                refuse(
                    f"{name} asks for {parts[0]!r} with a limit of {parts[1]!r}; "
                    "the request must not be above the limit."
                )

    def _check_parallelism(self) -> None:
        engine, gpu = self.engine, self.gpu
        pipeline = engine.pipeline_parallel_size or 1
        data = engine.data_parallel_size or 1
        tensor = engine.tensor_parallel_size or max(1, gpu.count // (pipeline * data))
        size = tensor * pipeline * data
        if size > 1 and not gpu.parallel:
            refuse(
                f"EngineArgs asks for {size} GPUs (tensor {tensor} x pipeline {pipeline} x data "
                f"{data}), but the pod has one {type(gpu).__name__}, and these cannot work on one "
                "engine; leave the sizes out, or use WholeGpu."
            )
        if size != gpu.count:
            refuse(
                f"EngineArgs asks for {size} GPUs (tensor {tensor} x pipeline {pipeline} x data "
                f"{data}), but the pod has {gpu.count}; give WholeGpu(count={size}), or leave "
                "tensor_parallel_size out to use them all."
            )
        asked = engine.gpu_memory_utilization
        if gpu.share < 1 and asked is not None and asked >= gpu.share:
            refuse(
                f"EngineArgs.gpu_memory_utilization is {asked}, but {round(1 / gpu.share)} pods "
                f"share the GPU's memory; stay below {gpu.share:.2f}, or leave it out."
            )

    @cached_property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        return VllmRelease(self.image, vllm=self.vllm)

    @property
    def name_in_metrics(self) -> str:
        """The `model_name` of all metrics: the served name, else the model as given."""
        return self.served_name if self.served_name is not None else self.model

    @property
    def answers(self) -> Drain:
        """The drain: as given, else as long as the longest answer."""
        return self.drain or Drain(seconds=self.longest_answer)

    @property
    def cpu_pair(self) -> tuple[str, str | None]:
        """Cores as request and limit, which may be none."""
        if self.cpu is None:
            return str(4 * self.gpu.count), None
        return (self.cpu, None) if isinstance(self.cpu, str) else self.cpu

    @property
    def memory_pair(self) -> tuple[str, str]:
        """Memory as request and limit."""
        if self.memory is None:
            return f"{16 * self.gpu.count}Gi", f"{32 * self.gpu.count}Gi"
        return (self.memory, self.memory) if isinstance(self.memory, str) else self.memory

    @property
    def shared_memory_size(self) -> str:
        """Size of `/dev/shm`: as given, else what the workers need."""
        return storage.shared_memory(self.gpu.count, self.shared_memory, self.memory_pair[1])

    def _derived_options(self) -> dict[str, Any]:
        """The flags that follow from the other facts."""
        found: dict[str, Any] = {}
        if self.served_name is not None or self.cache.is_read_only:
            # Offline, vLLM would serve and label the model by its path in the cache.
            found["served-model-name"] = [self.name_in_metrics]
        if self.port != 8000:
            found["port"] = self.port
        engine = self.engine
        size = (engine.pipeline_parallel_size or 1) * (engine.data_parallel_size or 1)
        if engine.tensor_parallel_size is None and self.gpu.count > size:
            found["tensor-parallel-size"] = self.gpu.count // size
        if self.gpu.share < 1 and engine.gpu_memory_utilization is None:
            found["gpu-memory-utilization"] = int(self.gpu.share * 90) / 100
        # A release without the flag aborts running answers at SIGTERM, whatever it is told.
        if self.answers.seconds and self.release.has_flag("shutdown-timeout"):
            found["shutdown-timeout"] = self.answers.seconds
        return found

    def options(self) -> dict[str, Any]:
        """All flags of the engine, given and derived."""
        return self.engine.options(self._derived_options())

    def config(self) -> str | None:
        """The file that vLLM reads with `--config`, or None where flags are arguments."""
        if self.engine.delivery == "args":
            return None
        import yaml

        options = file_options(self.options(), self.release)
        return yaml.safe_dump(options, sort_keys=True, width=4096)

    def _security(self) -> dict[str, Any]:
        seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
        if self.run_as_root:
            return {"runAsUser": 0, **seccomp}
        family = self.release.family
        user = {"runAsNonRoot": True, "runAsUser": family.user, "runAsGroup": family.group}
        user["fsGroup"] = family.group
        return user | {"fsGroupChangePolicy": "OnRootMismatch"} | seccomp

    def manifest(
        self, *, kubernetes: Kubernetes | None = None, config_map: str | None = None
    ) -> dict[str, Any]:
        """The pod's `spec`.

        Args:
            kubernetes: Target release; default: the oldest supported one.
            config_map: Name of the ConfigMap that holds `config()` under `engine.yaml`; needed
                with `EngineArgs(delivery="config-map")`.

        Raises:
            VllmConstructsError: The ConfigMap's name is missing, or given without need.
        """
        if kubernetes is not None:
            allowed = "Kubernetes('1.34')"
            require.instance("GpuPodSpec.manifest kubernetes", kubernetes, Kubernetes, allowed)
        if config_map is not None:
            names.subdomain("GpuPodSpec.manifest config_map", config_map)
        if (config_map is None) != (self.engine.delivery == "args"):
            refuse(
                f"GpuPodSpec.manifest config_map is {config_map!r} with "
                f"EngineArgs(delivery={self.engine.delivery!r}); the two belong together."
            )
        volumes = container.volumes(self, config_map)
        taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        found: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": self.answers.grace_period,
            "securityContext": self._security(),
            "nodeSelector": dict(sorted((self.gpu.node_labels | dict(self.node_selector)).items())),
            "tolerations": [taint, *(item.manifest() for item in self.tolerations)],
            "containers": [
                container.manifest(
                    self, kubernetes or Kubernetes(), [mount for _, mount in volumes]
                )
            ],
            "volumes": [volume for volume, _ in volumes],
        }
        optional = {
            "priorityClassName": self.priority_class,
            "runtimeClassName": self.runtime_class,
            "serviceAccountName": self.service_account,
        }
        found |= {name: value for name, value in optional.items() if value is not None}
        if self.image_pull_secrets:
            found["imagePullSecrets"] = [{"name": name} for name in self.image_pull_secrets]
        if not found["nodeSelector"]:
            del found["nodeSelector"]
        return found

    def annotations(self) -> dict[str, str]:
        """The annotations of the pod template: the model, the scrape hints, a config checksum."""
        found = {
            "vllm-constructs/model": self.model,
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(self.port),
            "prometheus.io/path": "/metrics",
        }
        config = self.config()
        if config is not None:
            found["vllm-constructs/engine-checksum"] = hashlib.sha256(config.encode()).hexdigest()
        return found | names.annotation_map("pod_annotations", self.pod_annotations)
