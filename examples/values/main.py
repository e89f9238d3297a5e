"""The same model from the guide's values.yaml instead of Python.

A misspelt key or a wrong type in the file is an error here, where Helm would ignore it. The file
beside this one says what was changed in it, and why.
"""

from cdk8s import App, Chart

from vllm_constructs import ModelStack

app = App()
chart = Chart(app, "qwen-7b", namespace="llm")

ModelStack.from_values(chart, "qwen-7b", "values.yaml")

app.synth()
