"""Fit: the memory plan of a model that is about to be deployed, if a plan can be made.

If no plan can be made, nothing is rejected: vLLM supports more than this library can count. What
vLLM itself rejects when it starts, such as heads that cannot be split, is rejected here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Protocol

from vllm_constructs import require
from vllm_constructs.engine.flag_parsing import amount
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse, warn

from . import compute, sizes
from .options import UNCOUNTED
from .plan import MemoryPlan
from .shapes import ModelShape, is_named, misspelled
from .weights import stored

if TYPE_CHECKING:
    from vllm_constructs.accelerators.kinds import Gpu
    from vllm_constructs.engine.engine_args import EngineArgs
    from vllm_constructs.releases.release import VllmRelease


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
        "data-parallel-size-local",
        "decode-context-parallel-size",
        "disable-hybrid-kv-cache-manager",
        "dtype",
        "enable-chunked-prefill",
        "enable-eplb",
        "enable-expert-parallel",
        "enable-lora",
        "enable-prefix-caching",
        "enforce-eager",
        "eplb-config",
        "gpu-memory-utilization",
        "hf-overrides",
        "kv-cache-dtype",
        "language-model-only",
        "limit-mm-per-prompt",
        "mm-ipc-gpu-memory-gb",
        "skip-mm-profiling",
        "kv-cache-memory-bytes",
        "kv-offloading-backend",
        "kv-offloading-size",
        "kv-transfer-config",
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
"""The flags that a plan depends on, without their leading dashes."""


@cache
def shape_of(model: str) -> ModelShape | None:
    """The shape of a model of the catalog, or None; the result is cached."""
    return ModelShape.named(model) if is_named(model) else None


def name_in_catalog(shape: ModelShape | None) -> str | None:
    """The name under which the catalog has exactly this shape; None if it has not."""
    if shape is None or shape_of(shape.name) != shape:
        return None
    return shape.name


def plan_of(
    shape: ModelShape,
    gpu: Gpu,
    engine: EngineArgs,
    release: VllmRelease,
    env: Mapping[str, str] | None = None,
) -> MemoryPlan | Problem:
    """The plan of a model, or the reason why none can be made.

    Args:
        shape: The sizes of the model.
        gpu: GPU of the pod.
        engine: Flags of the engine.
        release: The vLLM release.
        env: Environment variables of the container: they may allow longer requests, and choose
            the model runner. Default: none.

    Raises:
        VllmConstructsError: vLLM would not start with this split or this `max_model_len`, or the
            GPU cannot compute what the engine asks for.
    """
    if engine.data_parallel_multi_port_external_lb and not shape.experts:
        # vllm/engine/arg_utils.py
        refuse(
            Problem(
                where="EngineArgs.data_parallel_multi_port_external_lb",
                text=f"is True, but {escaped(shape.name)} has no experts, so vLLM would not start",
                value="True",
                advice="use {replicas} instead",
                kind="does not fit",
            )
        )
    wrong = compute.problem(gpu, engine, release, shape)
    if wrong is not None:
        refuse(wrong)
    try:
        return MemoryPlan(
            shape=shape,
            gpu=gpu,
            engine=engine,
            release=release,
            env={} if env is None else env,
        )
    except VllmConstructsError as error:
        problem = error.problem
    if problem.kind == "not counted":
        return problem
    if _is_longer(shape, engine) and _may_be_longer(env or {}):
        return replace(problem, kind="not counted")
    # All other problems are combinations of model and GPU that vLLM itself rejects.
    raise VllmConstructsError(replace(problem, kind="does not fit"))


def is_hybrid(model: object, shape: ModelShape | None) -> bool:
    """Whether a model has layers of several kinds; False where its shape is not known.

    Args:
        model: The model, which may be in the catalog.
        shape: Its shape, if it is given.
    """
    known = shape_of(model) if shape is None and isinstance(model, str) else shape
    return isinstance(known, ModelShape) and sizes.is_hybrid(known)


def stored_weights(model: str, shape: ModelShape | None) -> int | None:
    """Bytes of a model's weights that are downloaded; None where its shape is not known.

    Args:
        model: The model: a name, which may be in the catalog, or a path, which is there already.
        shape: Its shape, if it is given.
    """
    if model.startswith("/"):
        return None
    known = shape_of(model) if shape is None else shape
    return None if known is None else stored(known)


class PlannedPod(Protocol):
    """The parts of a pod that a plan depends on."""

    @property
    def model(self) -> str:
        """The model."""
        ...

    @property
    def gpu(self) -> Gpu:
        """GPU of the pod."""
        ...

    @property
    def engine(self) -> EngineArgs:
        """Flags of the engine."""
        ...

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        ...

    @property
    def plain_env(self) -> Mapping[str, str]:
        """Environment variables of the container that have a value in the manifest."""
        ...


def check_fit(where: str, pod: PlannedPod, shape: ModelShape | None) -> MemoryPlan | None:
    """Reject a pod whose model is too large, warn about a tight one, and return its plan.

    Args:
        where: Name of what is checked, for the sentence.
        pod: The pod.
        shape: The sizes of the model; None for those of the catalog, if it has the model.

    Returns:
        The plan; None if no plan can be made.

    Raises:
        VllmConstructsError: `shape` is not a ModelShape, the model is too large, or vLLM would
            not start.
    """
    is_own = shape is not None
    if shape is None:
        shape = shape_of(pod.model)
    else:
        allowed = "ModelShape.named(...) or ModelShape.from_config(...)"
        require.instance("shape", shape, ModelShape, allowed)
    if shape is None:
        wrong = compute.problem(pod.gpu, pod.engine, pod.release, None)
        if wrong is not None:
            refuse(wrong)
        near = misspelled(pod.model)
        if near is not None:
            text = f"is {escaped(repr(pod.model))}, which differs from {near!r} by a letter"
            value, advice = repr(pod.model), f"did you mean {near!r}?"
            warn(Problem(where="model", text=text, value=value, advice=advice))
        return None
    try:
        plan = plan_of(shape, pod.gpu, pod.engine, pod.release, pod.plain_env)
    except VllmConstructsError as error:
        if is_own or not _is_longer(shape, pod.engine):
            raise
        hint = "if its config.json allows more, give {shape=ModelShape.from_config('config.json')}"
        refuse(replace(error.problem, advice=f"{error.problem.advice}; {hint}"))
    if isinstance(plan, Problem):
        return None
    plan.check(where)
    return plan


def _may_be_longer(env: Mapping[str, str]) -> bool:
    """Whether vLLM is configured to accept more tokens than the model supports."""
    return env.get(LONGER, "0").strip().lower() in ("1", "true")


def _is_longer(shape: ModelShape, engine: EngineArgs) -> bool:
    """Whether `max_model_len` is more than the model supports."""
    length = engine.max_model_len
    if shape.longest is None or engine.hf_overrides or length in (None, "auto", -1):
        return False
    return amount("EngineArgs.max_model_len", length) > shape.longest
