"""The memory plan: vLLM's own vectors, measured runs, and what holds for all models."""

import json
import re
import warnings
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import (
    EngineArgs,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    VllmConstructsError,
    VllmConstructsWarning,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.accelerators.nvidia import Gpu
from vllm_constructs.accelerators.nvidia import catalog as gpus
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.memory.activations import GIB
from vllm_constructs.memory.plan import MemoryPlan
from vllm_constructs.memory.shapes import ModelShape, catalog

named = ModelShape.named
H100 = "NVIDIA-H100-80GB-HBM3"
LLAMA = named("meta-llama/Llama-3.1-8B-Instruct")
OLD = VllmRelease("vllm/vllm-openai:v0.26.0")
# Four layers of full attention with 4096 bytes a token, 28 of Mamba 2 with a 32-bit state.
HYBRID = ModelShape.from_config(
    {
        "model_type": "bamba",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "attn_layer_indices": [7, 15, 23, 31],
        "mamba_n_heads": 128,
        "mamba_d_head": 64,
        "mamba_d_state": 128,
        "mamba_n_groups": 1,
        "mamba_d_conv": 4,
        "mamba_ssm_cache_dtype": "float32",
    },
    name="hybrid",
)

# The name of a vector, to the shape, the GPUs and the options that it was made with.
VECTORS: dict[str, tuple[ModelShape, int, dict[str, Any]]] = {
    "Llama-3.1-8B TP1 bf16": (LLAMA, 1, {}),
    "Llama-3.1-8B TP1 fp8 kv": (LLAMA, 1, {"kv_cache_dtype": "fp8"}),
    "Llama-3.3-70B TP4 bf16": (named("meta-llama/Llama-3.3-70B-Instruct"), 4, {}),
    "DeepSeek-V3 MLA bf16, any TP": (named("deepseek-ai/DeepSeek-V3"), 8, {"block_size": 64}),
    "DeepSeek-V3.2 MLA fp8_ds_mla (main KV only, no indexer)": (
        named("deepseek-ai/DeepSeek-V3"),
        8,
        {"kv_cache_dtype": "fp8_ds_mla"},
    ),
    "gpt-oss-20b bf16 (12 full + 12 SW128), TP1": (named("openai/gpt-oss-20b"), 1, {}),
    "hybrid 4 full + 28 mamba2 (synthetic), prefix caching on (align)": (HYBRID, 1, {}),
    "hybrid 4 full + 28 mamba2 (synthetic), prefix caching off (none)": (
        HYBRID,
        1,
        {"enable_prefix_caching": False},
    ),
}


def plan(
    shape: ModelShape | str = LLAMA,
    gpu: Gpu | str = H100,
    count: int = 1,
    release: VllmRelease | None = None,
    **engine: Any,
) -> MemoryPlan:
    """Return the plan of a model on some GPUs."""
    return MemoryPlan(
        shape=named(shape) if isinstance(shape, str) else shape,
        gpu=WholeGpu(gpu, count=count) if isinstance(gpu, str) else gpu,
        engine=EngineArgs(**engine),
        release=release or VllmRelease(),
    )


def vectors() -> list[dict[str, Any]]:
    """Return vLLM's own figures."""
    found: list[dict[str, Any]] = strategies.facts("vllm-0.33.0-kv-vectors.json")
    return found


def test_vectors_complete() -> None:
    """Every vector is compared."""
    assert set(VECTORS) == {one["name"] for one in vectors()}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str) -> None:
    """The cache is what vLLM's own planner makes it, to the byte."""
    expected = next(one for one in vectors() if one["name"] == name)
    shape, count, engine = VECTORS[name]
    # Two batches are on their way at once.
    half = expected["max_in_flight_tokens"] // 2
    # The vectors are those of the planner, which knows nothing of CUDA graphs.
    engine = {"enforce_eager": True, **engine}
    found = plan(shape, count=count, max_num_batched_tokens=half, **engine)

    assert found.max_model_len == expected["max_model_len"]
    assert found.kv_bytes_per_block == expected["bytes_per_block"]
    assert found.kv_bytes_needed == expected["needed_bytes"] == expected["sum_per_layer_bytes"]
    assert found.kv_bytes_at_least == expected["min_available_bytes"]
    assert list(found.block_sizes) == expected["group_block_sizes"]
    assert list(found.layers_per_group) == expected["layers_per_group"]


