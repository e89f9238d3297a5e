"""Adapters that a training job leaves on a claim, beside weights on a read-only one."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    ExistingClaim,
    LoraAdapter,
    ModelDeployment,
    Volume,
    WholeGpu,
)

app = App()
chart = Chart(app, "support", namespace="llm")
trained = ExistingClaim("trained")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen",
    gpu=WholeGpu("NVIDIA-L40S"),
    engine=EngineArgs(max_model_len=16384),
    cache=ExistingClaim("weights", access="ReadOnlyMany"),
    lora_adapters=[
        LoraAdapter(
            language,
            Volume.from_claim(trained, sub_path=f"support/{language}", read_only=True),
            rank=rank,
        )
        for language, rank in {"de": 16, "en": 64, "fr": 16, "it": 16, "pl": 16}.items()
    ],
)
app.synth()
