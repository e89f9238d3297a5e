"""The weights of a model: the number of parameters, and the bytes that one GPU loads.

vLLM splits most matrices over the tensor-parallel ranks, keeps a copy of small ones on each, and
assigns layers to pipeline stages (vllm/model_executor/layers/linear.py,
vocab_parallel_embedding.py, distributed/utils.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from math import ceil

from vllm_constructs.dataclass import dataclass

from .expert_kernel import PLAIN, ExpertKernel
from .quantization import Quantization
from .sizes import Experts, FeedForward, Mixer, Recurrent, Sizes

# PyTorch's allocator rounds a tensor above 10 MiB up to a multiple of 2 MiB.
_LARGE = 10 * 2**20
_STEP = 2 * 2**20


@dataclass(frozen=True)
class Matrix:
    """Matrices of one size on one GPU.

    Args:
        inputs: Rows.
        outputs: Columns.
        kind: What decides whether they are quantized: `"linear"`, `"experts"`, `"embedding"` or
            `"other"`. Default: `"linear"`.
        count: Number of matrices. Default: 1.
        slices: Projections that are one matrix here, side by side: an adapter has its own pair of
            matrices for each. Default: 1.
        experts: Experts that are one tensor here, one below the other. Default: 1.
    """

    inputs: int
    outputs: int
    kind: str = "linear"
    count: int = 1
    slices: int = 1
    experts: int = 1

    @property
    def parameters(self) -> int:
        """Parameters of all these matrices."""
        return self.inputs * self.outputs * self.count

    @property
    def sides(self) -> int:
        """Values of adapters of rank 1 for all these matrices."""
        return (self.slices * self.inputs + self.experts * self.outputs) * self.count


@dataclass(frozen=True, kw_only=True)
class Split:
    """How a model is split over GPUs.

    Args:
        tensor: GPUs that split each layer. Default: 1.
        pipeline: Stages that split the layers. Default: 1.
        data: Engines, over which experts are split too. Default: 1.
        expert_parallel: Whether each GPU has whole experts instead of a part of every expert.
            Default: False.
        redundant: Copies of experts in each layer, over all GPUs. Default: 0.
    """

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert_parallel: bool = False
    redundant: int = 0

    def experts(self, experts: Experts) -> tuple[int, int]:
        """The experts on one GPU, and the width of each there."""
        gpus = self.tensor * self.data
        if self.expert_parallel:
            return ceil((experts.count + self.redundant) / gpus), experts.size
        return experts.count, ceil(experts.size / gpus)


ONE = Split()


def stages(layers: int, count: int) -> tuple[range, ...]:
    """The layers of each pipeline stage.

    Remaining layers go to the stages before the last one, beginning with the one next to it
    (`get_pp_indices` in vllm/distributed/utils.py).

    Args:
        layers: Number of layers.
        count: Number of stages.
    """
    sizes = [layers // count] * count
    for extra in range(layers % count):
        sizes[-2 - extra] += 1
    ends = [sum(sizes[: stage + 1]) for stage in range(count)]
    return tuple(range(end - size, end) for end, size in zip(ends, sizes, strict=True))


def _attention(shape: Sizes, mixer: Mixer, tensor: int) -> Iterator[Matrix]:
    hidden = shape.hidden_size
    key_value_heads, size = shape.heads_of(mixer)
    heads = shape.num_attention_heads // tensor
    kept = max(1, key_value_heads // tensor)
    queries = heads * (2 if shape.output_gate else 1)
    outputs = (queries + 2 * kept) * size
    yield Matrix(hidden, outputs, slices=3)
    yield Matrix(heads * size, hidden)
    yield Matrix(1, outputs * shape.qkv_bias + hidden * shape.output_bias, "other")
    yield Matrix(1, 2 * size * shape.qk_norm + heads * shape.sinks, "other")


def _latent_attention(shape: Sizes, tensor: int) -> Iterator[Matrix]:
    latent, hidden = shape.latent, shape.hidden_size
    assert latent is not None  # noqa: S101  # the caller asks only for such models
    heads = shape.num_attention_heads // tensor
    queries = heads * (latent.nope_dim + latent.rope_dim)
    if latent.q_rank:
        yield Matrix(hidden, latent.q_rank)
        yield Matrix(latent.q_rank, queries)
        yield Matrix(1, latent.q_rank, "other")
    else:
        yield Matrix(hidden, queries)
    yield Matrix(hidden, latent.kv_rank + latent.rope_dim)
    yield Matrix(latent.kv_rank, heads * (latent.nope_dim + latent.v_dim))
    yield Matrix(heads * latent.v_dim, hidden)
    yield Matrix(1, latent.kv_rank, "other")
    if latent.index_dim:
        yield Matrix(latent.q_rank or hidden, latent.index_heads * latent.index_dim)
        yield Matrix(hidden, latent.index_dim)
        yield Matrix(hidden, latent.index_heads, "other")
        yield Matrix(2, latent.index_dim, "other")


def groups_on(recurrent: Recurrent, tensor: int) -> int:
    """Groups of a state over all GPUs; if there are too few, they are repeated on each GPU."""
    if recurrent.kind == "mamba2" and recurrent.groups % tensor:
        return tensor
    return recurrent.groups


def _recurrent(shape: Sizes, tensor: int) -> Iterator[Matrix]:
    part, hidden = shape.recurrent, shape.hidden_size
    assert part is not None  # noqa: S101  # the caller asks only for such models
    inner, heads = part.inner // tensor, part.heads // tensor
    shared = 2 * groups_on(part, tensor) * part.state // tensor
    if part.kind == "conv":
        yield Matrix(hidden, 3 * inner)
        yield Matrix(inner, part.kernel, "other")
    elif part.kind == "mamba1":
        yield Matrix(hidden, 2 * inner)
        yield Matrix(inner, part.rank + 2 * part.state)
        yield Matrix(part.rank, inner)
        yield Matrix(inner, part.kernel + part.state + 3, "other")
    elif part.kind == "mamba2":
        yield Matrix(hidden, 2 * inner + shared + heads)
        yield Matrix(inner + shared, part.kernel + 1, "other")
        yield Matrix(1, 3 * heads + inner, "other")
    else:
        yield Matrix(hidden, 2 * inner + shared)
        yield Matrix(hidden, 2 * heads, "other")
        yield Matrix(inner + shared, part.kernel, "other")
        yield Matrix(1, 2 * heads + part.head_dim, "other")
    yield Matrix(inner, hidden)


def _dense(hidden: int, width: int, *, gated: bool) -> Iterator[Matrix]:
    sides = 2 if gated else 1
    yield Matrix(hidden, width * sides, slices=sides)
    yield Matrix(width, hidden)


def _experts(shape: Sizes, split: Split, kernel: ExpertKernel) -> Iterator[Matrix]:
    experts, hidden = shape.experts, shape.hidden_size
    assert experts is not None  # noqa: S101  # the caller asks only for such models
    count, width = split.experts(experts)
    rows, columns = kernel.padded(hidden, width)
    # All experts of a layer together are two tensors.
    sides = 2 if shape.gated else 1
    yield Matrix(rows * count, columns * sides, "experts", slices=sides, experts=count)
    yield Matrix(columns * count, rows, "experts", experts=count)
    yield Matrix(hidden, experts.count, "other")
    if experts.bias:
        yield Matrix(count, width * sides + hidden, "other")
        yield Matrix(1, experts.count, "other")
    if experts.shared_size:
        yield from _dense(hidden, experts.shared_size // split.tensor, gated=shape.gated)
        yield Matrix(hidden, int(experts.shared_gate), "other")


def _layer(
    shape: Sizes, mixer: Mixer, feed_forward: FeedForward, split: Split, kernel: ExpertKernel
) -> Iterator[Matrix]:
    if mixer in ("full", "sliding", "chunked", "parallel", "shared"):
        if shape.latent:
            yield from _latent_attention(shape, split.tensor)
        else:
            yield from _attention(shape, mixer, split.tensor)
    if mixer in ("recurrent", "parallel"):
        yield from _recurrent(shape, split.tensor)
    if feed_forward == "dense":
        width = shape.intermediate_size // split.tensor
        yield from _dense(shape.hidden_size, width, gated=shape.gated)
    elif feed_forward == "experts":
        yield from _experts(shape, split, kernel)
    norms = shape.norms if "none" not in (mixer, feed_forward) else 1
    yield Matrix(norms, shape.hidden_size, "other")


def matrices(
    shape: Sizes, split: Split = ONE, stage: int = 0, kernel: ExpertKernel = PLAIN
) -> Iterator[Matrix]:
    """The matrices on one GPU of a pipeline stage.

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs. Default: one GPU.
        stage: The stage. Default: 0, the first one.
        kernel: The kernel of the experts. Default: one that pads nothing.
    """
    layers = stages(shape.layers, split.pipeline)[stage]
    kinds: Counter[tuple[Mixer, FeedForward]] = Counter(
        (shape.mixers[layer], shape.feed_forwards[layer]) for layer in layers
    )
    for (mixer, feed_forward), count in kinds.items():
        for matrix in _layer(shape, mixer, feed_forward, split, kernel):
            yield replace(matrix, count=matrix.count * count)
    is_first, is_last = stage == 0, stage == split.pipeline - 1
    vocabulary = shape.vocab_size
    if split.tensor > 1:
        vocabulary = ceil(ceil(vocabulary / 64) * 64 / split.tensor)
    embedding = Matrix(vocabulary, shape.hidden_size, "embedding")
    if is_first:
        yield embedding
    if is_last and not (shape.tied and is_first):
        yield embedding
    if is_last:
        yield Matrix(1, shape.hidden_size, "other")


@lru_cache(maxsize=4096)
def parameters(shape: Sizes) -> int:
    """Parameters of the text layers and embeddings, counted from the sizes."""
    return sum(matrix.parameters for matrix in matrices(shape))


def _bits(matrix: Matrix, quantization: Quantization | None, dtype_bytes: int) -> float:
    if quantization is not None and (
        matrix.kind == "experts" or (matrix.kind == "linear" and not quantization.experts_only)
    ):
        return quantization.bits
    return 8 * dtype_bytes


@lru_cache(maxsize=4096)
def loaded(
    shape: Sizes,
    split: Split = ONE,
    stage: int = 0,
    *,
    quantization: Quantization | None = None,
    dtype_bytes: int = 2,
    kernel: ExpertKernel = PLAIN,
) -> int:
    """Bytes on one GPU of a stage after loading: weights, and the table of rotary positions.

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs. Default: one GPU.
        stage: The stage. Default: 0, the first one.
        quantization: Quantization of the weights. Default: none.
        dtype_bytes: Bytes of the model's data type. Default: 2.
        kernel: The kernel of the experts. Default: one that pads nothing.
    """
    total = 0
    layers = stages(shape.layers, split.pipeline)[stage]
    for matrix in matrices(shape, split, stage, kernel):
        size = ceil(matrix.inputs * matrix.outputs * _bits(matrix, quantization, dtype_bytes) / 8)
        if size > _LARGE:
            size = ceil(size / _STEP) * _STEP
        total += size * matrix.count
    rotary = shape.latent.rope_dim if shape.latent else shape.head_dim
    total += shape.positions * rotary * dtype_bytes
    if shape.latent and quantization and not quantization.experts_only:
        # vLLM keeps an unquantized copy of the matrix that unpacks keys and values.
        heads = shape.num_attention_heads // split.tensor
        unpacked = shape.latent.kv_rank * heads * (shape.latent.nope_dim + shape.latent.v_dim)
        total += unpacked * dtype_bytes * len(layers)
    if shape.experts:
        count, width = split.experts(shape.experts)
        more = kernel.more_bytes(count, shape.hidden_size, width, has_bias=shape.experts.bias)
        total += more * sum(shape.feed_forwards[layer] == "experts" for layer in layers)
    if stage == 0:
        total += shape.other_parameters * dtype_bytes
    return total


def read_bytes(shape: Sizes, split: Split, quantization: Quantization | None) -> int:
    """Bytes of weights that one token of one request reads, on a GPU of each stage.

    Of the experts it reads those that work on it, of the input embedding one row.

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs.
        quantization: Quantization of the weights.
    """
    total = 0.0
    for stage in range(split.pipeline):
        for matrix in matrices(shape, split, stage):
            share = 1.0
            if matrix.kind == "experts" and shape.experts:
                share = shape.experts.per_token / shape.experts.count
            total += matrix.parameters * share * _bits(matrix, quantization, 2) / 8
    if not shape.tied:
        total -= 2 * shape.vocab_size * shape.hidden_size // split.tensor
    return int(total)


def stored(shape: Sizes) -> int:
    """Bytes of the checkpoint's weights on disk, as its publisher has quantized them."""
    return loaded(
        shape, quantization=shape.quantization, dtype_bytes=4 if shape.dtype == "float32" else 2
    )


def adapters(shape: Sizes, split: Split, stage: int, *, count: int, rank: int) -> int:
    """Bytes that vLLM keeps on a GPU for `count` LoRA adapters, two bytes per parameter.

    All slots have the highest rank that is allowed, whatever the adapters have
    (vllm/lora/layers/base_linear.py).

    Args:
        shape: The sizes of the model.
        split: How the model is split over GPUs.
        stage: The stage.
        count: `max_loras`.
        rank: `max_lora_rank`.
    """
    sides = sum(
        matrix.sides
        for matrix in matrices(shape, split, stage)
        if matrix.kind in ("linear", "experts")
    )
    return 2 * count * rank * sides
