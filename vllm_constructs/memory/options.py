"""The options of an engine that decide about memory, with vLLM's defaults on its GPU.

The defaults are those of vllm/engine/arg_utils.py (`get_batch_defaults`) and vllm/config/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.google import Tpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import (
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    capability,
    catalog,
)
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.flag_parsing import amount
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.releases.model_runner import RunnerFacts, is_second
from vllm_constructs.releases.release import VllmRelease

from . import compute, cuda_graphs
from .activations import DRIVER, GIB, MIB, Batch, context_of
from .expert_kernel import ExpertKernel, expert_kernel
from .kv_cache import DEFAULT_BLOCK, LATENT_BLOCK, CacheOptions
from .quantization import Quantization, by_name
from .sizes import Sizes
from .weights import Split

Shape = TypeVar("Shape", bound=Sizes)

# GiB that a MIG slice has at least for each GB in its name: the minimum of all known slices.
_SLICE = 0.88
# Tokens that vLLM accepts if no file of the model has a limit (`_get_and_verify_max_len` in
# vllm/config/model.py).
_DEFAULT_LENGTH = 2048
# Flags that change what vLLM keeps on the GPU in a way that is not counted.
UNCOUNTED = (
    "cpu_offload_params",
    "hf_config_path",
    "offload_backend",
    "offload_group_size",
    "offload_num_in_group",
    "offload_params",
    "prefill_context_parallel_size",
)
# Speculative methods without a draft model.
_NO_DRAFT = ("ngram", "ngram_gpu", "suffix")
_BLACKWELL_MAJOR = 10
_HOPPER_MAJOR = 9


def loaded_shape(shape: Shape, engine: EngineArgs) -> Shape:
    """The shape with the layers that draft tokens, where the engine uses them.

    They have their own attention and feed-forward, like the last layer, and a matrix that joins
    its two inputs (vllm/model_executor/models/deepseek_mtp.py).

    Args:
        shape: The sizes of the model.
        engine: Flags of the engine.
    """
    if not _drafts_itself(shape, engine):
        return shape
    count = shape.draft_layers
    joined = 2 * shape.hidden_size**2 + 3 * shape.hidden_size
    last = next((one for one in reversed(shape.mixers) if one != "recurrent"), shape.mixers[-1])
    return replace(
        shape,
        mixers=shape.mixers + (last,) * count,
        feed_forwards=shape.feed_forwards + (shape.feed_forwards[-1],) * count,
        other_parameters=shape.other_parameters + count * joined,
        draft_layers=0,
    )


def _drafts_itself(shape: Sizes, engine: EngineArgs) -> bool:
    """Whether the engine drafts tokens with layers of the model that are counted."""
    method = engine.spec_method or _field(engine.speculative_config, "method")
    model = engine.spec_model or _field(engine.speculative_config, "model")
    is_own = isinstance(method, str) and method.endswith("mtp") and model is None
    return is_own and shape.draft_layers > 0 and (engine.pipeline_parallel_size or 1) == 1


def uncounted(shape: Sizes, engine: EngineArgs) -> Problem | None:
    """The first flag that no memory plan counts, so that no plan can be made.

    Args:
        shape: The sizes of the model.
        engine: Flags of the engine.
    """
    for name in UNCOUNTED:
        if engine.get(name) is not None:
            return Problem(
                where=f"EngineArgs.{name}",
                text="changes what is on the GPU in a way that the memory plan cannot count",
                kind="not counted",
            )
    config = engine.speculative_config or {}
    method = engine.spec_method or config.get("method")
    is_drafted = method or engine.spec_model or config.get("model")
    if is_drafted and method not in _NO_DRAFT and not _drafts_itself(shape, engine):
        return Problem(
            text="a draft model is on the GPU too, which the memory plan cannot count",
            kind="not counted",
        )
    overrides = engine.hf_overrides
    if not overrides:
        return None
    # Scaled positions change no sizes, but their effect on the longest request is not known.
    is_scaling = isinstance(overrides, Mapping) and all(
        isinstance(key, str) and key.startswith("rope_") for key in overrides
    )
    if is_scaling and engine.max_model_len is not None:
        return None
    return Problem(
        where="EngineArgs.hf_overrides",
        text="changes the model in a way that the memory plan cannot count",
        kind="not counted",
    )


def cuda_memory(gpu: Gpu) -> int:
    """The memory of one GPU, or of the pod's part of it, as CUDA reports it, in bytes.

    Raises:
        VllmConstructsError: The memory is not known.
    """
    if isinstance(gpu, DeviceClaim) and gpu.mig_slice is not None:
        gpu = gpu.mig_slice
    if isinstance(gpu, MigSlice):
        known = catalog()
        products = [gpu.product] if gpu.product else list(known)
        sizes = {
            known[product]["mig"][gpu.profile]["gib"]
            for product in products
            if gpu.profile in known[product]["mig"]
        }
        # Without a product, the pod may get the smallest of these slices.
        nominal = re.search(r"\.(\d+)gb", gpu.profile)
        default = _SLICE * int(nominal[1]) if nominal else 0.0
        return int(min(size or default for size in sizes) * GIB)
    mib = gpu.device_mib
    is_virtual = isinstance(gpu, VirtualGpu)
    if mib is None:
        refuse(
            Problem(
                where=f"{type(gpu).__name__}.{'memory_mib' if is_virtual else 'product'}",
                text="is missing, but the memory plan depends on it",
                advice="give the memory of the profile in MiB" if is_virtual else "give it",
                kind="not counted",
            )
        )
    total = mib * MIB - (DRIVER if gpu.platform == "CUDA" else 0)
    if isinstance(gpu, TimeSlicedGpu) and gpu.sharing == "mps":
        # MPS divides the memory equally, and CUDA reports the part of the client.
        return total // gpu.replicas
    return total


@dataclass(frozen=True, kw_only=True)
class MemoryOptions:
    """All options that decide about memory, with their defaults.

    Args:
        memory: Memory of one GPU as CUDA reports it, in bytes.
        utilization: Share of this memory that vLLM requests.
        kv_cache_memory: Bytes of KV cache per GPU, if they are given.
        max_model_len: Tokens of the longest request; None for the longest that fits.
        longest: Tokens that the model supports.
        split: How the model is split over GPUs.
        batch: The batch that vLLM profiles.
        cache: The options of the cache.
        quantization: Quantization of the weights.
        kernel: The kernel of the experts.
        graphs: Number of batch sizes with CUDA graphs.
        graphs_counted: Whether vLLM subtracts CUDA graphs from the KV cache.
        least_blocks: Blocks of the KV cache without which vLLM does not start, beside those of the
            longest request.
        offloaded: Bytes of weights per GPU that are kept in host memory.
        loras: LoRA adapters on the GPU.
        lora_rank: Highest rank of the adapters.
        sharers: Pods that share the memory of the GPU.
        reserved: Bytes that are kept for inputs of other processes.
        uses_all: Whether the pod must have all devices of its host. Default: False.
    """

    memory: int
    utilization: float
    kv_cache_memory: int | None
    max_model_len: int | None
    longest: int
    split: Split
    batch: Batch
    cache: CacheOptions
    quantization: Quantization | None
    kernel: ExpertKernel
    graphs: int
    graphs_counted: bool
    least_blocks: int
    offloaded: int
    loras: int
    lora_rank: int
    sharers: int
    reserved: int
    uses_all: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of one engine."""
        return self.split.tensor * self.split.pipeline


