"""One model behind a Gateway, with its weights on a claim that pods mount read-only.

Pods cannot write to the claim, so downloads are off. The Gateway exists already; it has the
address and the TLS configuration.
"""

from cdk8s import App, Chart

from vllm_constructs import ExistingClaim, GatewayRef, ModelDeployment, ModelRoute, WholeGpu

app = App()
chart = Chart(app, "qwen-32b", namespace="llm")

model = ModelDeployment(
    chart,
    "qwen-32b",
    model="Qwen/Qwen2.5-32B-Instruct",
    served_name="qwen-32b",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=2),
    replicas=2,
    cache=ExistingClaim("weights", access="ReadOnlyMany"),
    response_timeout=900,
)
ModelRoute(
    chart,
    "route",
    target=model,
    host="llm.example.com",
    gateway=GatewayRef("public", namespace="gateways", section="https"),
)

app.synth()
