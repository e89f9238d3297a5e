"""The model of the guide "Deploying vLLM on Kubernetes", from its values.yaml instead of Python.

A misspelled key or a wrong type in the file is an error; Helm would ignore it. Comments in the
file say what differs from the guide, the tutorial chapter that this project started from, and why.
"""

from cdk8s import App, Chart

from vllm_constructs import ModelStack

app = App()
chart = Chart(app, "qwen-7b", namespace="llm")

ModelStack.from_values(chart, "qwen-7b", "values.yaml")

app.synth()
