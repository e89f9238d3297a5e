"""Addresses that a pod names in its flags and variables, to which it has to connect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs.kube.egress import EgressRule, rule_for

if TYPE_CHECKING:
    from .pod_facts import PodFacts

# Addresses with a scheme, and names or IP addresses with a port. A comma separates several. A host
# may be a variable of the container.
_ADDRESS = re.compile(
    r"[A-Za-z][\w+.-]*://(?:\$\(\w+\)|[^\s,;'\"<>|)])+"
    r"|(?<![\w/.$-])[A-Za-z0-9][\w-]*(?:\.[\w-]+)*\.[A-Za-z][\w-]*:\d{2,5}(?![\w.])"
    r"|(?<![\w/.$-])\d{1,3}(?:\.\d{1,3}){3}:\d{2,5}(?![\w.])",
    re.ASCII,
)
# Longer texts are templates or data.
_LONGEST = 4096
# Flags whose addresses are those of clients and media, or that are texts.
_NO_TARGETS = (
    "allowed_headers",
    "allowed_media_domains",
    "allowed_methods",
    "allowed_origins",
    "chat_template",
)
# Variables that name addresses which are not to be reached, or not through a proxy.
_OTHERS = ("NO_PROXY",)
# Connectors between engines, by words of their names, with the first of their ports (vLLM,
# distributed/kv_transfer: side channels; data goes through ports that the system picks).
_BETWEEN = {
    "nixl": (5600, "VLLM_NIXL_SIDE_CHANNEL_PORT"),
    "mooncake": (8998, "VLLM_MOONCAKE_BOOTSTRAP_PORT"),
    "moriio": (5600, "VLLM_NIXL_SIDE_CHANNEL_PORT"),
    "p2p": (5710, "VLLM_P2P_SIDE_CHANNEL_PORT"),
}


def rules_of(pod: PodFacts) -> Iterator[EgressRule]:
    """The rules for all addresses that flags and variables of a pod name.

    Args:
        pod: The pod.
    """
    words: list[str] = []
    for variables in (pod.env, *(one.env for one in (*pod.sidecars, *pod.init_containers))):
        words += [
            value
            for name, value in variables.items()
            if isinstance(value, str) and name.upper() not in _OTHERS
        ]
    words += pod.command
    for name, value in pod.engine.given().items():
        words += [] if name in _NO_TARGETS else _texts(value)
    for one in (*pod.sidecars, *pod.init_containers):
        words += [*one.command, *one.args]
    for word in words:
        for address in _ADDRESS.findall(word) if len(word) <= _LONGEST else ():
            rule = rule_for(address.rstrip("."))
            if rule is not None:
                yield rule


def needs_https(pod: PodFacts) -> bool:
    """Whether the engine downloads by HTTPS from addresses that nothing names.

    A mirror or a proxy is an address of its own, and with a path for a model nothing is downloaded,
    unless another flag names a repository.

    Args:
        pod: The pod.
    """
    env = pod.plain_env
    if pod.is_offline or any(name in env for name in ("HF_ENDPOINT", "HTTPS_PROXY", "https_proxy")):
        return False
    named = [pod.model, pod.engine.get("tokenizer"), pod.engine.get("spec_model")]
    config = pod.engine.get("speculative_config")
    named += [config.get("model")] if isinstance(config, Mapping) else []
    named += [str(one).partition("=")[2] for one in pod.engine.get("lora_modules") or ()]
    return any(isinstance(one, str) and one and not one.startswith("/") for one in named)


def side_channel(pod: PodFacts) -> int | None:
    """The first port through which engines pass KV caches to each other; None if they do not.

    Args:
        pod: The pod.
    """
    config = pod.engine.get("kv_transfer_config")
    connectors = " ".join(_connectors(config)).lower()
    ports = [_port(pod, *found) for word, found in _BETWEEN.items() if word in connectors]
    return min(ports, default=None)


def _port(pod: PodFacts, default: int, variable: str) -> int:
    given = pod.plain_env.get(variable, "")
    return int(given) if given.isdecimal() and 0 < int(given) < 2**16 else default


def has_nixl(pod: PodFacts) -> bool:
    """Whether the engine passes its KV cache through NIXL, whose address others must know."""
    config = pod.engine.get("kv_transfer_config")
    return any("nixl" in name.lower() for name in _connectors(config))


def _connectors(config: object) -> Iterator[str]:
    """The names of all connectors in a configuration; one may have others in it."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "kv_connector" and isinstance(value, str):
                yield value
            else:
                yield from _connectors(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _connectors(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
