"""Model checks: what a model's name and the paths of its files say about the pod's other options.

What is found here is only likely to be wrong, so it is warned about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, Protocol

from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import Problem, escaped, warn
from vllm_constructs.releases.release import VllmRelease

from .storage import MOUNT_PATH

_VOCABULARY = "TIKTOKEN_ENCODINGS_BASE"
# Publishers and models whose repositories on the Hugging Face Hub ask for an account that has
# accepted their terms. Gemma 4 has a licence without terms.
_GATED = re.compile(
    r"(meta-llama|coherelabs|cohereforai)/.|google/(gemma-[123]|codegemma|recurrentgemma|paligemma)"
    r"|mistralai/(mistral-7b|mixtral|codestral-22b)|bigcode/starcoder(base)?$|databricks/dbrx",
    re.IGNORECASE,
)
# Variables with which no account of the Hub is needed.
_ACCESS = ("HF_TOKEN", "HF_ENDPOINT", "VLLM_USE_MODELSCOPE")
# Flags whose value may be a file or a folder.
_FILES = (
    "chat_template",
    "generation_config",
    "hf_config_path",
    "io_processor_plugin",
    "mm_encoder_fp8_scale_path",
    "reasoning_parser_plugin",
    "tokenizer",
    "tool_parser_plugin",
)
_SUFFIXES = (".jinja", ".jinja2", ".json", ".py", ".yaml", ".yml", ".txt", ".tiktoken")
# Folders of official images that have such files: vLLM's examples.
_IN_IMAGE = ("/vllm-workspace/", "/usr/local/lib/")
# Words by which names of models and of parsers tell a family. A parser without such a word is for
# several families.
_FAMILIES = (
    "apertus",
    "command",
    "deepseek",
    "ernie",
    "gemma",
    "gigachat",
    "glm",
    "gpt-oss",
    "granite",
    "hunyuan",
    "internlm",
    "jamba",
    "kimi",
    "lfm2",
    "llama",
    "longcat",
    "mimo",
    "minicpm",
    "minimax",
    "mistral",
    "nemotron",
    "olmo",
    "phi",
    "plamo",
    "qwen",
    "seed-oss",
    "step",
)
_ALSO = {
    "openai": "gpt-oss",
    "openai_gptoss": "gpt-oss",
    "seed_oss": "seed-oss",
    "phi4_mini_json": "phi",
    "functiongemma": "gemma",
}
# Parsers that others use, too: their formats were taken over.
_SHARED = ("deepseek_r1", "qwen3_coder", "qwen3_xml", "qwen3_json", "llama3_json")
# Names of models that are of a family by another name.
_OTHERS = {"mistral": ("magistral", "ministral", "devstral", "mixtral", "codestral", "pixtral")}


class CheckedPod(Protocol):
    """The parts of a pod that are looked at."""

    @property
    def model(self) -> str:
        """The model."""
        ...

    @property
    def source(self) -> str:
        """What vLLM loads: the model, or where its weights are instead."""
        ...

    @property
    def engine(self) -> EngineArgs:
        """Flags of the engine."""
        ...

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        ...

    @property
    def env(self) -> Mapping[str, object]:
        """Environment variables of the container."""
        ...

    @property
    def hf_token(self) -> object | None:
        """The token for the Hugging Face Hub, if any."""
        ...

    @property
    def mounted(self) -> Collection[str]:
        """Paths of the files and volumes that the user has mounted."""
        ...

    @property
    def is_offline(self) -> bool:
        """Whether downloads are off."""
        ...


def check(pod: CheckedPod) -> None:
    """Warn about options that hardly go with the model.

    Args:
        pod: The pod.
    """
    for problem in problems(pod):
        warn(problem)


def problems(pod: CheckedPod) -> Iterator[Problem]:
    """What hardly goes with the model.

    Args:
        pod: The pod.
    """
    if pod.is_offline:
        yield from _vocabulary(pod)
    else:
        yield from _gated(pod)
    yield from _files(pod)
    yield from _parsers(pod)


def _vocabulary(pod: CheckedPod) -> Iterator[Problem]:
    """A model that downloads more than weights when it starts.

    openai-harmony reads the vocabulary of gpt-oss from the internet, unless the variable names a
    folder that has it (openai/harmony, "TIKTOKEN_ENCODINGS_BASE").
    """
    if "gpt-oss" in pod.model.lower() and _VOCABULARY not in pod.env:
        folder = f"{MOUNT_PATH}/encodings"
        yield Problem(
            where="model",
            text=f"is {pod.model!r}, which downloads its vocabulary when it starts, and a "
            "read-only {cache} switches downloads off",
            value=repr(pod.model),
            advice="put o200k_base.tiktoken and cl100k_base.tiktoken into a folder of the cache, "
            f"and give env={escaped(repr({_VOCABULARY: folder}))}",
        )


def is_gated(model: str) -> bool:
    """Whether the repository of a model asks for an account that has accepted its terms.

    Args:
        model: The model.
    """
    return bool(_GATED.match(model))


def _gated(pod: CheckedPod) -> Iterator[Problem]:
    """A model whose repository asks for a token."""
    has_access = pod.hf_token is not None or any(name in pod.env for name in _ACCESS)
    if is_gated(pod.source) and not has_access:
        yield Problem(
            where="model",
            text=f"is {pod.model!r}, which is gated on the Hugging Face Hub, and there is no "
            "{hf_token}, so that the download is refused unless {cache} has the model already",
            value=repr(pod.model),
            advice="give {hf_token=HuggingFaceToken.from_secret(...)} of an account that has "
            "accepted its terms",
        )


def _files(pod: CheckedPod) -> Iterator[Problem]:
    """Files that no volume of the pod has; an image of one's own may have any."""
    if not pod.release.is_official:
        return
    mounted = (MOUNT_PATH, *pod.mounted)
    named: list[tuple[str, Any]] = [("model", pod.source)]
    named += [(f"EngineArgs.{name}", pod.engine.get(name)) for name in _FILES]
    for module in pod.engine.get("lora_modules") or ():
        named.append(("EngineArgs.lora_modules", _adapter_path(str(module))))
    for where, value in named:
        if not isinstance(value, str) or not _is_path(value):
            continue
        if any(value == path or value.startswith(f"{path}/") for path in mounted):
            continue
        if value.startswith(_IN_IMAGE):
            continue
        yield Problem(
            where=where,
            text=f"is {value!r}, which no volume of the pod has",
            value=repr(value),
            advice="mount it with {files} or {volumes}, or put it into the cache, which is mounted "
            f"at {MOUNT_PATH}",
        )


