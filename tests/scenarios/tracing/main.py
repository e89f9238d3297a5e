"""Traces of each request, which go to an OpenTelemetry collector with the name of the pod."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, EnvVarSource, ModelCache, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "phi", namespace="llm")
ModelDeployment(
    chart,
    "phi-4",
    model="microsoft/phi-4",
    gpu=WholeGpu("NVIDIA-A100-SXM4-40GB"),
    cache=ModelCache(chart, "weights", size="60Gi"),
    engine=EngineArgs(
        max_model_len=16384,
        otlp_traces_endpoint="http://otel-collector.monitoring.svc.cluster.local:4317",
    ),
    env={
        "OTEL_SERVICE_NAME": "vllm-phi-4",
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "true",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.namespace.name=llm,k8s.pod.name=$(POD_NAME)",
        "POD_NAME": EnvVarSource.from_field("metadata.name"),
    },
)
app.synth()
