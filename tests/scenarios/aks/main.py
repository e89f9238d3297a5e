"""AKS: spot A100 of the NC series, and a token from Key Vault through a workload identity."""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    Nodes,
    Volume,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
account = kplus.ServiceAccount(
    chart,
    "account",
    metadata=ApiObjectMetadata(
        name="vllm",
        annotations={"azure.workload.identity/client-id": "00000000-1111-2222-3333-444444444444"},
    ),
)
ModelDeployment(
    chart,
    "gemma",
    model="google/gemma-3-27b-it",
    gpu=WholeGpu("NVIDIA-A100-80GB-PCIe"),
    nodes=Nodes("aks", spot=True),
    labels={"azure.workload.identity/use": "true"},
    service_account=account,
    # The driver makes the Secret while a pod mounts the volume.
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    volumes={
        "/mnt/secrets": Volume(
            {
                "csi": {
                    "driver": "secrets-store.csi.k8s.io",
                    "readOnly": True,
                    "volumeAttributes": {"secretProviderClass": "hugging-face"},
                }
            },
            read_only=True,
        )
    },
    cache=ModelCache(chart, "weights", size="150Gi", storage_class="azurefile-csi-premium"),
    engine=EngineArgs(max_model_len=32768),
    # A spot node has 30 seconds.
    drain=Drain(seconds=18, pre_stop=10),
)
app.synth()
