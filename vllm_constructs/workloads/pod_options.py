"""PodOptions: the options of a pod, which ModelDeployment and GpuPodSpec accept."""

# Annotations are not deferred here: `Required` takes effect only where it is evaluated.
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Required, TypedDict

from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nodes import Nodes
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.model_names import ModelName
from vllm_constructs.kube.references import HasEnvValue, HasName

from .availability import Drain, Startup
from .container import Container
from .dns import Dns
from .env_sources import EnvFromSource, EnvVarSource
from .kv_offload import Offload
from .lora_adapter import LoraAdapter
from .pod_security import PodSecurity
from .probes import Probes
from .scheduling import Affinity, Toleration, TopologySpread
from .secrets import ApiKey, HuggingFaceToken
from .storage import Cache
from .volumes import PullPolicy, Volume
from .weights import Weights


class PodOptions(TypedDict, total=False):
    """The options of the pod that runs one vLLM engine.

    `ModelDeployment` and `GpuPodSpec` accept them as keywords; `model` and `gpu` are required.
    None stands for the default of an option. A function of your own that passes the options on
    has the parameter `**pod: Unpack[PodOptions]`.
    """

    model: Required[ModelName]
    """Hugging Face id such as `Qwen/Qwen2.5-7B-Instruct`, an absolute path in the image or in the
    cache, or the URL of a bucket such as `s3://weights/qwen`. With a name, the model's memory plan
    is known wherever `weights` come from."""
    gpu: Required[Gpu]
    """Accelerator of the pod: a `WholeGpu`, `MigSlice`, `TimeSlicedGpu`, `VirtualGpu`,
    `DeviceClaim`, `AmdGpu`, `IntelGpu`, `Gaudi`, `Tpu` or `Cpu`."""
    nodes: Nodes | None
    """How the nodes of the GPU are found. Default: by the labels of GPU feature discovery; clouds
    have other labels."""
    served_name: str | Sequence[str] | None
    """Name of the model in requests; with several, each is accepted. The first is the `model_name`
    of all metrics. Default: `model`."""
    image: str | None
    """vLLM image with a tag or digest. Default: the newest one for the accelerator that this
    library knows; none is published for `Gaudi`."""
    vllm: str | None
    """vLLM release in the image, such as `"0.33.0"`, if the tag does not name it: an image of
    your own, or a digest. Default: the release in the tag, otherwise the newest known one."""
    image_pull_policy: PullPolicy | None
    """When the image is pulled. Default: Kubernetes' own, `Always` for the tag `latest`, otherwise
    `IfNotPresent`."""
    command: Sequence[str] | None
    """Command of the container, before the model and the flags. Default: `["vllm", "serve"]`, or
    that of `lmcache/vllm-openai` for this image; an image of your own whose vLLM is not on the path
    needs another one."""
    engine: EngineArgs | None
    """Flags of `vllm serve`. Default: none."""
    port: int | None
    """Port of the API, the Service and the metrics. Default: 8000."""
    cpu: str | tuple[str, str] | None
    """CPU cores as request, or as (request, limit). Default: 4 per GPU and no limit, since
    throttling slows down every token."""
    memory: str | tuple[str, str] | None
    """Memory: one quantity for both request and limit, or (request, limit). Default: 16Gi and
    32Gi per GPU, plus what is offloaded to it."""
    resources: Mapping[str, int | str] | None
    """Extended resources and huge pages, such as `{"rdma/ib": 1, "hugepages-2Mi": "1Gi"}`, each
    both request and limit. Default: none."""
    shared_memory: str | None
    """Size of `/dev/shm`. Default: the size that vLLM's workers and NCCL need, plus the KV cache
    that is offloaded to it."""
    kv_offload: Offload | None
    """KV cache outside of the GPU: a `KvOffload`, an `LmCache` or an `LmCacheServer`. Default:
    none."""
    weights: Weights | None
    """Where the weights come from: an `S3Bucket`, `GcsBucket`, `AzureContainer`, `OciImage`,
    `ModelScope`, `HuggingFaceMirror` or `ModelDownload`. Default: the bucket that `model` names,
    otherwise the Hugging Face Hub."""
    cache: Cache | None
    """Volume for the weights: a `ModelCache`, `ExistingClaim`, `EphemeralCache` or a cdk8s-plus
    claim. A cdk8s-plus claim without access modes counts as `ReadWriteMany`. Default: an
    `EphemeralCache`, to which every pod downloads the weights again."""
    lora_adapters: Sequence[LoraAdapter] | None
    """LoRA adapters, each with a name of its own in requests. Default: none."""
    runtime_lora_loading: bool | None
    """Whether clients may load and unload LoRA adapters (`/v1/load_lora_adapter`). Every
    client can then load any folder of the pod and any repository; only the pod that answers loads
    it, until it restarts. Default: False."""
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
    probes: Probes | None
    """How often the kubelet asks a running engine. Default: `Probes()`."""
    env: Mapping[str, str | EnvVarSource | HasEnvValue] | None
    """More environment variables of the container: strings, sources such as
    `EnvVarSource.from_secret(...)`, and `EnvValue`s of cdk8s-plus. Credentials in clear are
    rejected. Default: none."""
    env_from: Sequence[EnvFromSource] | None
    """Secrets and ConfigMaps whose keys are all variables of the container. Default: none."""
    volumes: Mapping[str, Volume] | None
    """Volumes by the paths where the container mounts them. Default: none beside cache, shared
    memory and `HOME`."""
    files: Mapping[str, str | bytes | Path] | None
    """Files by their paths in the container: their content, or a file of yours that is read. They
    are in a ConfigMap, and a change rolls the pods. Default: none."""
    ports: Mapping[str, int] | None
    """More ports of the container by their names. Default: none."""
    sidecars: Sequence[Container] | None
    """Containers that run beside the engine. They start before it and end after it where the
    target release has native sidecars (1.29). Default: none."""
    init_containers: Sequence[Container] | None
    """Containers that run, one after the other, before the engine starts. Default: none."""
    ip_families: Sequence[Literal["IPv4", "IPv6"]] | None
    """IP families of the Service, the first one first. With IPv6, vLLM listens on all addresses of
    both families. Default: that of the cluster, and IPv4 for vLLM."""
    node_selector: Mapping[str, str] | None
    """More labels that the node must have. Default: none."""
    tolerations: Sequence[Toleration] | None
    """More taints that the pod tolerates. Default: none."""
    affinity: Affinity | None
    """More nodes that the pod needs or prefers, and pods near which it runs. Default: none."""
    topology_spread: Sequence[TopologySpread] | None
    """How a ModelDeployment spreads its pods. Default: over hosts, where that is possible."""
    scheduler: str | None
    """Name of the scheduler. Default: that of the cluster."""
    dns: Dns | None
    """How names are resolved. Default: by the cluster's DNS."""
    host_aliases: Mapping[str, Sequence[str]] | None
    """Host names by the IP addresses that they stand for. Default: none."""
    priority_class: str | None
    """Name of a PriorityClass. Default: none."""
    runtime_class: str | None
    """Name of a RuntimeClass, such as `nvidia`, if the cluster needs it. Default: none."""
    service_account: str | HasName | None
    """A ServiceAccount, by name or as a cdk8s-plus object, such as one that has a role in a cloud.
    Default: that of the namespace."""
    automount_service_account_token: bool | None
    """Whether the token of the ServiceAccount is mounted. Default: False; the identities of EKS,
    GKE and AKS do not need it."""
    image_pull_secrets: Sequence[str | HasName] | None
    """Secrets for the image registry, by name or as cdk8s-plus objects. Default: none."""
    pod_annotations: Mapping[str, str] | None
    """More annotations of the pod template. Default: none."""
    security: PodSecurity | None
    """The user of the processes, and what they may do. Default: user 2000 and group 0 without any
    capability, which the Pod Security level "restricted" admits."""
