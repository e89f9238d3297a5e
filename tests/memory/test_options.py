"""The options that decide about memory: defaults of the server, and what flags change."""

from typing import Any

import pytest

from tests import strategies
from tests.memory.test_hf_config import read
from vllm_constructs import (
    EngineArgs,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    VllmConstructsError,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.memory.activations import GIB, MIB
from vllm_constructs.memory.options import (
    UNCOUNTED,
    MemoryOptions,
    cuda_memory,
    loaded_shape,
    resolve,
    uncounted,
)
from vllm_constructs.memory.shapes import ModelShape

H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")
L4 = WholeGpu("NVIDIA-L4")
# A value for each flag that no plan counts.
OTHERS: list[dict[str, Any]] = [
    {"cpu_offload_params": ["x"]},
    {"hf_config_path": "/x"},
    {"offload_backend": "uva"},
    {"offload_group_size": 1},
    {"offload_num_in_group": 1},
    {"offload_params": ["x"]},
    {"prefill_context_parallel_size": 2},
]
LLAMA = ModelShape.named("meta-llama/Llama-3.1-8B-Instruct")


def options(
    gpu: Gpu = H100,
    shape: ModelShape = LLAMA,
    release: str = "v0.33.0",
    **engine: Any,
) -> MemoryOptions:
    """Return the options of an engine."""
    return resolve(shape, gpu, EngineArgs(**engine), VllmRelease(f"vllm/vllm-openai:{release}"), {})


def test_measured_total() -> None:
    """CUDA reports what was measured on the H100."""
    about = strategies.facts("h100-measured.json")["_about"]["what"]

    assert "cudaMemGetInfo total 79.18 GiB" in about
    assert round(cuda_memory(H100) / GIB, 2) == 79.18


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        (MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3"), 9.75),
        (MigSlice("3g.40gb", product="NVIDIA-A100-SXM4-80GB"), 39.25),
        # Not in the catalog, so the least that slices have for their name.
        (MigSlice("3g.20gb", product="NVIDIA-A100-SXM4-40GB"), 17.6),
        # Any product, so the one with the least.
        (MigSlice("1g.12gb"), 10.75),
        (VirtualGpu("GRID-A100D-40C", memory_mib=40960), 39.53),
        (WholeGpu("New-GPU", memory_mib=100 * 1024), 99.53),
        (TimeSlicedGpu("NVIDIA-L4", replicas=2), 22.03),
        (TimeSlicedGpu("NVIDIA-L4", replicas=2, sharing="mps"), 11.01),
    ],
)
def test_memory(gpu: Gpu, expected: float) -> None:
    """A slice has its own memory, and time-slicing divides none."""
    assert round(cuda_memory(gpu) / GIB, 2) == expected


def test_slices() -> None:
    """No slice of the catalog has less than what an unknown one is taken to have."""
    for product, gpu in catalog().items():
        for profile, one in gpu["mig"].items():
            nominal = float(profile.split(".")[1].split("gb")[0])
            assert cuda_memory(MigSlice(profile, product=product)) >= 0.88 * nominal * GIB - 1
            assert one["gib"] is None or one["gib"] <= nominal


def test_virtual() -> None:
    """A virtual GPU without its memory cannot be planned."""
    assert "memory_mib" in strategies.refusal(lambda: cuda_memory(VirtualGpu()))


@pytest.mark.parametrize(
    ("gpu", "tokens", "requests"),
    [
        ("NVIDIA-B200", 16384, 1024),
        ("NVIDIA-H100-80GB-HBM3", 8192, 1024),
        ("NVIDIA-A100-SXM4-80GB", 2048, 256),
        ("NVIDIA-L40S", 2048, 256),
    ],
)
def test_batch(gpu: str, tokens: int, requests: int) -> None:
    """The server's batch depends on the GPU."""
    found = options(WholeGpu(gpu)).batch

    assert (found.tokens, found.requests) == (tokens, requests)


def test_batch_given() -> None:
    """What is given counts, and requests are no more than tokens."""
    assert options(max_num_batched_tokens=512).batch.requests == 512
    assert options(max_num_seqs=16).batch.requests == 16
    assert options(L4, enable_chunked_prefill=False).batch.tokens == 131072


