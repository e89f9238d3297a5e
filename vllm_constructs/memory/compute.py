"""What a GPU can compute: data types and quantization, by its compute capability.

vLLM rejects the rest when it starts, mostly after the image has been pulled:
`check_if_supports_dtype` in vllm/platforms/cuda.py, `_verify_quantization` and
`_resolve_auto_dtype` in vllm/config/model.py, `get_min_capability` and `get_supported_act_dtypes`
in vllm/model_executor/layers/quantization/.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import Capability, capability
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.releases.release import NEWEST, VllmRelease

from .sizes import Sizes

AMPERE: Capability = (8, 0)
_TURING: Capability = (7, 5)
# The lowest compute capability of each method; those that are not here run on all GPUs.
_LOWEST: dict[str, Capability] = {
    "awq": _TURING,
    "fp8": _TURING,
    "deepseek_v4_fp8": _TURING,
    "humming": _TURING,
    "modelopt_fp4": _TURING,
    "online": _TURING,
    "torchao": _TURING,
    "experts_int8": AMPERE,
    "fbgemm_fp8": AMPERE,
    "modelopt_mxfp8": AMPERE,
    "mxfp4": AMPERE,
    "fp_quant": (10, 0),
}
# The methods that other platforms have, as vLLM 0.33 lists them (vllm/platforms/rocm.py, xpu.py).
_ONLY_QUANTIZATION: dict[str, tuple[str, ...]] = {
    "ROCm": (
        "awq",
        "gptq",
        "fp8",
        "compressed_tensors",
        "fbgemm_fp8",
        "inc",
        "quark",
        "mxfp4",
        "mxfp8",
        "torchao",
        "modelopt",
        "online",
    ),
    "XPU": (
        "awq",
        "gptq",
        "moe_wna16",
        "inc",
        "fp8",
        "mxfp4",
        "mxfp8",
        "online",
        "modelopt",
        "compressed_tensors",
    ),
}
# Names by which vLLM runs the checkpoints of one method.
_SAME = (
    ("awq", "awq_marlin", "auto_awq", "marlin"),
    ("gptq", "gptq_marlin", "auto_gptq", "marlin"),
    ("mxfp4", "gpt_oss_mxfp4"),
    ("fp8", "deepseek_v4_fp8"),
    ("inc", "auto_round"),
    ("modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed"),
    (
        "online",
        "fp8_per_tensor",
        "fp8_per_block",
        "fp8_per_channel",
        "int8_per_channel_weight_only",
        "nvfp4_per_token",
        "mxfp8",
    ),
)
# Methods that run checkpoints of others, too.
_ANY = ("humming", "moe_wna16")
# Methods without kernels for 16-bit floats, and those with kernels for 32-bit ones.
_ONLY_BFLOAT16 = ("mxfp4", "modelopt_mxfp8", "fp_quant")
_WITH_FLOAT32 = ("compressed_tensors", "torchao", "bitsandbytes", "gguf")
# Families that are not stable with 16-bit floats (_FLOAT16_NOT_SUPPORTED_MODELS).
_NOT_FLOAT16 = ("gemma2", "gemma3", "glm4")


def dtype_bytes(shape: Sizes, gpu: Gpu, engine: EngineArgs) -> int:
    """Bytes of the data type in which vLLM runs a model.

    Without `dtype`, 32-bit checkpoints run in 16 bits; where a GPU has no bfloat16 and the model
    is not stable with float16, all run in 32 bits.

    Args:
        shape: The sizes of the model.
        gpu: GPU of the pod.
        engine: Flags of the engine.
    """
    if engine.dtype in ("float", "float32"):
        return 4
    found = capability(gpu)
    is_auto = engine.dtype in (None, "auto")
    is_old = found is not None and found < AMPERE
    return 4 if is_auto and is_old and shape.family in _NOT_FLOAT16 else 2


def problem(
    gpu: Gpu, engine: EngineArgs, release: VllmRelease, shape: Sizes | None
) -> Problem | None:
    """The first reason why a GPU cannot compute what an engine asks for; None if it can.

    Args:
        gpu: GPU of the pod.
        engine: Flags of the engine.
        release: The vLLM release.
        shape: The sizes of the model, which has its quantization; None if they are not known.
    """
    return next(_problems(gpu, engine, release, shape), None)


def _problems(
    gpu: Gpu, engine: EngineArgs, release: VllmRelease, shape: Sizes | None
) -> Iterator[Problem]:
    found = capability(gpu)
    method = _canonical(engine.quantization)
    own = _canonical(shape.quantization.method) if shape and shape.quantization else ""
    if found is not None:
        name = f"{gpu.product or 'GPU'} has compute capability {found[0]}.{found[1]}"
        if found < _TURING and release.is_official and not release.behaves("volta-in-image"):
            yield Problem(
                where="gpu",
                text=f"is {gpu.product}, and {name}, but images of {release.description} are built "
                "for 7.5 and newer",
                value=repr(gpu.product),
                advice="use an image of vLLM 0.19 or older, or another GPU",
                kind="does not fit",
            )
        if engine.dtype == "bfloat16" and found < AMPERE:
            yield Problem(
                where="EngineArgs.dtype",
                text=f"is 'bfloat16', but {name}, and bfloat16 needs 8.0",
                value="'bfloat16'",
                advice="give 'half'",
                kind="does not fit",
            )
        used = own or method
        lowest = _LOWEST.get(used)
        if lowest is not None and found < lowest:
            where = "" if own else "EngineArgs.quantization"
            what = (
                f"{escaped(shape.name)} is quantized with {used}"
                if own and shape
                else f"is {engine.quantization!r}"
            )
            yield Problem(
                where=where,
                text=f"{what}, which needs compute capability {lowest[0]}.{lowest[1]}, but {name}",
                value="" if own else repr(engine.quantization),
                advice="use a newer GPU, or weights of another format",
                kind="does not fit",
            )
    yield from _platform(gpu, engine, release, shape if own else None, own or method)
    if own and method and own != method and not (method in _ANY or _is_plugin(engine)):
        yield Problem(
            where="EngineArgs.quantization",
            text=f"is {engine.quantization!r}, but the checkpoint of "
            f"{escaped(shape.name if shape else '')} is quantized with {own}, so vLLM would not "
            "start",
            value=repr(engine.quantization),
            advice="leave it out",
            kind="does not fit",
        )
    yield from _types(engine, shape, own or method)


def _platform(
    gpu: Gpu, engine: EngineArgs, release: VllmRelease, shape: Sizes | None, method: str
) -> Iterator[Problem]:
    """A method that vLLM does not have on another vendor's platform."""
    only = _ONLY_QUANTIZATION.get(gpu.platform, ())
    # Any other may be a plugin's.
    is_known = method in (*_KNOWN, "modelopt", "quark")
    if not only or not is_known or method in only or release.known != NEWEST:
        return
    what = (
        f"{escaped(shape.name)} is quantized with {method}"
        if shape
        else f"is {engine.quantization!r}"
    )
    yield Problem(
        where="" if shape else "EngineArgs.quantization",
        text=f"{what}, which {release.description} does not have on {gpu.platform}, so that it "
        "would not start",
        value="" if shape else repr(engine.quantization),
        advice="use weights of another format",
        kind="does not fit",
    )


