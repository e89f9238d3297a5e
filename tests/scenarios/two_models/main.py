"""Two models with a cache each, on one host with a path each."""

from cdk8s import App, Chart

from vllm_constructs import (
    ClusterIssuerRef,
    EngineArgs,
    ModelCache,
    ModelDeployment,
    ModelFleet,
    Traefik,
    WholeGpu,
)

app = App()
chart = Chart(app, "models", namespace="llm")
chat = ModelDeployment(
    chart,
    "chat",
    model="Qwen/Qwen3-8B",
    served_name="qwen3-8b",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=2,
    cache=ModelCache(chart, "chat-weights", size="40Gi", storage_class="nfs-client"),
)
coder = ModelDeployment(
    chart,
    "coder",
    model="Qwen/Qwen2.5-Coder-7B-Instruct",
    served_name="qwen-coder",
    gpu=WholeGpu("NVIDIA-A10"),
    engine=EngineArgs(max_model_len=16384),
    cache=ModelCache(chart, "coder-weights", size="40Gi", access="ReadWriteOnce"),
)
ModelFleet(
    chart,
    "models",
    models=[chat, coder],
    host="llm.example.com",
    controller=Traefik(),
    tls=ClusterIssuerRef("letsencrypt", secret="llm-example-com-tls"),
)
app.synth()