@pytest.mark.parametrize(
    ("gpu", "engine", "release", "expected"),
    [
        (H100, {}, "v0.33.0", 0.92),
        (H100, {}, "v0.16.0", 0.9),
        (H100, {"gpu_memory_utilization": 0.5}, "v0.33.0", 0.5),
        (TimeSlicedGpu("NVIDIA-L4", replicas=4), {}, "v0.33.0", 0.22),
        (TimeSlicedGpu("NVIDIA-L4", replicas=4, sharing="mps"), {}, "v0.33.0", 0.92),
    ],
)
def test_utilization(gpu: Gpu, engine: dict[str, Any], release: str, expected: float) -> None:
    """The share is the option's, the pod's, or the release's default."""
    assert options(gpu, release=release, **engine).utilization == expected


@pytest.mark.parametrize(
    ("release", "model", "logit_bytes", "counted"),
    [
        # The first model runner sorts logits, then has a kernel, and later counts CUDA graphs.
        ("v0.16.0", LLAMA, 23, False),
        ("v0.19.1", LLAMA, 14, False),
        ("v0.22.1", LLAMA, 14, True),
        # The second one took over dense models first, and did not count them.
        ("v0.26.0", LLAMA, 2, False),
        ("v0.28.0", LLAMA, 2, False),
        ("v0.26.0", ModelShape.named("openai/gpt-oss-20b"), 14, True),
        ("v0.26.0", ModelShape.named("deepseek-ai/DeepSeek-V2-Lite-Chat"), 2, False),
        ("v0.26.0", ModelShape.named("Qwen/Qwen3-Next-80B-A3B-Instruct"), 14, True),
        ("v0.29.0", ModelShape.named("openai/gpt-oss-20b"), 2, True),
        ("v0.33.0", LLAMA, 14, True),
    ],
)
def test_release(release: str, model: ModelShape, logit_bytes: int, *, counted: bool) -> None:
    """What the sampler has and whether CUDA graphs count depends on the model runner."""
    gpu = WholeGpu("NVIDIA-B200", count=2) if model.recurrent else H100
    found = options(gpu, model, release=release, max_model_len=4096)

    assert (found.batch.logit_bytes, found.graphs_counted) == (logit_bytes, counted)
    assert options(runner="pooling").batch.logit_bytes == 0


@pytest.mark.parametrize(
    ("gpu", "release", "engine", "expected"),
    [
        ("NVIDIA-H100-80GB-HBM3", "v0.33.0", {}, 16),
        ("NVIDIA-H100-80GB-HBM3", "v0.33.0", {"kv_cache_dtype": "fp8"}, 64),
        ("NVIDIA-H100-80GB-HBM3", "v0.33.0", {"block_size": 128}, 128),
        ("NVIDIA-H100-80GB-HBM3", "v0.17.1", {}, 64),
        ("NVIDIA-A100-SXM4-80GB", "v0.33.0", {}, 16),
        ("NVIDIA-B200", "v0.33.0", {}, 32),
    ],
)
def test_latent_block(gpu: str, release: str, engine: dict[str, Any], expected: int) -> None:
    """The block size of latent attention is that of the backend on the GPU."""
    shape = ModelShape.named("deepseek-ai/DeepSeek-V2-Lite-Chat")

    assert options(WholeGpu(gpu), shape, release=release, **engine).cache.block_size == expected
    assert options(WholeGpu(gpu), release=release).cache.block_size is None


def test_stages_in_flight() -> None:
    """The first model runner overlaps no batches of several stages."""
    gpu = WholeGpu("NVIDIA-L4", count=2)

    assert options(gpu, pipeline_parallel_size=2).cache.in_flight == 3 * 2048
    assert options(gpu, release="v0.20.2", pipeline_parallel_size=2).cache.in_flight == 2 * 2048


def test_redundant() -> None:
    """Copies of experts count where experts are balanced."""
    shape = ModelShape.named("Qwen/Qwen3-30B-A3B")
    gpu = WholeGpu("NVIDIA-H200", count=8)
    given: dict[str, Any] = {
        "enable_expert_parallel": True,
        "eplb_config": {"num_redundant_experts": 16},
    }

    assert options(gpu, shape, enable_eplb=True, **given).split.redundant == 16
    with pytest.raises(VllmConstructsError, match="'num_redundant_experts' without enable_eplb"):
        options(gpu, shape, **given)


