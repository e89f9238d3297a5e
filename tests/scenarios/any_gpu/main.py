"""A small model on one GPU of any kind, with its weights on the disk of the node."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, EphemeralCache, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "smollm", namespace="playground")
ModelDeployment(
    chart,
    "smollm",
    model="HuggingFaceTB/SmolLM2-1.7B-Instruct",
    image="vllm/vllm-openai:v0.33.0",
    gpu=WholeGpu(),
    cpu="2",
    memory="12Gi",
    cache=EphemeralCache(size="10Gi"),
    engine=EngineArgs(max_model_len=4096),
)
app.synth()