def resolve(
    shape: Sizes, gpu: Gpu, engine: EngineArgs, release: VllmRelease, env: Mapping[str, str]
) -> MemoryOptions:
    """The options of an engine on a GPU, with vLLM's defaults.

    Args:
        shape: The sizes of the model.
        gpu: GPU of the pod.
        engine: Flags of the engine.
        release: The vLLM release.
        env: Environment variables of the container.

    Raises:
        VllmConstructsError: vLLM would not start with these options, or no plan can be made.
    """
    problem = uncounted(shape, engine)
    if problem is not None:
        refuse(problem)
    shape = loaded_shape(shape, engine)
    memory = cuda_memory(gpu)
    split = _split(gpu, engine)
    max_model_len, longest = _length(shape, engine)
    dtype_bytes = compute.dtype_bytes(shape, gpu, engine)
    quantization = _quantization(shape, engine)
    batch = _batch(gpu, engine, memory, longest if max_model_len is None else max_model_len)
    pooling = engine.runner == "pooling"
    has_state = shape.recurrent is not None
    second = is_second(
        release,
        RunnerFacts(
            family=shape.family,
            generates=not pooling,
            has_experts=shape.experts is not None,
            has_state=has_state or not shape.has_attention,
            is_quantized=quantization is not None,
        ),
        env,
    )
    logit_bytes, has_buffer = _sampler(release, second=second)
    block_size = _given(engine, "block_size") or _latent_block(shape, gpu, engine, release)
    ahead = _field(engine.speculative_config, "num_speculative_tokens")
    loras = (engine.max_loras or 1) if engine.enable_lora else 0
    return MemoryOptions(
        memory=memory,
        utilization=_utilization(gpu, engine, release),
        kv_cache_memory=_kv_cache(gpu, engine),
        max_model_len=max_model_len,
        longest=longest,
        split=split,
        batch=Batch(
            tokens=batch[0],
            requests=batch[1],
            dtype_bytes=dtype_bytes,
            logit_bytes=0 if pooling else logit_bytes,
            has_buffer=has_buffer,
            has_encoders=_has_encoders(engine),
            context=context_of(
                longest if max_model_len is None else max_model_len,
                batch[1],
                block_size or DEFAULT_BLOCK,
            ),
        ),
        cache=CacheOptions(
            tensor=split.tensor,
            pipeline=split.pipeline,
            context=_given(engine, "decode_context_parallel_size") or 1,
            dtype=_cache_dtype(engine, quantization, dtype_bytes),
            dtype_bytes=dtype_bytes,
            block_size=block_size,
            hybrid=not engine.get("disable_hybrid_kv_cache_manager"),
            prefix_caching=_prefix_caching(shape, engine),
            state_dtype=engine.get("mamba_ssm_cache_dtype") or "auto",
            in_flight=batch[0] * _batches(engine, split, second=second),
            speculative=ahead if isinstance(ahead, int) else 0,
        ),
        quantization=quantization,
        kernel=expert_kernel(quantization, capability(gpu), release, has_adapters=loras > 0),
        graphs=cuda_graphs.batch_sizes(gpu, engine, *batch) if gpu.has_graphs else 0,
        graphs_counted=cuda_graphs.are_counted(release, env, second=second),
        least_blocks=batch[1] if has_state and cuda_graphs.needs_states(engine, release) else 0,
        offloaded=int((engine.cpu_offload_gb or 0) * GIB),
        loras=loras,
        lora_rank=engine.max_lora_rank or 16,
        sharers=gpu.sharers,
        uses_all=isinstance(gpu, Tpu),
        reserved=int((engine.get("mm_ipc_gpu_memory_gb") or 0) * GIB),
    )