@pytest.mark.parametrize("tensor", [1, 2, 4, 8, 16])
def test_latent_everywhere(tensor: int) -> None:
    """Latent attention takes the same on every GPU, however many there are."""
    found = plan("deepseek-ai/DeepSeek-V3", "NVIDIA-H100-PCIe", tensor)

    assert found.kv_bytes_needed == 11_513_364_480


def test_repeated_heads() -> None:
    """More GPUs than key and value heads save no more cache."""
    needed = [
        plan("meta-llama/Llama-3.3-70B-Instruct", "NVIDIA-H100-PCIe", count).kv_bytes_needed
        for count in (4, 8, 16)
    ]

    assert needed == [10_737_418_240, 5_368_709_120, 5_368_709_120]


def measured() -> list[tuple[str, dict[str, Any]]]:
    """Return all runs of a real engine, with the file that each is from."""
    names = ("h100-measured.json", "h100-measured-2.json")
    return [(name, run) for name in names for run in strategies.facts(name)["runs"]]


def measured_shape(name: str) -> ModelShape:
    """Return the shape that was measured: of Gemma 3, the text model alone."""
    config = catalog()[name]["config"]
    return ModelShape.from_config(config.get("text_config", config), name=name)


def test_measured() -> None:
    """The measured runs are predicted: weights within 1 %, cache and its tokens within 3 %."""
    assert len(measured()) == 12
    for _, run in measured():
        given_ = {
            "max_num_batched_tokens": run["max_num_batched_tokens"],
            "max_num_seqs": run["max_num_seqs"],
        }
        engine = given_ | run["options"]
        count = engine.get("tensor_parallel_size", 1)
        found = plan(measured_shape(run["model"]), count=count, release=OLD, **engine)

        assert found.requested / GIB == pytest.approx(run["requested_gib"], rel=0.001)
        assert found.weights / GIB == pytest.approx(run["weights_gib"], rel=0.005)
        assert found.activations / GIB == pytest.approx(run["activation_peak_gib"], rel=0.13)
        assert found.kv_cache / GIB == pytest.approx(run["available_kv_gib"], rel=0.005)
        assert found.kv_tokens == pytest.approx(run["kv_cache_tokens"], rel=0.005)
        assert found.concurrency == pytest.approx(run["max_concurrency"], rel=0.005)
        assert found.kv_blocks == pytest.approx(run["num_gpu_blocks"], rel=0.005)
        assert found.verdict == "fits"
        assert found.block_sizes[0] == run["block_size"]
        groups = run.get("groups")
        if groups:
            assert [one["layers"] for one in groups] == list(found.layers_per_group)
        graphs = run["cuda_graphs_gib"]
        assert found.cuda_graphs / GIB == pytest.approx(graphs or 0, abs=0.15)


def test_later_release() -> None:
    """Newer releases profile more, so their cache is smaller, but not by much."""
    for _, run in measured():
        given_ = {"max_num_batched_tokens": run["max_num_batched_tokens"]}
        engine = given_ | run["options"]
        count = engine.get("tensor_parallel_size", 1)
        found = plan(measured_shape(run["model"]), count=count, **engine)

        assert found.kv_cache / GIB <= 1.005 * run["available_kv_gib"]
        assert found.kv_cache / GIB == pytest.approx(run["available_kv_gib"], rel=0.08)


def test_exact() -> None:
    """What follows from sizes alone is told from what is estimated."""
    found = plan()

    assert set(found.exact) == {"kv_bytes_per_token", "kv_bytes_per_block", "kv_bytes_needed"}
    assert {"weights", "activations", "cuda_graphs", "kv_tokens"} <= set(found.estimated)
    assert not set(found.exact) & set(found.estimated)
    assert found.exact["kv_bytes_per_token"] == 131072


