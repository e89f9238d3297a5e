"""Quantisation: bits of a parameter, from a file or a name."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs.memory.quantization import METHODS, by_name, from_config


@pytest.mark.parametrize(
    ("config", "bits", "group"),
    [
        ({"quant_method": "fp8"}, 8, 0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8, 128),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.15625, 128),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, 4.625, 32),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8, 0),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.3125, 64),
        ({"quant_method": "mxfp4"}, 4.25, 0),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5, 16),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, 8, 0),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
            },
            4.15625,
            128,
        ),
        ({"quant_method": "compressed-tensors"}, 8, 0),
    ],
)
def test_config(config: dict[str, Any], bits: float, group: int) -> None:
    """Bits of a parameter include its share of the scales."""
    found = from_config("m", config)

    assert (found.bits, found.group) == (bits, group)


@pytest.mark.parametrize(
    "extra", [{"kv_cache_scheme": {"num_bits": 8}}, {"kv_cache_quant_algo": "FP8"}]
)
def test_kv_cache(extra: dict[str, Any]) -> None:
    """A checkpoint may ask for a quantized cache."""
    config = {"quant_method": "compressed-tensors"}

    assert from_config("m", config | extra).kv_cache == "fp8"
    assert from_config("m", config).kv_cache is None


def test_experts_only() -> None:
    """MXFP4 reaches only the experts."""
    assert from_config("m", {"quant_method": "mxfp4"}).experts_only
    assert METHODS["mxfp4"].experts_only


def test_by_name() -> None:
    """A method by its name has the bits that it has in a file."""
    config = {"quant_method": "awq", "bits": 4, "group_size": 128}

    assert by_name("x", "awq") == from_config("m", config)
    assert "fp8" in strategies.refusal(lambda: by_name("EngineArgs.quantization", "gguf"))
