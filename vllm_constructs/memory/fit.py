"""Fit: a memory plan for a model that is about to be deployed, where one can be made.

A plan that cannot be made refuses nothing: vLLM takes more than this library can count. What
vLLM itself refuses when it starts, such as heads that cannot be split, is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.engine.flag_parsing import amount
from vllm_constructs.errors import NotCountedError, VllmConstructsError, refuse

from .options import UNCOUNTED
from .plan import MemoryPlan
from .shapes import ModelShape, is_named

if TYPE_CHECKING:
    from vllm_constructs.engine.engine_args import EngineArgs
    from vllm_constructs.releases.release import VllmRelease
    from vllm_constructs.workloads.pod import GpuPodSpec

    from .options import Gpu

LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"

READ = frozenset(
    (
        *(name.replace("_", "-") for name in UNCOUNTED),
        "async-scheduling",
        "block-size",
        "compilation-config",
        "cpu-offload-gb",
        "cudagraph-capture-sizes",
        "data-parallel-multi-port-external-lb",
        "data-parallel-size",
        "decode-context-parallel-size",
        "disable-hybrid-kv-cache-manager",
        "dtype",
        "enable-chunked-prefill",
        "enable-expert-parallel",
        "enable-lora",
        "enable-prefix-caching",
        "enforce-eager",
        "gpu-memory-utilization",
        "hf-overrides",
        "kv-cache-dtype",
        "kv-cache-memory-bytes",
        "mamba-ssm-cache-dtype",
        "max-cudagraph-capture-size",
        "max-lora-rank",
        "max-loras",
        "max-model-len",
        "max-num-batched-tokens",
        "max-num-seqs",
        "optimization-level",
        "performance-mode",
        "pipeline-parallel-size",
        "quantization",
        "runner",
        "spec-method",
        "spec-model",
        "speculative-config",
        "tensor-parallel-size",
    )
)
"""The flags that decide about memory, without dashes: a plan needs their values."""


@cache
def shape_of(model: str) -> ModelShape | None:
    """The shape of a model of the catalogue, or None; read once."""
    return ModelShape.named(model) if is_named(model) else None


def name_in_catalogue(shape: ModelShape | None) -> str | None:
    """The name by which the catalogue has exactly this shape; None where it has not."""
    if shape is None or shape_of(shape.name) != shape:
        return None
    return shape.name


def plan_of(
    shape: ModelShape,
    gpu: Gpu,
    engine: EngineArgs,
    release: VllmRelease,
    env: Mapping[str, str] | None = None,
) -> MemoryPlan | str:
    """The plan, or in words why there is none.

    Args:
        shape: The model's sizes.
        gpu: What a pod gets.
        engine: Flags of the engine.
        release: The vLLM release.
        env: Variables of the container, which may allow longer requests. Default: none.

    Raises:
        VllmConstructsError: vLLM would not start with this split, or this `max_model_len`.
    """
    if engine.data_parallel_multi_port_external_lb and not shape.experts:
        # vllm/engine/arg_utils.py
        refuse(
            f"EngineArgs.data_parallel_multi_port_external_lb is True, and {shape.name} has no "
            "experts, so that vLLM does not start like that; use replicas."
        )
    try:
        return MemoryPlan(shape=shape, gpu=gpu, engine=engine, release=release)
    except NotCountedError as error:
        return str(error)
    except VllmConstructsError as error:
        if _is_longer(shape, engine) and _may_be_longer(env or {}):
            return str(error)
        raise


def checked(where: str, pod: GpuPodSpec, shape: ModelShape | None) -> MemoryPlan | None:
    """The plan of a pod, refused where it cannot fit and warned about where it is tight.

    Args:
        where: Name of what is checked, for the sentence.
        pod: The pod.
        shape: The model's sizes. Default: those of the catalogue, where it has the model.

    Raises:
        VllmConstructsError: `shape` is none, the model is too large, or vLLM would not start.
    """
    is_own = shape is not None
    if shape is None:
        shape = shape_of(pod.model)
    else:
        allowed = "ModelShape.named(...) or ModelShape.from_config(...)"
        require.instance("shape", shape, ModelShape, allowed)
    if shape is None:
        return None
    try:
        found = plan_of(shape, pod.gpu, pod.engine, pod.release, pod.env)
    except VllmConstructsError as error:
        if is_own or not _is_longer(shape, pod.engine):
            raise
        hint = "if its config.json says more, give shape=ModelShape.from_config('config.json')."
        refuse(f"{str(error).removesuffix('.')}; {hint}")
    if isinstance(found, str):
        return None
    found.check(where)
    return found


def _may_be_longer(env: Mapping[str, str]) -> bool:
    """Whether vLLM is told to take more tokens than the model does."""
    return env.get(LONGER, "0").strip().lower() in ("1", "true")


def _is_longer(shape: ModelShape, engine: EngineArgs) -> bool:
    """Whether more tokens are asked for than the model takes."""
    asked = engine.max_model_len
    if shape.longest is None or engine.hf_overrides or asked in (None, "auto", -1):
        return False
    return amount("EngineArgs.max_model_len", asked) > shape.longest
