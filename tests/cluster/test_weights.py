"""Weights from elsewhere: pods and Jobs before a real API server, scheduler and controllers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    ExistingClaim,
    GcsBucket,
    Kubernetes,
    LoraAdapter,
    ModelDeployment,
    ModelDownload,
    OciImage,
    S3Bucket,
    Volume,
    WholeGpu,
)

from .api import RefusedError
from .conftest import NEWEST, rendered
from .kubectl import Kubectl, wait_for
from .nodes import Manifest, cpu_node, gpu_node, volume

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]

MODEL = "Qwen/Qwen2.5-7B-Instruct"
PRODUCT = "NVIDIA-L40S"
CLAIM = ExistingClaim("weights")
KEYS = "s3"


def new_chart(namespace: str) -> Chart:
    """A chart for a cluster of the newest release."""
    app = App()
    Kubernetes(NEWEST).set_on(app)
    return Chart(app, "test", namespace=namespace)


def model(scope: Chart, id: str, **options: Any) -> ModelDeployment:
    """A model on one GPU."""
    own = {"model": MODEL, "served_name": id, "gpu": WholeGpu(PRODUCT), "cache": CLAIM}
    return ModelDeployment(scope, id, **{**own, **options})


def provide(kubectl: Kubectl, namespace: str) -> list[Manifest]:
    """Provide the claim that the Job fills."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "weights", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Ti"}},
        },
    }
    made = [volume(claim), claim]
    kubectl.apply(made)
    return [*reversed(made)]


def scheduled(kubectl: Kubectl, namespace: str, count: int) -> dict[str, str]:
    """The nodes of pods by what made them, when so many have one."""

    def found() -> dict[str, str]:
        nodes = {
            pod["metadata"]["labels"]["app.kubernetes.io/instance"]: pod["spec"]["nodeName"]
            for pod in kubectl.items("pods", namespace)
            if "nodeName" in pod["spec"]
        }
        return nodes if len(nodes) == count else {}

    return wait_for(f"{count} scheduled pods", found)


def test_download(
    kubectl: Kubectl, nodes: Callable[..., None], chart: Chart, namespace: str
) -> None:
    """The Job and the models that wait for it are admitted without a warning, and scheduled."""
    nodes(cpu_node("cpu"), gpu_node("gpu", PRODUCT, 2))
    claims = provide(kubectl, namespace)
    download = ModelDownload(chart, "download", model=MODEL, revision="a" * 40, cache=CLAIM)
    for id in ("first", "second"):
        model(chart, id, weights=download)
    objects = rendered(chart)
    try:
        assert [] == kubectl.apply(objects)
        found = scheduled(kubectl, namespace, 3)
        assert {download.job.name, "first", "second"} == found.keys()
        assert "gpu" == found["first"] == found["second"]
        # The same Job again is no change, and another one is another object.
        assert [] == kubectl.apply(objects)
        other = Chart(App(), "other", namespace=namespace)
        ModelDownload(other, "download", model=MODEL, revision="a" * 40, cache=CLAIM, memory="4Gi")
        (job, *_) = rendered(other)
        assert [] == kubectl.apply([job])
        with pytest.raises(RefusedError, match="field is immutable"):
            kubectl.apply([{**job, "metadata": job["metadata"] | {"name": download.job.name}}])
        assert 2 == len(kubectl.items("jobs", namespace))
    finally:
        kubectl.delete_all("jobs", namespace)
        kubectl.delete(objects)
        kubectl.delete(claims)


def test_volumes(kubectl: Kubectl, nodes: Callable[..., None], namespace: str) -> None:
    """Images, Secrets and containers that download are admitted without a warning, and placed."""
    nodes(gpu_node("gpu", PRODUCT, 3))
    chart = new_chart(namespace)
    bucket = S3Bucket("s3://adapters/sql", secret=KEYS)
    model(chart, "image", cache=None, weights=OciImage("registry.example.com/weights:v1"))
    model(chart, "bucket", cache=None, weights=GcsBucket("gs://weights/qwen", secret="gcs"))
    model(
        chart,
        "adapters",
        cache=None,
        weights=S3Bucket("s3://weights/qwen", secret=KEYS),
        lora_adapters=[
            LoraAdapter("sql", bucket),
            LoraAdapter("A.b_c", bucket),
            LoraAdapter("fin", Volume.from_image("registry.example.com/fin:v1")),
        ],
    )
    objects = rendered(chart)
    try:
        assert [] == kubectl.apply(objects)
        assert {"image": "gpu", "bucket": "gpu", "adapters": "gpu"} == (
            scheduled(kubectl, namespace, 3)
        )
        (pod,) = [
            one
            for one in kubectl.items("pods", namespace)
            if one["metadata"]["labels"]["app.kubernetes.io/instance"] == "image"
        ]
        (kept,) = [one for one in pod["spec"]["volumes"] if one["name"] == "weights"]
        assert "registry.example.com/weights:v1" == kept["image"]["reference"]
    finally:
        kubectl.delete(objects)
