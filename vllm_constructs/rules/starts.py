"""How containers start vLLM, for the rules of their command lines."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from vllm_constructs.reading.containers import expanded
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import strings
from vllm_constructs.reading.manifest import Path
from vllm_constructs.releases.image import CUDA, FAMILIES
from vllm_constructs.releases.release import VllmRelease, image_parts

Start: TypeAlias = Literal["serve", "module", ""]

KUBEAI = "Model"
"""The kind of KubeAI whose `args` are flags of vLLM."""
MODULE = "vllm.entrypoints.openai.api_server"
_STARTS = re.compile(rf"{re.escape(MODULE)}|\bvllm(?:\.entrypoints\.cli\.main)?['\"]?\s+serve\b")
# From this release on, images for CUDA start with `vllm serve`; those before the other one do with
# the module. Of other images, those of 0.26 and later are known to start with `vllm serve`.
_SERVES, _IS_MODULE, _OTHERS_SERVE = (0, 12, 0), (0, 11, 0), (0, 26, 0)


def has_entrypoint(release: VllmRelease) -> bool:
    """Whether an image starts vLLM itself, with the container's `args` as its arguments.

    Args:
        release: The vLLM in the image.
    """
    # The image for TPUs runs its arguments.
    return release.is_official and release.family.accelerator != "TPU"


def has_known_start(engine: Engine) -> bool:
    """Whether it is known that vLLM's own parser reads an engine's words.

    Args:
        engine: The engine.
    """
    if engine.is_ours or strings(engine.container.get("command")):
        return True
    if engine.manifest.kind == KUBEAI:
        return True
    # A mirror of an official image has its name; others may have a start script.
    parts = image_parts(engine.image)
    name = parts["name"].rpartition("/")[2] if parts else ""
    return engine.release.is_official or any(name == one.repository for one in FAMILIES)


def start(engine: Engine) -> Start:
    """What starts an engine: `vllm serve`, or the old module; empty if that is not known.

    Args:
        engine: The engine.
    """
    found = _STARTS.search(" ".join(_tokens(engine)))
    if engine.is_ours or strings(engine.container.get("command")):
        return "module" if found is not None and found[0] == MODULE else "serve"
    release = engine.release
    if not has_entrypoint(release):
        return ""
    is_cuda = release.family is CUDA
    if release.assumed >= (_SERVES if is_cuda else _OTHERS_SERVE):
        return "serve"
    return "module" if is_cuda and release.assumed < _IS_MODULE else ""


def count_of_starts(engine: Engine) -> int:
    """How often the words of an engine start vLLM; a script may start several.

    Args:
        engine: The engine.
    """
    return len(_STARTS.findall(" ".join(_tokens(engine))))


def _tokens(engine: Engine) -> list[str]:
    return [word for key in ("command", "args") for word in strings(engine.container.get(key))]


def module_place(engine: Engine) -> Path:
    """The path of the word that names the module.

    Args:
        engine: The engine, which the module starts.
    """
    for key in ("command", "args"):
        for i, word in enumerate(strings(engine.container.get(key))):
            if MODULE in word:
                return (*engine.path, key, i)
    return (*engine.path, "image")


def repeated_serve(engine: Engine) -> tuple[Path, ...]:
    """The paths of the words `vllm serve` that follow a start which has them already.

    Args:
        engine: The engine.
    """
    if engine.is_ours or strings(engine.container.get("command")):
        count = _count_of_serve(engine.words)
        return tuple(engine.word_place(at) for at in range(count))
    if not has_entrypoint(engine.release):
        return ()
    # Of the arguments, which are not among the engine's words then.
    count = _count_of_serve(strings(engine.container.get("args")))
    return tuple((*engine.path, "args", i) for i in range(count))


def _count_of_serve(words: list[str]) -> int:
    return 1 if words[:1] == ["serve"] else 2 if words[:2] == ["vllm", "serve"] else 0


def is_direct(engine: Engine, at: int) -> bool:
    """Whether a word of the command line is one of the manifest, and not in a script or a file.

    Args:
        engine: The engine.
        at: Number of the word.
    """
    word = engine.manifest.at(*engine.word_place(at))
    is_known = isinstance(word, str) and at < len(engine.line_words)
    return is_known and expanded(word, engine.env) == engine.line_words[at]


def words_at(engine: Engine, at: int) -> range:
    """A flag and its values, as numbers of words.

    Args:
        engine: The engine.
        at: Number of the flag's word.
    """
    after = [one.at for one in engine.line.given if one.at > at]
    return range(at, min(after, default=len(engine.line_words)))
