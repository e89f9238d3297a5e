"""Rules of what engines ask of their GPUs: G02, G06 and G08."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from vllm_constructs.accelerators.nodes import CLIENTS, SHARING
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.claims import claims_of, device_requests, requests_of
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, items, mapping
from vllm_constructs.reading.gpus import part_of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.workloads.plan_annotations import PlanAnnotations, read_plan_annotations

from .rule import Found, rule

SIZES = ("tensor-parallel-size", "pipeline-parallel-size")
_RESOURCE = "nvidia.com/"
_MIG_CLASS = "mig.nvidia.com"
_GPU_CLASS = "gpu.nvidia.com"
_REPLICAS = "nvidia.com/gpu.replicas"
_STRATEGY = "nvidia.com/gpu.sharing-strategy"
_COUNT = re.compile(r"\d{1,4}", re.ASCII)
_PARTS = {"MIG slice": "MIG slices", "shared GPU": "shares of GPUs"}


def _annotations(engine: Engine) -> PlanAnnotations:
    return read_plan_annotations(engine.manifest.annotations)


def _part(engine: Engine) -> str:
    """What part of a GPU the engine's GPUs are; empty for whole ones, or if that is not known."""
    part = part_of(engine.limits, engine.nodes, _annotations(engine))
    if part or not items(mapping(engine.container, "resources").get("claims")):
        return part
    classes = [
        one.device_class
        for one in device_requests(engine.graph, engine.pod, engine.container)
        if one.device_class in (_MIG_CLASS, _GPU_CLASS)
    ]
    return "MIG slice" if classes and set(classes) == {_MIG_CLASS} else ""


def _split(engine: Engine) -> int | None:
    """GPUs over which one engine is split; None if the manifest does not say."""
    if any(one in engine.line.unread for one in SIZES):
        return None
    return engine.size(SIZES[0]) * engine.size(SIZES[1])


@rule("G02", "error", "an engine that is split over parts of GPUs")
def parts(graph: Graph) -> Iterator[Found]:
    """Parts of GPUs cannot exchange data, and two of them may be parts of one GPU."""
    for engine in graph.engines:
        part = _part(engine)
        split = _split(engine) if part else None
        if split is None:
            continue
        what = _PARTS[part]
        if split > 1:
            name = next(one for one in SIZES if engine.size(one) > 1)
            text = f"is {engine.size(name)}, but the pod gets {what}, over which no engine is split"
            if part == "MIG slice":
                text += ": CUDA shows a process only one of them"
            problem = Problem(
                where=f"--{name}",
                text=text,
                advice="leave it out and request one, or use whole GPUs; replicas give more "
                "throughput",
            )
            yield Found(manifest=engine.manifest, path=engine.flag_place(name), problem=problem)
        elif _is_idle(engine):
            name, count = next(
                (name, value)
                for name, value in engine.limits.items()
                if str(name).startswith(_RESOURCE)
            )
            problem = Problem(
                where=f"resources.limits[{str(name)!r}]",
                text=f"is {escaped(str(count))}, but an engine uses only one of {what}",
                advice="request one, and give replicas for more throughput",
            )
            path = (*engine.path, "resources", "limits", name)
            yield Found(manifest=engine.manifest, path=path, problem=problem, level="warning")


def _is_idle(engine: Engine) -> bool:
    """Whether the engine leaves some of its parts unused."""
    has_data = any(
        one.startswith("data-parallel") for one in (*engine.options, *engine.line.unread)
    )
    return engine.is_line_whole and not has_data and engine.gpus.count > 1


@rule("G06", "error", "engines that do not leave each other memory on a shared GPU")
def shares(graph: Graph) -> Iterator[Found]:
    """Shared GPUs do not divide their memory: the second engine finds too little and ends."""
    from vllm_constructs.engine.parallelism import share_problem

    for engine in graph.engines:
        sharers = _sharers(engine)
        utilization = _utilization(engine) if sharers else None
        if sharers is None or utilization is None or _split(engine) != 1:
            continue
        found = share_problem(utilization, sharers)
        if found is None:
            continue
        is_given = "gpu-memory-utilization" in engine.options
        given = f"is {utilization}" if is_given else f"is left out, which means {utilization}"
        known = _known_sharers(engine)
        pods = f"{known} pods" if known else "at least two pods"
        problem = replace(
            found,
            where="--gpu-memory-utilization",
            text=f"{given}, but {pods} share the memory of the GPU, so that it is not enough for "
            "all of them",
            advice=f"give less than 1 / {known or 'the pods on a GPU'}"
            + (f", such as {int(90 / known) / 100}" if known else ""),
        )
        path = engine.flag_place("gpu-memory-utilization")
        yield Found(manifest=engine.manifest, path=path, problem=problem)


