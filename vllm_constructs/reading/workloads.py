"""Models in manifests of any origin.

What a manifest does not specify is not guessed; a problem or a note states it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.cpu import SPACE
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine import command_line_parser as command_lines
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.memory.fit import READ
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads.plan_annotations import (
    MODEL,
    PlanAnnotations,
    read_plan_annotations,
)
from vllm_constructs.workloads.workload import DEPLOYMENT, KINDS, WorkloadKind

from .containers import (
    after_serve,
    config_file,
    engine_container,
    environment,
    expanded,
    is_ours,
    release_of,
)
from .fields import integer, items, mapping, namespaced_name, strings
from .gpus import gpus_in_use, pod_gpus
from .nodes import selected_nodes
from .other_accelerators import of_claims, of_cpus

_CLAIM_SPECS = {"ResourceClaim": ("spec",), "ResourceClaimTemplate": ("spec", "spec")}


@dataclass(frozen=True, kw_only=True)
class DeployedModel:
    """One model, as its manifests describe it.

    Args:
        namespace: Namespace; empty if the manifest has none.
        name: Name of the workload.
        model: The model; None if the manifest does not name it. Where this library's engine loads
            it from a path or a bucket, its name.
        shape: Another model with the same shape, from an annotation; None without one.
        image: The container's image.
        release: The vLLM in the image; the newest known one if the image does not specify it.
        env: The container's variables that have a value.
        gpu: The GPUs that the engine uses; None if product and resource do not specify them.
        gpu_text: GPU and count in words.
        kind: The GPU in words without the count, by which GPUs are added up.
        pod_gpus: GPUs (or slices) of a pod.
        engine: The engine's flags; None if vLLM would not start with them.
        minimum: Pods at least.
        maximum: Pods at most.
        surge: Additional pods during a rollout.
        problem: Why no plan can be made; None if one can.
        refusal: Why vLLM would not start; None if the manifest has no such reason.
        notes: What else could not be read, or is assumed.
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
    problem: Problem | None
    refusal: Problem | None
    notes: tuple[Problem, ...]

    @property
    def has_whole_gpus(self) -> bool:
        """Whether its GPUs are whole GPUs, not slices or shares."""
        return not self.kind.startswith(("MIG ", "a share of "))

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def deployed_models(objects: list[dict[str, Any]], gpu: str | None = None) -> list[DeployedModel]:
    """The models of all workloads that run vLLM.

    Args:
        objects: Objects of manifests.
        gpu: Product of the GPUs of pods whose manifest does not name it. Default: none.
    """
    ranges = dict(_ranges(objects))
    configs = {
        namespaced_name(manifest): mapping(manifest.get("data"))
        for manifest in objects
        if manifest.get("kind") == "ConfigMap"
    }
    claims = {
        (namespaced_name(manifest)[0], str(manifest["kind"]), namespaced_name(manifest)[1]): spec
        for manifest in objects
        if manifest.get("kind") in ("ResourceClaim", "ResourceClaimTemplate")
        for spec in [mapping(manifest, *_CLAIM_SPECS[str(manifest["kind"])])]
    }
    models = []
    for manifest in objects:
        kind = next((kind for kind in KINDS if kind.is_kind_of(manifest)), None)
        if kind is None:
            continue
        template = mapping(manifest, *kind.pod_template)
        container = engine_container(template)
        if container is not None:
            scaled = ranges.get((*namespaced_name(manifest), kind.kind))
            near = {
                key[1:]: spec
                for key, spec in claims.items()
                if key[0] == namespaced_name(manifest)[0]
            }
            made = _model(manifest, kind, container, scaled, configs, claims=near, product=gpu)
            models.append(made)
    return models


