"""Rendered: the models in a folder of manifests, as far as the manifests say them.

What is not in a manifest is not guessed: it is said in words.
"""

from __future__ import annotations

import math
import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vllm_constructs.engine import command_line_parser as argv
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import VllmConstructsError
from vllm_constructs.memory.fit import READ
from vllm_constructs.memory.options import Gpu
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads.plan_annotations import said_in

from .files import items, key_of, mapping, texts, whole
from .gpus import granted, used

_REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")
_SHELLS = ("sh", "bash", "dash")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One model, as its manifests say it.

    Args:
        namespace: Namespace, where the manifest has one.
        name: Name of the Deployment.
        model: The model that vLLM loads; None where that is not said.
        shape: Another model whose shape it has, where an annotation names one.
        image: The container's image.
        env: The container's variables that have a value.
        gpu: What a pod gets, where product and resource say it.
        gpu_text: The same in words.
        kind: What all pods of the same kind share, for sums.
        pod_gpus: GPUs (or slices) of a pod.
        release: The vLLM in the image; the newest known one where the image does not say it.
        engine: The engine's flags; None where vLLM would not start with them.
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
    shape: str | None
    image: str
    release: VllmRelease
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
    def has_whole_gpus(self) -> bool:
        """Whether its GPUs are whole ones, and no slices or shares."""
        return not self.kind.startswith(("MIG ", "a share of "))

    @property
    def called(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def models(objects: list[dict[str, Any]]) -> list[Rendered]:
    """The models among objects: Deployments that run vLLM.

    Args:
        objects: Objects as manifests have them.
    """
    ranges = dict(_ranges(objects))
    configs = {
        key_of(one): mapping(one.get("data")) for one in objects if one.get("kind") == "ConfigMap"
    }
    found = []
    for one in objects:
        if one.get("kind") == "Deployment":
            container = _engine_container(one)
            if container is not None:
                found.append(_model(one, container, ranges.get(key_of(one)), configs))
    return found


def after_serve(command: Sequence[str], args: Sequence[str]) -> list[str] | None:
    """What follows `vllm serve` in a container's `command` and `args`; None where nothing does.

    Without a command it is the image that starts vLLM, and `args` are all that follows.

    Args:
        command: The container's `command`, which may be empty.
        args: Its `args`.
    """
    if not command:
        return list(args)
    tokens = [*command, *args]
    if tokens[0].rpartition("/")[2] in _SHELLS:
        script = next(
            (later for one, later in pairwise(tokens) if one.startswith("-") and one.endswith("c")),
            "",
        )
        try:
            tokens = shlex.split(script.replace("\\\n", " "), comments=True)
        except ValueError:
            return None
    for at, token in enumerate(tokens):
        if token == "vllm.entrypoints.openai.api_server" or (
            token == "serve" and at and tokens[at - 1].rpartition("/")[2] == "vllm"
        ):
            return tokens[at + 1 :]
    return None


def _ranges(objects: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """What each scaler of a Deployment allows, with the defaults of its kind."""
    kinds = {
        "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", 1, 1),
        "ScaledObject": ("minReplicaCount", "maxReplicaCount", 0, 100),
    }
    for one in objects:
        kind = str(one.get("kind"))
        target = mapping(one.get("spec"), "scaleTargetRef")
        if kind in kinds and target.get("kind", "Deployment") == "Deployment":
            low, high, least, most = kinds[kind]
            spec = mapping(one.get("spec"))
            place = (key_of(one)[0], str(target.get("name") or ""))
            yield place, (whole(spec.get(low), least), whole(spec.get(high), most))


def _engine_container(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The container that runs vLLM: by its command, or by an image that starts it."""
    for one in items(mapping(deployment, "spec", "template", "spec").get("containers")):
        found = mapping(one)
        command = texts(found.get("command"))
        if command:
            if after_serve(command, texts(found.get("args"))) is not None:
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
    namespace, name = key_of(deployment)
    spec = mapping(deployment, "spec")
    pod = mapping(spec, "template", "spec")
    env = _environment(namespace, container, configs)
    command, args = (
        [_expanded(one, env) for one in texts(container.get(name))] for name in ("command", "args")
    )
    said = said_in(mapping(deployment, "metadata", "annotations"))
    release, notes = _release(str(container.get("image") or ""), said.vllm)
    words = after_serve(command, args) or []
    line = argv.read(words, release)
    problems = []
    if "config" in line.options:
        path = str(line.options["config"])
        file = _config_file(path, namespace, pod, container, configs)
        if file is None:
            problems.append(f"the flags in {path} are in none of the manifests.")
        else:
            # The model stays first, and what stands on the command line goes before the file.
            at = 1 if words and not words[0].startswith("-") else 0
            line = argv.read([*words[:at], *argv.file_words(file, release), *words[at:]], release)
    for flag, sentence in line.unread.items():
        (problems if flag in READ else notes).append(sentence)
    if line.model is None:
        problems.insert(0, "the manifest does not name the model.")
    # Without a size vLLM takes one GPU, whatever the pod has.
    line.options.setdefault("tensor-parallel-size", 1)
    refusals, engine = line.refusals, None
    try:
        engine = argv.parsed(line, release).engine
    except VllmConstructsError as error:
        refusals.append(str(error))
    limits = mapping(container, "resources", "limits")
    grant = granted(limits, mapping(pod, "nodeSelector"), line.options, said)
    if grant.gpu is None:
        problems.append(grant.said)
    elif grant.said:
        notes.append(grant.said)
    if not release.is_certain:
        # Another vLLM may take what this one refuses.
        (problems if engine is None else notes).extend(refusals)
        refusals = []
    gpu = grant.gpu
    if engine is not None and gpu is not None:
        gpu, idle = used(gpu, engine)
        (notes if gpu else refusals).extend([idle] if idle else [])
    low, high = scaled or (whole(spec.get("replicas"), 1),) * 2
    return Rendered(
        namespace=namespace,
        name=name,
        model=line.model,
        shape=said.model_shape,
        image=str(container.get("image") or ""),
        release=release,
        env=env,
        gpu=gpu,
        gpu_text=grant.text,
        kind=grant.text.removeprefix(f"{grant.count} x "),
        pod_gpus=grant.count,
        engine=engine,
        minimum=low,
        maximum=max(low, high),
        surge=_surge(mapping(spec, "strategy"), max(low, high)),
        problem=problems[0] if problems else "",
        refusal=refusals[0] if refusals else "",
        notes=(*problems[1:], *refusals[1:], *notes),
    )


def _release(image: str, vllm: str | None) -> tuple[VllmRelease, list[str]]:
    """The vLLM in an image, and what there is to say where nothing tells."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = VllmRelease(image, vllm=vllm)
    except VllmConstructsError:
        found = VllmRelease("vllm:unknown")
    said = f"{image!r} does not say which vLLM it has; it is judged as vLLM {found.said}."
    return found, [] if found.version else [said]


def _environment(
    namespace: str, container: dict[str, Any], configs: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[str, str]:
    """The container's variables whose values are in the manifests."""
    found: dict[str, str] = {}
    for source in map(mapping, items(container.get("envFrom"))):
        data = configs.get((namespace, str(mapping(source, "configMapRef").get("name"))), {})
        found |= {f"{source.get('prefix', '')}{name}": str(value) for name, value in data.items()}
    for one in map(mapping, items(container.get("env"))):
        name, key = str(one.get("name")), mapping(one, "valueFrom", "configMapKeyRef")
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
) -> dict[str, Any] | None:
    """The flags of a file that is mounted from a ConfigMap of the same manifests."""
    import yaml

    sources = {
        str(one.get("name")): str(mapping(one, "configMap").get("name"))
        for one in map(mapping, items(pod.get("volumes")))
    }
    for mount in map(mapping, items(container.get("volumeMounts"))):
        folder = str(mount.get("mountPath")).rstrip("/")
        data = configs.get((namespace, sources.get(str(mount.get("name")), "")), {})
        key = str(mount.get("subPath") or path.removeprefix(f"{folder}/"))
        if (path == folder or path.startswith(f"{folder}/")) and key in data:
            try:
                found = yaml.safe_load(str(data[key]))
            except yaml.YAMLError:
                return None
            return found if isinstance(found, dict) else None
    return None


def _surge(strategy: dict[str, Any], replicas: int) -> int:
    """Pods more than the replicas in a rollout, as the Deployment controller rounds them."""
    if strategy.get("type") == "Recreate":
        return 0
    surge = mapping(strategy, "rollingUpdate").get("maxSurge", "25%")
    text = str(surge)
    if text.endswith("%") and text[:-1].isdecimal():
        return math.ceil(int(text[:-1]) * replicas / 100)
    return int(text) if text.isdecimal() else 0