def test_given_cache() -> None:
    """A cache whose size is given is exact, so that its verdict has no margin."""
    given_: dict[str, Any] = {"gpu": "NVIDIA-H100-80GB-HBM3", "max_model_len": 32768}
    needed = plan(**given_).kv_bytes_at_least
    enough = plan(**given_, kv_cache_memory_bytes=str(needed))
    less = plan(**given_, kv_cache_memory_bytes=str(needed - 1))

    assert {"kv_cache", "kv_tokens", "kv_bytes_needed"} <= set(enough.exact)
    assert set(enough.exact).isdisjoint(enough.estimated)
    assert (enough.verdict, less.verdict) == ("fits", "too large")
    assert less.suggestions[0].kind == "kv_cache_memory_bytes"
    better = plan(**given_, kv_cache_memory_bytes=less.suggestions[0].value)
    assert better.verdict == "fits"
    assert better.kv_cache - needed < 64 * 2**20


def test_given_cache_too_large() -> None:
    """A cache that leaves no room for the rest is refused, with the size that does."""
    found = plan(gpu="NVIDIA-L4", max_model_len=4096, kv_cache_memory_bytes="8G")

    assert found.verdict == "too large"
    assert "kv_cache_memory_bytes leave -" in found.sentence
    better = plan(
        gpu="NVIDIA-L4", max_model_len=4096, kv_cache_memory_bytes=found.suggestions[0].value
    )
    assert (found.suggestions[0].kind, better.verdict) == ("kv_cache_memory_bytes", "fits")


def test_as_dict() -> None:
    """All figures are plain JSON."""
    found = plan("Qwen/Qwen3-32B", "NVIDIA-L40S").as_dict()

    assert json.loads(json.dumps(found)) == found
    assert found["verdict"] == "too large"
    assert found["parameters"] == 32_762_123_264
    assert found["suggestions"]


def test_explain() -> None:
    """The text has the verdict, every figure of the budget and what would fit."""
    text = plan("Qwen/Qwen3-32B", "NVIDIA-L40S").explain()

    assert text.startswith("Qwen/Qwen3-32B on 1 x NVIDIA-L40S: too large\n")
    for word in ("weights", "activations", "CUDA graphs", "exact", "estimate", "what fits: 2 x"):
        assert word in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_too_large() -> None:
    """What cannot fit is refused with numbers and the nearest thing that does."""
    sentence = strategies.refusal(lambda: plan(gpu="NVIDIA-L4").check("ModelDeployment"))

    assert re.fullmatch(
        r"ModelDeployment: meta-llama/Llama-3\.1-8B-Instruct does not fit on 1 x NVIDIA-L4: "
        r"one request of 131072 tokens needs 16\.00 GiB of KV cache, and weights of 14\.99 GiB "
        r"leave \d\.\d\d GiB per GPU; what fits: max_model_len=\d+, 2 x NVIDIA-L4 .*\.",
        sentence,
    )


def test_too_large_weights() -> None:
    """Weights that are too much alone are named as the reason."""
    sentence = strategies.refusal(plan("Qwen/Qwen3-32B", "NVIDIA-L4").check)

    assert "weights take 61." in sentence


def test_tight() -> None:
    """What depends on the estimates is warned about, on both sides."""
    longest = plan(gpu="NVIDIA-L4", max_model_len="auto").max_model_len
    for length, words in ((longest - 16, "probably fits"), (longest + 16, "probably does not fit")):
        found = plan(gpu="NVIDIA-L4", max_model_len=length)
        assert (found.verdict, found.is_tight) == ("tight", True)
        with pytest.warns(VllmConstructsWarning, match=words):
            found.check()


