"""A model on two Intel Arc Pro B60, whose nodes have render groups of their own."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, IntelGpu, ModelDeployment

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-arc",
    model="Qwen/Qwen2.5-14B-Instruct",
    gpu=IntelGpu("Arc_Pro_B60", count=2, render_groups=[992]),
    engine=EngineArgs(max_model_len=16384),
)
app.synth()
