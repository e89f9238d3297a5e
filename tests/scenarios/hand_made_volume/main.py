"""Weights and LoRA adapters on NFS volumes that exist, through claims that the app makes.

The exports belong to user 1000, since NFS ignores `fsGroup`.
"""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart, Size

from vllm_constructs import EngineArgs, ModelCache, ModelDeployment, PodSecurity, Volume, WholeGpu

app = App()
chart = Chart(app, "qwen", namespace="llm")
weights = ModelCache(chart, "weights", size="100Gi", storage_class="nfs", volume_name="nfs-weights")
adapters = kplus.PersistentVolumeClaim(
    chart,
    "adapters",
    metadata=ApiObjectMetadata(name="adapters"),
    access_modes=[kplus.PersistentVolumeAccessMode.READ_ONLY_MANY],
    storage=Size.gibibytes(5),
    storage_class_name="nfs",
    volume=kplus.PersistentVolume.from_persistent_volume_name(chart, "lora", "nfs-adapters"),
)
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-A100-SXM4-40GB"),
    replicas=2,
    cache=weights,
    security=PodSecurity(user=1000, group=1000),
    volumes={"/adapters": Volume.from_claim(adapters, read_only=True)},
    engine=EngineArgs(
        max_model_len=16384,
        enable_lora=True,
        max_loras=2,
        max_lora_rank=32,
        lora_modules=["sql=/adapters/sql", "support=/adapters/support"],
    ),
)
app.synth()
