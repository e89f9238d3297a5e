"""A compile cache that outlives pods, and LoRA adapters that are downloaded before the start."""

from cdk8s import App, Chart

from vllm_constructs import (
    Container,
    EngineArgs,
    EnvVarSource,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    Volume,
    WholeGpu,
)

IMAGE = "vllm/vllm-openai:v0.33.0"

app = App()
chart = Chart(app, "chat", namespace="llm")
adapters = Volume.from_claim(ModelCache(chart, "adapters", size="10Gi"))
ModelDeployment(
    chart,
    "llama",
    model="meta-llama/Llama-3.2-3B-Instruct",
    image=IMAGE,
    gpu=WholeGpu("NVIDIA-L4"),
    replicas=2,
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    cache=ModelCache(chart, "weights", size="50Gi"),
    env={"VLLM_CACHE_ROOT": "/compile-cache"},
    volumes={
        "/compile-cache": Volume.from_claim(ModelCache(chart, "compile-cache", size="20Gi")),
        "/adapters": adapters,
    },
    engine=EngineArgs(
        max_model_len=16384,
        enable_lora=True,
        max_loras=2,
        lora_modules=["sql=/adapters/sql"],
    ),
    init_containers=[
        Container(
            name="adapters",
            image=IMAGE,
            command=["hf", "download"],
            args=["jeeejeee/llama32-3b-text2sql-spider", "--local-dir=/adapters/sql"],
            env={
                "HF_HOME": "/adapters/.cache",
                "HF_TOKEN": EnvVarSource.from_secret("hf-token", key="token"),
            },
            volumes={"/adapters": adapters},
            memory=("512Mi", "2Gi"),
        )
    ],
)
app.synth()