def test_fits() -> None:
    """What fits is silent."""
    found = plan(max_model_len=8192)

    assert (found.verdict, found.fits, found.is_tight) == ("fits", True, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check()


def test_problem() -> None:
    """A verdict has its problem, whose kind says whether it is certain."""
    fits, large = plan(max_model_len=8192), plan("Qwen/Qwen3-32B", "NVIDIA-L4")
    tight = plan(gpu="NVIDIA-L4", max_model_len=plan(gpu="NVIDIA-L4", max_model_len=16).kv_tokens)

    assert (None, "fits") == (fits.problem, fits.verdict)
    assert large.problem is not None
    assert ("does not fit", "too large") == (large.problem.kind, large.verdict)
    assert tight.problem is not None
    assert ("invalid", "tight") == (tight.problem.kind, tight.verdict)
    for one in (large, tight):
        assert one.problem is not None
        assert one.problem.sentence() == one.sentence


def test_spelling() -> None:
    """Options stand in sentence and explanation as their reader writes them."""
    found = plan("Qwen/Qwen3-8B", "NVIDIA-L4", max_model_len=32768, kv_cache_memory_bytes="1G")

    assert found.problem is not None
    assert "kv_cache_memory_bytes gives 1.00 GiB" in found.sentence
    assert "--kv-cache-memory-bytes gives 1.00 GiB" in found.problem.sentence(as_flags)
    assert (
        "what fits: kv_cache_dtype='fp8'" in plan(gpu="NVIDIA-L4", max_model_len=40_000).explain()
    )
    flags = plan(gpu="NVIDIA-L4", max_model_len=40_000).explain(as_flags)
    assert "what fits: --kv-cache-dtype=fp8 (" in flags
    assert "what fits: --quantization=fp8 (" in flags
    assert not {"{", "}"} & set(found.sentence + flags)


@pytest.mark.parametrize(
    ("gpu", "name"),
    [
        (MigSlice("1g.10gb", product=H100), f"MIG slice 1g.10gb of {H100}"),
        (MigSlice("1g.10gb"), "MIG slice 1g.10gb of any GPU"),
        (TimeSlicedGpu("NVIDIA-L4", replicas=3), "NVIDIA-L4 shared by 3 pods"),
        (VirtualGpu(memory_mib=8192), "a virtual GPU"),
        (WholeGpu("NVIDIA-L4", count=2), "2 x NVIDIA-L4"),
    ],
)
def test_names(gpu: Gpu, name: str) -> None:
    """Each kind of GPU is called what people call it."""
    assert f" on {name}: " in plan(gpu=gpu).explain()


def test_shared() -> None:
    """A pod on a shared GPU plans with its share."""
    whole, shared = (
        plan("Qwen/Qwen3-0.6B", "NVIDIA-L4"),
        plan("Qwen/Qwen3-0.6B", TimeSlicedGpu("NVIDIA-L4", replicas=2)),
    )

    assert shared.gpu_memory == whole.gpu_memory
    assert shared.gpu_memory_utilization == 0.45
    assert shared.requested < whole.requested / 2


def test_known_cases() -> None:
    """What people run every day fits, and what they found not to fit does not."""
    fits = [
        plan("openai/gpt-oss-120b", H100),
        plan("deepseek-ai/DeepSeek-R1", "NVIDIA-H200", 8),
        plan("meta-llama/Llama-3.3-70B-Instruct", H100, 4),
        plan("Qwen/Qwen2.5-7B-Instruct", "NVIDIA-L4"),
        plan("Qwen/Qwen2.5-32B-Instruct-AWQ", "NVIDIA-L40S"),
    ]
    too_large = [
        plan("deepseek-ai/DeepSeek-R1", H100, 8),
        plan("meta-llama/Llama-3.1-405B-Instruct", H100, 8),
        plan("meta-llama/Llama-3.3-70B-Instruct", H100),
        plan("Qwen/Qwen2.5-7B-Instruct", "Tesla-T4"),
    ]

    assert {one.verdict for one in fits} == {"fits"}
    assert {one.verdict for one in too_large} == {"too large"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"shape": "Qwen/Qwen3-0.6B"}, "expected a ModelShape"),
        ({"gpu": "NVIDIA-L4"}, "expected a WholeGpu"),
        ({"engine": {}}, "expected an EngineArgs"),
        ({"release": "0.33.0"}, "expected a VllmRelease"),
    ],
)
def test_refused(changes: dict[str, Any], part: str) -> None:
    """What is of another kind is refused."""
    right = {"shape": LLAMA, "gpu": WholeGpu("NVIDIA-L4")}
    arguments: dict[str, Any] = right | changes

    assert part in strategies.refusal(lambda: MemoryPlan(**arguments))


NAMES = st.sampled_from(sorted(catalog()))
PRODUCTS = st.sampled_from(sorted(gpus()))
FEW = settings(max_examples=150, deadline=None)


