"""The container that runs an engine: its command, environment, resources, probes and volumes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs.accelerators.device_claim import NAME as CLAIM
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.engine.command_line_writer import arguments, file_options
from vllm_constructs.errors import Problem, refuse

from . import storage
from .container import NAME, port_entries
from .egress import has_nixl
from .files import keys
from .mounts import CONFIG_PATH, SHARED_MEMORY, writable_paths
from .pod_variables import env_entries, with_references
from .secrets import secret_variable

if TYPE_CHECKING:
    from vllm_constructs.kube.kubernetes import Kubernetes

    from .pod_facts import PodFacts

PORT_NAME = "http"
_MODULE = re.compile(r"\bapi_server(\.py)?$")
_SIDE_CHANNEL = "VLLM_NIXL_SIDE_CHANNEL_HOST"


def engine_config(pod: PodFacts) -> str | None:
    """The file that vLLM reads with `--config`, or None if the flags are arguments."""
    if pod.engine.delivery == "args":
        return None
    import yaml

    options = file_options(pod.options(), pod.release)
    return yaml.safe_dump(options, sort_keys=True, width=4096)


def _args(pod: PodFacts, root_path: str | None) -> list[str]:
    """The model, then its flags or the file that holds them."""
    if pod.engine.delivery == "config-map":
        # Two arguments, since vLLM looks for the argument `--config` itself before it parses.
        flags = ["--config", CONFIG_PATH]
    else:
        flags = arguments(
            pod.options(), pod.release, escape=partial(with_references, known=_names(pod))
        )
    # Only `vllm serve` takes the model without its flag (vllm/entrypoints/cli/serve.py).
    needs_flag = any(map(_MODULE.search, pod.command)) and pod.command[-1] != "--model"
    model = [f"--model={pod.source}"] if needs_flag else [pod.source]
    return [*model, *flags, *([] if root_path is None else [f"--root-path={root_path}"])]


def _command(pod: PodFacts) -> list[str]:
    """The command; where a killed engine leaves its KV cache in `/dev/shm`, it is removed first.

    The volume outlives the container, so that the next start would find too little space
    (vllm-project/vllm#54002, #57303). An init container does not run again.
    """
    if pod.host_cache is None or not pod.host_cache.has_leftovers:
        return list(pod.command)
    script = f'rm -f {SHARED_MEMORY}/vllm_offload_*; exec "$0" "$@"'
    return ["sh", "-c", script, *pod.command]


def _environment(pod: PodFacts) -> list[dict[str, Any]]:
    variables: dict[str, str] = {}
    if not pod.security.is_root:
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
    entries: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in variables.items()
    ]
    entries += secrets
    if has_nixl(pod) and _SIDE_CHANNEL not in pod.env:
        # vLLM's default is localhost, which other engines cannot reach.
        source = {"fieldRef": {"fieldPath": "status.podIP"}}
        entries.append({"name": _SIDE_CHANNEL, "valueFrom": source})
    before = [str(entry["name"]) for entry in entries]
    return entries + env_entries(pod.env, before=before, is_open=bool(pod.env_from))


def _names(pod: PodFacts) -> frozenset[str] | None:
    """The names of the variables that flags may refer to; None if there may be others."""
    return None if pod.env_from else frozenset(pod.env)


def _own_volumes(pod: PodFacts) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The volumes of the library, each with its mount."""
    shm = {"emptyDir": {"medium": "Memory", "sizeLimit": pod.shared_memory_size}}
    cache_mount: dict[str, Any] = {"mountPath": storage.MOUNT_PATH}
    if pod.cache.is_read_only:
        cache_mount["readOnly"] = True
    if pod.cache.sub_path is not None:
        cache_mount["subPath"] = pod.cache.sub_path
    pairs: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("shm", shm, {"mountPath": SHARED_MEMORY}),
        (storage.CACHE, pod.cache.volume(), cache_mount),
    ]
    for name, path in writable_paths(pod.security, pod.release.family).items():
        pairs.append((name, {"emptyDir": {}}, {"mountPath": path}))
    return [({"name": name, **volume}, {"name": name, **mount}) for name, volume, mount in pairs]


def volumes(
    pod: PodFacts, config_map: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The volumes of the pod, and what the engine's container mounts of them.

    Args:
        pod: The pod.
        config_map: Name of the ConfigMap with the files of the pod; None if there are none.

    Raises:
        VllmConstructsError: A volume of the user has the name of another one.
    """
    own = _own_volumes(pod)
    found = {volume["name"]: volume for volume, _ in own}
    mounts = [mount for _, mount in own]
    if config_map is not None:
        found["engine"] = {"name": "engine", "configMap": {"name": config_map}}
        for path, key in keys(config_files(pod)).items():
            entry = {"name": "engine", "mountPath": path, "subPath": key, "readOnly": True}
            mounts.append(entry)
    for volume in pod.pod_volumes:
        name = volume["name"]
        if found.setdefault(name, volume) != volume:
            text = f"has a volume {name!r}, and the library has another one of that name"
            advice = "give it another Volume.name, or the same source to share it"
            refuse(Problem(where="volumes", text=text, value=repr(name), advice=advice))
    return [*found.values()], mounts + [one.mount(path) for path, one in pod.volumes.items()]


def config_files(pod: PodFacts) -> dict[str, str | bytes]:
    """The files that a ConfigMap of the pod has, by their paths in the container."""
    config = engine_config(pod)
    own: dict[str, str | bytes] = {} if config is None else {CONFIG_PATH: config}
    return dict(sorted((own | dict(pod.files)).items()))


def _resources(pod: PodFacts, weights: int | None) -> dict[str, Any]:
    cpu, cpu_limit = pod.cpu_pair
    memory, memory_limit = pod.memory_pair
    own = {} if pod.gpu.resource is None else {pod.gpu.resource: str(pod.gpu.count)}
    gpu = {**own, **pod.resources}
    requests = {"cpu": cpu, "memory": memory}
    limits = {"memory": memory_limit} if cpu_limit is None else {"cpu": cpu_limit}
    limits["memory"] = memory_limit
    disk = storage.disk_request(pod.cache, weights)
    if disk is not None:
        requests["ephemeral-storage"] = disk
        if pod.cache.size is not None:
            limits["ephemeral-storage"] = disk
    found: dict[str, Any] = {"limits": limits | gpu, "requests": requests | gpu}
    if isinstance(pod.gpu, DeviceClaim):
        found["claims"] = [{"name": CLAIM}]
    return found


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
    entry: dict[str, Any] = {"name": NAME, "image": pod.image}
    if pod.image_pull_policy is not None:
        entry["imagePullPolicy"] = pod.image_pull_policy
    entry |= {
        "command": _command(pod),
        "args": _args(pod, root_path),
        "env": _environment(pod),
    }
    if pod.env_from:
        entry["envFrom"] = [source.manifest() for source in pod.env_from]
    return entry | {
        "ports": port_entries({PORT_NAME: pod.port, **pod.ports}),
        "resources": _resources(pod, weights),
        **pod.probes.manifest(
            PORT_NAME,
            startup_failures=pod.startup.failure_threshold,
            restart_grace_period=pod.drain_time.restart_grace_period,
        ),
        "lifecycle": {"preStop": _pre_stop(pod, kubernetes)},
        "securityContext": pod.security.of_container(),
        "volumeMounts": list(mounts),
    }
