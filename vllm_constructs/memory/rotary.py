"""Rotary tables: the positions for which vLLM computes sines and cosines when it loads a model.

The kinds and their lengths are those of `get_rope` in
vllm/model_executor/layers/rotary_embedding/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .hf_file import HfFile

_KINDS = ("full_attention", "sliding_attention", "chunked_attention", "linear_attention")
# Kinds whose table starts from the length before scaling.
_FROM_ORIGINAL = ("yarn", "deepseek_yarn", "deepseek_llama_scaling")
_FROM_LENGTH = ("linear", "ntk")
# Multi-modal positions need more than there are tokens (mrope.py).
_MULTIMODAL = 4


def positions(file: HfFile) -> int:
    """Rows of all tables together, as many as they would be with whole heads.

    Args:
        file: The file.
    """
    length = file.optional("max_position_embeddings")
    return sum(_rows(rope, length, share) for rope, share in _tables(file)) if length else 0


def _tables(file: HfFile) -> Iterator[tuple[Mapping[str, Any], float]]:
    """The parameters of each table, and the width of its heads beside that of most layers."""
    found = file.get("rope_parameters", "rope_scaling")
    rope: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    nested = {kind: rope[kind] for kind in _KINDS if isinstance(rope.get(kind), Mapping)}
    size, full = file.optional("head_dim"), file.optional("global_head_dim")
    wider = full / size if size and full else 1.0
    for kind, one in nested.items():
        yield one, wider if kind == "full_attention" else 1.0
    if not nested:
        yield rope, 1.0
        if file.family.startswith("gemma3"):
            # The sliding layers have positions of their own, which are not scaled.
            yield {}, 1.0


def _rows(rope: Mapping[str, Any], length: int, share: float) -> int:
    kind = rope.get("rope_type", rope.get("type"))
    factor = _number(rope.get("factor"), 1.0)
    original = _number(rope.get("original_max_position_embeddings"), 0.0)
    rows = float(length)
    if kind in _FROM_ORIGINAL and original:
        rows = original * factor
    elif kind in _FROM_LENGTH:
        rows = length * factor
    elif kind == "longrope":
        rows = original + length
    if "mrope_section" in rope:
        rows *= _MULTIMODAL
    return math.ceil(rows * share * min(1.0, _number(rope.get("partial_rotary_factor"), 1.0)))


def _number(value: object, default: float) -> float:
    """A positive, finite number; the default if a file has anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    return float(value) if math.isfinite(value) and value > 0 else default
