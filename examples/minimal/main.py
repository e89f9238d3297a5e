"""One model on one GPU, with all other options at their defaults.

The result is a Deployment, its Service and its NetworkPolicy. Weights are downloaded to the
node's disk; give `cache=` where there is more than one replica.
"""

from cdk8s import App, Chart

from vllm_constructs import ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "qwen", namespace="llm")

ModelDeployment(chart, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))

app.synth()
