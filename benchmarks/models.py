"""An app of many models, each with its cache: `python models.py <number of models>`.

The objects are those of the chart in `chart/`, which `tests/test_benchmarks.py` compares.
"""

import sys

from cdk8s import App, Chart

from vllm_constructs import ModelCache, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "bench", namespace="llm")
for i in range(int(sys.argv[1])):
    name = f"model-{i}"
    ModelDeployment(
        chart,
        name,
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name=name,
        gpu=WholeGpu("NVIDIA-L40S"),
        cache=ModelCache(chart, f"{name}-cache", size="200Gi"),
    )
app.synth()
