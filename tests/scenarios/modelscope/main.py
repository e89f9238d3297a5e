"""A private model of ModelScope, kept on a claim."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    EnvVarSource,
    ModelCache,
    ModelDeployment,
    ModelScope,
    Nodes,
    WholeGpu,
)

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen",
    gpu=WholeGpu("NVIDIA-A10"),
    nodes=Nodes("ack"),
    replicas=2,
    engine=EngineArgs(max_model_len=8192),
    weights=ModelScope(token=EnvVarSource.from_secret("modelscope", key="token")),
    cache=ModelCache(chart, "weights", size="50Gi", storage_class="alibabacloud-cnfs-nas"),
)
app.synth()
