"""Quantization: bits of a parameter, from the name of a method or a `quantization_config`.

The methods are those of vllm/model_executor/layers/quantization/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse

_ADVICE = "give ModelShape(quantization=Quantization(method=..., bits=...))"


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How the weights of a checkpoint are quantized.

    Args:
        method: Name of the method, as in `quantization_config`.
        bits: Bits of one parameter, including its share of the scales.
        group: Parameters along the input that share a scale; the part of each GPU must be a
            multiple of it. Default: 0, no groups.
        experts_only: Whether only the matrices of experts are quantized. Default: False.
        kv_cache: Data type of the KV cache for which the checkpoint has scales. Default: none.

    Raises:
        VllmConstructsError: A value is of another type or out of range.
    """

    method: str
    bits: float
    group: int = 0
    experts_only: bool = False
    kv_cache: Literal["fp8"] | None = None

    def __post_init__(self) -> None:
        require.text("Quantization.method", self.method)
        require.number("Quantization.bits", self.bits, 0.5, 64, "bits")
        require.integer("Quantization.group", self.group, 0, 2**20)
        require.boolean("Quantization.experts_only", self.experts_only)
        if self.kv_cache is not None:
            require.choice("Quantization.kv_cache", self.kv_cache, ("fp8",))


# Methods by which vLLM quantizes at load time, or of checkpoints without a quantization_config.
METHODS = {
    "fp8": Quantization(method="fp8", bits=8),
    "ptpc_fp8": Quantization(method="fp8", bits=8),
    "fp8_per_tensor": Quantization(method="fp8", bits=8),
    "fp8_per_block": Quantization(method="fp8", bits=8, group=128),
    "fbgemm_fp8": Quantization(method="fp8", bits=8),
    "modelopt": Quantization(method="fp8", bits=8),
    "experts_int8": Quantization(method="int8", bits=8, experts_only=True),
    "awq": Quantization(method="awq", bits=4 + 20 / 128, group=128),
    "awq_marlin": Quantization(method="awq", bits=4 + 20 / 128, group=128),
    "gptq": Quantization(method="gptq", bits=4 + 20 / 128, group=128),
    "gptq_marlin": Quantization(method="gptq", bits=4 + 20 / 128, group=128),
    "bitsandbytes": Quantization(method="bitsandbytes", bits=4.5),
    "modelopt_fp4": Quantization(method="nvfp4", bits=4.5, group=16),
    "mxfp4": Quantization(method="mxfp4", bits=4.25, experts_only=True),
}


def by_name(where: str, method: str) -> Quantization:
    """The quantization of a method that vLLM applies at load time.

    Args:
        where: Name of the option, for the sentence.
        method: Name of the method.

    Raises:
        VllmConstructsError: The bits of this method are not known.
    """
    # vLLM converts it to lower case, too.
    quantization = METHODS.get(method.lower())
    if quantization is None:
        refuse(
            Problem(
                where=where,
                value=require.shown(method),
                allowed=f"a method whose bits are known ({', '.join(sorted(METHODS))})",
                advice="or a shape from the config.json of the quantized model",
                kind="not counted",
            )
        )
    return quantization


def from_config(name: str, config: Mapping[str, Any]) -> Quantization:
    """The quantization that a `quantization_config` describes.

    Args:
        name: Name of the model, for the sentence.
        config: The `quantization_config`.

    Raises:
        VllmConstructsError: The bits of its method are not known, or are invalid.
    """
    method = str(config.get("quant_method", "")).lower().replace("_", "-")
    group = config.get("group_size", config.get("q_group_size", 128))
    bits = config.get("bits", config.get("w_bit", 4))
    scheme = config.get("kv_cache_scheme") or config.get("kv_cache_quant_algo")
    kv_cache: Literal["fp8"] | None = (
        "fp8" if scheme and (scheme == "FP8" or _bits_of(scheme) == 8) else None
    )
    if method == "compressed-tensors":
        bits, group = _compressed(config)
    elif method in ("fp8", "fbgemm-fp8"):
        block = config.get("weight_block_size")
        bits, group = 8, block[-1] if isinstance(block, (list, tuple)) and block else 0
    elif method == "bitsandbytes":
        bits, group = (4, 64) if config.get("load_in_4bit") else (8, 0)
    elif method in ("mxfp4", "gpt-oss-mxfp4"):
        return Quantization(method="mxfp4", bits=4.25, experts_only=True)
    elif method.startswith("modelopt"):
        algorithm = str(config.get("quant_algo", "FP8")).upper()
        bits, group = (4, 16) if "FP4" in algorithm else (8, 0)
    elif method not in ("awq", "gptq", "auto-round", "auto-awq", "awq-marlin", "gptq-marlin"):
        where = f"quant_method in the config.json of {name}"
        require.wrong(where, config.get("quant_method"), "a method whose bits are known", _ADVICE)
    bits = require.integer(f"bits in the config.json of {name}", bits, 1, 16)
    group = group if isinstance(group, int) and group > 0 else 0
    # Each group has a scale of 16 bits (8 bits for groups of 16) and a packed zero point.
    scale = (8 if group == 16 else 16 + bits) / group if group and bits < 8 else 0
    return Quantization(
        method=method,
        bits=bits + scale,
        group=group,
        kv_cache=kv_cache,
    )


def _bits_of(scheme: object) -> object:
    return scheme.get("num_bits") if isinstance(scheme, Mapping) else None


def _compressed(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Bits and group size of the first group of a compressed-tensors config."""
    groups = config.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        return 8, 0
    block = weights.get("block_structure")
    size = block[-1] if isinstance(block, (list, tuple)) and block else weights.get("group_size")
    return weights.get("num_bits", 8), size or 0
