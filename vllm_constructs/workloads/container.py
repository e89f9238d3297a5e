"""The container that runs an engine: its command, environment, resources, probes and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs.engine.command_line_writer import arguments, file_options

from . import storage
from .availability import PERIOD
from .secrets import secret_variable

if TYPE_CHECKING:
    from vllm_constructs.kube.kubernetes import Kubernetes

    from .pod_facts import PodFacts

NAME = "vllm"
PORT_NAME = "http"
CONFIG_FILE = "engine.yaml"
_CONFIG_PATH = "/etc/vllm"


def engine_config(pod: PodFacts) -> str | None:
    """The file that vLLM reads with `--config`, or None if the flags are arguments."""
    if pod.engine.delivery == "args":
        return None
    import yaml

    options = file_options(pod.options(), pod.release)
    return yaml.safe_dump(options, sort_keys=True, width=4096)


def pod_security(pod: PodFacts) -> dict[str, Any]:
    """The pod's `securityContext`."""
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    if pod.run_as_root:
        return {"runAsUser": 0, **seccomp}
    family = pod.release.family
    user = {"runAsNonRoot": True, "runAsUser": family.user, "runAsGroup": family.group}
    user["fsGroup"] = family.group
    return user | {"fsGroupChangePolicy": "OnRootMismatch"} | seccomp


def _args(pod: PodFacts, root_path: str | None) -> list[str]:
    """The model, then its flags or the file that holds them."""
    if pod.engine.delivery == "config-map":
        # Two arguments, since vLLM looks for the argument `--config` itself before it parses.
        flags = ["--config", f"{_CONFIG_PATH}/{CONFIG_FILE}"]
    else:
        flags = arguments(pod.options(), pod.release)
    return [pod.model, *flags, *([] if root_path is None else [f"--root-path={root_path}"])]


def _environment(pod: PodFacts) -> list[dict[str, Any]]:
    variables: dict[str, str] = {}
    if not pod.run_as_root:
        # PyTorch looks up the user's name, which only the CUDA images have.
        variables |= {"HOME": pod.release.family.home, "USER": "vllm"}
    variables["HF_HOME"] = storage.MOUNT_PATH
    if pod.cache.is_read_only:
        variables["HF_HUB_OFFLINE"] = "1"
    variables["VLLM_ENGINE_READY_TIMEOUT_S"] = str(pod.startup.budget)
    # Longer than the idle timeout of proxies, which could otherwise reuse a connection that vLLM
    # has just closed: nginx keeps connections 60 s, an ALB for its own timeout.
    variables["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] = str(max(pod.response_timeout, 65) + 10)
    secrets = []
    if pod.hf_token is not None:
        secrets.append(secret_variable("HF_TOKEN", pod.hf_token))
    if pod.api_key is not None:
        secrets.append(secret_variable("VLLM_API_KEY", pod.api_key))
    # The kubelet would replace a reference such as `$(HOME)`.
    variables |= {name: pod.env[name].replace("$(", "$$(") for name in sorted(pod.env)}
    return [{"name": name, "value": value} for name, value in variables.items()] + secrets


def _probe(period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def volumes(pod: PodFacts, config_map: str | None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The volumes of the pod, each with its mount in the container."""
    shm = {"emptyDir": {"medium": "Memory", "sizeLimit": pod.shared_memory_size}}
    cache_mount: dict[str, Any] = {"mountPath": storage.MOUNT_PATH}
    if pod.cache.is_read_only:
        cache_mount["readOnly"] = True
    pairs: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("shm", shm, {"mountPath": "/dev/shm"}),  # noqa: S108  # not a temporary file
        ("model-cache", pod.cache.volume(), cache_mount),
    ]
    if not pod.run_as_root:
        pairs.append(("home", {"emptyDir": {}}, {"mountPath": pod.release.family.home}))
    if config_map is not None:
        volume = {"configMap": {"name": config_map}}
        pairs.append(("engine", volume, {"mountPath": _CONFIG_PATH, "readOnly": True}))
    return [({"name": name, **volume}, {"name": name, **mount}) for name, volume, mount in pairs]


def _resources(pod: PodFacts, weights: int | None) -> dict[str, Any]:
    cpu, cpu_limit = pod.cpu_pair
    memory, memory_limit = pod.memory_pair
    gpu = {pod.gpu.resource: str(pod.gpu.count)}
    requests = {"cpu": cpu, "memory": memory}
    limits = {"memory": memory_limit} if cpu_limit is None else {"cpu": cpu_limit}
    limits["memory"] = memory_limit
    disk = storage.disk_request(pod.cache, weights)
    if disk is not None:
        requests["ephemeral-storage"] = disk
        if pod.cache.size is not None:
            limits["ephemeral-storage"] = disk
    return {"limits": limits | gpu, "requests": requests | gpu}


@cache
def _hook() -> str:
    """The text of the preStop hook."""
    return Path(__file__).with_name("drain_hook.py").read_text(encoding="utf-8")


def _pre_stop(pod: PodFacts, kubernetes: Kubernetes) -> dict[str, Any]:
    """What the kubelet does before it sends SIGTERM, at which vLLM accepts no more requests."""
    drain = pod.drain_time
    if drain.seconds:
        numbers = (pod.port, drain.pre_stop, drain.seconds)
        return {"exec": {"command": ["python3", "-c", _hook(), *map(str, numbers)]}}
    if kubernetes.has_sleep_action:
        return {"sleep": {"seconds": drain.pre_stop}}
    return {"exec": {"command": ["sleep", str(drain.pre_stop)]}}


def manifest(
    pod: PodFacts,
    kubernetes: Kubernetes,
    mounts: Sequence[dict[str, Any]],
    root_path: str | None,
    weights: int | None,
) -> dict[str, Any]:
    """The container that runs the engine.

    Args:
        pod: The pod.
        kubernetes: The target release, which decides how the `preStop` hook waits.
        mounts: The entries of `volumeMounts`.
        root_path: Path of the API behind an ingress; None if there is none.
        weights: Bytes of the weights on disk; None if they are not known.
    """
    capabilities = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "name": NAME,
        "image": pod.image,
        "command": ["vllm", "serve"],
        "args": _args(pod, root_path),
        "env": _environment(pod),
        "ports": [{"name": PORT_NAME, "containerPort": pod.port, "protocol": "TCP"}],
        "resources": _resources(pod, weights),
        "startupProbe": _probe(PERIOD, 5, pod.startup.failure_threshold),
        "readinessProbe": _probe(10, 5, 3),
        "livenessProbe": _probe(30, 10, 3),
        "lifecycle": {"preStop": _pre_stop(pod, kubernetes)},
        "securityContext": capabilities,
        "volumeMounts": list(mounts),
    }
