"""What an engine's options and its GPU say about memory, with vLLM's defaults filled in.

The defaults are those of vllm/engine/arg_utils.py (`get_batch_defaults`) and vllm/config/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vllm_constructs.accelerators.nvidia import (
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
    catalogue,
)
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.flag_parsing import amount
from vllm_constructs.errors import NotCountedError, refuse
from vllm_constructs.releases.release import VllmRelease

from .activations import DRIVER, GIB, MIB, Batch, graph_sizes
from .kv_cache import CacheOptions
from .quantization import Quantization, by_name
from .shapes import ModelShape
from .weights import Split

Gpu: TypeAlias = WholeGpu | MigSlice | TimeSlicedGpu | VirtualGpu

# GiB that a MIG slice has at least for each GB of its name, over all slices that are known.
_SLICE = 0.88
# Tokens that vLLM takes where no file of the model says how many it takes
# (`_get_and_verify_max_len` in vllm/config/model.py).
_UNSAID = 2048
# Flags with which vLLM keeps another model, or another part of it, on the GPU than is counted.
UNCOUNTED = (
    "cpu_offload_params",
    "hf_config_path",
    "offload_backend",
    "offload_group_size",
    "offload_num_in_group",
    "offload_params",
    "prefill_context_parallel_size",
)
# Speculative methods that load no other model than the one that is served.
_NO_DRAFT = ("ngram", "ngram_gpu", "suffix")
# Data-centre GPUs of the Blackwell family capture more CUDA graphs (vllm/config/vllm.py).
_BLACKWELL = re.compile(r"NVIDIA-G?B[23]00")


def flag(engine: EngineArgs, name: str) -> Any:
    """A flag of the engine by its Python name, whether it has a keyword or stands in `extra`."""
    found = getattr(engine, name, None)
    return engine.extra.get(name.replace("_", "-")) if found is None else found


def _uncounted(engine: EngineArgs) -> str:
    """The first flag that a plan does not understand, in words."""
    for name in UNCOUNTED:
        if flag(engine, name) is not None:
            return f"{name} changes what is on the GPU, which no plan counts."
    config = engine.speculative_config or {}
    method = engine.spec_method or config.get("method")
    is_drafted = method or engine.spec_model or config.get("model")
    if is_drafted and method not in _NO_DRAFT:
        return "a model that drafts tokens is on the GPU too, which no plan counts."
    overrides = engine.hf_overrides
    if not overrides:
        return ""
    # Scaled positions change no sizes, but what they do to the longest request is not known.
    is_scaling = isinstance(overrides, Mapping) and all(
        isinstance(key, str) and key.startswith("rope_") for key in overrides
    )
    if is_scaling and engine.max_model_len is not None:
        return ""
    return "hf_overrides change the model, which no plan counts."


def cuda_memory(gpu: Gpu) -> int:
    """Bytes of one GPU, or of the part that a pod gets, as CUDA reports them."""
    if isinstance(gpu, MigSlice):
        known = catalogue()
        products = [gpu.product] if gpu.product else list(known)
        sizes = {known[one]["mig"][gpu.profile]["gib"] for one in products if _has(gpu, one)}
        # Of products that differ the smallest one counts, since the pod may get it.
        nominal = re.search(r"\.(\d+)gb", gpu.profile)
        least = _SLICE * int(nominal[1]) if nominal else 0.0
        return int(min(size or least for size in sizes) * GIB)
    mib = gpu.memory_mib
    if mib is None and gpu.product in catalogue():
        mib = catalogue()[gpu.product]["memory_mib"]
    if mib is None:
        refuse(
            "VirtualGpu.memory_mib is missing, and without it nobody can say what fits; give the "
            "memory of the profile in MiB.",
            NotCountedError,
        )
    total = mib * MIB - DRIVER
    if isinstance(gpu, TimeSlicedGpu) and gpu.sharing == "mps":
        # MPS gives each client an equal part, and CUDA reports that part.
        return total // gpu.replicas
    return total


def _has(gpu: MigSlice, product: str) -> bool:
    return gpu.profile in catalogue()[product]["mig"]


@dataclass(frozen=True, kw_only=True)
class MemoryOptions:
    """Everything that decides about memory, resolved.

    Args:
        memory: Bytes of one GPU as CUDA reports them.
        utilization: Share of it that vLLM asks for.
        kv_cache_memory: Bytes of KV cache per GPU, where they are given.
        max_model_len: Longest request in tokens; None for the longest that fits.
        longest: Tokens that the model takes at most.
        split: How the model is spread.
        batch: The batch that is profiled.
        cache: The cache's options.
        quantization: How weights are quantised.
        graphs: Batch sizes with CUDA graphs.
        graphs_counted: Whether vLLM takes CUDA graphs off the KV cache.
        offloaded: Bytes of weights per GPU in host memory.
        loras: LoRA adapters on the GPU.
        lora_rank: Highest rank of them.
        sharers: Pods that share the memory of the GPU.
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
    graphs: int
    graphs_counted: bool
    offloaded: int
    loras: int
    lora_rank: int
    sharers: int

    @property
    def gpus(self) -> int:
        """GPUs of one engine."""
        return self.split.tensor * self.split.pipeline


