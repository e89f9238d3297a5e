"""Rule of parallel sizes and the GPUs of one pod: E05."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from vllm_constructs.accelerators.amd import RESOURCE as AMD
from vllm_constructs.accelerators.google import RESOURCE as TPU
from vllm_constructs.accelerators.google import Tpu
from vllm_constructs.accelerators.intel import GAUDI_RESOURCE, RESOURCES
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import MOST_GPUS, WholeGpu
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.kube import quantity
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.gpus import part_of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import (
    has_given,
    has_other_nodes,
    is_plain,
    lists_flags,
    script,
    starts_ray,
)
from vllm_constructs.workloads.plan_annotations import read_plan_annotations

from .rule import Found, rule
from .starts import count_of_starts, has_known_start

if TYPE_CHECKING:
    from vllm_constructs.engine.command_line_parser import Given

_NVIDIA = "nvidia.com/gpu"
_WHOLE = (_NVIDIA, AMD, *RESOURCES, GAUDI_RESOURCE)
_SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
_LOCAL = "data-parallel-size-local"
# With them, other flags or other processes decide how many GPUs there are.
_OTHER = ("enable-elastic-ep", "prefill-context-parallel-size")
_BACKENDS = ("mp", "uni")
# A script that chooses devices may run more than one process on them.
_CHOOSES = re.compile(r"\b(CUDA|HIP|ROCR|NVIDIA)_VISIBLE_DEVICES=")
_MODEL = re.compile(r"\$[({]?\w*MODEL\w*", re.IGNORECASE)


@rule("E05", "error", "parallel sizes that do not fit the GPUs of the pod")
def sizes(graph: Graph) -> Iterator[Found]:
    """Too few GPUs end the engine; GPUs that it does not use are paid for all the same."""
    for engine in graph.engines:
        if not _is_alone(engine) or not _has_known_sizes(engine):
            continue
        gpu = _gpus(engine)
        if gpu is None:
            continue
        given = Parallelism(
            tensor=engine.size(_SIZES[0]), pipeline=engine.size(_SIZES[1]), data=_ranks(engine)
        )
        problem = given.problem(gpu)
        if problem is not None:
            if given.gpus < gpu.devices:
                text = (
                    f"uses {given.gpus} of the pod's {gpu.devices} {gpu.unit} (tensor "
                    f"{given.tensor} x pipeline {given.pipeline} x data {given.data})"
                )
                problem = replace(problem, text=text)
            yield Found(
                manifest=engine.manifest,
                path=engine.flag_place(*_SIZES),
                problem=replace(problem, advice=_advice(given, gpu)),
            )


def _is_alone(engine: Engine) -> bool:
    """Whether the engine is one process with all its ranks, and the only one of its container."""
    if not engine.pod.is_whole or engine.pod.role or has_other_nodes(engine):
        return False
    if starts_ray(engine.container) or not is_plain(engine) or not has_known_start(engine):
        return False
    return count_of_starts(engine) <= 1 and not _CHOOSES.search(script(engine.container))


def _has_known_sizes(engine: Engine) -> bool:
    """Whether the manifest names the sizes, and nothing but them decides."""
    line = engine.line
    if not lists_flags(engine) or has_given(engine, *_OTHER):
        return False
    if any(name in line.unread for name in (*_SIZES, _LOCAL)) or engine.flag(_LOCAL) == 0:
        return False
    if engine.release.is_open and any(
        one.flag is None and one.word.startswith("--") for one in line.given
    ):
        # What builds on vLLM, such as vLLM-Omni, may place its stages by flags of its own.
        return False
    if any(one.problem is not None and _is_size(one) for one in line.given):
        # Another rule says what is wrong with it.
        return False
    model = str(line.model)
    if "model" in line.unread and not _MODEL.fullmatch(model.strip("{})")):
        # A variable of a shell may hold flags as well.
        return False
    return engine.flag("distributed-executor-backend", "mp") in _BACKENDS


def _is_size(one: Given) -> bool:
    """Whether a word is one of the sizes, or may be meant to be."""
    if one.flag is not None:
        return one.flag in (*_SIZES, _LOCAL)
    return "paral" in one.word or one.word.startswith(("-tp", "--tp", "-pp", "-dp"))


def _ranks(engine: Engine) -> int:
    """Data-parallel ranks in the pod."""
    if engine.flag("data-parallel-external-lb") is True:
        return 1
    return engine.size(_LOCAL if _LOCAL in engine.options else _SIZES[2])


def _gpus(engine: Engine) -> Gpu | None:
    """The whole devices of the container; None if it has none, or parts of some."""
    counts = {
        name: int(amount)
        for name in (*_WHOLE, TPU)
        if (amount := quantity.parse(str(engine.limits.get(name)))) and amount == int(amount)
    }
    if len(counts) != 1:
        return None
    (resource, count), known = *counts.items(), engine.gpus.gpu
    if known is not None and known.resource == resource and (known.parallel or count == 1):
        is_host = isinstance(known, Tpu) and known.count != count
        return None if is_host else known
    annotations = read_plan_annotations(engine.manifest.annotations)
    if resource == TPU or part_of(engine.limits, engine.nodes, annotations):
        return None
    # Of a product that is not named, only the number counts.
    return WholeGpu(count=count) if 1 <= count <= MOST_GPUS else None


def _advice(given: Parallelism, gpu: Gpu) -> str:
    per_tensor = given.pipeline * given.data
    if given.gpus < gpu.devices and gpu.devices % per_tensor == 0:
        tensor = gpu.devices // per_tensor
        return f"give {{tensor_parallel_size={tensor}}}, or request {given.gpus}"
    if given.gpus > gpu.most:
        return f"give sizes whose product is {gpu.devices}; no node has {given.gpus}"
    return f"request {given.gpus}, or give sizes whose product is {gpu.devices}"
