"""Two small models on one A10, for development.

The device plugin lets four pods share the GPU. It does not divide the memory, so each engine is
limited to 0.9 of a quarter of it.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    FluxHelmRelease,
    GpuOperator,
    ModelDeployment,
    Startup,
    TimeSlicedGpu,
)

app = App()
shared = TimeSlicedGpu("NVIDIA-A10", replicas=4)

platform = Chart(app, "platform")
GpuOperator(
    platform, "gpu-operator", delivery=FluxHelmRelease(), shared_gpus={"shared-by-4": shared}
)

dev = Chart(app, "dev", namespace="llm-dev")
ModelDeployment(
    dev,
    "chat",
    model="Qwen/Qwen2.5-0.5B-Instruct",
    gpu=shared,
    cpu="1",
    memory=("4Gi", "8Gi"),
    engine=EngineArgs(max_model_len=4096, enforce_eager=True),
    startup=Startup(minutes=5),
)
ModelDeployment(
    dev,
    "coder",
    model="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    gpu=shared,
    cpu="1",
    memory=("4Gi", "8Gi"),
    engine=EngineArgs(max_model_len=4096, enforce_eager=True),
    startup=Startup(minutes=5),
)

app.synth()
