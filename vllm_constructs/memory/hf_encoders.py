"""The encoders of a model that takes images, videos or sounds, from its `config.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .hf_file import HfFile
from .sizes import Encoder

_PARTS = ("vision_config", "audio_config", "vision_tower_config", "sound_config")
_WIDTH = ("hidden_size", "embed_dim", "d_model", "width")
_DEPTH = ("num_hidden_layers", "depth", "num_layers", "encoder_layers", "layers")
_INNER = ("intermediate_size", "encoder_ffn_dim", "mlp_dim")
# Patches that become one token of the text, where the file does not tell: most towers merge four.
_MERGED = 4


def encoders(file: HfFile) -> tuple[Encoder, ...]:
    """The encoders, of which those of other kinds than transformers are approximate.

    Args:
        file: The file.
    """
    return tuple(_found(file))


def _found(file: HfFile) -> Iterator[Encoder]:
    for key in _PARTS:
        tower = file.raw.get(key)
        if not isinstance(tower, Mapping):
            continue
        inner = HfFile(tower, f"{file.name} ({key})")
        # Qwen has the width of its result as hidden_size, and that of its layers as embed_dim.
        width = inner.optional("embed_dim") or inner.optional(*_WIDTH)
        layers = inner.optional(*_DEPTH)
        if width and layers:
            yield Encoder(
                width=width,
                layers=layers,
                intermediate_size=inner.optional(*_INNER) or 4 * width,
                patches=_patches(file, inner, key),
                tokens=_whole(file.raw.get("mm_tokens_per_image")),
            )


def _patches(file: HfFile, tower: HfFile, key: str) -> int:
    """Patches of an image, or frames of a sound, for each token of the text."""
    if "audio" in key or "sound" in key:
        return 2
    merge = tower.optional("spatial_merge_size") or _whole(file.raw.get("spatial_merge_size"))
    pooled = tower.optional("pooling_kernel_size")
    if merge or pooled:
        return (merge or pooled) ** 2
    for ratio in (tower.get("pixel_shuffle_ratio"), file.raw.get("downsample_ratio")):
        if isinstance(ratio, float) and 0 < ratio < 1:
            return round(1 / ratio**2)
    tokens, image, patch = (
        _whole(file.raw.get("mm_tokens_per_image")),
        tower.optional("image_size"),
        tower.optional("patch_size"),
    )
    if tokens and image and patch:
        return max(1, (image // patch) ** 2 // tokens)
    return _MERGED


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
