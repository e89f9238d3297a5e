"""Containers that run vLLM: how they are recognized, and what they start it with."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads.plan_annotations import MODEL
from vllm_constructs.workloads.workload import CONTAINER

from .fields import items, mapping, strings

# Images that start vLLM without a command; that for TPUs runs its arguments.
_STARTS_VLLM = re.compile(r"vllm-(openai|tpu|gaudi)")
_REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")
_SHELLS = ("sh", "bash", "dash")
_SHELL_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?-([^}]*))?\}?", re.ASCII)
_REDIRECTION = re.compile(r"(?<!\S)\d?(?:>>?|<)(?:&\d|\s*[^\s;&|]+)|(?<!\S)#.*")
# Stands for the end of a command in a shell script; no word of a script is it.
_END = "\0"
_BACKTICKS = re.compile(r"`([^`]*)`")
# What a shell substitutes is one word, so that what divides words stands for itself inside of it.
_DIVIDERS = " \t\r\n;()&|'\"\\#<>"
_HIDDEN = {ord(one): chr(0xE000 + i) for i, one in enumerate(_DIVIDERS)}
_SHOWN = {ord(hidden): chr(one) for one, hidden in _HIDDEN.items()}


def after_serve(
    command: Sequence[str], args: Sequence[str], env: Mapping[str, str] | None = None
) -> list[str] | None:
    """The words after `vllm serve` in a container's `command` and `args`; None without it.

    Without a command the image starts vLLM, and all `args` follow.

    Args:
        command: The container's `command`, which may be empty.
        args: Its `args`.
        env: Variables that a shell would expand. Default: none.
    """
    if not command:
        return list(args[2:] if list(args[:2]) == ["vllm", "serve"] else args)
    tokens = [*command, *args]
    if tokens[0].rpartition("/")[2] in _SHELLS:
        at = script_at(tokens)
        script = "" if at is None else tokens[at]
        try:
            tokens = _in_shell(script, {} if env is None else env)
        except ValueError:
            return None
    for at, token in enumerate(tokens):
        if token == "vllm.entrypoints.openai.api_server" or (
            token == "serve"
            and at
            and tokens[at - 1].rpartition("/")[2] in ("vllm", "vllm.entrypoints.cli.main")
        ):
            words = tokens[at + 1 :]
            return words[: words.index(_END)] if _END in words else words
    return None


def script_at(words: Sequence[str]) -> int | None:
    """Which of the words that start a shell is its script; None if none is.

    Args:
        words: The container's `command` and `args`.
    """
    flags = (at for at, word in enumerate(words) if word.startswith("-") and word.endswith("c"))
    after = range(next(flags, len(words)) + 1, len(words))
    # More flags may follow, and `--` ends them.
    return next((at for at in after if not words[at].startswith("-")), None)


def _in_shell(script: str, env: Mapping[str, str]) -> list[str]:
    """The words of a shell script, with variables of the container and a mark at each operator."""

    def value(found: re.Match[str]) -> str:
        return env.get(found[1], found[2] or found[0])

    joined = _BACKTICKS.sub(r"$(\1)", script.replace("\\\n", " "))
    joined = _with_hidden_substitutions(joined)
    text = _REDIRECTION.sub(" ", _SHELL_VARIABLE.sub(value, joined))
    words = shlex.shlex(text, posix=True, punctuation_chars=";()&|\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t\r", True, ""
    return [
        _END if set(word) <= set(";()&|\n") else word.translate(_SHOWN) for word in words if word
    ]


def _with_hidden_substitutions(script: str) -> str:
    """A script in which each `$(...)` and `$((...))` is one word."""
    parts, at = [], 0
    while (start := script.find("$(", at)) >= 0:
        depth, end = 0, start + 1
        while end < len(script):
            depth += {"(": 1, ")": -1}.get(script[end], 0)
            end += 1
            if not depth:
                break
        if depth:
            # Without its end it is no substitution.
            break
        parts += [script[at:start], script[start:end].translate(_HIDDEN)]
        at = end
    return "".join([*parts, script[at:]])


def is_ours(template: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """Whether a container is the engine of this library, whatever command starts it."""
    has_model = MODEL in mapping(template, "metadata", "annotations")
    return has_model and container.get("name") == CONTAINER


def engine_container(template: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first container that runs vLLM; None if none does.

    Args:
        template: The pod template.
    """
    return next(engine_containers(template), None)


