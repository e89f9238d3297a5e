"""Quantisation: how many bits a parameter has, from a method's name or a `quantization_config`.

The methods are those of vllm/model_executor/layers/quantization/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.errors import NotCountedError, refuse

_ADVICE = "give ModelShape(quantization=Quantization(method=..., bits=...))"


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How the weights of a checkpoint are quantised.

    Args:
        method: Name of the method, as in `quantization_config`.
        bits: Bits of one parameter, its share of the scales included.
        group: Parameters that share a scale along the input; a GPU's part must be a multiple
            of it. Default 0: nothing to keep to.
        experts_only: Only the experts' matrices are quantised. Default False.
        kv_cache: KV-cache data type that the checkpoint brings scales for. Default: none.

    Raises:
        VllmConstructsError: Bits or group out of range.
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


# Quantisation that vLLM does while it loads, or that a checkpoint has without saying so.
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
    """What a method means whose checkpoint says nothing, or that is applied while loading."""
    # vLLM lowers it as well.
    found = METHODS.get(method.lower())
    if found is None:
        refuse(
            f"{where} is {require.shown(method)}; a plan takes a method whose bits are known "
            f"({', '.join(sorted(METHODS))}); else read the shape from the config.json of the "
            "quantised model.",
            NotCountedError,
        )
    return found


def from_config(name: str, found: Mapping[str, Any]) -> Quantization:
    """What a `quantization_config` means in bits."""
    method = str(found.get("quant_method", "")).lower().replace("_", "-")
    group = found.get("group_size", found.get("q_group_size", 128))
    bits = found.get("bits", found.get("w_bit", 4))
    scheme = found.get("kv_cache_scheme") or found.get("kv_cache_quant_algo")
    kv_cache: Literal["fp8"] | None = (
        "fp8" if scheme and (scheme == "FP8" or _bits_of(scheme) == 8) else None
    )
    if method == "compressed-tensors":
        bits, group = _compressed(found)
    elif method in ("fp8", "fbgemm-fp8"):
        block = found.get("weight_block_size")
        bits, group = 8, block[-1] if isinstance(block, (list, tuple)) and block else 0
    elif method == "bitsandbytes":
        bits, group = (4, 64) if found.get("load_in_4bit") else (8, 0)
    elif method in ("mxfp4", "gpt-oss-mxfp4"):
        return Quantization(method="mxfp4", bits=4.25, experts_only=True)
    elif method.startswith("modelopt"):
        algorithm = str(found.get("quant_algo", "FP8")).upper()
        bits, group = (4, 16) if "FP4" in algorithm else (8, 0)
    elif method not in ("awq", "gptq", "auto-round", "auto-awq", "awq-marlin", "gptq-marlin"):
        where = f"quant_method in the config.json of {name}"
        require.wrong(where, found.get("quant_method"), "a method whose bits are known", _ADVICE)
    bits = require.integer(f"bits in the config.json of {name}", bits, 1, 16)
    group = group if isinstance(group, int) and group > 0 else 0
    # A scale of 16 bits for each group (8 bits for groups of 16), and packed zero points.
    scale = (8 if group == 16 else 16 + bits) / group if group and bits < 8 else 0
    return Quantization(
        method=method,
        bits=bits + scale,
        group=group,
        kv_cache=kv_cache,
    )


def _bits_of(scheme: object) -> object:
    return scheme.get("num_bits") if isinstance(scheme, Mapping) else None


def _compressed(found: Mapping[str, Any]) -> tuple[Any, Any]:
    """Bits and group size of the first group of a compressed-tensors config."""
    groups = found.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        return 8, 0
    block = weights.get("block_structure")
    size = block[-1] if isinstance(block, (list, tuple)) and block else weights.get("group_size")
    return weights.get("num_bits", 8), size or 0