@FEW
@given(name=NAMES, product=PRODUCTS, length=st.integers(16, 2048), more=st.integers(1, 2048))
def test_longer(name: str, product: str, length: int, more: int) -> None:
    """Longer requests need no less and leave no more to spare."""
    short = plan(name, product, max_model_len=length, hf_overrides={"rope_theta": 1})
    long = plan(name, product, max_model_len=length + more, hf_overrides={"rope_theta": 1})

    assert short.kv_bytes_needed <= long.kv_bytes_needed
    assert short.spare >= long.spare


@FEW
@given(name=NAMES, product=PRODUCTS, count=st.sampled_from([1, 2, 4, 8]))
def test_more_gpus(name: str, product: str, count: int) -> None:
    """Twice the GPUs never have fewer tokens."""
    length: dict[str, Any] = {"max_model_len": min(named(name).longest or 4096, 8192)}
    try:
        twice = plan(name, product, 2 * count, **length)
    except VllmConstructsError:
        assume(False)  # noqa: FBT003  # hypothesis' own way to say so
    once = plan(name, product, count, **length)

    assert once.weights >= twice.weights
    assert once.kv_tokens <= twice.kv_tokens


@FEW
@given(name=NAMES, product=PRODUCTS)
def test_fp8_cache(name: str, product: str) -> None:
    """A cache of eight bits has at least twice the tokens."""
    assume(named(name).recurrent is None)
    wide, narrow = plan(name, product), plan(name, product, kv_cache_dtype="fp8")

    assert 2 * wide.kv_tokens <= narrow.kv_tokens
    assert wide.concurrency * 2 <= narrow.concurrency


@FEW
@given(name=NAMES, product=PRODUCTS, share=st.floats(0.2, 0.9))
def test_larger_share(name: str, product: str, share: float) -> None:
    """A larger share of the memory never has fewer tokens."""
    length: dict[str, Any] = {"max_model_len": 1024, "hf_overrides": {"rope_theta": 1}}
    less = plan(name, product, gpu_memory_utilization=share, **length)
    more = plan(name, product, gpu_memory_utilization=share + 0.05, **length)

    assert less.kv_tokens <= more.kv_tokens


@FEW
@given(name=NAMES, product=PRODUCTS)
def test_deterministic(name: str, product: str) -> None:
    """The same question has the same answer, and `auto` one that fits if anything does."""
    length: dict[str, Any] = {"max_model_len": min(named(name).longest or 4096, 8192)}
    first, second = plan(name, product, **length), plan(name, product, **length)

    assert first == second
    assert first.explain() == second.explain()
    assert first.as_dict() == second.as_dict()
    if named(name).longest:
        auto = plan(name, product, max_model_len="auto")
        assert not auto.fits or auto.concurrency >= 1


@FEW
@given(name=NAMES, product=PRODUCTS, pipeline=st.sampled_from([1, 2, 3, 4]))
def test_tokens(name: str, product: str, pipeline: int) -> None:
    """Tokens, blocks and requests say the same, and fit exactly where one request does."""
    length: dict[str, Any] = {"max_model_len": min(named(name).longest or 4096, 8192)}
    found = plan(name, product, pipeline, pipeline_parallel_size=pipeline, **length)

    assert found.kv_tokens == int(found.concurrency * found.max_model_len)
    assert found.kv_blocks * found.kv_bytes_per_block <= max(found.kv_cache, 0)
    if found.fits:
        assert found.concurrency >= 1
        assert found.kv_cache >= found.kv_bytes_at_least


def test_sentence_that_fits() -> None:
    """A model with room is said to fit, and nothing else is proposed."""
    found = plan("Qwen/Qwen3-0.6B", "NVIDIA-L40S").sentence

    assert found.startswith("Qwen/Qwen3-0.6B fits on 1 x NVIDIA-L40S: one request of 40960 tokens")
    assert found.endswith(" per GPU.")


def test_auto_is_estimated() -> None:
    """What follows from an estimated length is no exact figure."""
    fixed = plan("Qwen/Qwen3-8B", "NVIDIA-L4", max_model_len=4096)
    auto = plan("Qwen/Qwen3-8B", "NVIDIA-L4", max_model_len="auto")

    assert "kv_bytes_needed" in fixed.exact
    assert "kv_bytes_needed" not in fixed.estimated
    assert "kv_bytes_needed" in auto.estimated
    assert "kv_bytes_needed" not in auto.exact
    assert " exact" in fixed.explain().partition("KV cache of 4096 tokens")[2].splitlines()[0]
    rest = auto.explain().partition(f"KV cache of {auto.max_model_len} tokens")[2]
    assert " estimate" in rest.splitlines()[0]