def test_split() -> None:
    """Tensor parallelism takes the GPUs that nothing else takes."""
    split = options(
        WholeGpu("NVIDIA-L4", count=8), pipeline_parallel_size=2, data_parallel_size=2
    ).split

    assert (split.tensor, split.pipeline, split.data) == (2, 2, 2)
    assert "2 GPUs" in strategies.refusal(lambda: options(tensor_parallel_size=2))


@pytest.mark.parametrize(
    ("engine", "expected"),
    [({}, 131072), ({"max_model_len": 4096}, 4096), ({"max_model_len": "auto"}, None)],
)
def test_length(engine: dict[str, Any], expected: int | None) -> None:
    """The length is the option's, or the model's."""
    assert options(**engine).max_model_len == expected


def test_length_refused() -> None:
    """More tokens than the model takes are refused, unless its config is changed."""
    assert "supports 131072 tokens" in strategies.refusal(lambda: options(max_model_len=200_000))
    rope = {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}
    assert options(max_model_len=200_000, hf_overrides=rope).max_model_len == 200_000
    endless = read(max_position_embeddings=None)
    # vLLM's own length for a model that does not say it.
    assert options(shape=endless).max_model_len == 2048
    assert options(shape=endless, max_model_len=5000).longest == 5000


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({}, "bfloat16"),
        ({"kv_cache_dtype": "fp8"}, "fp8"),
        ({"dtype": "float32"}, "float32"),
        ({"dtype": "half"}, "bfloat16"),
    ],
)
def test_cache_dtype(engine: dict[str, Any], expected: str) -> None:
    """The cache has the model's width unless it is told otherwise."""
    assert options(**engine).cache.dtype == expected


def test_wide_checkpoint() -> None:
    """A checkpoint of 32 bits runs with 16 unless 32 are asked for."""
    wide = ModelShape.named("state-spaces/mamba-2.8b-hf")

    assert wide.dtype == "float32"
    assert options(shape=wide, max_model_len=99).batch.dtype_bytes == 2
    assert options(shape=wide, max_model_len=99, dtype="float32").batch.dtype_bytes == 4


def test_quantization() -> None:
    """The checkpoint's quantisation counts, else the option's."""
    quantized = ModelShape.named("Qwen/Qwen3-8B-FP8")

    assert options().quantization is None
    assert (options(quantization="fp8").quantization or 0) != 0
    assert options(shape=quantized, quantization="fp8").quantization == quantized.quantization
    scaled = {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8}}
    assert options(shape=read(quantization_config=scaled)).cache.dtype == "fp8"


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({}, 2 * 8192),
        ({"async_scheduling": False}, 8192),
        ({"max_num_batched_tokens": 100, "max_num_seqs": 8}, 200),
    ],
)
def test_in_flight(engine: dict[str, Any], expected: int) -> None:
    """Two batches are on their way, unless scheduling waits for each."""
    assert options(**engine).cache.in_flight == expected


def test_flags() -> None:
    """Flags that are rarely given count too."""
    found = options(
        disable_hybrid_kv_cache_manager=True,
        block_size=32,
        mamba_ssm_cache_dtype="float32",
        cpu_offload_gb=2,
        enable_lora=True,
        max_loras=3,
        kv_cache_memory_bytes="4G",
        speculative_config={"method": "ngram", "num_speculative_tokens": 3},
    )

    assert (found.cache.hybrid, found.cache.block_size) == (False, 32)
    assert (found.cache.state_dtype, found.cache.speculative) == ("float32", 3)
    assert (found.offloaded, found.kv_cache_memory) == (2 * GIB, 4096 * MIB)
    assert (found.loras, found.lora_rank) == (3, 16)


def test_prefix_caching() -> None:
    """Prefix caching is on, but not for models without attention."""
    mamba = ModelShape.named("tiiuae/falcon-mamba-7b")

    assert options().cache.prefix_caching
    assert not options(enable_prefix_caching=False).cache.prefix_caching
    assert not options(shape=mamba, max_model_len=99).cache.prefix_caching


