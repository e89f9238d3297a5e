"""The spelling rules of Kubernetes: names, labels, ports, quantities."""

import base64
import binascii
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_DNS_1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_1123_SUBDOMAIN = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
)
_DNS_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]+))?",
)
_SCALES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(1000),
    "M": Decimal(1000**2),
    "G": Decimal(1000**3),
    "T": Decimal(1000**4),
    "P": Decimal(1000**5),
    "E": Decimal(1000**6),
    "Ki": Decimal(1024),
    "Mi": Decimal(1024**2),
    "Gi": Decimal(1024**3),
    "Ti": Decimal(1024**4),
    "Pi": Decimal(1024**5),
    "Ei": Decimal(1024**6),
}
_PORT_NAME_LIMIT = 15
_LABEL_LIMIT = 63
_SUBDOMAIN_LIMIT = 253
_PORT_LIMIT = 65535


def quantity(value: object) -> Decimal:
    """Read a Kubernetes quantity.

    Args:
        value: A string or a plain number, as manifests carry it.

    Returns:
        The amount in base units, so that 1.5Gi equals 1536Mi.

    Raises:
        ValueError: If it is not a quantity.
    """
    match = None if isinstance(value, bool) else _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a quantity")
    number = Decimal(match["number"])
    if match["exponent"]:
        return number.scaleb(int(match["exponent"]))
    return number * _SCALES.get(match["suffix"] or "", Decimal(1))


def quantity_problems(value: object) -> Iterator[str]:
    """Yield what is wrong with a quantity."""
    try:
        quantity(value)
    except ValueError as error:
        yield str(error)


def dns_label_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a DNS-1123 label."""
    if not _DNS_1123_LABEL.fullmatch(value) or len(value) > _LABEL_LIMIT:
        yield f"{value!r} is not a DNS-1123 label"


def dns_subdomain_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a DNS-1123 subdomain."""
    if not _DNS_1123_SUBDOMAIN.fullmatch(value) or len(value) > _SUBDOMAIN_LIMIT:
        yield f"{value!r} is not a DNS-1123 subdomain"


def dns_1035_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a DNS-1035 label."""
    if not _DNS_1035_LABEL.fullmatch(value) or len(value) > _LABEL_LIMIT:
        yield f"{value!r} is not a DNS-1035 label"


def host_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a host name that may start with a wildcard label."""
    yield from dns_subdomain_problems(value.removeprefix("*."))


def path_segment_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a name that only has to fit into a URL."""
    if value in {"", ".", ".."} or "/" in value or "%" in value:
        yield f"{value!r} does not fit into a URL path"


def qualified_name_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a label key, an annotation key or a resource name."""
    prefix, slash, name = value.rpartition("/")
    if slash:
        yield from dns_subdomain_problems(prefix)
    if not _NAME_PART.fullmatch(name) or len(name) > _LABEL_LIMIT:
        yield f"{value!r} is not a qualified name"


def annotation_key_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with an annotation key, whose letters may be of either case."""
    yield from qualified_name_problems(value.lower())


def label_value_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a label value."""
    if value and (not _NAME_PART.fullmatch(value) or len(value) > _LABEL_LIMIT):
        yield f"{value!r} is not a label value"


def label_problems(labels: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with a map of labels."""
    for key, value in labels.items():
        yield from qualified_name_problems(key)
        yield from label_value_problems(value)


def port_name_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with the name of a container port."""
    fits = _PORT_NAME.fullmatch(value) and len(value) <= _PORT_NAME_LIMIT
    if not fits or not re.search("[a-z]", value):
        yield f"{value!r} is not a port name"


def port_problems(value: int | str, *, named: bool = True) -> Iterator[str]:
    """Yield what is wrong with a port number, or a name where one is allowed."""
    if isinstance(value, str):
        if named:
            yield from port_name_problems(value)
        else:
            yield f"{value!r} is not a port number"
    elif not 1 <= value <= _PORT_LIMIT:
        yield f"{value} is outside 1..{_PORT_LIMIT}"


def data_key_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a key of a ConfigMap or a Secret."""
    bad_start = value == "." or value.startswith("..")
    if bad_start or not _DATA_KEY.fullmatch(value) or len(value) > _SUBDOMAIN_LIMIT:
        yield f"{value!r} is not a data key"


def env_name_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with an environment name, by the rule of the older releases."""
    if not _ENV_NAME.fullmatch(value) or value == "." or value.startswith(".."):
        yield f"{value!r} is not an environment name"


def percentage_problems(value: int | str) -> Iterator[str]:
    """Yield what is wrong with a count that may be a percentage."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+%", value):
            yield f"{value!r} is not a percentage"
    elif value < 0:
        yield f"{value} is negative"


def is_base64(value: str) -> bool:
    """Tell whether a text is base64 with its padding."""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def twice(values: list[Any]) -> list[Any]:
    """Return what stands in a list more than once, in order."""
    seen: list[Any] = []
    again: list[Any] = []
    for value in values:
        (again if value in seen else seen).append(value)
    return again