def resolve(shape: ModelShape, gpu: Gpu, engine: EngineArgs, release: VllmRelease) -> MemoryOptions:
    """The options of an engine on a GPU, with vLLM's defaults."""
    reason = _uncounted(engine)
    if reason:
        refuse(reason, NotCountedError)
    memory = cuda_memory(gpu)
    split = _split(gpu, engine)
    max_model_len, longest = _length(shape, engine)
    dtype = engine.dtype if engine.dtype not in (None, "auto") else shape.dtype
    # vLLM runs float32 checkpoints in 16 bits unless it is told otherwise.
    is_wide = dtype == "float" or (dtype == "float32" and engine.dtype == "float32")
    dtype_bytes = 4 if is_wide else 2
    quantization = _quantization(shape, engine)
    version = release.version
    # Between these two releases the sampler was profiled without its 32-bit logits, and CUDA
    # graphs were captured on top of the KV cache.
    lean = version is not None and (0, 26, 0) <= version < (0, 29, 0)
    # The estimate that is taken off the cache came with 0.21.
    graphs_counted = not lean and (version is None or version >= (0, 21, 0))
    batch = _batch(gpu, engine, memory, longest if max_model_len is None else max_model_len)
    pooling = engine.runner == "pooling"
    ahead = _field(engine.speculative_config, "num_speculative_tokens")
    loras = (engine.max_loras or 1) if engine.enable_lora else 0
    return MemoryOptions(
        memory=memory,
        utilization=_utilization(gpu, engine, version),
        kv_cache_memory=_given(engine, "kv_cache_memory_bytes"),
        max_model_len=max_model_len,
        longest=longest,
        split=split,
        batch=Batch(
            tokens=batch[0],
            requests=batch[1],
            dtype_bytes=dtype_bytes,
            logit_bytes=0 if pooling else (2 if lean else 6),
        ),
        cache=CacheOptions(
            tensor=split.tensor,
            pipeline=split.pipeline,
            context=_given(engine, "decode_context_parallel_size") or 1,
            dtype=_cache_dtype(engine, quantization, dtype_bytes),
            dtype_bytes=dtype_bytes,
            block_size=_given(engine, "block_size"),
            hybrid=not flag(engine, "disable_hybrid_kv_cache_manager"),
            prefix_caching=_prefix_caching(shape, engine),
            state_dtype=flag(engine, "mamba_ssm_cache_dtype") or "auto",
            in_flight=batch[0] * _batches(engine, split),
            speculative=ahead if isinstance(ahead, int) else 0,
        ),
        quantization=quantization,
        graphs=_graphs(gpu, engine, *batch),
        graphs_counted=graphs_counted,
        offloaded=int((engine.cpu_offload_gb or 0) * GIB),
        loras=loras,
        lora_rank=engine.max_lora_rank or 16,
        sharers=round(1 / gpu.share),
    )


def _field(config: object, name: str) -> Any:
    """One field of a flag that is JSON."""
    return config.get(name) if isinstance(config, Mapping) else None


def _given(engine: EngineArgs, name: str) -> int | None:
    found = flag(engine, name)
    return None if found is None else amount(f"EngineArgs.{name}", found)


