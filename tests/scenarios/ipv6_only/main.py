"""One model for a cluster that has IPv6 alone, and one for a cluster that has both families."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ModelCache, ModelDeployment, WholeGpu

app = App()

ipv6 = Chart(app, "ipv6", namespace="llm")
ModelDeployment(
    ipv6,
    "qwen3",
    model="Qwen/Qwen3-14B",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ModelCache(ipv6, "qwen3-weights", size="80Gi"),
    engine=EngineArgs(max_model_len=16384),
    ip_families=["IPv6"],
)

both = Chart(app, "both", namespace="llm")
ModelDeployment(
    both,
    "phi",
    model="microsoft/phi-4",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ModelCache(both, "phi-weights", size="80Gi"),
    ip_families=["IPv4", "IPv6"],
)
app.synth()
