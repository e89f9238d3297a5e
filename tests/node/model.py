"""The model that runs on the node: an app of ours, and what its cluster brings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cdk8s import App, Chart

from tests.vllm import environment, substitutions
from vllm_constructs import (
    ApiKey,
    DisruptionBudget,
    Drain,
    EngineArgs,
    ModelCache,
    ModelDeployment,
    Namespace,
    PodSecurity,
    Probes,
    Rollout,
    Startup,
    Volume,
    WholeGpu,
)

from .node import NAME, PRODUCT

Manifest = dict[str, Any]

SPACE = "llm"
MODEL = "qwen"
WEIGHTS = "Qwen/Qwen2.5-7B-Instruct"
CLASS = "local"
KEY = "key-of-the-tests"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PORT = 8000
FRIEND = "chatbot"
"""The namespace of the only clients."""

SCRATCH = "/scratch"
"""A folder of a volume with a limit."""

PAUSE = 5
DRAIN = 40


def render(replicas: int = 1, spare_gpus: int = 1) -> list[Manifest]:
    """What the app renders, with so many pods, and GPUs beside theirs."""
    app = App()
    platform = Chart(app, "platform")
    Namespace(platform, SPACE, pod_security="restricted")
    chart = Chart(app, "model", namespace=SPACE)
    cache = ModelCache(chart, "cache", size="100Gi", storage_class=CLASS, access="ReadWriteMany")
    model = ModelDeployment(
        chart,
        MODEL,
        model=WEIGHTS,
        served_name=MODEL,
        gpu=WholeGpu(PRODUCT),
        replicas=replicas,
        engine=EngineArgs(max_model_len=32768, enforce_eager=True, delivery="config-map"),
        cache=cache,
        api_key=ApiKey.from_secret("keys", key="api-key"),
        # Two such pods are on a machine of 24 GiB.
        cpu=("100m", "2"),
        memory=("2Gi", "8Gi"),
        shared_memory="1Gi",
        startup=Startup(minutes=10),
        drain=Drain(seconds=DRAIN, pre_stop=PAUSE),
        rollout=Rollout(spare_gpus=spare_gpus),
        allow_from=[FRIEND],
        # By default a server that hangs is restarted after two minutes.
        probes=Probes(liveness_period=10),
        security=PodSecurity(read_only_root=True),
        volumes={SCRATCH: Volume.from_empty_dir(size_limit="32Mi", name="scratch")},
    )
    if replicas > 1:
        DisruptionBudget(chart, "budget", target=model, max_unavailable=1)
    return [*platform.to_json(), *chart.to_json()]


def cluster(folder: Path) -> list[Manifest]:
    """What the cluster of the app has: the claim's volume with the weights, and the Secret."""
    hub = folder / "hub" / f"models--{WEIGHTS.replace('/', '--')}"
    snapshot = hub / "snapshots" / substitutions.REVISION
    shutil.copytree(environment.models() / "chat", snapshot)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text(substitutions.REVISION, encoding="utf-8")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777)
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "cache"},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteMany"],
                "storageClassName": CLASS,
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys", "namespace": SPACE},
            "stringData": {"api-key": KEY},
        },
    ]