def _split(gpu: Gpu, engine: EngineArgs) -> Split:
    """Tensor parallelism over all GPUs of the pod that nothing else takes."""
    pipeline = engine.pipeline_parallel_size or 1
    data = engine.data_parallel_size or 1
    tensor = engine.tensor_parallel_size or max(1, gpu.count // (pipeline * data))
    size = tensor * pipeline * data
    if size != gpu.count:
        refuse(
            f"EngineArgs asks for {size} GPUs (tensor {tensor} x pipeline {pipeline} x data "
            f"{data}), but there {'is' if gpu.count == 1 else 'are'} {gpu.count}; give "
            f"WholeGpu(count={size}), or leave tensor_parallel_size out to use them all."
        )
    return Split(
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        expert_parallel=bool(engine.enable_expert_parallel),
    )


def _length(shape: ModelShape, engine: EngineArgs) -> tuple[int | None, int]:
    """The longest request (None for what fits), and what the model takes at most."""
    asked = engine.max_model_len
    longest = shape.longest
    if longest is None and isinstance(asked, int) and asked > 0:
        longest = asked
    if longest is None:
        longest = _UNSAID
    if asked is None:
        return longest, longest
    if asked in ("auto", -1):
        return None, longest
    length = amount("EngineArgs.max_model_len", asked)
    if length > longest and not engine.hf_overrides:
        refuse(
            f"EngineArgs.max_model_len is {length}, but {shape.name} takes {longest} tokens; give "
            f"at most {longest}, or scale its positions with hf_overrides."
        )
    return length, max(length, longest)


def _utilization(gpu: Gpu, engine: EngineArgs, version: tuple[int, int, int] | None) -> float:
    if engine.gpu_memory_utilization is not None:
        return engine.gpu_memory_utilization
    if gpu.share < 1:
        # As the pod derives it: nine tenths of the share.
        return int(gpu.share * 90) / 100
    return 0.9 if version is not None and version < (0, 21, 0) else 0.92


def _batch(gpu: Gpu, engine: EngineArgs, memory: int, length: int) -> tuple[int, int]:
    """`max_num_batched_tokens` and `max_num_seqs`, as the server fills them in."""
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
        # Without chunks a whole prompt has to fit into one batch.
        tokens = max(tokens, length)
    tokens = min(tokens, requests * length)
    if engine.max_num_seqs is not None and engine.max_num_seqs > tokens:
        refuse(
            f"EngineArgs.max_num_seqs is {engine.max_num_seqs}, more than the {tokens} tokens that "
            "vLLM puts into a batch on this GPU, and vLLM does not start like that; give "
            f"max_num_batched_tokens={engine.max_num_seqs} or more."
        )
    return tokens, min(requests, tokens)


def _batches(engine: EngineArgs, split: Split) -> int:
    """Batches that are on their way at once (`max_concurrent_batches` in vllm/config/vllm.py)."""
    return split.pipeline + (0 if flag(engine, "async_scheduling") is False else 1)


def _prefix_caching(shape: ModelShape, engine: EngineArgs) -> bool:
    """On by default, but not for models without any attention."""
    asked = engine.enable_prefix_caching
    return shape.has_attention if asked is None else asked


def _quantization(shape: ModelShape, engine: EngineArgs) -> Quantization | None:
    if shape.quantization is not None or engine.quantization is None:
        return shape.quantization
    return by_name("EngineArgs.quantization", engine.quantization)


def _cache_dtype(engine: EngineArgs, quantization: Quantization | None, dtype_bytes: int) -> str:
    asked = engine.kv_cache_dtype
    if asked not in (None, "auto"):
        return str(asked)
    if quantization is not None and quantization.kv_cache:
        return quantization.kv_cache
    return "float32" if dtype_bytes == 4 else "bfloat16"


def _graphs(gpu: Gpu, engine: EngineArgs, tokens: int, requests: int) -> int:
    """Batch sizes that CUDA graphs are captured for."""
    config = engine.compilation_config
    mode = _field(config, "cudagraph_mode")
    # The lowest level has none unless it is told otherwise (OPTIMIZATION_LEVEL_TO_CONFIG in
    # vllm/config/vllm.py).
    is_off = mode is None and flag(engine, "optimization_level") in (0, "0")
    if engine.enforce_eager or is_off or (mode is not None and str(mode).upper() in ("NONE", "0")):
        return 0
    sizes = _field(config, "cudagraph_capture_sizes") or flag(engine, "cudagraph_capture_sizes")
    if isinstance(sizes, (list, tuple)):
        return len(set(map(str, sizes)))
    name = "max_cudagraph_capture_size"
    most = _field(config, name) or flag(engine, name)
    if not isinstance(most, int):
        ceiling = 1024 if _BLACKWELL.match(gpu.product or "") else 512
        most = min(2 * requests, ceiling)
    return graph_sizes(min(most, tokens))