class TestFullHeads:
    """Models whose layers with full attention have other heads than the sliding ones."""

    CONFIG: ClassVar[dict[str, Any]] = {
        "model_type": "gemma4_text",
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_hidden_layers": 60,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "num_global_key_value_heads": 4,
        "head_dim": 256,
        "global_head_dim": 512,
        "sliding_window": 1024,
        "layer_types": [
            "full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(60)
        ],
        "vocab_size": 262144,
        "max_position_embeddings": 262144,
        "tie_word_embeddings": True,
    }

    def made(self, length: int, tensor: int = 1) -> MemoryPlan:
        """A plan of Gemma 4 with 31 billion parameters."""
        return MemoryPlan(
            shape=ModelShape.from_config(self.CONFIG, name="gemma-4-31b"),
            gpu=WholeGpu("NVIDIA-H200", count=tensor),
            engine=EngineArgs(max_model_len=length, max_num_batched_tokens=8192),
        )

    @pytest.mark.parametrize(("length", "blocks"), [(262_144, 13_637), (65_536, 7_493)])
    def test_cache(self, length: int, blocks: int) -> None:
        """A block of a full layer has twice the tokens, so that all pages are equal."""
        found = self.made(length)
        assert 2_621_440 == found.kv_bytes_per_block
        assert blocks * 2_621_440 == found.kv_bytes_needed
        assert {16, 32} == set(found.block_sizes)
        assert 10 * 8192 + 50 * 16_384 == found.kv_bytes_per_token

    def test_weights(self) -> None:
        """The matrices of full layers have their own sizes."""
        shape = ModelShape.from_config(self.CONFIG, name="gemma-4-31b")
        assert (4, 512) == shape.heads_of("full")
        assert (16, 256) == shape.heads_of("sliding")
        assert shape.parameters == pytest.approx(30.8e9, rel=0.01)
        plain = replace(shape, full_key_value_heads=0, full_head_dim=0)
        assert (16, 256) == plain.heads_of("full")
        # Queries and output of 16384 columns instead of 8192, keys and values of 2048 each instead
        # of 4096, and their norms.
        more = 10 * (2 * 5376 * 8192 - 2 * 5376 * 2048 + 2 * 256)
        assert more == shape.parameters - plain.parameters

    def test_larger_full_layers(self) -> None:
        """Where full layers keep more of a token, the blocks of the others have more tokens."""
        config = self.CONFIG | {"num_global_key_value_heads": 16}
        shape = ModelShape.from_config(config, name="other")
        found = MemoryPlan(shape=shape, gpu=WholeGpu("NVIDIA-H200"))
        assert {16, 32} == set(found.block_sizes)
        assert 10 * 16 * 32_768 == found.kv_bytes_per_block

    def test_split(self) -> None:
        """Heads of both kinds are split over GPUs, or repeated on them."""
        assert 4 == len({self.made(65_536, tensor).kv_bytes_needed for tensor in (1, 2, 4, 8)})
        shape = ModelShape.from_config(self.CONFIG | {"num_global_key_value_heads": 6}, name="odd")
        with pytest.raises(VllmConstructsError, match="odd has 6 key and value heads"):
            MemoryPlan(shape=shape, gpu=WholeGpu("NVIDIA-H200", count=4))


def test_token_seconds() -> None:
    """A token reads every weight once: of experts those that work on it, of embeddings one row."""
    dense = plan("Qwen/Qwen3-8B", H100, max_model_len=4096).token_seconds
    experts = plan("Qwen/Qwen3-30B-A3B", H100, max_model_len=4096).token_seconds
    assert dense is not None
    assert experts is not None
    # 8.2 billion parameters less the input embedding, and 3.3 billion active ones.
    assert dense == pytest.approx((8.19e9 - 151936 * 4096) * 2 / 3.35e12, rel=0.01)
    assert experts == pytest.approx((3.35e9 - 151936 * 2048) * 2 / 3.35e12, rel=0.03)
    half = plan("Qwen/Qwen3-8B", H100, 2, max_model_len=4096)
    assert half.token_seconds == pytest.approx(dense / 2, rel=0.01)
    assert "one token takes at least" in half.explain()
    assert re.search(r"links between GPUs +NVLink", half.explain())
    assert re.search(r"links between GPUs +PCIe", plan(gpu="NVIDIA-L4", count=2).explain())
    assert plan("Qwen/Qwen2.5-0.5B-Instruct", MigSlice("1g.10gb")).token_seconds is None


