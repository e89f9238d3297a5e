"""Models in manifests of any origin.

What a manifest does not specify is not guessed; a problem or a note states it.
"""

from __future__ import annotations

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
from vllm_constructs.workloads.plan_annotations import PlanAnnotations, read_plan_annotations
from vllm_constructs.workloads.workload import DEPLOYMENT, KINDS

from .claims import SPECS, claims_of
from .containers import engine_container, release_of
from .engines import Engine
from .fields import integer, items, mapping, namespaced_name
from .gpus import gpus_in_use, pod_gpus
from .graph import Graph
from .other_accelerators import of_claims, of_cpus
from .rolling import surge
from .settings import Settings


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
    graph = Graph(objects, Settings(gpu=gpu))
    return [
        deployed_model(engine)
        for engine in graph.engines
        if any(kind.is_kind_of(engine.manifest.body) for kind in KINDS)
    ]


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


def deployed_model(engine: Engine) -> DeployedModel:
    """The model of an engine.

    Args:
        engine: The engine.
    """
    manifest, settings = engine.manifest, engine.graph.settings
    annotations = read_plan_annotations(manifest.annotations)
    release, notes = release_of(engine.image, annotations.vllm or settings.vllm)
    line, problems = engine.line, []
    if "config" in line.options and engine.config_file is None:
        path = escaped(require.shown(str(line.options["config"])))
        problems.append(_unknown(f"the flags in {path} are in none of the manifests"))
    for flag, problem in line.unread.items():
        (problems if flag in READ else notes).append(problem)
    if line.model is None:
        problems.insert(0, _unknown("the manifest does not name the model"))
    # Without a size vLLM uses one GPU, even if the pod has more.
    options = {"tensor-parallel-size": 1, **line.options}
    refusals, args = list(line.problems), None
    try:
        args = command_lines.parsed(replace(line, options=options), release).engine
    except VllmConstructsError as error:
        refusals.append(error.problem)
    other, reason = _elsewhere(engine, annotations, ranks=options["tensor-parallel-size"])
    problems += [] if reason is None else [reason]
    gpus = pod_gpus(
        engine.limits,
        engine.nodes,
        options,
        annotations,
        settings.gpu,
        has_claims=bool(items(mapping(engine.container, "resources").get("claims"))),
        found_elsewhere=other,
    )
    if gpus.gpu is not None and release.named_accelerator not in (None, gpus.gpu.platform):
        refusals.append(_mismatch(release, gpus.gpu))
    if gpus.problem is not None:
        (problems if gpus.gpu is None else notes).append(gpus.problem)
    if not release.is_certain:
        # Another release may accept what this one rejects.
        (problems if args is None else notes).extend(refusals)
        refusals = []
    gpu = gpus.gpu
    if args is not None and gpu is not None:
        gpu, misfit = gpus_in_use(gpu, args)
        (notes if gpu else refusals).extend([] if misfit is None else [misfit])
    low, high = _replicas(engine, annotations)
    return DeployedModel(
        namespace=manifest.namespace,
        name=manifest.name,
        model=engine.model,
        shape=annotations.model_shape,
        image=engine.image,
        release=_built_for(release, gpu),
        env=engine.env,
        gpu=gpu,
        gpu_text=gpus.text,
        kind=gpus.text.removeprefix(f"{gpus.count} x "),
        pod_gpus=gpus.count,
        engine=args,
        minimum=low,
        maximum=max(low, high),
        surge=surge(mapping(manifest.spec, "strategy"), max(low, high)),
        problem=problems[0] if problems else None,
        refusal=refusals[0] if refusals else None,
        notes=(*problems[1:], *refusals[1:], *notes),
    )


def _replicas(engine: Engine, annotations: PlanAnnotations) -> tuple[int, int]:
    """Pods at least and at most."""
    manifest, graph = engine.manifest, engine.graph
    if graph.scalers_of(manifest):
        return graph.replicas(manifest)
    kind = next((kind for kind in KINDS if kind.is_kind_of(manifest.body)), DEPLOYMENT)
    count = integer(manifest.at(*kind.replicas), 1)
    return annotations.replicas or (count, count)


def _elsewhere(
    engine: Engine, annotations: PlanAnnotations, *, ranks: object
) -> tuple[Gpu | None, Problem | None]:
    """What a container claims, or runs on without devices, and why that is not known."""
    ranks = ranks if isinstance(ranks, int) else 1
    assumed = engine.graph.settings.gpu
    specs = {
        (one.kind, one.name): mapping(one.body, *SPECS[one.kind])
        for one in claims_of(engine.graph, engine.pod).values()
    }
    try:
        found: Gpu | None
        found = of_claims(
            engine.pod.spec, engine.container, specs, annotations, assumed=assumed, ranks=ranks
        )
        is_cpu = SPACE in engine.env or engine.release.family.accelerator == "CPU"
        if found is None and is_cpu:
            found = of_cpus(engine.limits, engine.env, ranks, engine.nodes.labels)
    except VllmConstructsError as error:
        return None, error.problem
    return found, None


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
