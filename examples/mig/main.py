"""A small model on MIG slices: each A100 of 80 GB is partitioned into seven slices of 10 GB.

The GPU Operator partitions the GPUs, and each replica requests one slice. An engine cannot use
several slices, so more replicas give more throughput.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    FluxHelmRelease,
    GpuOperator,
    MigSlice,
    ModelCache,
    ModelDeployment,
)

app = App()
slices = MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe")

platform = Chart(app, "platform")
GpuOperator(platform, "gpu-operator", delivery=FluxHelmRelease(), mig=slices)

llm = Chart(app, "qwen-small", namespace="llm")
ModelDeployment(
    llm,
    "qwen-small",
    model="Qwen/Qwen2.5-1.5B-Instruct",
    gpu=slices,
    replicas=7,
    cpu="1",
    memory=("6Gi", "12Gi"),
    engine=EngineArgs(max_model_len=8192),
    cache=ModelCache(llm, "weights", size="20Gi"),
)

app.synth()