NEXT = "Qwen/Qwen3-Next-80B-A3B-Instruct"
STATES: dict[str, Any] = {
    "max_model_len": 4096,
    "max_num_seqs": 1024,
    "kv_cache_memory_bytes": "2G",
}


def test_states() -> None:
    """Each request of a batch needs a block for its state, or CUDA graphs cannot be captured."""
    found = plan(NEXT, count=4, **STATES)

    assert found.verdict == "too large"
    assert found.kv_blocks < 1024
    assert found.kv_bytes_at_least == 1024 * found.kv_bytes_per_block
    assert "the recurrent states of max_num_seqs=1024 requests need 3.19 GiB" in found.sentence
    blocks = found.kv_blocks
    assert plan(NEXT, count=4, **{**STATES, "max_num_seqs": blocks}).fits
    assert not plan(NEXT, count=4, **{**STATES, "max_num_seqs": blocks + 1}).fits


@pytest.mark.parametrize(
    ("changes", "release"),
    [
        ({"enforce_eager": True}, "v0.33.0"),
        ({"compilation_config": {"cudagraph_mode": "PIECEWISE"}}, "v0.33.0"),
        ({"compilation_config": {"cudagraph_mode": "none"}}, "v0.33.0"),
        ({"optimization_level": 1}, "v0.33.0"),
        ({}, "v0.19.1"),
    ],
)
def test_states_without_graphs(changes: dict[str, Any], release: str) -> None:
    """Without CUDA graphs of whole steps, requests wait for a free block."""
    image = VllmRelease(f"vllm/vllm-openai:{release}")

    assert plan(NEXT, count=4, release=image, **STATES, **changes).verdict == "fits"


def test_attention_has_no_states() -> None:
    """Models with attention only need no more than one request does."""
    found = plan("Qwen/Qwen3-32B", max_num_seqs=1024, max_model_len=64, kv_cache_memory_bytes="1G")

    assert found.kv_blocks < 1024
    assert found.fits


def test_host_memory() -> None:
    """Weights that are not on the GPUs are in the pod's memory, and no more than there are."""
    found = plan("Qwen/Qwen3-8B", count=2, max_model_len=4096, cpu_offload_gb=2)
    without = plan("Qwen/Qwen3-8B", count=2, max_model_len=4096)

    assert found.host_memory == 2 * 2 * 2**30
    assert found.weights == without.weights - 2 * 2**30
    assert (found.as_dict()["host_memory"], without.host_memory) == (found.host_memory, 0)
    assert "weights in the pod's memory" in found.explain()
    assert "the pod's memory" not in without.explain()
    every = plan("Qwen/Qwen3-8B", count=2, max_model_len=4096, cpu_offload_gb=100)
    assert (every.weights, every.host_memory) == (0, 2 * without.weights)


def test_host_kv_cache() -> None:
    """KV cache in the pod's memory is shown, twice as much for a hybrid model."""
    found = plan("Qwen/Qwen3-8B", count=2, max_model_len=4096, kv_offloading_size=8)
    hybrid = plan("openai/gpt-oss-20b", count=2, max_model_len=4096, kv_offloading_size=8)
    without = plan("Qwen/Qwen3-8B", count=2, max_model_len=4096)

    assert (8 * 2**30, 16 * 2**30, 0) == (
        found.host_kv_cache,
        hybrid.host_kv_cache,
        without.host_kv_cache,
    )
    assert found.as_dict()["host_kv_cache"] == found.host_kv_cache
    assert "KV cache in the pod's memory" in found.explain()
    assert "the pod's memory" not in without.explain()
    assert found.kv_blocks == without.kv_blocks
