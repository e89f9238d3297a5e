"""The overlay of a Deployment, against the API server's own strategic merge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cdk8s import Chart

from vllm_constructs import Kubernetes, ModelDeployment, WholeGpu
from vllm_constructs.workloads.overlay import merged

from .conftest import NEWEST, rendered
from .kubectl import Kubectl

pytestmark = pytest.mark.parametrize("bed", [NEWEST], indirect=True)

OVERLAYS: list[dict[str, Any]] = [
    {"revisionHistoryLimit": 3, "template": {"metadata": {"annotations": {"a": "b"}}}},
    {
        "template": {
            "spec": {"containers": [{"name": "vllm", "env": [{"name": "X", "value": "1"}]}]}
        }
    },
    {
        "template": {
            "spec": {
                "setHostnameAsFQDN": True,
                "containers": [
                    {
                        "name": "vllm",
                        "ports": [{"containerPort": 9000, "name": "extra", "protocol": "TCP"}],
                        "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
                    },
                    {"name": "side", "image": "busybox:1.37.0"},
                ],
                "volumes": [{"name": "extra", "emptyDir": {}}],
            }
        }
    },
]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_merge(kubectl: Kubectl, chart: Chart, namespace: str, overlay: dict[str, Any]) -> None:
    """The library merges an overlay into what the API server makes of the same patch."""
    ModelDeployment(chart, "qwen", model="a/b", gpu=WholeGpu("NVIDIA-L4"), replicas=0)
    (plain,) = (item for item in rendered(chart) if item["kind"] == "Deployment")
    kubectl.create(plain)
    patch = json.dumps({"spec": overlay})
    kubectl.run("patch", "deployment", "qwen", "-n", namespace, "--type=strategic", "-p", patch)
    patched = kubectl.get("deployment", "qwen", namespace)["spec"]
    kubectl.delete([plain])
    kubectl.create(merged(plain, {"spec": overlay}, Kubernetes()))
    ours = kubectl.get("deployment", "qwen", namespace)["spec"]

    assert _sorted(patched) == _sorted(ours)


def _sorted(spec: Any) -> Any:
    """A spec without the order of lists, in which a patch puts new entries first."""
    if isinstance(spec, dict):
        return {key: _sorted(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return sorted((_sorted(item) for item in spec), key=str)
    return spec
