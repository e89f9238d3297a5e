"""Variables of the container that a user may set, and those that this library sets itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.releases import environment
from vllm_constructs.releases.release import VllmRelease

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Variables that would repeat, or break, what is derived here: what is wrong, and what to do.
_LEAVE_OUT = "leave it out"
# huggingface_hub prefers these to HF_HOME (its docs, "Environment variables").
_BESIDE = ("would put the weights outside the volume of {cache}", _LEAVE_OUT)
_GPUS = ("is set by the device plugin, which assigns the GPUs", _LEAVE_OUT)
_TOKEN = ("would put the token into the manifests", "give {hf_token}, which refers to a Secret")
_USER = ("is set together with the user of the pod", _LEAVE_OUT)
_RESERVED = {
    "CUDA_VISIBLE_DEVICES": _GPUS,
    "NVIDIA_VISIBLE_DEVICES": _GPUS,
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
    "VLLM_SERVER_DEV_MODE": ("opens administrative endpoints to every client", _LEAVE_OUT),
}


def check_variables(env: object, release: VllmRelease, *, is_offline: bool) -> FrozenDict:
    """The variables that a user gives, checked and sorted.

    Args:
        env: The variables.
        release: The vLLM release in the image.
        is_offline: Whether the cache is read-only, so that downloads are switched off.

    Raises:
        VllmConstructsError: A variable that this library sets, that the release does not have, or
            a value that it cannot read. The error does not show values that may be tokens.
    """
    _check_types(env)
    variables = require.text_map("env", env)
    for name, value in variables.items():
        require.matching("a key of env", name, _NAME, "a variable of letters, digits and '_'")
        where = f"env[{name!r}]"
        if name in _RESERVED:
            text, advice = _RESERVED[name]
            refuse(Problem(where=where, text=text, advice=advice))
        if name == "HF_HUB_OFFLINE" and is_offline:
            refuse(Problem(where=where, text="is set by a read-only {cache}", advice=_LEAVE_OUT))
        environment.check(release, name, value)
    return FrozenDict(variables)


def _check_types(env: object) -> None:
    """Reject other types without showing values, which may be tokens."""
    if not isinstance(env, Mapping):
        text = f"is a {type(env).__name__} (not shown)"
        refuse(Problem(where="env", text=text, allowed="a dict of strings"))
    for name, value in env.items():
        if not isinstance(value, (str, int, float)):
            where = f"env[{require.shown(name)}]"
            text = f"is of type {type(value).__name__} (not shown)"
            refuse(Problem(where=where, text=text, allowed="a string"))
