"""Two models behind one Gateway with a certificate; plain HTTP is redirected to HTTPS."""

from cdk8s import App, Chart

from vllm_constructs import (
    ApiKey,
    ClusterIssuerRef,
    Gateway,
    ModelCache,
    ModelDeployment,
    ModelRoute,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
gateway = Gateway(
    chart,
    "public",
    gateway_class="eg",
    host="*.llm.example.com",
    tls=ClusterIssuerRef("letsencrypt", secret="llm-tls"),
    implementation="envoy",
)
cache = ModelCache(chart, "weights", size="60Gi")
for name, model in (
    ("qwen", "Qwen/Qwen2.5-7B-Instruct"),
    ("coder", "Qwen/Qwen2.5-Coder-7B-Instruct"),
):
    deployment = ModelDeployment(
        chart,
        name,
        model=model,
        served_name=name,
        gpu=WholeGpu("NVIDIA-L40S"),
        cache=cache,
        api_key=ApiKey.from_secret("api-key"),
        response_timeout=600,
    )
    ModelRoute(
        chart,
        f"{name}-route",
        target=deployment,
        host=f"{name}.llm.example.com",
        gateway=gateway,
    )
app.synth()
