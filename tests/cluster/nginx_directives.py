"""The directives that controllers on nginx make of the annotations that we render.

All timeouts are divided by `FASTER`, the controllers' defaults and ours alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from vllm_constructs import F5Nginx, IngressNginx, VllmConstructsWarning

FASTER = 60
"""The defaults' 60 s are 1 s here."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a controller makes directives of nginx from annotations.

    Args:
        controller: Our controller.
        prefix: What its annotations start with.
        switches: How it spells on and off.
        unit: What it adds to a time.
        defaults: What it writes where an Ingress says nothing.
    """

    controller: F5Nginx | IngressNginx
    prefix: str
    switches: Mapping[str, str]
    unit: str
    defaults: Mapping[str, str]

    def directives(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """The directives of a location; a KeyError for what the controller would not take."""
        found = dict(self.defaults)
        for key, value in annotations.items():
            directive = self._name(key)
            if found[directive] in ("on", "off"):
                found[directive] = self.switches[value]
            else:
                found[directive] = value + (self.unit if directive.endswith("_timeout") else "")
        return {name: _faster(name, value) for name, value in found.items()}

    def _name(self, key: str) -> str:
        name = key.removeprefix(self.prefix).replace("-", "_")
        return "client_max_body_size" if name == "proxy_body_size" else name


def _faster(directive: str, value: str) -> str:
    if not directive.endswith("_timeout"):
        return value
    return f"{int(value.removesuffix('s')) * 1000 // FASTER}ms"


COMMON = {
    "client_max_body_size": "1m",
    "proxy_http_version": "1.1",
    "proxy_read_timeout": "60s",
    "proxy_send_timeout": "60s",
}
with pytest.warns(VllmConstructsWarning, match="retired"):
    RETIRED = IngressNginx()
F5 = Dialect(
    controller=F5Nginx(),
    prefix="nginx.org/",
    switches={"true": "on", "false": "off"},
    unit="",
    defaults=COMMON | {"proxy_buffering": "on"},
)
COMMUNITY = Dialect(
    controller=RETIRED,
    prefix="nginx.ingress.kubernetes.io/",
    switches={"on": "on", "off": "off"},
    unit="s",
    defaults=COMMON | {"proxy_buffering": "off", "proxy_request_buffering": "on"},
)