def _sharers(engine: Engine) -> int | None:
    """Pods on one GPU, at least; None if its memory is not shared, or that is not known."""
    labels, sharing = engine.nodes.labels, _annotations(engine).gpu_sharing
    kinds = (labels.get(SHARING), labels.get(_STRATEGY), sharing[0] if sharing else None)
    # MPS divides the memory.
    if "mps" in kinds:
        return None
    if _part(engine) == "shared GPU":
        return _known_sharers(engine) or 2
    return _known_sharers(engine) if items(engine.pod.spec.get("resourceClaims")) else None


def _known_sharers(engine: Engine) -> int | None:
    """Pods on one GPU, if the manifests say so."""
    sharing = _annotations(engine).gpu_sharing
    if sharing is not None:
        return sharing[1] if sharing[1] > 1 else None
    for key in (CLIENTS, _REPLICAS):
        value = engine.nodes.labels.get(key, "")
        if _COUNT.fullmatch(value) and int(value) > 1:
            return int(value)
    return _pods_of_claim(engine)


def _pods_of_claim(engine: Engine) -> int | None:
    """Replicas that use one claim of one GPU, and thereby share it."""
    shared = {
        name: one
        for name, one in claims_of(engine.graph, engine.pod).items()
        if one.kind == "ResourceClaim"
    }
    counts = engine.graph.pod_counts(engine.pod) if shared else None
    if counts is None or counts[1] < 2:
        return None
    for one in items(mapping(engine.container, "resources").get("claims")):
        claim = shared.get(str(mapping(one).get("name")))
        # Its configuration may divide the GPU.
        if claim is None or items(mapping(claim.spec, "devices").get("config")):
            continue
        for _, request in requests_of(claim):
            if request.device_class == _GPU_CLASS and integer(request.body.get("count"), 1) == 1:
                return counts[1]
    return None


def _utilization(engine: Engine) -> float | None:
    """The share of the memory that the engine takes; None if that is not known."""
    name, line = "gpu-memory-utilization", engine.line
    if name in line.unread or any(
        "kv-cache-memory-bytes" in given for given in (line.options, line.unread)
    ):
        return None
    value = engine.flag(name)
    if value is not None:
        return value if isinstance(value, float) else None
    if not engine.is_line_whole or not engine.pod.is_whole:
        return None
    return 0.92 if engine.release.behaves("gpu-memory-utilization-0.92") else 0.9


@rule("G08", "error", "a model that does not fit")
def fit(graph: Graph) -> Iterator[Found]:
    """Its weights, one request or its heads do not go on the GPUs: vLLM ends when it starts."""
    known: dict[object, Problem | None] = {}
    for engine in graph.engines:
        is_all = engine.pod.is_whole and engine.is_line_whole
        if not is_all or not _may_be_planned(engine):
            continue
        key = (
            engine.image,
            engine.release,
            tuple(engine.words),
            tuple(sorted(engine.env.items())),
            tuple(sorted((str(name), str(value)) for name, value in engine.limits.items())),
            tuple(sorted(engine.nodes.labels.items())),
            engine.nodes.products,
            _annotations(engine),
            str(engine.pod.spec.get("resourceClaims")),
            engine.pod.namespace if engine.config_file is not None else "",
        )
        if key not in known:
            known[key] = _misfit(engine)
        problem = known[key]
        if problem is not None:
            flag = problem.where.removeprefix("EngineArgs.").replace("_", "-")
            path = engine.flag_place(flag if flag in engine.options else "")
            yield Found(manifest=engine.manifest, path=path, problem=problem)


def _may_be_planned(engine: Engine) -> bool:
    """Whether model and release are known, which is quick to see."""
    from vllm_constructs.memory.shapes import is_named

    shape = _annotations(engine).model_shape
    is_known = is_named(str(shape or engine.model))
    return is_known and (engine.release.is_certain or engine.release.is_official)


def _misfit(engine: Engine) -> Problem | None:
    """Why the model does not fit; None if it may."""
    from vllm_constructs.reading.plans import planned
    from vllm_constructs.reading.workloads import deployed_model

    model = deployed_model(engine)
    # An engine that uses fewer GPUs than its pod has is another mistake.
    if model.gpu is None or model.gpu.platform != "CUDA" or model.gpu.count != model.pod_gpus:
        return None
    if model.refusal is not None or model.problem is not None:
        return None
    found = planned(model)
    is_certain = found.plan is None or found.plan.caveat is None
    problem = found.problem if found.verdict in ("too large", "refused") and is_certain else None
    return problem if problem is not None and problem.kind == "does not fit" else None
