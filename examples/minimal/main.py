"""One model on one GPU, with everything left at its default.

The result is a Deployment, its Service and its NetworkPolicy. Weights are downloaded to the
node's disk; give `cache=` as soon as there is a second replica.
"""

from cdk8s import App, Chart

from vllm_constructs import ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "qwen", namespace="llm")

ModelDeployment(chart, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))

app.synth()
