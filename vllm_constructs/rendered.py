"""Rendered: the models in a folder of manifests, as far as the manifests say them.

What is not in a manifest is not guessed: it is said in words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import argv
from .accelerators import PRODUCT, MigSlice, WholeGpu, catalogue
from .engine import EngineArgs
from .errors import VllmConstructsError, refuse
from .memory_options import Gpu

_RESOURCE = "nvidia.com/"
_MIG = "nvidia.com/mig-"
_REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One model, as its manifests say it.

    Args:
        namespace: Namespace, where the manifest has one.
        name: Name of the Deployment.
        model: The model that vLLM loads; None where that is not said.
        image: The container's image.
        env: The container's variables that have a value.
        gpu: What a pod gets, where product and resource say it.
        gpu_text: The same in words.
        kind: What all pods of the same kind share, for sums.
        pod_gpus: GPUs (or slices) of a pod.
        engine: The flags that a plan reads; None where one of them cannot be read.
        minimum: Pods at least.
        maximum: Pods at most.
        surge: Pods more in a rollout.
        problem: Why nothing can be planned, where nothing can.
        refusal: Why vLLM would not start, where the manifest alone says it.
        notes: What else could not be read, or is taken in a certain way.
    """

    namespace: str
    name: str
    model: str | None
    image: str
    env: Mapping[str, str]
    gpu: Gpu | None
    gpu_text: str
    kind: str
    pod_gpus: int
    engine: EngineArgs | None
    minimum: int
    maximum: int
    surge: int
    problem: str
    refusal: str
    notes: tuple[str, ...]

    @property
    def called(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def manifests(path: Path) -> list[dict[str, Any]]:
    """All objects of a file or folder, in the order of the files' names.

    Args:
        path: A file, or a folder with files that end in .yaml, .yml or .json.

    Raises:
        VllmConstructsError: A file cannot be read, or there is none.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
    else:
        files = [path]
    if not files:
        refuse(f"the folder {str(path)!r} has no YAML in it; give the folder that the app writes.")
    return [one for file in files for document in _load(file) for one in _flat(document)]


def models(objects: list[dict[str, Any]]) -> list[Rendered]:
    """The models among objects: Deployments that run vLLM.

    Args:
        objects: Objects as manifests have them.
    """
    ranges = dict(_ranges(objects))
    configs = {
        _key(one): _map(one.get("data")) for one in objects if one.get("kind") == "ConfigMap"
    }
    found = []
    for one in objects:
        if one.get("kind") == "Deployment":
            container = _engine_container(one)
            if container is not None:
                found.append(_model(one, container, ranges.get(_key(one)), configs))
    return found


def _load(file: Path) -> list[Any]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        return [json.loads(text)] if file.suffix == ".json" else list(yaml.safe_load_all(text))
    except (OSError, ValueError, yaml.YAMLError) as error:
        refuse(
            f"{str(file)!r} cannot be read ({type(error).__name__}); give a folder or file of "
            "manifests."
        )


def _flat(document: object) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if document.get("kind") == "List":
            for one in _list(document.get("items")):
                yield from _flat(one)
        else:
            yield document


def _map(value: object, *keys: str) -> dict[str, Any]:
    """A mapping further down; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(one) for one in _list(value)]


def _key(one: Mapping[str, Any]) -> tuple[str, str]:
    metadata = _map(one.get("metadata"))
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _whole(value: object, default: int) -> int:
    """A number of a manifest; the API's own default where it has none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return int(str(value)) if is_number else default


def _ranges(objects: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """What each scaler of a Deployment allows, with the defaults of its kind."""
    kinds = {
        "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", 1, 1),
        "ScaledObject": ("minReplicaCount", "maxReplicaCount", 0, 100),
    }
    for one in objects:
        kind = str(one.get("kind"))
        target = _map(one.get("spec"), "scaleTargetRef")
        if kind in kinds and target.get("kind", "Deployment") == "Deployment":
            low, high, least, most = kinds[kind]
            spec = _map(one.get("spec"))
            place = (_key(one)[0], str(target.get("name") or ""))
            yield place, (_whole(spec.get(low), least), _whole(spec.get(high), most))


def _engine_container(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The container that runs vLLM: by its command, or by an image that starts it."""
    for one in _list(_map(deployment, "spec", "template", "spec").get("containers")):
        found = _map(one)
        command = _texts(found.get("command"))
        if command:
            if argv.after_serve(command, _texts(found.get("args"))) is not None:
                return found
        elif "vllm-openai" in str(found.get("image")):
            return found
    return None


