"""Recipes: how models of each family are served, from the catalogs and memory plans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, VllmConstructsError, WholeGpu
from vllm_constructs.releases.release import NEWEST, built_in

GPUS = (
    "NVIDIA-L4",
    "NVIDIA-L40S",
    "NVIDIA-A100-SXM4-80GB",
    "NVIDIA-H100-80GB-HBM3",
    "NVIDIA-H200",
)
COUNTS = (1, 2, 4, 8)
LENGTH = 8192

_ABOUT_RECIPES = f"""\
How models of the common families are served: parsers, and how many GPUs of a kind one pod needs
with requests of {LENGTH} tokens. The counts are those of [memory plans](memory.md) for vLLM
{NEWEST} with the margin of the estimates; with more tokens, fewer fit. The names of
parsers are those of that release; which one a model needs, its own page says last. `dtype` is that
of the checkpoint, with the quantization of its weights; vLLM takes both from the model, so no
recipe sets them.
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that are served alike.

    Args:
        name: Its name.
        models: Some of its models, which the catalog has.
        tools: The parser of tool calls; None if vLLM has none for it.
        reasoning: The parser of reasoning; None if the models do not reason, or vLLM has none.
        notes: What else to know.
    """

    name: str
    models: tuple[str, ...]
    tools: str | None = None
    reasoning: str | None = None
    notes: str = ""


FAMILIES = (
    Family(
        name="Qwen2.5",
        models=("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-32B-Instruct"),
        tools="hermes",
    ),
    Family(
        name="Qwen3",
        models=("Qwen/Qwen3-8B", "Qwen/Qwen3-32B", "Qwen/Qwen3-30B-A3B"),
        tools="hermes",
        reasoning="qwen3",
    ),
    Family(
        name="Qwen3-Coder",
        models=("Qwen/Qwen3-Coder-30B-A3B-Instruct",),
        tools="qwen3_coder",
    ),
    Family(
        name="Llama 3",
        models=("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        tools="llama3_json",
        notes="Gated: give `hf_token=`.",
    ),
    Family(
        name="Mistral",
        models=("mistralai/Mistral-Small-24B-Instruct-2501",),
        tools="mistral",
        notes="With Mistral's own files, `EngineArgs(tokenizer_mode='mistral')`.",
    ),
    Family(
        name="gpt-oss",
        models=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
        tools="openai",
        reasoning="openai_gptoss",
        notes="Downloads its vocabulary when it starts.",
    ),
    Family(
        name="DeepSeek V3 and R1",
        models=("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1"),
        tools="deepseek_v3",
        reasoning="deepseek_r1",
        notes="The reasoning parser is for R1. Expert parallelism: `enable_expert_parallel`.",
    ),
    Family(
        name="Gemma 3",
        models=("google/gemma-3-12b-it", "google/gemma-3-27b-it"),
        notes="Gated: give `hf_token=`. vLLM has no parser for its tool calls.",
    ),
    Family(name="Phi-4", models=("microsoft/phi-4",)),
)


def _verdict(model: str, gpu: str, count: int) -> str:
    try:
        plan = MemoryPlan(
            shape=ModelShape.named(model),
            gpu=WholeGpu(gpu, count=count),
            engine=EngineArgs(max_model_len=LENGTH, tensor_parallel_size=count),
        )
    except VllmConstructsError:
        return "too large"
    return plan.verdict


def _smallest(model: str, gpu: str) -> str:
    return next(
        (str(count) for count in COUNTS if _verdict(model, gpu, count) == "fits"), "more than 8"
    )


def _dtype(model: str) -> str:
    shape = ModelShape.named(model)
    method = "" if shape.quantization is None else f", {shape.quantization.method}"
    return f"{shape.dtype}{method}"


def _parser_lines(family: Family) -> Iterator[str]:
    for kind, name in (
        ("tool_call_parsers", family.tools),
        ("reasoning_parsers", family.reasoning),
    ):
        if name is not None and name not in built_in(NEWEST, kind):
            raise LookupError(f"{name} is none of the {kind} of vLLM {NEWEST}")
    if family.tools is not None:
        yield f"`EngineArgs(enable_auto_tool_choice=True, tool_call_parser={family.tools!r})`"
    if family.reasoning is not None:
        yield f"`EngineArgs(reasoning_parser={family.reasoning!r})`"


def recipes() -> str:
    """The page with a recipe for each family of models."""
    parts = [
        "# Recipes\n",
        _ABOUT_RECIPES,
    ]
    for family in FAMILIES:
        parts.append(f"## {family.name}\n")
        listed = "".join(f"- {line}\n" for line in _parser_lines(family))
        if family.notes:
            listed += f"- {family.notes}\n"
        parts += [listed] if listed else []
        head = " | ".join(gpu.removeprefix("NVIDIA-") for gpu in GPUS)
        rows = [f"| Model | dtype | {head} |", "|---" * (len(GPUS) + 2) + "|"]
        for model in family.models:
            counts = " | ".join(_smallest(model, gpu) for gpu in GPUS)
            rows.append(f"| `{model}` | {_dtype(model)} | {counts} |")
        parts.append("\n".join(rows) + "\n")
        parts.append(_example(family))
    return "\n".join(parts)


def _example(family: Family) -> str:
    model = family.models[0]
    count, gpu = next(
        (found, gpu) for found in map(str, COUNTS) for gpu in GPUS if _smallest(model, gpu) == found
    )
    flags = [f"max_model_len={LENGTH}"]
    if family.tools is not None:
        flags += ["enable_auto_tool_choice=True", f'tool_call_parser="{family.tools}"']
    if family.reasoning is not None:
        flags.append(f'reasoning_parser="{family.reasoning}"')
    listed = "".join(f"        {flag},\n" for flag in flags)
    product = f'"{gpu}"' if count == "1" else f'"{gpu}", count={count}'
    token = '    hf_token=HuggingFaceToken.from_secret("hf-token", key="token"),\n'
    is_gated = "Gated" in family.notes
    more = ", HuggingFaceToken" if is_gated else ""
    return (
        "```python\n"
        "from cdk8s import App, Chart\n\n"
        f"from vllm_constructs import EngineArgs{more}, ModelDeployment, WholeGpu\n\n"
        'chart = Chart(App(), "llm", namespace="llm")\n'
        "ModelDeployment(\n"
        "    chart,\n"
        f'    "{re.sub(r"[^a-z0-9]+", "-", family.name.lower()).strip("-")}",\n'
        f'    model="{model}",\n'
        f"    gpu=WholeGpu({product}),\n"
        f"    engine=EngineArgs(\n{listed}    ),\n"
        f"{token if is_gated else ''}"
        ")\n```\n"
    )
