"""No way out of the cluster: a mirror of the Hub in it, and a claim that has been filled before."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ExistingClaim, ModelCache, ModelDeployment, WholeGpu

IMAGE = "registry.example.com/vllm/vllm-openai:v0.33.0"

app = App()
chart = Chart(app, "models", namespace="llm")
ModelDeployment(
    chart,
    "qwen3",
    model="Qwen/Qwen3-8B",
    image=IMAGE,
    image_pull_secrets=["registry"],
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ModelCache(chart, "qwen3-weights", size="50Gi"),
    env={
        "HF_ENDPOINT": "http://hub.mirrors.svc:8080",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "VLLM_NO_USAGE_STATS": "1",
    },
)
ModelDeployment(
    chart,
    "qwen-72b",
    model="Qwen/Qwen2.5-72B-Instruct",
    image=IMAGE,
    image_pull_secrets=["registry"],
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=4),
    replicas=2,
    cache=ExistingClaim("golden-weights", access="ReadOnlyMany"),
    engine=EngineArgs(max_model_len=32768),
    env={"VLLM_NO_USAGE_STATS": "1"},
)
app.synth()
