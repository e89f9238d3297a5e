"""PodOptions: the options of a pod, which ModelDeployment and GpuPodSpec accept."""

# Annotations are not deferred here: `Required` takes effect only where it is evaluated.
from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import Gpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.kube import names
from vllm_constructs.kube.references import HasName

from .availability import Drain, Startup
from .secrets import ApiKey, HuggingFaceToken
from .storage import Cache


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


class PodOptions(TypedDict, total=False):
    """The options of the pod that runs one vLLM engine.

    `ModelDeployment` and `GpuPodSpec` accept them as keywords; `model` and `gpu` are required.
    None stands for the default of an option. A function of your own that passes the options on
    has the parameter `**pod: Unpack[PodOptions]`.
    """

    model: Required[str]
    """Hugging Face id such as `Qwen/Qwen2.5-7B-Instruct`, or an absolute path in the image or
    in the cache."""
    gpu: Required[Gpu]
    """GPU of the pod: a `WholeGpu`, `MigSlice`, `TimeSlicedGpu` or `VirtualGpu`."""
    served_name: str | None
    """Name of the model in requests, and the `model_name` of all metrics. Default: `model`."""
    image: str | None
    """vLLM image with a tag or digest. Default: the newest release that this library knows."""
    vllm: str | None
    """vLLM release in the image, such as `"0.33.0"`, if the tag does not name it: an image of
    your own, or a digest. Default: the release in the tag, otherwise the newest known one."""
    engine: EngineArgs | None
    """Flags of `vllm serve`. Default: none."""
    port: int | None
    """Port of the API, the Service and the metrics. Default: 8000."""
    cpu: str | tuple[str, str] | None
    """CPU cores as request, or as (request, limit). Default: 4 per GPU and no limit, since
    throttling slows down every token."""
    memory: str | tuple[str, str] | None
    """Memory: one quantity for both request and limit, or (request, limit). Default: 16Gi and
    32Gi per GPU."""
    shared_memory: str | None
    """Size of `/dev/shm`. Default: the size that vLLM's workers and NCCL need."""
    cache: Cache | None
    """Volume for the weights: a `ModelCache`, `ExistingClaim`, `EphemeralCache` or a cdk8s-plus
    claim. A cdk8s-plus claim without access modes counts as `ReadWriteMany`. Default: an
    `EphemeralCache`, to which every pod downloads the weights again."""
    hf_token: HuggingFaceToken | None
    """Hugging Face token for downloads. Default: none."""
    api_key: ApiKey | None
    """API key that clients must send. Default: none."""
    startup: Startup | None
    """How long loading the model may take. Default: 15 minutes."""
    drain: Drain | None
    """How long running requests may take to finish when a pod stops. Default: as long as
    `response_timeout`."""
    response_timeout: int | None
    """Seconds that the longest response may take, from first to last byte. The timeouts of all
    ingresses and routes follow from it. Default: 300."""
    env: Mapping[str, str] | None
    """More environment variables of the container. Default: none."""
    node_selector: Mapping[str, str] | None
    """More labels that the node must have. Default: none."""
    tolerations: Sequence[Toleration] | None
    """More taints that the pod tolerates. Default: none."""
    priority_class: str | None
    """Name of a PriorityClass. Default: none."""
    runtime_class: str | None
    """Name of a RuntimeClass, such as `nvidia`, if the cluster needs it. Default: none."""
    service_account: str | HasName | None
    """A ServiceAccount, by name or as a cdk8s-plus object. Its token is never mounted. Default:
    that of the namespace."""
    image_pull_secrets: Sequence[str | HasName] | None
    """Secrets for the image registry, by name or as cdk8s-plus objects. Default: none."""
    pod_annotations: Mapping[str, str] | None
    """More annotations of the pod template. Default: none."""
    run_as_root: bool | None
    """Run as root, for images or storage that need it. Default: False: user 2000 and group 0,
    which the Pod Security level "restricted" admits."""
