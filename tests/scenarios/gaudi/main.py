"""A model on eight Gaudi 3, with an image of one's own and huge pages, and a long warm-up."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, Gaudi, ModelCache, ModelDeployment, Nodes, Startup

app = App()
chart = Chart(app, "llama", namespace="llm")
ModelDeployment(
    chart,
    "qwen-gaudi",
    model="Qwen/Qwen2.5-72B-Instruct",
    gpu=Gaudi("Gaudi3", count=8),
    nodes=Nodes(labels={"example.com/pool": "gaudi3"}),
    image="registry.example.com/ml/vllm-gaudi:0.26.0",
    vllm="0.26.0",
    resources={"hugepages-2Mi": "16Gi"},
    engine=EngineArgs(max_model_len=16384),
    cache=ModelCache(chart, "weights", size="200Gi", storage_class="nfs"),
    startup=Startup(minutes=120),
)
app.synth()