def unread_workloads(objects: list[dict[str, Any]]) -> list[Problem]:
    """What runs vLLM and is not planned, since its kind is not read.

    Args:
        objects: Objects of manifests.
    """
    found = []
    for manifest in objects:
        is_read = any(kind.is_kind_of(manifest) for kind in KINDS)
        if not is_read and any(map(engine_container, _templates(manifest.get("spec")))):
            name = "/".join(filter(None, namespaced_name(manifest)))
            text = f"{manifest.get('kind')} {name!r} runs vLLM, but only Deployments are planned"
            advice = "plan it by its model and flags: vllm-constructs plan --model ..."
            found.append(Problem(text=escaped(text), advice=advice, kind="not counted"))
    return found


def _templates(value: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Whatever in a manifest has containers, as a pod template."""
    if isinstance(value, dict) and depth < 8:
        if isinstance(value.get("containers"), list):
            yield {"spec": value}
        for item in value.values():
            yield from _templates(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _templates(item, depth)


def _ranges(objects: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, ...], tuple[int, int]]]:
    """The lowest and highest number of replicas for each workload with a scaler."""
    kinds = {
        "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", 1, 1),
        "ScaledObject": ("minReplicaCount", "maxReplicaCount", 0, 100),
    }
    for manifest in objects:
        scaler = str(manifest.get("kind"))
        target = mapping(manifest.get("spec"), "scaleTargetRef")
        if scaler in kinds:
            low, high, least, most = kinds[scaler]
            spec = mapping(manifest.get("spec"))
            workload = (str(target.get("name") or ""), str(target.get("kind") or DEPLOYMENT.kind))
            yield (
                (namespaced_name(manifest)[0], *workload),
                (integer(spec.get(low), least), integer(spec.get(high), most)),
            )


def _model(
    workload: dict[str, Any],
    kind: WorkloadKind,
    container: dict[str, Any],
    scaled: tuple[int, int] | None,
    configs: Mapping[tuple[str, str], dict[str, Any]],
    *,
    claims: Mapping[tuple[str, str], Mapping[str, Any]],
    product: str | None,
) -> DeployedModel:
    namespace, name = namespaced_name(workload)
    spec = mapping(workload, "spec")
    pod = mapping(workload, *kind.pod_template, "spec")
    env = environment(namespace, container, configs)
    command, args = (
        [expanded(word, env) for word in strings(container.get(key))] for key in ("command", "args")
    )
    annotations = read_plan_annotations(mapping(workload, "metadata", "annotations"))
    release, notes = release_of(str(container.get("image") or ""), annotations.vllm)
    is_own = is_ours(mapping(workload, *kind.pod_template), container)
    words = args if is_own else after_serve(command, args, env) or []
    line = command_lines.read(words, release)
    problems: list[Problem] = []
    if "config" in line.options:
        path = str(line.options["config"])
        file = config_file(path, namespace, pod, container, configs)
        if file is None:
            text = f"the flags in {escaped(require.shown(path))} are in none of the manifests"
            problems.append(_unknown(text))
        else:
            # The model stays first, and the command line takes precedence over the file.
            at = 1 if words and not words[0].startswith("-") else 0
            from_file = command_lines.file_words(file, release)
            line = command_lines.read([*words[:at], *from_file, *words[at:]], release)
    for flag, problem in line.unread.items():
        (problems if flag in READ else notes).append(problem)
    if line.model is None:
        problems.insert(0, _unknown("the manifest does not name the model"))
    # Without a size vLLM uses one GPU, even if the pod has more.
    line.options.setdefault("tensor-parallel-size", 1)
    refusals, engine = line.problems, None
    try:
        engine = command_lines.parsed(line, release).engine
    except VllmConstructsError as error:
        refusals.append(error.problem)
    other, reason = _elsewhere(
        pod,
        container,
        claims,
        annotations,
        assumed=product,
        env=env,
        ranks=line.options["tensor-parallel-size"],
        is_cpu=SPACE in env or release.family.accelerator == "CPU",
    )
    problems += [] if reason is None else [reason]
    gpus = pod_gpus(
        mapping(container, "resources", "limits"),
        selected_nodes(pod),
        line.options,
        annotations,
        product,
        has_claims=bool(items(mapping(container, "resources").get("claims"))),
        found_elsewhere=other,
    )
    if gpus.gpu is not None and release.named_accelerator not in (None, gpus.gpu.platform):
        refusals.append(_mismatch(release, gpus.gpu))
    if gpus.problem is not None:
        (problems if gpus.gpu is None else notes).append(gpus.problem)
    if not release.is_certain:
        # Another release may accept what this one rejects.
        (problems if engine is None else notes).extend(refusals)
        refusals = []
    gpu = gpus.gpu
    if engine is not None and gpu is not None:
        gpu, misfit = gpus_in_use(gpu, engine)
        (notes if gpu else refusals).extend([] if misfit is None else [misfit])
    low, high = (
        scaled
        or annotations.replicas
        or (integer(mapping(workload, *kind.replicas[:-1]).get(kind.replicas[-1]), 1),) * 2
    )
    return DeployedModel(
        namespace=namespace,
        name=name,
        model=_name(line.model, mapping(workload, *kind.pod_template)) if is_own else line.model,
        shape=annotations.model_shape,
        image=str(container.get("image") or ""),
        release=_built_for(release, gpu),
        env=env,
        gpu=gpu,
        gpu_text=gpus.text,
        kind=gpus.text.removeprefix(f"{gpus.count} x "),
        pod_gpus=gpus.count,
        engine=engine,
        minimum=low,
        maximum=max(low, high),
        surge=_surge(mapping(spec, "strategy"), max(low, high)),
        problem=problems[0] if problems else None,
        refusal=refusals[0] if refusals else None,
        notes=(*problems[1:], *refusals[1:], *notes),
    )


def _elsewhere(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    claims: Mapping[tuple[str, str], Mapping[str, Any]],
    annotations: PlanAnnotations,
    *,
    assumed: str | None,
    env: Mapping[str, str],
    ranks: object,
    is_cpu: bool,
) -> tuple[Gpu | None, Problem | None]:
    """What a container claims, or runs on without devices, and why that is not known."""
    ranks = ranks if isinstance(ranks, int) else 1
    try:
        found: Gpu | None
        found = of_claims(pod, container, claims, annotations, assumed=assumed, ranks=ranks)
        if found is None and is_cpu:
            limits = mapping(container, "resources", "limits")
            found = of_cpus(limits, env, ranks, selected_nodes(pod).labels)
    except VllmConstructsError as error:
        return None, error.problem
    return found, None


def _name(source: str | None, template: Mapping[str, Any]) -> str | None:
    """The model of this library's engine, whose weights may come from elsewhere."""
    named = mapping(template, "metadata", "annotations").get(MODEL)
    is_elsewhere = source is not None and (source.startswith("/") or "://" in source)
    return named if is_elsewhere and isinstance(named, str) and named else source


def _unknown(text: str) -> Problem:
    return Problem(text=text, kind="not counted")


def _mismatch(release: VllmRelease, gpu: Gpu) -> Problem:
    """An image that is built for another accelerator than the pod's."""
    value = require.shown(release.image)
    return Problem(
        where="image",
        text=f"is {escaped(value)}, which is built for {release.named_accelerator}, but the pod "
        f"has {escaped(gpu.product or gpu.resource or gpu.platform)}, which needs {gpu.platform}",
        value=value,
        advice="use an image for it",
    )


def _built_for(release: VllmRelease, gpu: Gpu | None) -> VllmRelease:
    """A release, with what its image is built for."""
    if gpu is None or gpu.platform == "CUDA":
        return release
    with warnings.catch_warnings(action="ignore"):
        return replace(release, accelerator=gpu.platform)


def _surge(strategy: dict[str, Any], replicas: int) -> int:
    """Additional pods during a rollout, rounded as the Deployment controller does."""
    if strategy.get("type") == "Recreate":
        return 0
    surge = mapping(strategy, "rollingUpdate").get("maxSurge", "25%")
    text = str(surge)
    if text.endswith("%") and text[:-1].isdecimal():
        return math.ceil(int(text[:-1]) * replicas / 100)
    return int(text) if text.isdecimal() else 0