def _has_encoders(engine: EngineArgs) -> bool:
    """Whether encoders are profiled: not if inputs for them are off."""
    if engine.get("skip_mm_profiling") or engine.get("language_model_only"):
        return False
    limits = engine.get("limit_mm_per_prompt")
    has_limits = isinstance(limits, Mapping) and {"image", "video"} <= set(limits)
    return not (has_limits and not any(limits.values()))


def _field(config: object, name: str) -> Any:
    """One field of a flag whose value is JSON."""
    return config.get(name) if isinstance(config, Mapping) else None


def _given(engine: EngineArgs, name: str) -> int | None:
    value = engine.get(name)
    return None if value is None else amount(f"EngineArgs.{name}", value)


def _split(gpu: Gpu, engine: EngineArgs) -> Split:
    parallelism = Parallelism.of(engine, gpu.devices)
    problem = parallelism.problem(gpu)
    if problem is not None:
        refuse(problem)
    return Split(
        tensor=parallelism.tensor,
        pipeline=parallelism.pipeline,
        data=parallelism.data,
        expert_parallel=bool(engine.enable_expert_parallel),
        redundant=_redundant(engine),
    )


def _redundant(engine: EngineArgs) -> int:
    """Copies of experts that the load balancer of experts may use."""
    count = _field(engine.get("eplb_config"), "num_redundant_experts")
    return count if engine.get("enable_eplb") and isinstance(count, int) else 0


def _length(shape: Sizes, engine: EngineArgs) -> tuple[int | None, int]:
    """The longest request (None for the longest that fits), and what the model supports."""
    given = engine.max_model_len
    longest = shape.longest
    if longest is None and isinstance(given, int) and given > 0:
        longest = given
    if longest is None:
        longest = _DEFAULT_LENGTH
    if given is None:
        return longest, longest
    if given in ("auto", -1):
        return None, longest
    length = amount("EngineArgs.max_model_len", given)
    if length > longest and not engine.hf_overrides:
        refuse(
            Problem(
                where="EngineArgs.max_model_len",
                text=f"is {length}, but {escaped(shape.name)} supports {longest} tokens",
                value=str(length),
                advice=f"give at most {longest}, or scale its positions with {{hf_overrides}}",
            )
        )
    return length, max(length, longest)


def _kv_cache(gpu: Gpu, engine: EngineArgs) -> int | None:
    """Bytes of KV cache per device, if they are given; CPUs always have a size."""
    given = _given(engine, "kv_cache_memory_bytes")
    return gpu.cache_gib * GIB if given is None and isinstance(gpu, Cpu) else given


def _utilization(gpu: Gpu, engine: EngineArgs, release: VllmRelease) -> float:
    if engine.gpu_memory_utilization is not None:
        return engine.gpu_memory_utilization
    if gpu.gpu_memory_utilization is not None:
        return gpu.gpu_memory_utilization
    if isinstance(gpu, Cpu):
        return 1.0
    return 0.92 if release.behaves("gpu-memory-utilization-0.92") else 0.9