def engine_containers(template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The containers that run vLLM: by their command, or by an image that starts it.

    Args:
        template: The pod template.
    """
    for container in map(mapping, items(mapping(template, "spec").get("containers"))):
        command = strings(container.get("command"))
        if (
            is_ours(template, container)
            or (command and after_serve(command, strings(container.get("args"))) is not None)
            or (not command and _STARTS_VLLM.search(str(container.get("image"))))
        ):
            yield container


def environment(
    namespace: str,
    container: dict[str, Any],
    configs: Mapping[tuple[str, str], dict[str, Any]],
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The container's variables whose values are in the manifests, after those that are given."""
    env: dict[str, str] = dict(given or {})
    for source in map(mapping, items(container.get("envFrom"))):
        data = configs.get((namespace, str(mapping(source, "configMapRef").get("name"))), {})
        env |= {f"{source.get('prefix', '')}{name}": str(value) for name, value in data.items()}
    for variable in map(mapping, items(container.get("env"))):
        name, key = str(variable.get("name")), mapping(variable, "valueFrom", "configMapKeyRef")
        data = configs.get((namespace, str(key.get("name"))), {})
        if "value" in variable:
            env[name] = expanded(str(variable["value"]), env)
        elif key.get("key") in data:
            env[name] = str(data[key["key"]])
        else:
            env.pop(name, None)
    return env


def expanded(text: str, env: Mapping[str, str]) -> str:
    """A string with the container's variables expanded, as kubelet does; `$$` is one `$`."""

    def value(reference: re.Match[str]) -> str:
        return "$" if reference[0] == "$$" else env.get(reference[1], reference[0])

    return _REFERENCE.sub(value, text)


def config_text(
    path: str,
    namespace: str,
    pod: dict[str, Any],
    container: dict[str, Any],
    configs: Mapping[tuple[str, str], dict[str, Any]],
) -> str | None:
    """The text of a file that is mounted from a ConfigMap in the same manifests."""
    sources = {
        str(volume.get("name")): str(mapping(volume, "configMap").get("name"))
        for volume in map(mapping, items(pod.get("volumes")))
    }
    for mount in map(mapping, items(container.get("volumeMounts"))):
        folder = str(mount.get("mountPath")).rstrip("/")
        data = configs.get((namespace, sources.get(str(mount.get("name")), "")), {})
        key = str(mount.get("subPath") or path.removeprefix(f"{folder}/"))
        if (path == folder or path.startswith(f"{folder}/")) and key in data:
            return str(data[key])
    return None


_UNKNOWN = "vllm:unknown"


def _first_valid(*candidates: tuple[str, str | None]) -> VllmRelease:
    for image, vllm in candidates:
        try:
            return VllmRelease(image, vllm=vllm)
        except VllmConstructsError:
            continue
    return VllmRelease(_UNKNOWN)


def release_of(image: str, vllm: str | None) -> tuple[VllmRelease, list[Problem]]:
    """The vLLM in an image, and a note if neither the image nor an annotation specifies it."""
    with warnings.catch_warnings(action="ignore"):
        release = _first_valid(
            # A tag counts more; without one the image is the latest, or any.
            (image, vllm),
            (image, None),
            (f"{image}:latest", vllm),
            (_UNKNOWN, vllm),
        )
    value = require.shown(image)
    note = Problem(
        where="image",
        text=(
            f"is {escaped(value)}, which does not specify its vLLM release, so that vLLM "
            f"{release.name} is assumed"
        ),
        value=value,
        advice="specify it with {vllm}",
        kind="not counted",
    )
    return release, [] if release.version else [note]
