"""Tool calling with a chat template of one's own, which is a file beside the app."""

from pathlib import Path

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ModelCache, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "tools", namespace="llm")
ModelDeployment(
    chart,
    "hermes",
    model="NousResearch/Hermes-3-Llama-3.1-8B",
    gpu=WholeGpu("NVIDIA-A10"),
    cache=ModelCache(chart, "weights", size="40Gi"),
    files={"/etc/vllm/chat.jinja": Path("chat.jinja")},
    engine=EngineArgs(
        max_model_len=8192,
        enable_auto_tool_choice=True,
        tool_call_parser="hermes",
        chat_template="/etc/vllm/chat.jinja",
    ),
)
app.synth()
