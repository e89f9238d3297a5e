"""Variables of the container that a user may set, and those that this library sets itself."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.releases import environment
from vllm_constructs.releases.release import VllmRelease

from . import credentials
from .env_sources import EnvVarSource
from .storage import MOUNT_PATH

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Variables that would repeat, or break, what is derived here: what is wrong, and what to do.
_LEAVE_OUT = "leave it out"
# huggingface_hub prefers these to HF_HOME (its docs, "Environment variables").
_BESIDE = ("would put the weights outside the volume of {cache}", _LEAVE_OUT)
_GPUS = ("is set by the device plugin, which assigns the GPUs", _LEAVE_OUT)
_TOKEN = ("would put the token into the manifests", "give {hf_token}, which refers to a Secret")
_USER = ("is set together with the user of the pod", _LEAVE_OUT)
RESERVED = {
    "CUDA_VISIBLE_DEVICES": _GPUS,
    "NVIDIA_VISIBLE_DEVICES": _GPUS,
    "HIP_VISIBLE_DEVICES": _GPUS,
    "ROCR_VISIBLE_DEVICES": _GPUS,
    "TPU_VISIBLE_CHIPS": _GPUS,
    "HABANA_VISIBLE_DEVICES": _GPUS,
    "ZE_AFFINITY_MASK": _GPUS,
    "VLLM_CPU_KVCACHE_SPACE": ("is set by {gpu}", "give {Cpu.kv_cache_gib}"),
    "HF_HOME": ("is the path where {cache} is mounted", _LEAVE_OUT),
    "HF_HUB_CACHE": _BESIDE,
    "HUGGINGFACE_HUB_CACHE": _BESIDE,
    "HF_TOKEN": _TOKEN,
    "HUGGING_FACE_HUB_TOKEN": _TOKEN,
    "HOME": _USER,
    "USER": _USER,
    "VLLM_API_KEY": (
        "would put the key into the manifests",
        "give {api_key}, which refers to a Secret",
    ),
    "VLLM_ENGINE_READY_TIMEOUT_S": ("is set by {startup}", _LEAVE_OUT),
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": ("is set by {response_timeout}", _LEAVE_OUT),
    "VLLM_PORT": (
        "is vLLM's internal port, not the port of the API",
        "leave it out, or give {port} for the API",
    ),
    "VLLM_HOST_IP": ("is only for engines on several nodes", _LEAVE_OUT),
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": (
        "lets every client load adapters from any folder and repository",
        "leave it out, or give {runtime_lora_loading=True} if that is meant",
    ),
    "VLLM_SERVER_DEV_MODE": ("opens administrative endpoints to every client", _LEAVE_OUT),
}


# What the kubelet reads in a value: an escaped reference, an escaped dollar, a reference.
_REFERENCE = re.compile(r"\$\$\(|\$\$|\$\((\w*)(\))?", re.ASCII)

Variable: TypeAlias = "str | EnvVarSource"


def check_variables(
    env: object, release: VllmRelease, *, is_offline: bool, added: Container[str] = ()
) -> FrozenDict:
    """The variables that a user gives to the engine, checked and sorted.

    Args:
        env: The variables.
        release: The vLLM release in the image.
        is_offline: Whether the cache is read-only, so that downloads are switched off.
        added: Variables that other options of the pod add, so that a pod which is made again from
            its own options has them. Default: none.

    Raises:
        VllmConstructsError: A variable that this library sets, that the release does not have, a
            value that it cannot read, or a credential. The error shows no value that may be one.
    """
    reserved = {name: why for name, why in RESERVED.items() if name not in added}
    variables = check_env("env", env, reserved)
    for name, value in variables.items():
        if name == "HF_HUB_OFFLINE" and is_offline:
            where = f"env[{name!r}]"
            refuse(Problem(where=where, text="is set by a read-only {cache}", advice=_LEAVE_OUT))
        if isinstance(value, str):
            environment.check(release, name, value)
    return variables


def check_env(
    where: str, env: object, reserved: Mapping[str, tuple[str, str]] | None = None
) -> FrozenDict:
    """The variables of a container, checked and sorted; those of cdk8s-plus become ours.

    Args:
        where: Name of the option.
        env: The variables.
        reserved: What is wrong with variables of these names, and what to do. Default: nothing.

    Raises:
        VllmConstructsError: A wrong name or type, a credential in clear, or variables that refer to
            each other in a circle. The error shows no value that may be a credential.
    """
    if not isinstance(env, Mapping):
        text = f"is a {type(env).__name__} (not shown)"
        refuse(Problem(where=where, text=text, allowed="a dict of variables"))
    variables: dict[str, Variable] = {}
    for name, given in env.items():
        one = f"{where}[{require.shown(name)}]"
        is_credential = not isinstance(name, str) or credentials.is_name(name)
        value = _value(one, given, is_credential=is_credential)
        allowed = "a variable of letters, digits and '_'"
        require.matching(f"a key of {where}", name, _NAME, allowed)
        if reserved is not None and name in reserved and not _is_below_cache(name, value):
            text, advice = reserved[name]
            if isinstance(value, EnvVarSource) and text.endswith("into the manifests"):
                text = "has an option of its own"
            refuse(Problem(where=one, text=text, advice=advice))
        if isinstance(value, str):
            _check_clear(one, name, value)
        variables[str.__str__(name)] = value
    ordered = dict(sorted(variables.items()))
    _in_order(where, ordered)
    return FrozenDict(ordered)


def _is_below_cache(name: str, value: Variable) -> bool:
    """Whether a variable names a folder of the cache, as older tools lay out weights."""
    is_folder = name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") and isinstance(value, str)
    return is_folder and f"{value}/".startswith(f"{MOUNT_PATH}/")


def _value(where: str, value: object, *, is_credential: bool) -> Variable:
    """The value of a variable; errors do not show it."""
    if isinstance(value, EnvVarSource):
        return value
    if hasattr(value, "__jsii_type__"):
        # `EnvValue` of any line of cdk8s-plus.
        source, text = getattr(value, "value_from", None), getattr(value, "value", None)
        if isinstance(source, Mapping) and source:
            return EnvVarSource(source)
        value = text
    if not isinstance(value, (str, int, float)):
        text = f"is of type {type(value).__name__} (not shown)"
        allowed = "a string, or EnvVarSource.from_secret(...) and others"
        refuse(Problem(where=where, text=text, allowed=allowed))
    if not isinstance(value, str):
        # A number is shown where it is no credential.
        shown = "(not shown)" if is_credential else require.shown(value)
        allowed = "a string (quote numbers and Booleans)"
        refuse(Problem(where=where, text=f"is {shown}", allowed=allowed))
    if require.has_control(value):
        text = "has control characters (not shown)"
        refuse(Problem(where=where, text=text, advice="put it into a file of {files}"))
    return str.__str__(value)


def _check_clear(where: str, name: str, value: str) -> None:
    """Reject a credential in clear."""
    is_named = credentials.is_clear(name, value)
    if is_named or credentials.in_variable(name, value):
        refuse(
            Problem(
                where=where,
                text=f"looks like a credential ({len(value)} characters, not shown), which would "
                "be written into the manifests",
                advice="put it into a Secret and give EnvVarSource.from_secret(name, key=...)"
                if is_named or "://" not in value
                else "put the password into a Secret, as a variable of its own, and write "
                "$(NAME) in its place",
            )
        )


def _in_order(where: str, variables: Mapping[str, Variable]) -> list[str]:
    """The names in an order in which each comes after those that it refers to.

    The kubelet replaces `$(NAME)` only by variables that come before (Kubernetes docs, "Define
    dependent environment variables").
    """
    if not any("$(" in value for value in variables.values() if isinstance(value, str)):
        sources = [name for name, value in variables.items() if isinstance(value, EnvVarSource)]
        return list(dict.fromkeys([*sources, *variables]))
    from graphlib import CycleError, TopologicalSorter

    graph = {
        name: referred(value, variables) if isinstance(value, str) else []
        for name, value in sorted(variables.items(), key=lambda item: isinstance(item[1], str))
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = ", ".join(repr(one) for one in sorted(set(error.args[1])))
        text = f"has variables that refer to each other in a circle ({circle})"
        return refuse(Problem(where=where, text=text, advice="give one of them a value of its own"))


def env_entries(
    variables: Mapping[str, Variable], *, before: Iterable[str] = (), is_open: bool = False
) -> list[dict[str, Any]]:
    """The entries of `env`, each after those that it refers to.

    `$(NAME)` of another variable of the container is a reference, as in Kubernetes. Any other
    stays as it is written, since the kubelet could otherwise replace it by a variable that nobody
    has meant.

    Args:
        variables: The variables.
        before: Names of variables that come before these. Default: none.
        is_open: Whether the container has others, whose names are not known. Default: False.
    """
    known = {*variables, *before}
    entries: list[dict[str, Any]] = []
    for name in _in_order("env", variables):
        value = variables[name]
        if isinstance(value, EnvVarSource):
            kind, reference = next(iter(value.source.items()))
            entries.append({"name": name, "valueFrom": {kind: dict(reference)}})
        else:
            entries.append(
                {"name": name, "value": with_references(value, None if is_open else known)}
            )
    return entries


def with_references(text: str, known: AbstractSet[str] | None) -> str:
    """A text in which the kubelet replaces nothing but references to variables that there are.

    Args:
        text: The text.
        known: Names of the variables of the container; None if there may be any others.
    """
    if known is None:
        return text

    def kept(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$$$$"
        is_reference = found[2] and found[1] in known
        return found[0] if is_reference or found[0] == "$$(" else f"${found[0]}"

    return _REFERENCE.sub(kept, text)


def referred(text: str, known: Container[str]) -> list[str]:
    """The variables of the container that a text refers to.

    Args:
        text: The text.
        known: Names of the variables.
    """
    return [found[1] for found in _REFERENCE.finditer(text) if found[2] and found[1] in known]