def _model(
    deployment: dict[str, Any],
    container: dict[str, Any],
    scaled: tuple[int, int] | None,
    configs: Mapping[tuple[str, str], dict[str, Any]],
) -> Rendered:
    namespace, name = _key(deployment)
    spec = _map(deployment, "spec")
    pod = _map(spec, "template", "spec")
    env = _environment(namespace, container, configs)
    command, args = (
        [_expanded(one, env) for one in _texts(container.get(name))] for name in ("command", "args")
    )
    tokens = argv.after_serve(command, args) or []
    line = argv.command_line(tokens)
    options, model = dict(line.options), line.model
    problems, unread = list(line.problems), list(line.unread)
    if line.config is not None:
        file = _config_file(line.config, namespace, pod, container, configs)
        if file is None:
            problems.append(f"the flags in {line.config} are in none of the manifests.")
        else:
            # What stands on the command line goes before the file.
            options = {**file.options, **options}
            model = model or file.model
            problems += file.problems
            unread += file.unread
    if model is None:
        problems.insert(0, "the manifest does not name the model.")
    # Without a size vLLM takes one GPU, whatever the pod has.
    options.setdefault("tensor-parallel-size", 1)
    engine = None
    try:
        engine = argv.engine_of(options)
    except VllmConstructsError as error:
        problems.append(str(error))
    granted = _gpu(pod, container, options)
    if granted.gpu is None:
        problems.append(granted.said)
    elif granted.said:
        unread.append(granted.said)
    gpu, refusal = granted.gpu, ""
    if engine is not None and gpu is not None:
        gpu, said = _used(gpu, engine)
        refusal = said if gpu is None else ""
        unread += [said] if said and gpu else []
    low, high = scaled or (_whole(spec.get("replicas"), 1),) * 2
    return Rendered(
        namespace=namespace,
        name=name,
        model=model,
        image=str(container.get("image") or ""),
        env=env,
        gpu=gpu,
        gpu_text=granted.text,
        kind=granted.text.removeprefix(f"{granted.count} x "),
        pod_gpus=granted.count,
        engine=engine,
        minimum=low,
        maximum=max(low, high),
        surge=_surge(_map(spec, "strategy"), max(low, high)),
        problem=problems[0] if problems else "",
        refusal=refusal,
        notes=(*problems[1:], *unread),
    )


