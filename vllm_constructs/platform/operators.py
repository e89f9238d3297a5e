"""Operators, Namespace and smoke test: what a cluster needs before a model runs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Nodes
from vllm_constructs.accelerators.nvidia import Gpu, MigSlice, TimeSlicedGpu
from vllm_constructs.kube import names
from vllm_constructs.kube.pod_security_standards import LEVELS, Level
from vllm_constructs.releases.image import ImageFamily
from vllm_constructs.releases.release import check_image
from vllm_constructs.workloads.pod_security import PodSecurity
from vllm_constructs.workloads.scheduling import Affinity, NodeRequirement, Toleration

# NVIDIA's CUDA images have no user beside root; this one is "nobody" everywhere.
_NOBODY = 65534
_CUDA = ImageFamily(repository="cuda", accelerator="CUDA", user=_NOBODY, home="/")


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


def smoke_test(
    *,
    name: str,
    gpu: Gpu,
    image: str,
    nodes: Nodes | None = None,
    security: PodSecurity | None = None,
    tolerations: Sequence[Toleration] = (),
) -> dict[str, Any]:
    """The Job that runs `nvidia-smi` on one GPU, by default as a user that is not root."""
    check_image(image)
    nodes = Nodes() if nodes is None else nodes
    context: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": _NOBODY,
        "runAsGroup": _NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if security is not None:
        context = security.of_pod(_CUDA)
    one_gpu = {gpu.resource: "1"}
    requests = {"cpu": "100m", "memory": "128Mi"}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": context,
        "tolerations": [*nodes.tolerations(gpu), *(item.manifest() for item in tolerations)],
        "containers": [
            {
                "name": "nvidia-smi",
                "image": image,
                "command": ["nvidia-smi"],
                "resources": {
                    "limits": {"cpu": "1", "memory": "512Mi"} | one_gpu,
                    "requests": requests | one_gpu,
                },
                "securityContext": (security or PodSecurity()).of_container(),
            }
        ],
    }
    labels = nodes.labels_for(gpu)
    selector = {key: values[0] for key, values in sorted(labels.items()) if len(values) == 1}
    if selector:
        pod["nodeSelector"] = selector
    several = [NodeRequirement(key, values) for key, values in labels.items() if len(values) > 1]
    if several:
        pod["affinity"] = Affinity(nodes=several).manifest()
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
