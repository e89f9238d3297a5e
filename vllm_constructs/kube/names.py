"""The names that Kubernetes accepts, and how a model's name becomes one.

Rules: Kubernetes docs, "Object Names and IDs" and "Labels and Selectors".
"""

from __future__ import annotations

import re
from typing import TypeGuard, cast

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse

PREFIX = "vllm-constructs.dev"
"""The DNS prefix of all annotations of this library. It stays the same; nothing is served there."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")
_DATA_KEY_ALLOWED = "a key of letters, digits, '-', '_' and '.'"
_HOST_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_HOST_LABEL}(\.{_HOST_LABEL})+")

# Services whose docker-link variables (VLLM_PORT=tcp://...) stop every vLLM pod of the namespace
# that has service links enabled; vllm/envs.py of 0.33 reads a variable of each.
_SERVICES_THAT_STOP_VLLM = frozenset(
    {
        "vllm",
        "vllm-dp-master",
        "vllm-ec-side-channel",
        "vllm-mooncake-bootstrap",
        "vllm-nixl-side-channel",
        "vllm-p2p-side-channel",
    }
)


def sanitized(text: str, limit: int = 63) -> str:
    """A string as a DNS label: lower case, other characters as `-`, at most `limit` long.

    The same string always returns the same name. Two strings may return the same name, which the
    caller has to reject.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return name[:limit].rstrip("-") or "x"


def _may_be_shown(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and not require.has_secret(value)


def label(where: str, value: object, limit: int = 63) -> str:
    """A DNS-1123 label, at most `limit` characters long."""
    if not isinstance(value, str) or len(value) > limit or not _LABEL.fullmatch(value):
        better = sanitized(value, limit) if _may_be_shown(value) else ""
        require.wrong(
            where,
            value,
            f"at most {limit} lower-case letters, digits and '-', first and last a letter or digit",
            f"for example {better!r}" if better else "",
        )
    return str.__str__(value)


def service_links(where: str, name: str) -> Problem | None:
    """Why a Service's name stops vLLM in other pods, by a variable that it sets there.

    Args:
        where: What the name is.
        name: The name.
    """
    if name not in _SERVICES_THAT_STOP_VLLM:
        return None
    variable = f"{name.upper().replace('-', '_')}_PORT"
    return Problem(
        where=where,
        text=(
            f"is {name!r}, and a Service of that name sets the variable {variable} in other pods, "
            "which stops vLLM there"
        ),
        value=repr(name),
        advice=f"take another name, for example '{name}-server'",
    )


def service(where: str, value: object) -> str:
    """A Service's name: a DNS-1035 label that sets no variable which vLLM reads as its own."""
    name = label(where, value)
    if not _SERVICE.fullmatch(name):
        require.wrong(where, value, "a name that begins with a letter, as Services require")
    problem = service_links(where, name)
    if problem is not None:
        refuse(problem)
    return name


def subdomain(where: str, value: object) -> str:
    """A DNS-1123 subdomain of at most 253 characters, as the names of most kinds are."""
    if not isinstance(value, str) or len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        better = sanitized(value) if _may_be_shown(value) else ""
        require.wrong(
            where,
            value,
            "at most 253 lower-case letters, digits, '-' and '.'",
            f"for example {better!r}" if better else "",
        )
    return str.__str__(value)


def host(where: str, value: object, *, wildcard: bool = False) -> str:
    """A host name with a dot; it may begin with `*.` only where `wildcard` is set."""
    good = isinstance(value, str) and len(value) <= 253 and bool(_HOST.fullmatch(value))
    if not good or (not wildcard and str(value).startswith("*")):
        require.wrong(where, value, "a host name in lower case, such as 'llm.example.com'")
    return str.__str__(cast("str", value))


def data_key(where: str, value: object) -> str:
    """A key of a ConfigMap."""
    return require.matching(where, value, _DATA_KEY, _DATA_KEY_ALLOWED)


def secret_key(where: str, value: object) -> str:
    """A key of a Secret; an error does not show it, since it may be the credential itself."""
    if isinstance(value, str) and value and not _DATA_KEY.fullmatch(value):
        text = f"is no key of a Secret ({len(value)} characters, not shown)"
        advice = "give the key, not what it holds"
        refuse(Problem(where=where, text=text, allowed=_DATA_KEY_ALLOWED, advice=advice))
    return data_key(where, value)


def key(where: str, value: object) -> str:
    """The key of a label or annotation: an optional DNS prefix and `/`, then a name."""
    prefix, slash, name = value.rpartition("/") if isinstance(value, str) else ("", "", "")
    if not _KEY_NAME.fullmatch(name) or (
        slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))
    ):
        require.wrong(where, value, "a key such as 'team' or 'example.com/team'")
    return str.__str__(cast("str", value))


def label_value(where: str, value: object) -> str:
    """The value of a label: at most 63 characters."""
    if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
        require.wrong(
            where,
            value,
            "at most 63 letters, digits, '-', '_' and '.', first and last a letter or digit",
            "put longer strings into annotations",
        )
    return str.__str__(value)


def label_map(where: str, value: object) -> dict[str, str]:
    """Labels with valid keys and values of at most 63 characters, sorted by key."""
    labels = require.text_map(where, value)
    for name, item in labels.items():
        key(f"a key of {where}", name)
        label_value(f"{where}[{name!r}]", item)
    return labels


def annotation_map(where: str, value: object) -> dict[str, str]:
    """Annotations with valid keys and any string as value, sorted by key."""
    annotations = require.text_map(where, value)
    for name in annotations:
        key(f"a key of {where}", name)
    return annotations
