"""Egress: where a pod has to connect to, as its flags, variables and files say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from vllm_constructs.engine.kv_offloading import connectors
from vllm_constructs.kube.egress import EgressRule, rule_for
from vllm_constructs.releases.environment import switch

if TYPE_CHECKING:
    from .env_sources import EnvVarSource
    from .pod_facts import PodFacts

# Addresses with a scheme, and names or IP addresses with a port. A comma separates several. A host
# may be a variable of the container.
_ADDRESS = re.compile(
    r"[A-Za-z][\w+.-]*://(?:\$\(\w+\)|[^\s,;'\"<>|)])+"
    r"|(?<![\w/.$-])[A-Za-z0-9][\w-]*(?:\.[\w-]+)*\.[A-Za-z][\w-]*:\d{2,5}(?![\w.])"
    r"|(?<![\w/.$-])\d{1,3}(?:\.\d{1,3}){3}:\d{2,5}(?![\w.])",
    re.ASCII,
)
# A host with a port, whose name needs no dot, where nothing else is in the text.
_ITEM = re.compile(
    r"(?:[A-Za-z][\w+.-]*://)?(?:[^/@\s]*@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|(?=[\w.-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9.-]*):\d{2,5}(?:/\S*)?",
    re.ASCII,
)
_SEPARATOR = re.compile(r"[,;]\s*")
_VARIABLE = re.compile(r"\$\((\w+)\)", re.ASCII)
# Keys and variables that have a host, beside one that has its port.
_HOST = re.compile(r"(HOST|ADDR|IP|host|addr|ip)$")
# Longer texts are templates or data.
_LONGEST = 65536
_CONFIGURATIONS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf")
_HUB = ("huggingface.co", "hf.co")
# Flags whose addresses are those of clients and media, or that are texts.
_NO_TARGETS = (
    "allowed_headers",
    "allowed_media_domains",
    "allowed_methods",
    "allowed_origins",
    "chat_template",
    "served_model_name",
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
    for address in pod.addresses:
        yield from _rules_in(address)
    flags = {name: value for name, value in pod.engine.given().items() if name not in _NO_TARGETS}
    for text in _in_container(pod.env, [*pod.command], flags):
        yield from _rules_in(text)
    for one in (*pod.sidecars, *pod.init_containers):
        yield from rules_in(one.env, [*one.command, *one.args])
    for path, content in pod.files.items():
        if path.endswith(_CONFIGURATIONS) and isinstance(content, str):
            yield from _rules_in(content)


def rules_in(
    env: Mapping[str, str | EnvVarSource], words: Sequence[str] = ()
) -> Iterator[EgressRule]:
    """The rules for the addresses that a container's variables and words name.

    Args:
        env: Variables of the container.
        words: Its command and arguments. Default: none.
    """
    for text in _in_container(env, words, {}):
        yield from _rules_in(text)


def _rules_in(text: str) -> Iterator[EgressRule]:
    """The rules for the addresses in a text."""
    found = _ADDRESS.findall(text) if len(text) <= _LONGEST else []
    parts = _SEPARATOR.split(text.strip())
    if all(_ITEM.fullmatch(part) for part in parts):
        found += parts
    for address in found:
        rule = rule_for(address.rstrip("."))
        if rule is not None:
            yield rule


def _in_container(
    env: Mapping[str, str | EnvVarSource], words: Sequence[str], flags: Mapping[str, object]
) -> Iterator[str]:
    """The texts of a container that may name addresses, with its own variables in them."""
    known = {name: value for name, value in env.items() if isinstance(value, str)}
    others = {name: value for name, value in known.items() if name.upper() not in _OTHERS}
    for text in (*_texts(others), *_texts(flags), *words):
        yield _VARIABLE.sub(lambda found: known.get(found[1], found[0]), text)


def needs_https(pod: PodFacts) -> bool:
    """Whether the engine downloads by HTTPS from the Hub itself.

    A mirror or a proxy is an address of its own, and with a path for a model nothing is downloaded,
    unless another flag names a repository.

    Args:
        pod: The pod.
    """
    if pod.is_offline or is_mirrored(pod.plain_env):
        return False
    named = [pod.source, pod.engine.get("tokenizer"), pod.engine.get("spec_model")]
    config = pod.engine.get("speculative_config")
    named += [config.get("model")] if isinstance(config, Mapping) else []
    named += [_path_of(one) for one in pod.engine.get("lora_modules") or ()]
    return any(
        isinstance(one, str) and one and not one.startswith("/") and "://" not in one
        for one in named
    )


def is_mirrored(env: Mapping[str, str]) -> bool:
    """Whether all downloads go to a mirror or a proxy that variables name."""
    if env.get("HF_ENDPOINT") and not switch(env, "VLLM_USE_MODELSCOPE"):
        return True
    if not (env.get("HTTPS_PROXY") or env.get("https_proxy")):
        return False
    exempt = f"{env.get('NO_PROXY', '')},{env.get('no_proxy', '')}".replace(" ", "").split(",")
    return not any(one == "*" or one.lstrip("*.") in _HUB for one in exempt)


def _path_of(adapter: object) -> str:
    """Where an adapter comes from, which is given as `name=path` or as JSON."""
    text = str(adapter)
    if not text.startswith("{"):
        return text.partition("=")[2]
    with suppress(ValueError):
        found = json.loads(text)
        return str(found.get("path", "")) if isinstance(found, dict) else ""
    return ""


def side_channel(pod: PodFacts) -> int | None:
    """The first port through which engines pass KV caches to each other; None if they do not.

    Args:
        pod: The pod.
    """
    config = pod.engine.get("kv_transfer_config")
    named = " ".join(connectors(config)).lower()
    ports = [_port(pod, *found) for word, found in _BETWEEN.items() if word in named]
    return min(ports, default=None)


def _port(pod: PodFacts, default: int, variable: str) -> int:
    given = pod.plain_env.get(variable, "")
    return int(given) if given.isdecimal() and 0 < int(given) < 2**16 else default


def has_nixl(pod: PodFacts) -> bool:
    """Whether the engine passes its KV cache through NIXL, whose address others must know."""
    config = pod.engine.get("kv_transfer_config")
    return any("nixl" in name.lower() for name in connectors(config))


def _texts(value: object) -> Iterator[str]:
    """The strings in a value, and the addresses whose host and port are given apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item)
            port = value.get(_HOST.sub(_port_key, str(key))) if _HOST.search(str(key)) else None
            if isinstance(item, str) and str(port).isdecimal():
                yield f"{item}:{port}"
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _port_key(host: re.Match[str]) -> str:
    return "PORT" if host[0].isupper() else "port"