def _types(engine: EngineArgs, shape: Sizes | None, method: str) -> Iterator[Problem]:
    """Data types that a model or a method does not have."""
    dtype = engine.dtype
    is_half, is_wide = dtype in ("half", "float16"), dtype in ("float", "float32")
    if shape is not None and is_half and shape.family in _NOT_FLOAT16:
        yield Problem(
            where="EngineArgs.dtype",
            text=f"is {dtype!r}, with which {escaped(shape.name)} is not stable, so vLLM would not "
            "start",
            value=repr(dtype),
            advice="leave it out",
            kind="does not fit",
        )
    is_missing = (is_half and method in _ONLY_BFLOAT16) or (
        is_wide and method in _KNOWN and method not in _WITH_FLOAT32
    )
    if is_missing:
        yield Problem(
            where="EngineArgs.dtype",
            text=f"is {dtype!r}, which the quantization {method} does not support, so vLLM would "
            "not start",
            value=repr(dtype),
            advice="leave it out",
            kind="does not fit",
        )


_KNOWN = (*_LOWEST, "gptq", "compressed_tensors", "moe_wna16", "inc")


def _canonical(method: str | None) -> str:
    """The name of a method, one for all names of the same checkpoints."""
    name = (method or "").lower().replace("-", "_")
    # The two that have a kernel of this name run it by themselves.
    return next((group[0] for group in _SAME if name in group and name != "marlin"), name)


def _is_plugin(engine: EngineArgs) -> bool:
    """Whether the method is of a plugin, which may run any checkpoint."""
    name = _canonical(engine.quantization)
    return name not in (*_KNOWN, "modelopt", "marlin", "quark", "bitsandbytes", "gguf")
