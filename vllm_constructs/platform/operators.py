"""Operators, Namespace and smoke test: what a cluster needs before a model runs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import Gpu, MigSlice, TimeSlicedGpu
from vllm_constructs.kube import names
from vllm_constructs.kube.pod_security_standards import LEVELS, Level
from vllm_constructs.releases.release import check_image


def gpu_operator_values(
    *,
    driver: bool,
    toolkit: bool,
    dcgm: bool,
    dcgm_exporter: bool,
    mig: MigSlice | None,
    mig_strategy: str,
    shared: str | None,
) -> dict[str, Any]:
    """The values of the chart of NVIDIA's GPU Operator."""
    switches = {
        "driver": ("driver", driver),
        "toolkit": ("toolkit", toolkit),
        "dcgm": ("dcgm", dcgm),
        "dcgmExporter": ("dcgm_exporter", dcgm_exporter),
    }
    values: dict[str, Any] = {
        name: {"enabled": require.boolean(f"GpuOperator.{option}", value)}
        for name, (option, value) in switches.items()
    }
    values["mig"] = {"strategy": mig_strategy}
    if mig is not None:
        values["migManager"] = {"config": {"default": mig.mig_config["nvidia.com/mig.config"]}}
    if shared is not None:
        values["devicePlugin"] = {"config": {"create": False, "name": shared}}
    return values


def sharing_config_map(name: str, namespace: str, shared: Mapping[str, TimeSlicedGpu]) -> Any:
    """The device plugin's ConfigMap: a file per kind of sharing, selected by a node label."""
    import yaml

    for key, gpu in shared.items():
        names.data_key("a key of GpuOperator.shared_gpus", key)
        where = f"GpuOperator.shared_gpus[{key!r}]"
        require.instance(where, gpu, TimeSlicedGpu, "a TimeSlicedGpu")
    data = {key: yaml.safe_dump(shared[key].device_plugin_config()) for key in sorted(shared)}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def namespace(*, name: str, pod_security: Level) -> dict[str, Any]:
    """The Namespace with its Pod Security labels."""
    level = require.choice("Namespace.pod_security", pod_security, LEVELS)
    prefix = "pod-security.kubernetes.io"
    labels = {f"{prefix}/{mode}": level for mode in ("audit", "enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": names.label("Namespace.name", name), "labels": labels},
    }


def smoke_test(*, name: str, gpu: Gpu, image: str, tolerations: Sequence[Any] = ()) -> Any:
    """The Job that runs `nvidia-smi` on one GPU, as a non-root user."""
    check_image(image)
    one_gpu = {gpu.resource: "1"}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    requests = {"cpu": "100m", "memory": "128Mi"}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [*gpu.tolerations, *(item.manifest() for item in tolerations)],
        "containers": [
            {
                "name": "nvidia-smi",
                "image": image,
                "command": ["nvidia-smi"],
                "resources": {
                    "limits": {"cpu": "1", "memory": "512Mi"} | one_gpu,
                    "requests": requests | one_gpu,
                },
                "securityContext": security,
            }
        ],
    }
    if gpu.node_labels:
        pod["nodeSelector"] = gpu.node_labels
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.label("GpuSmokeTest.name", name)},
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": 600,
            "template": {"spec": pod},
        },
    }
