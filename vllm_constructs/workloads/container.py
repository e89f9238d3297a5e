"""The container that runs an engine: its command, environment, resources, probes and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs.engine.command_line_writer import arguments

from . import storage
from .availability import PERIOD
from .secrets import environment as secret_variable
from .storage import EphemeralCache

if TYPE_CHECKING:
    from vllm_constructs.kube.kubernetes import Kubernetes

    from .pod import GpuPodSpec

NAME = "vllm"
PORT_NAME = "http"
CONFIG_FILE = "engine.yaml"
_CONFIG_PATH = "/etc/vllm"


def _args(pod: GpuPodSpec) -> list[str]:
    """The model, then its flags or the file that holds them."""
    if pod.engine.delivery == "config-map":
        # Two arguments: vLLM looks for `--config` before it parses, by equality.
        return [pod.model, "--config", f"{_CONFIG_PATH}/{CONFIG_FILE}"]
    return [pod.model, *arguments(pod.options(), pod.release)]


def _environment(pod: GpuPodSpec) -> list[dict[str, Any]]:
    found: dict[str, str] = {}
    if not pod.run_as_root:
        # Torch asks for the name of the user, which other images than CUDA's do not know.
        found |= {"HOME": pod.release.family.home, "USER": "vllm"}
    found["HF_HOME"] = storage.MOUNT_PATH
    if pod.cache.is_read_only:
        found["HF_HUB_OFFLINE"] = "1"
    found["VLLM_ENGINE_READY_TIMEOUT_S"] = str(pod.startup.budget)
    # Above the idle time of the proxies in front, which would else reuse a connection that
    # vLLM just closed: nginx keeps them 60 s, an ALB as long as its own timeout.
    found["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] = str(max(pod.longest_answer, 65) + 10)
    secret = []
    if pod.hf_token is not None:
        secret.append(secret_variable("HF_TOKEN", pod.hf_token))
    if pod.api_key is not None:
        secret.append(secret_variable("VLLM_API_KEY", pod.api_key))
    found |= {k: pod.env[k].replace("$(", "$$(") for k in sorted(pod.env)}
    return [{"name": name, "value": value} for name, value in found.items()] + secret


def _probe(period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def volumes(pod: GpuPodSpec, config_map: str | None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each volume of the pod, with its mount in the container."""
    shm = {"emptyDir": {"medium": "Memory", "sizeLimit": pod.shared_memory_size}}
    cache_mount: dict[str, Any] = {"mountPath": storage.MOUNT_PATH}
    if pod.cache.is_read_only:
        cache_mount["readOnly"] = True
    found: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("shm", shm, {"mountPath": "/dev/shm"}),  # noqa: S108  # not a temporary file
        ("model-cache", pod.cache.volume(), cache_mount),
    ]
    if not pod.run_as_root:
        found.append(("home", {"emptyDir": {}}, {"mountPath": pod.release.family.home}))
    if config_map is not None:
        volume = {"configMap": {"name": config_map}}
        found.append(("engine", volume, {"mountPath": _CONFIG_PATH, "readOnly": True}))
    return [({"name": n, **volume}, {"name": n, **mount}) for n, volume, mount in found]


def _resources(pod: GpuPodSpec) -> dict[str, Any]:
    cpu, cpu_limit = pod.cpu_pair
    memory, memory_limit = pod.memory_pair
    gpu = {pod.gpu.resource: str(pod.gpu.count)}
    requests = {"cpu": cpu, "memory": memory}
    limits = {"memory": memory_limit} if cpu_limit is None else {"cpu": cpu_limit}
    limits["memory"] = memory_limit
    if isinstance(pod.cache, EphemeralCache) and pod.cache.size is not None:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = pod.cache.size
    return {"limits": limits | gpu, "requests": requests | gpu}


def manifest(
    pod: GpuPodSpec, kubernetes: Kubernetes, mounts: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The container that runs the engine."""
    pause = pod.answers.pre_stop
    if kubernetes.has_sleep_action:
        pre_stop: dict[str, Any] = {"sleep": {"seconds": pause}}
    else:
        pre_stop = {"exec": {"command": ["sleep", str(pause)]}}
    capabilities = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "name": NAME,
        "image": pod.image,
        "command": ["vllm", "serve"],
        "args": _args(pod),
        "env": _environment(pod),
        "ports": [{"name": PORT_NAME, "containerPort": pod.port, "protocol": "TCP"}],
        "resources": _resources(pod),
        "startupProbe": _probe(PERIOD, 5, pod.startup.failure_threshold),
        "readinessProbe": _probe(10, 5, 3),
        "livenessProbe": _probe(30, 10, 3),
        "lifecycle": {"preStop": pre_stop},
        "securityContext": capabilities,
        "volumeMounts": list(mounts),
    }