def test_requests() -> None:
    """A batch has a token for each request, or vLLM does not start."""
    many: dict[str, Any] = {"max_num_seqs": 4096}

    sentence = strategies.refusal(lambda: options(L4, **many))
    assert "max_num_seqs is 4096, more than the 2048 tokens" in sentence
    assert "give max_num_batched_tokens=4096 or more." in sentence
    assert options(L4, **many, max_num_batched_tokens=4096).batch.requests == 4096
    assert options(H100, **many).batch == options(H100, **many, max_num_batched_tokens=8192).batch


def test_few_tokens() -> None:
    """A batch has no more tokens than its requests may have."""
    assert options(L4, max_num_seqs=4, max_model_len=100).batch.tokens == 400
    assert options(L4, max_num_seqs=4, max_model_len=1000).batch.tokens == 2048


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        *((EngineArgs(**one), name) for one in OTHERS for name in one),
        (EngineArgs(spec_model="a/b"), "a draft model"),
        (EngineArgs(speculative_config={"method": "eagle3"}), "a draft model"),
        (EngineArgs(hf_overrides={"hidden_size": 1}), "hf_overrides"),
        (EngineArgs(hf_overrides={"rope_theta": 1}), "hf_overrides"),
    ],
)
def test_uncounted(engine: EngineArgs, words: str) -> None:
    """A flag that no plan counts is a problem that rejects nothing."""
    assert {name for one in OTHERS for name in one} == set(UNCOUNTED)
    found = uncounted(LLAMA, engine)

    assert found is not None
    assert "not counted" == found.kind
    assert words in found.sentence()


@pytest.mark.parametrize(
    "engine",
    [
        EngineArgs(),
        EngineArgs(speculative_config={"method": "ngram", "num_speculative_tokens": 2}),
        EngineArgs(hf_overrides={"rope_theta": 1}, max_model_len=1024),
        EngineArgs(hf_overrides={}),
    ],
)
def test_counted(engine: EngineArgs) -> None:
    """All other flags are counted."""
    assert uncounted(LLAMA, engine) is None


def test_throughput() -> None:
    """The throughput mode doubles what is not given."""
    double = options(L4, performance_mode="throughput").batch
    assert (double.tokens, double.requests) == (4096, 512)
    given = options(L4, performance_mode="throughput", max_num_seqs=8, max_num_batched_tokens=99)
    assert (given.batch.tokens, given.batch.requests) == (99, 8)


DRAFTING = read(
    model_type="deepseek_v3",
    num_nextn_predict_layers=1,
    num_experts=8,
    num_experts_per_tok=2,
    moe_intermediate_size=1024,
)


def test_drafts() -> None:
    """Layers that draft tokens are loaded by an engine that uses them, and only then."""
    drafts = EngineArgs(speculative_config={"method": "mtp", "num_speculative_tokens": 1})

    assert loaded_shape(DRAFTING, EngineArgs()) is DRAFTING
    found = loaded_shape(DRAFTING, drafts)
    assert (found.layers, found.feed_forwards[-1]) == (DRAFTING.layers + 1, "experts")
    assert found.other_parameters > 2 * DRAFTING.hidden_size**2
    assert uncounted(DRAFTING, drafts) is None


@pytest.mark.parametrize(
    ("shape", "engine"),
    [
        (LLAMA, {"method": "mtp"}),
        (DRAFTING, {"method": "mtp", "model": "x/y"}),
        (DRAFTING, {"method": "eagle3"}),
    ],
)
def test_other_drafts(shape: ModelShape, engine: dict[str, Any]) -> None:
    """A draft model of its own is not counted."""
    config: Any = engine | {"num_speculative_tokens": 1}
    problem = uncounted(shape, EngineArgs(speculative_config=config))

    assert problem is not None
    assert "a draft model" in problem.sentence()


def test_reserved() -> None:
    """Memory for inputs of other processes is kept free."""
    assert options(mm_ipc_gpu_memory_gb=2).reserved == 2 * GIB
    assert options().reserved == 0
