"""Weights through an HTTP proxy that asks for a user and a password."""

from cdk8s import App, Chart

from vllm_constructs import EnvVarSource, ModelCache, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "phi",
    model="microsoft/phi-4",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ModelCache(chart, "weights", size="80Gi"),
    env={
        "HTTPS_PROXY": "http://$(PROXY_USER):$(PROXY_PASSWORD)@proxy.example.com:3128",
        "NO_PROXY": "localhost,127.0.0.1,10.0.0.0/8,.svc,.cluster.local",
        "PROXY_PASSWORD": EnvVarSource.from_secret("proxy", key="password"),
        "PROXY_USER": EnvVarSource.from_secret("proxy", key="username"),
    },
)
app.synth()
