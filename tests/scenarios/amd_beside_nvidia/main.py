"""One model on MI300X and on H100, behind one Service: each with its own image."""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart

from vllm_constructs import AmdGpu, EngineArgs, ModelCache, ModelDeployment, WholeGpu

GPUS: dict[str, AmdGpu | WholeGpu] = {
    "amd": AmdGpu("MI300X", count=2),
    "nvidia": WholeGpu("NVIDIA-H100-80GB-HBM3", count=2),
}

app = App()
chart = Chart(app, "qwen", namespace="llm")
cache = ModelCache(chart, "weights", size="200Gi", storage_class="nfs")
for vendor, gpu in GPUS.items():
    ModelDeployment(
        chart,
        f"qwen-{vendor}",
        model="Qwen/Qwen3-32B",
        served_name="qwen3-32b",
        gpu=gpu,
        engine=EngineArgs(max_model_len=32768),
        cache=cache,
        labels={"model": "qwen3-32b"},
    )
front = kplus.Service(
    chart,
    "front",
    metadata=ApiObjectMetadata(name="qwen3-32b"),
    ports=[kplus.ServicePort(name="http", port=80, target_port=8000)],
)
front.select_label("model", "qwen3-32b")
app.synth()
