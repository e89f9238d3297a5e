"""Memory that cannot be read from a file: activations, CUDA graphs and what CUDA keeps.

vLLM measures these on the GPU (`determine_available_memory` in vllm/v1/worker/gpu_worker.py,
`profile_run` in vllm/v1/worker/gpu/model_runner.py). Here they are estimates, by one formula for
all architectures; docs/memory.md has the measurements that it was compared with.
"""

from __future__ import annotations

from vllm_constructs.dataclass import dataclass

from .expert_kernel import PLAIN, ExpertKernel
from .sizes import Encoder, Sizes
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
MARGIN = 0.25
"""Error margin of the estimates, as a share of them."""
OUTSIDE_MARGIN = 0.5
"""The same for memory outside: on GPUs with fewer processors than the H100 CUDA keeps less."""
OUTSIDE_SPREAD = 100 * MIB
"""How much more memory than measured may be kept outside."""
LEAST_MARGIN = 200 * MIB
"""The part of the margin that is always there: how much of a GPU its driver keeps."""


# Rows of the buffer in which the kernel of top-k and top-p has logits, one for each of the H100's
# processors (vllm/v1/sample/ops/topk_topp_triton.py).
_PROCESSORS = 132
# Tokens of context for which latent attention reserves unpacked keys and values, at most
# (determine_chunked_prefill_workspace_size in layers/attention/mla_attention.py).
_CONTEXT = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The largest batch that vLLM profiles.

    Args:
        tokens: `max_num_batched_tokens`.
        requests: `max_num_seqs`.
        dtype_bytes: Bytes of the model's data type.
        logit_bytes: Bytes of one logit in the sampler; 0 for pooling models.
        has_buffer: Whether the sampler has a buffer for top-k and top-p, too.
        context: Tokens of context for which latent attention reserves memory. Default: the most.
        has_encoders: Whether encoders of images and sounds are profiled, too. Default: True.
    """

    tokens: int
    requests: int
    dtype_bytes: int = 2
    logit_bytes: int = 14
    has_buffer: bool = True
    context: int = _CONTEXT
    has_encoders: bool = True


def context_of(max_model_len: int, requests: int, block_size: int) -> int:
    """Tokens of context for which latent attention reserves memory.

    Args:
        max_model_len: Tokens of the longest request.
        requests: `max_num_seqs`.
        block_size: Tokens in a block of the KV cache.
    """
    return min(max(8 * max_model_len, 4 * requests * block_size), _CONTEXT)


def activation_bytes(
    shape: Sizes,
    split: Split,
    batch: Batch,
    *,
    is_first: bool = True,
    is_last: bool = True,
    kernel: ExpertKernel = PLAIN,
) -> int:
    """The largest memory that a forward pass has allocated at once, on one GPU: an estimate.

    For each token, the widest part of a layer holds its hidden states and its own intermediate
    results. The workspace of experts stays when their layer has run, so that it is there beside
    the attention of the next layer and beside the sampler, which runs after the layers.

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs.
        batch: The largest batch.
        is_first: Whether the GPU has the first pipeline stage, which has the encoders. Default:
            True.
        is_last: Whether the GPU has the last pipeline stage, which samples. Default: True.
        kernel: The kernel of the experts. Default: one with a workspace.
    """
    token = batch.dtype_bytes * shape.hidden_size
    states = batch.tokens * _states(shape) * token
    sides = batch.tokens * batch.dtype_bytes * (3 if shape.gated else 2)
    dense = states + sides * (shape.intermediate_size // split.tensor)
    workspace, after = 0, [_mixer(shape, split.tensor, batch)]
    if shape.experts:
        results = _experts(shape, split, batch, kernel)
        layer = states + sides * (shape.experts.shared_size // split.tensor)
        # Each GPU has the hidden states of all ranks, and what its experts make of them.
        layer += 2 * (split.data - 1) * batch.tokens * token
        workspace = results if kernel.has_workspace else 0
        after.append(layer + (0 if kernel.has_workspace else results))
    if _has_late_dense(shape):
        after.append(dense)
    if is_last and batch.logit_bytes:
        requests = min(batch.requests, batch.tokens)
        sampling = requests * shape.vocab_size * batch.logit_bytes + 2 * batch.tokens * token
        if batch.has_buffer:
            sampling += 4 * shape.vocab_size * min(requests, _PROCESSORS)
        after.append(sampling)
    before = dense if "dense" in shape.feed_forwards else 0
    text = max(before, workspace + max(after))
    if not is_first or not batch.has_encoders or not shape.encoders:
        return text + SMALL_BUFFERS
    # What encoders make of the largest inputs is there while the layers of the text run.
    largest = max(encoder.tokens for encoder in shape.encoders)
    tokens = max(batch.tokens, largest)
    encoding = max(_encoder(one, tokens, batch.dtype_bytes) for one in shape.encoders)
    return max(encoding, text + tokens * token) + SMALL_BUFFERS


def _encoder(encoder: Encoder, tokens: int, dtype_bytes: int) -> int:
    """Bytes inside of an encoder for as many tokens of the text as a batch may have."""
    inside = max(4 * encoder.width, encoder.intermediate_size)
    return tokens * encoder.patches * (4 * encoder.width + inside) * dtype_bytes


def _has_late_dense(shape: Sizes) -> bool:
    """Whether a dense feed-forward comes after experts, whose workspace is there then."""
    kinds = shape.feed_forwards
    return "experts" in kinds and "dense" in kinds[kinds.index("experts") :]


def _states(shape: Sizes) -> int:
    """Hidden states of a token beside a feed-forward.

    They are its input, that of the layer, the residual stream and the output. Norms behind a
    feed-forward cannot add to the residual stream in place, so they have one more.
    """
    return 5 if shape.norms > 2 else 4  # before and after both parts


def _mixer(shape: Sizes, tensor: int, batch: Batch) -> int:
    """Bytes inside of attention or of a recurrent layer, with its hidden states."""
    values = 0
    heads = shape.num_attention_heads // tensor
    reserved = 0
    if shape.latent:
        # Queries, the compressed vector before and after its norm, and the result. Keys and
        # values of earlier tokens are unpacked in parts, which is only reserved here.
        latent = shape.latent
        kept = 2 * latent.kv_rank + latent.rope_dim
        values = heads * (latent.nope_dim + latent.rope_dim + latent.v_dim) + kept + latent.q_rank
        reserved = batch.context * heads * (latent.nope_dim + latent.v_dim) * batch.dtype_bytes
    elif heads:
        for key_value_heads, size in (shape.heads_of("sliding"), shape.heads_of("full")):
            kept = max(1, key_value_heads // tensor)
            values = max(values, (2 * heads + 2 * kept) * size)
    if shape.recurrent:
        part = shape.recurrent
        values = max(values, (4 * part.inner + 2 * part.groups * part.state) // tensor)
    # The residual stream and the input; the output only when the reserved part is free again.
    states = (2 if reserved else 3) * shape.hidden_size
    return batch.tokens * batch.dtype_bytes * (states + values) + reserved


def _experts(shape: Sizes, split: Split, batch: Batch, kernel: ExpertKernel) -> int:
    """Bytes of what experts make of the tokens of all data-parallel ranks."""
    assert shape.experts is not None  # noqa: S101  # the caller asks only for such models
    _, width = split.experts(shape.experts)
    each = kernel.values(shape.hidden_size, width, gated=shape.gated)
    return split.data * batch.tokens * shape.experts.per_token * each * batch.dtype_bytes
