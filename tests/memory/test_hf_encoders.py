"""Encoders: their sizes in a `config.json`, and what profiling them takes."""

from typing import Any

import pytest

from tests.memory.test_hf_keys import PLAIN
from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, WholeGpu
from vllm_constructs.memory.sizes import Encoder

SIGLIP = {
    "hidden_size": 1152,
    "num_hidden_layers": 27,
    "intermediate_size": 4304,
    "image_size": 896,
    "patch_size": 14,
}


def encoders(**config: Any) -> tuple[Encoder, ...]:
    """Return the encoders of a model."""
    file = {"model_type": "some_vl", "text_config": PLAIN, **config}
    return ModelShape.from_config(file, name="x").encoders


@pytest.mark.parametrize(
    ("config", "patches"),
    [
        ({"vision_config": SIGLIP, "mm_tokens_per_image": 256}, 16),
        ({"vision_config": SIGLIP | {"spatial_merge_size": 2}}, 4),
        ({"vision_config": SIGLIP, "spatial_merge_size": 3}, 9),
        ({"vision_config": SIGLIP | {"pooling_kernel_size": 3}}, 9),
        ({"vision_config": SIGLIP | {"pixel_shuffle_ratio": 0.5}}, 4),
        ({"vision_config": SIGLIP, "downsample_ratio": 0.5}, 4),
        ({"vision_config": SIGLIP}, 4),
    ],
)
def test_patches(config: dict[str, Any], patches: int) -> None:
    """How many patches become one token is told in one of several ways."""
    (found,) = encoders(**config)

    assert (found.width, found.layers, found.intermediate_size) == (1152, 27, 4304)
    assert found.patches == patches


def test_kinds() -> None:
    """Images and sounds have encoders of their own; a part without layers is none."""
    sound = {"d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120}
    qwen = {"hidden_size": 3584, "embed_dim": 1280, "depth": 32}
    found = encoders(vision_config=qwen, audio_config=sound)

    assert [(one.width, one.layers) for one in found] == [(1280, 32), (1280, 32)]
    assert [one.patches for one in found] == [4, 2]
    assert encoders(vision_config={"image_size": 448}) == ()


def test_profile() -> None:
    """Encoding the images of a batch may take more than the text."""
    vision = {"vision_config": SIGLIP, "mm_tokens_per_image": 256}
    config = {"model_type": "gemma3", "text_config": PLAIN, **vision}
    shape = ModelShape.from_config(config, name="x")

    def activations(**engine: Any) -> int:
        given = EngineArgs(max_model_len=4096, max_num_batched_tokens=8192, **engine)
        gpu = WholeGpu("NVIDIA-H100-80GB-HBM3")
        return MemoryPlan(shape=shape, gpu=gpu, engine=given).activations

    patches = 8192 * 16
    assert activations() == patches * 2 * (4 * 1152 + 4 * 1152) + 32 * 2**20
    plain = activations(limit_mm_per_prompt={"image": 0, "video": 0})
    assert plain < activations()
    assert plain == activations(language_model_only=True) == activations(skip_mm_profiling=True)
    assert activations(limit_mm_per_prompt={"image": 1, "video": 0}) == activations()
