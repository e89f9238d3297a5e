"""Memory that no file tells: activations, CUDA graphs and what CUDA keeps for itself.

vLLM measures these on the GPU. Here they are estimates, from one model for all architectures;
docs/memory.md says what it was compared with. vLLM's own way: `determine_available_memory` in
vllm/v1/worker/gpu_worker.py, `profile_run` in vllm/v1/worker/gpu/model_runner.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from .shapes import ModelShape
from .weights import Split

MIB = 2**20
GIB = 2**30

# Measured on H100s, see docs/memory.md.
DRIVER = 480 * MIB
"""What the driver keeps: NVML's total less the total that CUDA reports."""
CONTEXT = 532 * MIB
"""CUDA context of one engine process, outside of what vLLM asks for."""
COMMUNICATION = 1044 * MIB
"""NCCL's buffers on each GPU of an engine with several, outside of it too."""
OUTSIDE_TORCH = 225 * MIB
"""cuBLAS workspaces and the like, inside of what vLLM asks for."""
SMALL_BUFFERS = 32 * MIB
"""Inputs, indices and other small tensors beside the activations."""
GRAPH = 20 * MIB
"""CUDA graphs of one batch size."""

MARGIN = 0.25
"""How far the estimates may be off, as a share of them."""
OUTSIDE_MARGIN = 0.5
"""The same for what is outside: a GPU with fewer processors than the H100 keeps less for CUDA."""
OUTSIDE_SPREAD = 100 * MIB
"""How much more may be kept outside than was measured."""
LEAST_MARGIN = 200 * MIB
"""What is uncertain in any case: how much of a GPU its driver keeps."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The largest batch that vLLM profiles.

    Args:
        tokens: `max_num_batched_tokens`.
        requests: `max_num_seqs`.
        dtype_bytes: Bytes of the model's data type.
        logit_bytes: Bytes that the sampler has for each logit; 0 for pooling.
    """

    tokens: int
    requests: int
    dtype_bytes: int = 2
    logit_bytes: int = 6


def activations(shape: ModelShape, split: Split, batch: Batch, *, is_last: bool = True) -> int:
    """The most that a forward pass has at once, in bytes on one GPU: an estimate.

    Of each token, the widest layer holds its input and output, the residual stream, the hidden
    state of the layer before (four times the hidden size) and its own intermediate results. The
    sampler follows after the layers, so the larger of the two counts.
    """
    widest = max(_mixing(shape, split.tensor), _feeding(shape, split))
    forward = batch.tokens * batch.dtype_bytes * (4 * shape.hidden_size + widest)
    sampling = 0
    if is_last and batch.logit_bytes:
        logits = min(batch.requests, batch.tokens) * shape.vocab_size * batch.logit_bytes
        sampling = logits + 2 * batch.tokens * batch.dtype_bytes * shape.hidden_size
    return max(forward, sampling) + SMALL_BUFFERS


def _mixing(shape: ModelShape, tensor: int) -> int:
    """Values of one token inside of attention or a recurrent layer."""
    found = 0
    heads = shape.num_attention_heads // tensor
    if shape.latent:
        # Queries and unpacked keys are of one size, unpacked values and the result of another.
        key = shape.latent.nope_dim + shape.latent.rope_dim
        found = 2 * heads * (key + shape.latent.v_dim)
    elif heads:
        kept = max(1, shape.num_key_value_heads // tensor)
        found = (2 * heads + 2 * kept) * shape.head_dim
    if shape.recurrent:
        part = shape.recurrent
        found = max(found, (4 * part.inner + 2 * part.groups * part.state) // tensor)
    return found


def _feeding(shape: ModelShape, split: Split) -> int:
    """Values of one token inside of a feed-forward: gate, up and their product."""
    sides = 3 if shape.gated else 2
    found = 0
    if "dense" in shape.feed_forwards:
        found = sides * shape.intermediate_size // split.tensor
    if shape.experts:
        gpus = 1 if split.expert_parallel else split.tensor * split.data
        width = shape.experts.size // gpus
        # One buffer is for both the input and the output of an expert, the larger counts.
        each = max((sides - 1) * width, shape.hidden_size) + width
        shared = sides * shape.experts.shared_size // split.tensor
        found = max(found, shape.experts.per_token * each + shared)
    return found


def graph_sizes(most: int) -> int:
    """How many batch sizes CUDA graphs are captured for, up to `most` tokens.

    1, 2 and 4, then every 8 up to 256, then every 16 (vllm/config/vllm.py).
    """
    small = sum(size <= most for size in (1, 2, 4))
    return small + len(range(8, min(most + 1, 256), 8)) + len(range(256, most + 1, 16))
