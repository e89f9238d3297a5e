"""Alibaba ACK: an A10, an image in the region, and weights from a mirror of the Hub on NAS."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ModelCache, ModelDeployment, Nodes, WholeGpu

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen-7b",
    image="registry-vpc.cn-shanghai.aliyuncs.com/example/vllm-openai:v0.33.0",
    image_pull_secrets=["acr"],
    gpu=WholeGpu("NVIDIA-A10"),
    nodes=Nodes("ack"),
    cache=ModelCache(chart, "weights", size="60Gi", storage_class="alibabacloud-cnfs-nas"),
    engine=EngineArgs(max_model_len=8192),
    # The mirror has no storage for Xet.
    env={"HF_ENDPOINT": "https://hf-mirror.com", "HF_HUB_DISABLE_XET": "1"},
)
app.synth()
