"""Memory that cannot be read from a file: activations, CUDA graphs and what CUDA keeps.

vLLM measures these on the GPU (`determine_available_memory` in vllm/v1/worker/gpu_worker.py,
`profile_run` in vllm/v1/worker/gpu/model_runner.py). Here they are estimates, by one formula for
all architectures; docs/memory.md has the measurements that it was compared with.
"""

from __future__ import annotations

from vllm_constructs.dataclass import dataclass

from .sizes import Sizes
from .weights import Split

MIB = 2**20
GIB = 2**30

# Measured on H100s, see docs/memory.md.
DRIVER = 480 * MIB
"""What the driver keeps: NVML's total minus the total that CUDA reports."""
CONTEXT = 532 * MIB
"""CUDA context of one engine process, outside of the memory that vLLM requests."""
COMMUNICATION = 1044 * MIB
"""NCCL's buffers on each GPU of an engine with several, also outside of that memory."""
OUTSIDE_TORCH = 225 * MIB
"""Workspaces of cuBLAS and similar libraries, inside of the memory that vLLM requests."""
SMALL_BUFFERS = 32 * MIB
"""Inputs, indices and other small tensors, in addition to the activations."""
GRAPH = 20 * MIB
"""CUDA graphs of one batch size."""

MARGIN = 0.25
"""Error margin of the estimates, as a share of them."""
OUTSIDE_MARGIN = 0.5
"""The same for memory outside: on GPUs with fewer processors than the H100 CUDA keeps less."""
OUTSIDE_SPREAD = 100 * MIB
"""How much more memory than measured may be kept outside."""
LEAST_MARGIN = 200 * MIB
"""The part of the margin that is always there: how much of a GPU its driver keeps."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The largest batch that vLLM profiles.

    Args:
        tokens: `max_num_batched_tokens`.
        requests: `max_num_seqs`.
        dtype_bytes: Bytes of the model's data type.
        logit_bytes: Bytes of one logit in the sampler; 0 for pooling models.
    """

    tokens: int
    requests: int
    dtype_bytes: int = 2
    logit_bytes: int = 6


def activation_bytes(shape: Sizes, split: Split, batch: Batch, *, is_last: bool = True) -> int:
    """The largest memory that a forward pass has allocated at once, on one GPU: an estimate.

    For each token, the widest layer holds its input and output, the residual stream, the hidden
    state of the previous layer (four times the hidden size) and its own intermediate results. The
    sampler runs after the layers, so the larger of the two counts.

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs.
        batch: The largest batch.
        is_last: Whether the GPU has the last pipeline stage, which samples. Default: True.
    """
    widest = max(_mixer(shape, split.tensor), _feed_forward(shape, split))
    forward = batch.tokens * batch.dtype_bytes * (4 * shape.hidden_size + widest)
    sampling = 0
    if is_last and batch.logit_bytes:
        logits = min(batch.requests, batch.tokens) * shape.vocab_size * batch.logit_bytes
        sampling = logits + 2 * batch.tokens * batch.dtype_bytes * shape.hidden_size
    return max(forward, sampling) + SMALL_BUFFERS


def _mixer(shape: Sizes, tensor: int) -> int:
    """Values of one token inside of attention or of a recurrent layer."""
    values = 0
    heads = shape.num_attention_heads // tensor
    if shape.latent:
        # Queries and unpacked keys have one size, unpacked values and the result another.
        key = shape.latent.nope_dim + shape.latent.rope_dim
        values = 2 * heads * (key + shape.latent.v_dim)
    elif heads:
        for key_value_heads, size in (shape.heads_of("sliding"), shape.heads_of("full")):
            kept = max(1, key_value_heads // tensor)
            values = max(values, (2 * heads + 2 * kept) * size)
    if shape.recurrent:
        part = shape.recurrent
        values = max(values, (4 * part.inner + 2 * part.groups * part.state) // tensor)
    return values


def _feed_forward(shape: Sizes, split: Split) -> int:
    """Values of one token inside of a feed-forward: gate, up and their product."""
    sides = 3 if shape.gated else 2
    values = 0
    if "dense" in shape.feed_forwards:
        values = sides * shape.intermediate_size // split.tensor
    if shape.experts:
        gpus = 1 if split.expert_parallel else split.tensor * split.data
        width = shape.experts.size // gpus
        # An expert's input and output share one buffer, so the larger of the two counts.
        each = max((sides - 1) * width, shape.hidden_size) + width
        shared = sides * shape.experts.shared_size // split.tensor
        values = max(values, shape.experts.per_token * each + shared)
    return values


def graph_sizes(largest: int) -> int:
    """How many batch sizes up to `largest` tokens have CUDA graphs.

    vLLM captures them for 1, 2 and 4 tokens, then for multiples of 8 up to 256, then for
    multiples of 16 (vllm/config/vllm.py).
    """
    small = sum(size <= largest for size in (1, 2, 4))
    return small + len(range(8, min(largest + 1, 256), 8)) + len(range(256, largest + 1, 16))
