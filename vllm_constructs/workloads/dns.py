"""Dns: how the containers of a pod resolve names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?")
_SEARCH = re.compile(rf"(?=.{{1,253}}$){_NAME.pattern}")
_HOST = re.compile(rf"(?=.{{1,253}}$)(?!.*\.$){_NAME.pattern}")
_ADDRESS = "an IP address such as '10.0.0.10' or 'fd00::10'"
_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")


@dataclass(frozen=True, kw_only=True)
class Dns:
    """How the containers of a pod resolve names.

    Args:
        policy: `dnsPolicy`: `"ClusterFirst"` (default), `"ClusterFirstWithHostNet"`, `"Default"`
            (as the node does) or `"None"` (by `nameservers` alone).
        nameservers: Addresses of more name servers, at most 3. Default: none.
        searches: More domains to search, at most 32. Default: none.
        options: Options of the resolver, such as `{"ndots": "2"}`; `""` for one without a value.
            Default: none.

    Raises:
        VllmConstructsError: An unknown policy, or an invalid address, domain or option.
    """

    policy: Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"] = "ClusterFirst"
    nameservers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        require.choice("Dns.policy", self.policy, _POLICIES)
        servers = require.texts("Dns.nameservers", self.nameservers, "a list of IP addresses")
        if len(servers) > 3:
            require.wrong("Dns.nameservers", self.nameservers, "at most 3 addresses")
        if self.policy == "None" and not servers:
            text = "is 'None' without {nameservers}, so that no name is resolved"
            refuse(Problem(where="Dns.policy", text=text, advice="give {nameservers=[...]}"))
        searches = require.texts("Dns.searches", self.searches, "a list of domains")
        for domain in searches:
            require.matching("Dns.searches", domain, _SEARCH, "a domain in lower case")
        if len(searches) > 32 or len(" ".join(searches)) > 2048:
            require.wrong(
                "Dns.searches", self.searches, "at most 32 domains, 2048 characters in all"
            )
        options = require.text_map("Dns.options", {} if self.options is None else self.options)
        for name, value in options.items():
            if re.search(r"\s", name + value):
                require.wrong(f"Dns.options[{name!r}]", value, "a string without spaces")
        own = tuple(check_address("Dns.nameservers", server) for server in servers)
        object.__setattr__(self, "nameservers", own)
        object.__setattr__(self, "searches", searches)
        object.__setattr__(self, "options", FrozenDict(options))

    def manifest(self) -> dict[str, Any]:
        """The fields `dnsPolicy` and `dnsConfig` of the pod."""
        config: dict[str, Any] = {}
        if self.nameservers:
            config["nameservers"] = list(self.nameservers)
        if self.searches:
            config["searches"] = list(self.searches)
        if self.options:
            config["options"] = [
                {"name": name, **({"value": value} if value else {})}
                for name, value in self.options.items()
            ]
        return {"dnsPolicy": self.policy} | ({"dnsConfig": config} if config else {})


def check_address(where: str, value: object) -> str:
    """An IP address.

    Args:
        where: Name of the option.
        value: Its value.
    """
    if isinstance(value, str) and "%" not in value:
        try:
            found = ipaddress.ip_address(value)
        except ValueError:
            return require.wrong(where, value, _ADDRESS)
        if getattr(found, "ipv4_mapped", None) is None:
            return str(found)
    return require.wrong(where, value, _ADDRESS)


def host_aliases(value: object) -> FrozenDict:
    """Names by the addresses that they stand for, sorted by address.

    Args:
        value: The option `host_aliases`.

    Raises:
        VllmConstructsError: An invalid address or name.
    """
    allowed = "a dict of addresses and names, such as {'10.0.0.5': ['models.example.com']}"
    if not isinstance(value, Mapping):
        require.wrong("host_aliases", value, allowed)
    found: dict[str, tuple[str, ...]] = {}
    for address, hosts in value.items():
        where = f"host_aliases[{require.shown(address)}]"
        names = require.texts(where, hosts, "a list of host names")
        for host in names:
            require.matching(where, host, _HOST, "a host name in lower case")
        own = check_address("a key of host_aliases", address)
        found[own] = (*found.get(own, ()), *names)
    return FrozenDict(dict(sorted(found.items())))