def _batch(gpu: Gpu, engine: EngineArgs, memory: int, length: int) -> tuple[int, int]:
    """`max_num_batched_tokens` and `max_num_seqs`, with the defaults of the server."""
    if memory >= 160 * GIB:
        tokens, requests = 16384, 1024
    elif memory >= 70 * GIB and "a100" not in (gpu.product or "").lower():
        tokens, requests = 8192, 1024
    else:
        tokens, requests = 2048, 256
    if engine.performance_mode == "throughput":
        tokens, requests = 2 * tokens, 2 * requests
    requests = engine.max_num_seqs or requests
    if engine.max_num_batched_tokens is not None:
        return engine.max_num_batched_tokens, min(requests, engine.max_num_batched_tokens)
    if engine.enable_chunked_prefill is False:
        # Without chunked prefill, a batch must hold a whole prompt.
        tokens = max(tokens, length)
    tokens = min(tokens, requests * length)
    if engine.max_num_seqs is not None and engine.max_num_seqs > tokens:
        refuse(
            Problem(
                where="EngineArgs.max_num_seqs",
                text=(
                    f"is {engine.max_num_seqs}, more than the {tokens} tokens of a batch on this "
                    "GPU, so vLLM would not start"
                ),
                value=str(engine.max_num_seqs),
                advice=f"give {{max_num_batched_tokens={engine.max_num_seqs}}} or more",
            )
        )
    return tokens, min(requests, tokens)


def _batches(engine: EngineArgs, split: Split, *, second: bool) -> int:
    """Batches that are in flight at once (`max_concurrent_batches` in vllm/config/vllm.py)."""
    # The first model runner does not overlap batches of several stages.
    overlaps = engine.get("async_scheduling") is not False and (second or split.pipeline == 1)
    return split.pipeline + (1 if overlaps else 0)


def _sampler(release: VllmRelease, *, second: bool) -> tuple[int, bool]:
    """Bytes of a logit in the profiled sampler, and whether it has a buffer for top-k and top-p.

    All samplers have the logits as the model makes them (2 bytes). The first model runner makes
    32-bit logits, their probabilities and as many random numbers of them (12). Before it had a
    kernel for top-k and top-p, it sorted the logits: 32-bit logits, sorted ones, their indices in
    64 bits, probabilities and a mask (21). The second one samples without probabilities, until
    it began to profile all sampling parameters: 32-bit logits, and FlashInfer's masked logits and
    probabilities (12).
    """
    if second:
        return (14 if release.behaves("sampler-warmup-of-second-runner") else 2), False
    if release.behaves("top-k-in-triton"):
        return 14, True
    return 23, False


def _latent_block(shape: Sizes, gpu: Gpu, engine: EngineArgs, release: VllmRelease) -> int | None:
    """The block size of latent attention, which its backend decides; None for other models.

    The backends are those of `_get_backend_priorities` in vllm/platforms/cuda.py, the sizes their
    `get_supported_kernel_block_sizes`.
    """
    if not shape.latent:
        return None
    found = capability(gpu)
    if not release.behaves("latent-block-of-backend") or found is None or shape.latent.index_dim:
        return LATENT_BLOCK
    if found[0] == _BLACKWELL_MAJOR:
        # FlashInfer's kernel has only this size of keys; the next one is that of CUTLASS.
        return 32 if shape.latent.nope_dim == 128 else 128  # as in its source
    is_wide = engine.kv_cache_dtype in (None, "auto", "bfloat16", "float16")
    # FlashAttention has no 8-bit cache, where FlashMLA takes its place on Hopper.
    return DEFAULT_BLOCK if is_wide or found[0] != _HOPPER_MAJOR else LATENT_BLOCK


def _prefix_caching(shape: Sizes, engine: EngineArgs) -> bool:
    """Whether prefix caching is on: by default, unless the model has no attention."""
    given = engine.enable_prefix_caching
    return shape.has_attention if given is None else given


def _quantization(shape: Sizes, engine: EngineArgs) -> Quantization | None:
    if shape.quantization is not None or engine.quantization is None:
        return shape.quantization
    return by_name("EngineArgs.quantization", engine.quantization)


def _cache_dtype(engine: EngineArgs, quantization: Quantization | None, dtype_bytes: int) -> str:
    given = engine.kv_cache_dtype
    if given not in (None, "auto"):
        return str(given)
    if quantization is not None and quantization.kv_cache:
        return quantization.kv_cache
    return "float32" if dtype_bytes == 4 else "bfloat16"
