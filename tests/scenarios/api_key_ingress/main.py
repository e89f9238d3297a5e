"""A model with an API key behind F5's NGINX controller, with TLS and labels for external-dns."""

from cdk8s import App, Chart

from vllm_constructs import (
    ApiKey,
    ClusterIssuerRef,
    EngineArgs,
    F5Nginx,
    ModelCache,
    ModelDeployment,
    StreamingIngress,
    WholeGpu,
)

app = App()
chart = Chart(app, "mistral", namespace="llm")
model = ModelDeployment(
    chart,
    "mistral",
    model="mistralai/Mistral-Small-24B-Instruct-2501",
    served_name="mistral-small",
    gpu=WholeGpu("NVIDIA-A100-SXM4-80GB"),
    engine=EngineArgs(
        tokenizer_mode="mistral",
        config_format="mistral",
        load_format="mistral",
        enable_auto_tool_choice=True,
        tool_call_parser="mistral",
    ),
    cache=ModelCache(chart, "weights", size="120Gi"),
    api_key=ApiKey.from_secret("mistral-api-key"),
    response_timeout=600,
)
StreamingIngress(
    chart,
    "ingress",
    target=model,
    host="mistral.example.com",
    controller=F5Nginx(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="mistral-example-com-tls"),
    max_body=20,
    labels={"dns": "public"},
    annotations={"external-dns.alpha.kubernetes.io/ttl": "60"},
)
app.synth()
