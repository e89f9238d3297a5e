"""Fit: a plan for a model that is about to be deployed, or why there is none."""

from typing import Any

import pytest

from vllm_constructs import (
    EngineArgs,
    GpuPodSpec,
    HuggingFaceToken,
    MemoryPlan,
    MigSlice,
    ModelShape,
    Problem,
    VirtualGpu,
    VllmConstructsError,
    VllmConstructsWarning,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.accelerators.nvidia import Gpu
from vllm_constructs.memory import fit
from vllm_constructs.memory.shapes import is_named
from vllm_constructs.releases.release import catalog

QWEN = "Qwen/Qwen2.5-7B-Instruct"
L40S = WholeGpu("NVIDIA-L40S")
FLAGS = catalog()["flags"]


def known(flag: str) -> list[str]:
    """The values of a flag that vLLM knows."""
    found: dict[str, Any] = dict(FLAGS[flag])
    return list(found["known"])


def pod(**keywords: Any) -> GpuPodSpec:
    """A pod of a small model on a large GPU."""
    options: dict[str, Any] = {"model": QWEN, "gpu": L40S} | keywords
    return GpuPodSpec(**options)


def plan(**keywords: Any) -> MemoryPlan | None:
    """The plan of a pod without a shape of its own."""
    return fit.check_fit("a pod", pod(**keywords), None)


SHAPES = ("Qwen/Qwen3-8B", "Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-20b")


@pytest.mark.parametrize("flags", [{}, {"enable_lora": True, "max_model_len": 4096}])
@pytest.mark.parametrize("name", SHAPES)
def test_read(name: str, flags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flag that a plan looks at is known as one that it needs."""
    seen: set[str] = set()

    def look(engine: EngineArgs, attribute: str) -> Any:
        seen.add(attribute)
        return object.__getattribute__(engine, attribute)

    engine = EngineArgs(**flags)
    monkeypatch.setattr(EngineArgs, "__getattribute__", look)
    fit.plan_of(ModelShape.named(name), WholeGpu("NVIDIA-B200"), engine, VllmRelease())

    flags_seen = {one.replace("_", "-") for one in seen if not one.startswith("_")}
    flags_seen -= {"extra", "get"}
    assert len(flags_seen) > 25
    assert flags_seen - fit.READ == set()


def test_known_flags() -> None:
    """Each of them is a flag of the newest release."""
    assert {f"--{name}" for name in fit.READ} - set(FLAGS) == set()


class TestPlan:
    """Where a plan is made, and where none is."""

    def test_catalog(self) -> None:
        """A model of the catalog is planned with the pod's GPU, flags and release."""
        engine = EngineArgs(max_model_len=4096)
        image = "vllm/vllm-openai:v0.19.0"
        found = plan(engine=engine, image=image)
        expected = MemoryPlan(
            shape=ModelShape.named(QWEN), gpu=L40S, engine=engine, release=VllmRelease(image)
        )
        assert expected == found
        assert 0.9 == expected.gpu_memory_utilization

    def test_shape(self) -> None:
        """A shape that is given is planned, whatever the model is called."""
        shape = ModelShape.named("Qwen/Qwen3-8B")
        found = fit.check_fit("a pod", pod(model="/model-cache/mine"), shape)
        assert found is not None
        assert shape == found.shape

    def test_shape_first(self) -> None:
        """A shape that is given goes before the one of the catalog."""
        shape = ModelShape.named("Qwen/Qwen3-8B")
        found = fit.check_fit("a pod", pod(), shape)
        assert found is not None
        assert shape == found.shape

    @pytest.mark.parametrize(
        "keywords",
        [
            {"model": "a/b"},
            {"model": "/model-cache/Qwen2.5-7B-Instruct"},
            {"gpu": VirtualGpu("GRID-A100D-40C")},
            {"engine": EngineArgs(quantization="torchao")},
            {"engine": EngineArgs(spec_model="a/draft", spec_tokens=3)},
            {"engine": EngineArgs(speculative_config={"method": "eagle3", "model": "a/b"})},
            {"engine": EngineArgs(kv_cache_dtype="turboquant_k8v4")},
            {"engine": EngineArgs(hf_overrides={"num_hidden_layers": 2})},
            {"engine": EngineArgs(hf_overrides={"rope_scaling": {"factor": 4.0}})},
            {"engine": EngineArgs(max_model_len=65536), "env": {fit.LONGER: "1"}},
            {"engine": EngineArgs(max_model_len=65536), "env": {fit.LONGER: "true"}},
        ],
        ids=lambda keywords: str(keywords)[:60],
    )
    def test_none(self, keywords: dict[str, Any]) -> None:
        """Without a shape, a memory, or figures for a flag there is no plan, and no refusal."""
        assert plan(**keywords) is None

    def test_scaled(self) -> None:
        """Scaled positions are planned for the length that is given."""
        overrides: dict[str, Any] = {"rope_scaling": {"factor": 4.0, "rope_type": "yarn"}}
        found = plan(engine=EngineArgs(hf_overrides=overrides, max_model_len=65536))
        assert found is not None
        assert 65536 == found.max_model_len

    def test_no_draft(self) -> None:
        """Tokens that are guessed without a model take no memory of their own."""
        engine = EngineArgs(speculative_config={"method": "ngram", "num_speculative_tokens": 3})
        assert plan(engine=engine) is not None

    @pytest.mark.parametrize(
        ("flag", "keyword"),
        [("--kv-cache-dtype", "kv_cache_dtype"), ("--quantization", "quantization")],
    )
    @pytest.mark.parametrize("model", [QWEN, "deepseek-ai/DeepSeek-V2-Lite-Chat"])
    def test_every_value(self, flag: str, keyword: str, model: str) -> None:
        """No value that vLLM knows is refused for lack of a figure."""
        values = known(flag)
        assert "fp8" in values
        gpu = WholeGpu("NVIDIA-B200")
        options: list[dict[str, Any]] = [{keyword: one} for one in values]
        engines = [EngineArgs(max_model_len=4096, **one) for one in options]
        plans = [plan(model=model, gpu=gpu, engine=engine) for engine in engines]
        assert {"fits"} == {found.verdict for found in plans if found is not None}


class TestRefusal:
    """What does not fit."""

    def test_variables(self) -> None:
        """Variables choose the model runner, so that the plan reads them."""
        shape, release = ModelShape.named(QWEN), VllmRelease("vllm/vllm-openai:v0.33.0")
        first = fit.plan_of(shape, L40S, EngineArgs(), release, {"VLLM_USE_V2_MODEL_RUNNER": "0"})
        second = fit.plan_of(shape, L40S, EngineArgs(), release)

        assert isinstance(first, MemoryPlan)
        assert isinstance(second, MemoryPlan)
        assert first.activations != second.activations

    def test_too_large(self) -> None:
        """A model that is too large is refused with the numbers and what does fit."""
        with pytest.raises(VllmConstructsError) as refused:
            plan(
                model="meta-llama/Llama-3.1-8B-Instruct",
                gpu=WholeGpu("NVIDIA-L4"),
                hf_token=HuggingFaceToken.from_secret("hf"),
            )
        assert str(refused.value) == (
            "a pod: meta-llama/Llama-3.1-8B-Instruct does not fit on 1 x NVIDIA-L4: one request "
            "of 131072 tokens needs 16.00 GiB of KV cache, and weights of 14.99 GiB leave 3.57 "
            "GiB per GPU; what fits: max_model_len=22528, 2 x NVIDIA-L4 (1.4 requests at once), "
            "1 x NVIDIA-A100-PCIE-40GB (1.2 requests at once)."
        )

    def test_tight(self) -> None:
        """A tight one is warned about, and has its plan."""
        gpu = WholeGpu("NVIDIA-A100-SXM4-80GB", count=2)
        with pytest.warns(
            VllmConstructsWarning, match="a pod: .* probably does not fit on .* the error margin"
        ):
            found = plan(
                model="Qwen/Qwen2.5-72B-Instruct",
                gpu=gpu,
                engine=EngineArgs(max_model_len=28672),
            )
        assert found is not None
        assert "tight" == found.verdict

    @pytest.mark.parametrize(
        ("keywords", "sentence"),
        [
            (
                {"model": "Qwen/Qwen2.5-14B-Instruct", "gpu": WholeGpu("NVIDIA-L40S", count=3)},
                "40 attention heads, which cannot be split over 3 GPUs",
            ),
            (
                {"engine": EngineArgs(max_num_seqs=4096), "gpu": WholeGpu("NVIDIA-A10")},
                "more than the 2048 tokens of a batch on this GPU",
            ),
            (
                {
                    "engine": EngineArgs(
                        data_parallel_size=2,
                        data_parallel_size_local=2,
                        data_parallel_multi_port_external_lb=True,
                    ),
                    "gpu": WholeGpu("NVIDIA-L40S", count=2),
                },
                "has no experts, so vLLM would not start; use replicas",
            ),
            (
                {"engine": EngineArgs(max_model_len=65536)},
                r"supports 32768 tokens.*if its config\.json allows more, give shape=",
            ),
            (
                {"engine": EngineArgs(max_model_len=65536), "env": {fit.LONGER: "0"}},
                "supports 32768 tokens",
            ),
        ],
        ids=["heads", "requests", "balancing", "longer", "longer-not-allowed"],
    )
    def test_start(self, keywords: dict[str, Any], sentence: str) -> None:
        """What vLLM itself refuses at start is refused."""
        with pytest.raises(VllmConstructsError, match=sentence):
            plan(**keywords)

    @pytest.mark.parametrize("shape", [QWEN, {"hidden_size": 1}, 1])
    def test_no_shape(self, shape: Any) -> None:
        """What is no ModelShape is refused with how to make one."""
        with pytest.raises(VllmConstructsError, match=r"shape is .*ModelShape\.named"):
            fit.check_fit("a pod", pod(), shape)


class TestKind:
    """What kind of problem it is."""

    @pytest.mark.parametrize(
        ("engine", "gpu", "env"),
        [
            (EngineArgs(quantization="torchao"), L40S, {}),
            (EngineArgs(hf_overrides={"num_hidden_layers": 2}), L40S, {}),
            (EngineArgs(spec_model="a/draft", spec_tokens=3), L40S, {}),
            (EngineArgs(offload_backend="uva"), L40S, {}),
            (EngineArgs(), VirtualGpu("GRID-A100D-40C"), {}),
            (EngineArgs(max_model_len=65536), L40S, {fit.LONGER: " TRUE "}),
        ],
    )
    def test_not_counted(self, engine: EngineArgs, gpu: Gpu, env: dict[str, str]) -> None:
        """A plan that cannot be made is a problem that rejects nothing."""
        found = fit.plan_of(ModelShape.named(QWEN), gpu, engine, VllmRelease(), env)
        assert isinstance(found, Problem)
        assert "not counted" == found.kind

    @pytest.mark.parametrize(
        ("engine", "gpu"),
        [
            (EngineArgs(), WholeGpu("NVIDIA-L40S", count=3)),
            (EngineArgs(tensor_parallel_size=2), L40S),
            (EngineArgs(tensor_parallel_size=2), MigSlice("1g.10gb")),
            (EngineArgs(pipeline_parallel_size=2), WholeGpu("NVIDIA-L40S", count=3)),
            (EngineArgs(max_model_len=65536), L40S),
            (EngineArgs(max_num_seqs=4096), L40S),
            (
                EngineArgs(
                    data_parallel_size=2,
                    data_parallel_size_local=2,
                    data_parallel_multi_port_external_lb=True,
                ),
                WholeGpu("NVIDIA-L40S", count=2),
            ),
        ],
    )
    def test_does_not_fit(self, engine: EngineArgs, gpu: Gpu) -> None:
        """What vLLM rejects of the model on this GPU does not fit there."""
        with pytest.raises(VllmConstructsError) as caught:
            fit.plan_of(ModelShape.named(QWEN), gpu, engine, VllmRelease())
        assert "does not fit" == caught.value.problem.kind

    def test_too_large(self) -> None:
        """A model that is too large has a plan, and is rejected where it is checked."""
        found = fit.plan_of(ModelShape.named("Qwen/Qwen3-32B"), L40S, EngineArgs(), VllmRelease())
        assert isinstance(found, MemoryPlan)
        assert "too large" == found.verdict
        with pytest.raises(VllmConstructsError) as caught:
            plan(model="Qwen/Qwen3-32B")
        assert "does not fit" == caught.value.problem.kind
        assert caught.value.problem.text.startswith("a pod: Qwen/Qwen3-32B does not fit on")


def test_names() -> None:
    """Every name of the catalog has a shape, its other names too; no other name has one."""
    assert is_named("Qwen/Qwen2.5-Coder-7B-Instruct")
    assert not is_named("a/b")
    found = fit.shape_of("Qwen/Qwen2.5-Coder-7B-Instruct")
    assert found is not None
    assert "Qwen/Qwen2.5-Coder-7B-Instruct" == found.name
    assert fit.shape_of("a/b") is None


def test_slice() -> None:
    """A slice is planned with its own memory."""
    with pytest.raises(VllmConstructsError, match=r"does not fit on MIG slice 1g\.10gb"):
        plan(gpu=MigSlice("1g.10gb"))


def test_misspelled() -> None:
    """A model that the catalog has under nearly the same name is warned about, and not planned."""
    with pytest.warns(VllmConstructsWarning, match="by a letter; did you mean") as said:
        assert plan(model="Qwen/Qwen2.5-7B-Instuct") is None
    assert 1 == len(said)
    shape = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
    assert fit.check_fit("a pod", pod(model="Qwen/Qwen2.5-7B-Instuct"), shape) is not None


def test_hybrid() -> None:
    """A model with layers of several kinds is hybrid; one that is not known is not."""
    dense = ModelShape.named("Qwen/Qwen3-8B")

    assert fit.is_hybrid("openai/gpt-oss-20b", None)
    assert not fit.is_hybrid("openai/gpt-oss-20b", dense)
    assert not fit.is_hybrid("Qwen/Qwen3-8B", None)
    for unknown in ("my-org/mine", None, 7):
        assert not fit.is_hybrid(unknown, None)