def _adapter_path(module: str) -> Any:
    """The path of an adapter, which is given as `name=path` or as JSON."""
    if not module.startswith("{"):
        return module.partition("=")[2]
    try:
        found = json.loads(module)
    except ValueError:
        return None
    return found.get("path") if isinstance(found, dict) else None


def _is_path(value: str) -> bool:
    """Whether a value names a file or a folder, not a repository, a keyword or a template."""
    if "{" in value or "\n" in value:
        return False
    return value.startswith(("/", "./", "../")) or value.endswith(_SUFFIXES)


def _parsers(pod: CheckedPod) -> Iterator[Problem]:
    """Parsers of another family than the model's."""
    for name in ("tool_call_parser", "reasoning_parser"):
        parser = pod.engine.get(name)
        if not isinstance(parser, str) or parser in _SHARED:
            continue
        families = _families(pod.model)
        expected = _ALSO.get(parser) or next(iter(_families(parser)), None)
        if families and expected is not None and expected not in families:
            yield Problem(
                where=f"EngineArgs.{name}",
                text=f"is {parser!r}, the format of {expected}, but {{model}} is {pod.model!r}",
                value=repr(parser),
                advice="look up the parser of the model in vLLM's documentation, or leave it out",
            )


@cache
def _families(name: str) -> tuple[str, ...]:
    """The families that a name tells."""
    lowered = name.lower()
    return tuple(
        family
        for family in _FAMILIES
        if any(
            re.search(rf"(?<![a-z]){re.escape(word)}", lowered)
            for word in (family, *_OTHERS.get(family, ()))
        )
    )
