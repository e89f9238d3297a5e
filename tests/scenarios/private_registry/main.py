"""Images of a private registry, logs that Fluent Bit ships, and a mirror with a private CA."""

from pathlib import Path

from cdk8s import App, Chart

from vllm_constructs import (
    Container,
    EnvVarSource,
    ModelCache,
    ModelDeployment,
    Volume,
    WholeGpu,
)

LOGS = Volume.from_empty_dir(name="logs", size_limit="1Gi")

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "mistral",
    model="mistralai/Mistral-Small-24B-Instruct-2501",
    image="registry.example.com/ml/vllm-openai:v0.33.0",
    image_pull_secrets=["registry"],
    image_pull_policy="Always",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3"),
    cache=ModelCache(chart, "weights", size="150Gi"),
    env={
        "HF_ENDPOINT": "https://hub.example.com:8443",
        "SSL_CERT_FILE": "/etc/ssl/private/ca.crt",
        "REQUESTS_CA_BUNDLE": "/etc/ssl/private/ca.crt",
        "VLLM_LOGGING_CONFIG_PATH": "/etc/vllm/logging.json",
    },
    files={"/etc/vllm/logging.json": Path("logging.json")},
    volumes={
        "/etc/ssl/private": Volume.from_config_map("private-ca"),
        "/var/log/vllm": LOGS,
    },
    sidecars=[
        Container(
            name="fluent-bit",
            image="registry.example.com/mirror/fluent-bit:4.0.3",
            image_pull_policy="Always",
            args=["--config=/fluent-bit/config/fluent-bit.yaml"],
            env={
                "NODE_NAME": EnvVarSource.from_field("spec.nodeName"),
                "LOKI_HOST": "loki-gateway.logging.svc",
            },
            volumes={
                "/fluent-bit/config": Volume.from_config_map("fluent-bit"),
                "/var/log/vllm": LOGS,
            },
            memory="128Mi",
        )
    ],
    allow_to=["loki-gateway.logging.svc:8080"],
)
app.synth()
