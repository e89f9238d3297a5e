"""Three models behind one host, each with its own path.

The base URL for clients is `https://llm.example.com/<served name>/v1`. vLLM itself serves the API
below that path, so the controller does not rewrite paths.
"""

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

cache = ModelCache(chart, "weights", size="200Gi")
chat = ModelDeployment(
    chart,
    "qwen-7b",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen-7b",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=2,
    cache=cache,
)
coder = ModelDeployment(
    chart,
    "qwen-coder",
    model="Qwen/Qwen2.5-Coder-7B-Instruct",
    served_name="qwen-coder",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=cache,
)
embeddings = ModelDeployment(
    chart,
    "qwen-embedding",
    model="Qwen/Qwen3-Embedding-0.6B",
    served_name="qwen-embedding",
    gpu=WholeGpu("NVIDIA-L4"),
    engine=EngineArgs(runner="pooling"),
    response_timeout=60,
    cache=cache,
)
ModelFleet(
    chart,
    "front",
    models=[chat, coder, embeddings],
    host="llm.example.com",
    controller=Traefik(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
)

app.synth()
