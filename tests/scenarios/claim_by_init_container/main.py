"""A model on a disk that only one node can mount: each start completes the download."""

from cdk8s import App, Chart

from vllm_constructs import (
    Container,
    EngineArgs,
    EnvVarSource,
    ModelCache,
    ModelDeployment,
    Volume,
    WholeGpu,
)

IMAGE = "vllm/vllm-openai:v0.33.0"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"

app = App()
chart = Chart(app, "llama", namespace="llm")
cache = ModelCache(chart, "weights", size="50Gi", access="ReadWriteOnce", storage_class="gp3")
ModelDeployment(
    chart,
    "llama-8b",
    model=MODEL,
    served_name="llama-8b",
    image=IMAGE,
    gpu=WholeGpu("NVIDIA-L40S"),
    engine=EngineArgs(max_model_len=32768, revision=COMMIT),
    cache=cache,
    env={"HF_HUB_OFFLINE": "1"},
    init_containers=[
        Container(
            name="download",
            image=IMAGE,
            command=["hf", "download"],
            args=[MODEL, f"--revision={COMMIT}", "--exclude=original/*"],
            env={
                "HF_HOME": "/model-cache",
                "HF_TOKEN": EnvVarSource.from_secret("hf-token", key="token"),
            },
            volumes={"/model-cache": Volume.from_claim(cache, name="model-cache")},
            memory=("2Gi", "8Gi"),
        )
    ],
    allow_to=["https://huggingface.co"],
)
app.synth()