def _environment(
    namespace: str, container: dict[str, Any], configs: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[str, str]:
    """The container's variables whose values are in the manifests."""
    found: dict[str, str] = {}
    for source in map(_map, _list(container.get("envFrom"))):
        data = configs.get((namespace, str(_map(source, "configMapRef").get("name"))), {})
        found |= {f"{source.get('prefix', '')}{name}": str(value) for name, value in data.items()}
    for one in map(_map, _list(container.get("env"))):
        name, key = str(one.get("name")), _map(one, "valueFrom", "configMapKeyRef")
        data = configs.get((namespace, str(key.get("name"))), {})
        if "value" in one:
            found[name] = _expanded(str(one["value"]), found)
        elif key.get("key") in data:
            found[name] = str(data[key["key"]])
        else:
            found.pop(name, None)
    return found


def _expanded(text: str, env: Mapping[str, str]) -> str:
    """A text with the container's variables put in, as kubelet does it; `$$` is one `$`."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return _REFERENCE.sub(value, text)


def _config_file(
    path: str,
    namespace: str,
    pod: dict[str, Any],
    container: dict[str, Any],
    configs: Mapping[tuple[str, str], dict[str, Any]],
) -> argv.CommandLine | None:
    """The flags of a file that is mounted from a ConfigMap of the same manifests."""
    import yaml

    sources = {
        str(one.get("name")): str(_map(one, "configMap").get("name"))
        for one in map(_map, _list(pod.get("volumes")))
    }
    for mount in map(_map, _list(container.get("volumeMounts"))):
        folder = str(mount.get("mountPath")).rstrip("/")
        data = configs.get((namespace, sources.get(str(mount.get("name")), "")), {})
        key = str(mount.get("subPath") or path.removeprefix(f"{folder}/"))
        if (path == folder or path.startswith(f"{folder}/")) and key in data:
            try:
                found = yaml.safe_load(str(data[key]))
            except yaml.YAMLError:
                return None
            return argv.file_options(_map(found)) if isinstance(found, dict) else None
    return None


def _surge(strategy: dict[str, Any], replicas: int) -> int:
    """Pods more than the replicas in a rollout, as the Deployment controller rounds them."""
    if strategy.get("type") == "Recreate":
        return 0
    surge = _map(strategy, "rollingUpdate").get("maxSurge", "25%")
    text = str(surge)
    if text.endswith("%") and text[:-1].isdecimal():
        return math.ceil(int(text[:-1]) * replicas / 100)
    return int(text) if text.isdecimal() else 0


@dataclass(frozen=True)
class _Granted:
    """What a pod gets, how many of it, the same in words, and what else there is to say."""

    gpu: Gpu | None
    count: int
    text: str
    said: str = ""


def _gpu(pod: dict[str, Any], container: dict[str, Any], options: Mapping[str, Any]) -> _Granted:
    """What a pod gets, from its resources and the labels of its nodes."""
    wanted = {
        str(name): int(str(value))
        for name, value in _map(container, "resources", "limits").items()
        if str(name).startswith(_RESOURCE) and str(value).isdecimal() and int(str(value))
    }
    if not wanted:
        return _Granted(None, 0, "no GPU", "the pod asks for no GPU.")
    resource, count = min(wanted.items())
    labels = _map(pod, "nodeSelector")
    product = str(labels[PRODUCT]) if PRODUCT in labels else None
    text = f"{count} x {product or resource}"
    try:
        found = _slice(resource, product, count)
        if found is not None:
            return _Granted(found, count, f"MIG {found.profile}")
        said = ""
        if "nvidia.com/vgpu.present" in labels:
            said = "the memory of a virtual GPU is not in its manifest."
        elif product is None:
            said = f"no node label {PRODUCT} says which GPU it is."
        if said or product is None:
            return _Granted(None, count, text, said)
        if resource.endswith(".shared") or product.endswith("-SHARED"):
            return _shared(product.removesuffix("-SHARED"), count, options)
        return _Granted(WholeGpu(product, count=count), count, text)
    except VllmConstructsError as error:
        return _Granted(None, count, text, str(error))


def _used(gpu: Gpu, engine: EngineArgs) -> tuple[Gpu | None, str]:
    """The GPUs that the engine uses of those that the pod has, and what there is to say."""
    sizes = (
        engine.tensor_parallel_size or 1,
        engine.pipeline_parallel_size or 1,
        engine.data_parallel_size or 1,
    )
    size = math.prod(sizes)
    if size > gpu.count:
        return None, (
            f"vLLM is told to use {size} GPUs (tensor {sizes[0]} x pipeline {sizes[1]} x data "
            f"{sizes[2]}), but the pod has {gpu.count}."
        )
    if size < gpu.count and isinstance(gpu, WholeGpu):
        said = f"vLLM is told to use {size} of the pod's {gpu.count} GPUs."
        return WholeGpu(gpu.product, count=size), said
    return gpu, ""


def _slice(resource: str, product: str | None, count: int) -> MigSlice | None:
    """The MIG slice that a resource, or with the single strategy a product's suffix, names."""
    if resource.startswith(_MIG):
        return MigSlice(_profile(resource), product=product, count=count)
    if product and "-MIG-" in product:
        name, _, suffix = product.partition("-MIG-")
        return MigSlice(_profile(_MIG + suffix), product=name, count=count, strategy="single")
    return None


def _profile(resource: str) -> str:
    """The MIG profile that a resource stands for."""
    for gpu in catalogue().values():
        for profile, item in gpu["mig"].items():
            if item["resource"] == resource:
                return profile
    return resource.removeprefix(_MIG)


def _shared(product: str, count: int, options: Mapping[str, Any]) -> _Granted:
    """A part of a GPU: how many share it is said nowhere, but vLLM's part may be."""
    text = f"a share of {product}"
    part = options.get("gpu-memory-utilization")
    if not isinstance(part, float) or part > 0.5:  # no share of a GPU is more
        return _Granted(None, count, text, "how many pods share the GPU is not in the manifest.")
    said = (
        "how many pods share the GPU is not in the manifest; planned is the part that "
        "--gpu-memory-utilization asks for, with time-slicing."
    )
    return _Granted(WholeGpu(product), count, text, said)
