"""Model checks: a gated model, files that no volume has, parsers of other models."""

import warnings
from typing import Any

import pytest

from vllm_constructs import (
    EngineArgs,
    ExistingClaim,
    GpuPodSpec,
    HuggingFaceToken,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.releases.release import built_in
from vllm_constructs.workloads import model_checks

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
QWEN = "Qwen/Qwen2.5-7B-Instruct"
TOKEN = HuggingFaceToken.from_secret("hf")


def warned(model: str = QWEN, engine: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """Return what is warned about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VllmConstructsWarning)
        GpuPodSpec(
            model=model,
            gpu=WholeGpu("NVIDIA-L40S"),
            engine=EngineArgs(**(engine or {})),
            **options,
        )
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    "model",
    [LLAMA, "google/gemma-3-4b-it", "mistralai/Mixtral-8x7B-v0.1", "CohereLabs/c4ai-command-r-v01"],
)
def test_gated(model: str) -> None:
    """A gated model needs a token, unless nothing is downloaded from the Hub."""
    (sentence,) = warned(model)

    assert sentence.startswith(f"model is {model!r}, which is gated on the Hugging Face Hub")
    assert "give hf_token=HuggingFaceToken.from_secret(...)" in sentence
    assert warned(model, hf_token=TOKEN) == []
    assert warned(model, env={"HF_ENDPOINT": "https://mirror.example.com"}) == []
    assert warned(model, cache=ExistingClaim("weights", access="ReadOnlyMany")) == []


@pytest.mark.parametrize(
    "model", [QWEN, "google/gemma-4-31b-it", "google/flan-t5-xl", "bigcode/starcoder2-7b", "gpt2"]
)
def test_not_gated(model: str) -> None:
    """Other models need none."""
    assert warned(model) == []


@pytest.mark.parametrize(
    ("engine", "where"),
    [
        ({"chat_template": "./chat.jinja"}, "EngineArgs.chat_template"),
        ({"chat_template": "chat.jinja"}, "EngineArgs.chat_template"),
        ({"tokenizer": "/models/tokenizer"}, "EngineArgs.tokenizer"),
        ({"tool_parser_plugin": "/etc/vllm/parser.py"}, "EngineArgs.tool_parser_plugin"),
        (
            {"enable_lora": True, "lora_modules": ['{"name": "a", "path": "/adapters/a"}']},
            "EngineArgs.lora_modules",
        ),
        ({"enable_lora": True, "lora_modules": ["a=/adapters/a"]}, "EngineArgs.lora_modules"),
    ],
)
def test_files(engine: dict[str, Any], where: str) -> None:
    """A file or folder that no volume has is warned about, with where to put it."""
    (sentence,) = warned(engine=engine)

    assert sentence.startswith(f"{where} is ")
    assert "which no volume of the pod has" in sentence
    assert "the cache, which is mounted at /model-cache" in sentence
    # An image of one's own may have it.
    assert warned(engine=engine, image="registry.example.com/mine:1", vllm="0.33.0") == []


@pytest.mark.parametrize(
    "engine",
    [
        {"chat_template": "/model-cache/chat.jinja"},
        {"chat_template": "/vllm-workspace/examples/tool_chat_template_hermes.jinja"},
        {"chat_template": "{{ messages }}"},
        {"tokenizer": "Qwen/Qwen2.5-7B-Instruct"},
        {"generation_config": "vllm"},
        {"enable_lora": True, "lora_modules": ["a=org/adapter"]},
    ],
)
def test_no_files(engine: dict[str, Any]) -> None:
    """What is in the cache, in the image, inline or a repository is there."""
    assert warned(engine=engine) == []


def test_model_path() -> None:
    """The model may be a folder, too."""
    assert len(warned("/models/mine")) == 1
    assert warned("/model-cache/mine") == []


@pytest.mark.parametrize(
    ("model", "engine", "expected"),
    [
        (QWEN, {"tool_call_parser": "mistral"}, "mistral"),
        (QWEN, {"tool_call_parser": "llama4_pythonic"}, "llama"),
        (LLAMA, {"tool_call_parser": "qwen3_xml"}, None),
        (LLAMA, {"reasoning_parser": "openai_gptoss"}, "gpt-oss"),
        ("zai-org/GLM-4.5-Air", {"tool_call_parser": "kimi_k2"}, "kimi"),
        ("openai/gpt-oss-20b", {"tool_call_parser": "openai"}, None),
        ("mistralai/Magistral-Small-2506", {"reasoning_parser": "mistral"}, None),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", {"reasoning_parser": "qwen3"}, None),
        ("Qwen/Qwen3-8B", {"reasoning_parser": "deepseek_r1"}, None),
        (QWEN, {"tool_call_parser": "hermes"}, None),
        ("my-org/mine", {"tool_call_parser": "mistral"}, None),
    ],
)
def test_parsers(model: str, engine: dict[str, Any], expected: str | None) -> None:
    """A parser of another family than the model's is warned about."""
    given = engine | ({"enable_auto_tool_choice": True} if "tool_call_parser" in engine else {})
    found = warned(model, given, hf_token=TOKEN)

    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert f"the format of {expected}, but model is {model!r}" in found[0]


def test_every_parser() -> None:
    """No parser of the newest release is told of a family that its own name does not have."""
    for kind in ("tool_call_parsers", "reasoning_parsers"):
        for parser in built_in("0.33.0", kind):
            found = list(model_checks._families(parser))
            assert len(found) <= 1, parser
