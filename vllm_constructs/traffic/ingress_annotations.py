"""Annotations of ingress controllers: whose they are, and the values that each controller accepts.

Sources: ingress-nginx v1.15.1 (internal/ingress/annotations), F5 NGINX Ingress Controller 5.5
(internal/k8s/validation.go, internal/configs/parsing_helpers.go), and the classes that the
controllers' charts and clouds set up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped

Controller: TypeAlias = Literal[
    "ingress-nginx",
    "F5 NGINX Ingress Controller",
    "Traefik",
    "AWS Load Balancer Controller",
    "GKE Ingress",
    "HAProxy",
    "Kong",
    "Contour",
    "Application Gateway",
    "OpenShift router",
    "another controller",
]
INGRESS_NGINX: Controller = "ingress-nginx"
F5: Controller = "F5 NGINX Ingress Controller"
TRAEFIK: Controller = "Traefik"
ALB: Controller = "AWS Load Balancer Controller"
GKE: Controller = "GKE Ingress"
HAPROXY: Controller = "HAProxy"
KONG: Controller = "Kong"
CONTOUR: Controller = "Contour"
APPLICATION_GATEWAY: Controller = "Application Gateway"
OPENSHIFT: Controller = "OpenShift router"
_OTHER: Controller = "another controller"

NGINX = "nginx.ingress.kubernetes.io"
"""Prefix of the annotations of ingress-nginx."""
NGINX_ORG = "nginx.org"
"""Prefix of the annotations of F5's controller."""

# Classes by the names that charts and clouds give them. The class `nginx` is that of two.
_CLASSES: dict[str, tuple[Controller, ...]] = {
    "alb": (ALB,),
    "azure-application-gateway": (APPLICATION_GATEWAY,),
    "azure/application-gateway": (APPLICATION_GATEWAY,),
    "cilium": (_OTHER,),
    "contour": (CONTOUR,),
    "gce": (GKE,),
    "gce-internal": (GKE,),
    "haproxy": (HAPROXY,),
    "istio": (_OTHER,),
    "kong": (KONG,),
    "nginx": (INGRESS_NGINX, F5),
    "openshift-default": (OPENSHIFT,),
    "tailscale": (_OTHER,),
    "traefik": (TRAEFIK,),
    "webapprouting.kubernetes.azure.com": (INGRESS_NGINX,),
}
# By `spec.controller` of an IngressClass; versions may follow after a slash.
_CONTROLLERS: dict[str, Controller] = {
    "azure/application-gateway": APPLICATION_GATEWAY,
    "haproxy.org/ingress-controller": HAPROXY,
    "haproxy-ingress.github.io/controller": HAPROXY,
    "ingress-controllers.konghq.com/kong": KONG,
    "ingress.k8s.aws/alb": ALB,
    "k8s.io/ingress-nginx": INGRESS_NGINX,
    "nginx.org/ingress-controller": F5,
    "openshift.io/ingress-to-route": OPENSHIFT,
    "projectcontour.io/ingress-controller": CONTOUR,
    "traefik.io/ingress-controller": TRAEFIK,
}
_PREFIXES: dict[str, Controller] = {
    NGINX: INGRESS_NGINX,
    "alb.ingress.kubernetes.io": ALB,
    "appgw.ingress.kubernetes.io": APPLICATION_GATEWAY,
    "haproxy-ingress.github.io": HAPROXY,
    "haproxy.org": HAPROXY,
    "haproxy.router.openshift.io": OPENSHIFT,
    "konghq.com": KONG,
    "nginx.com": F5,
    NGINX_ORG: F5,
    "projectcontour.io": CONTOUR,
    "traefik.ingress.kubernetes.io": TRAEFIK,
}

_NUMBER_OF = r"\d{1,15}(?:\.\d{1,9})?"
_DURATION = re.compile(rf"(?:{_NUMBER_OF} *(?:ms|[smhdwy]) *)*(?:{_NUMBER_OF})?")
_PART = re.compile(rf"({_NUMBER_OF}) *(ms|[smhdwy]?)")
_UNITS = {
    "ms": 0.001,
    "": 1,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "y": 31_536_000,
}
_BYTES = re.compile(r"(\d{1,15}) *([bkmgBKMG]?)i?[bB]?")
# A value that somebody else fills in: a shell, Flux, Helm or Kustomize.
_PLACEHOLDER = re.compile(r"\$\{|\$\(|\{\{|^<.*>$|^\$\w+$")


def of_class(name: str) -> tuple[Controller, ...]:
    """The controllers to which a class of this name belongs; none if that is not known.

    Args:
        name: Name of the IngressClass.
    """
    return _CLASSES.get(name, ())


def of_controller(name: str) -> Controller | None:
    """The controller of an IngressClass; None if it is not known.

    Args:
        name: Its `spec.controller`.
    """
    return _CONTROLLERS.get(name)


def of_key(key: str) -> Controller | None:
    """The controller that reads an annotation; None if it is not one of theirs.

    Args:
        key: Key of the annotation.
    """
    return _PREFIXES.get(key.partition("/")[0])


def is_snippet(key: str) -> bool:
    """Whether an annotation puts lines into the configuration of NGINX.

    Args:
        key: Key of the annotation.
    """
    return key.endswith(("-snippet", "-snippets"))


def is_placeholder(value: object) -> bool:
    """Whether something else fills in the value before it is applied.

    Args:
        value: A value in a manifest.
    """
    return isinstance(value, str) and bool(_PLACEHOLDER.search(value))


def _text(value: object) -> str:
    """A string or a number as YAML writes it; empty for what is neither, or too large."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return ""
    return f"{value:.15g}" if 0 <= value < 1e15 else ""


def seconds(value: object) -> float | None:
    """The seconds of a duration as NGINX, HAProxy or Go write it; None if it is none.

    Args:
        value: The duration, such as `600`, `"600s"` or `"1h30m"`.
    """
    text = _text(value)
    if not text or not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def mebibytes(value: object) -> float | None:
    """The MiB of a size as NGINX writes it, infinite for 0, which is no limit; None if it is none.

    Args:
        value: The size, such as `"100m"`.
    """
    found = _BYTES.fullmatch(_text(value))
    if found is None:
        return None
    power = " kmg".index(found[2].lower().replace("b", "") or " ")
    return float(found[1]) * 1024.0**power / 1024.0**2 or float("inf")


def _switch(on: str, off: str) -> Callable[[object], str | None]:
    def corrected(value: object) -> str | None:
        text = str(value).strip().lower()
        if text in ("true", "on", "yes", "1", "enabled"):
            return on
        return off if text in ("false", "off", "no", "0", "disabled") else None

    return corrected


def _whole(unit: str) -> Callable[[object], str | None]:
    def corrected(value: object) -> str | None:
        found = seconds(value)
        return f"{int(found)}{unit}" if found is not None and found == int(found) else None

    return corrected


def _size(value: object) -> str | None:
    found = _BYTES.fullmatch(_text(value))
    if found is None:
        return None
    return found[1] + found[2].lower().replace("b", "")


@dataclass(frozen=True, kw_only=True)
class _Syntax:
    """What a controller accepts as the value of some annotations.

    Args:
        pattern: The values.
        allowed: The same in words.
        corrected: The value that says what a wrong one means; None if that is not known.
        may_be_empty: Whether an empty value is taken as none.
    """

    pattern: re.Pattern[str]
    allowed: str
    corrected: Callable[[object], str | None]
    may_be_empty: bool


_ON_OFF = _Syntax(
    pattern=re.compile(r"\s*(on|off)\s*"),
    allowed="'on' or 'off'",
    corrected=_switch("on", "off"),
    may_be_empty=True,
)
_SECONDS = _Syntax(
    pattern=re.compile(r"[+-]?\d+"),
    allowed="seconds without a unit, such as '600'",
    corrected=_whole(""),
    may_be_empty=True,
)
_NUMBER = _Syntax(
    pattern=re.compile(r"[+-]?\d+"),
    allowed="an integer, such as '3'",
    corrected=lambda value: str(value) if type(value) is int else None,
    may_be_empty=True,
)
_SIZE = _Syntax(
    pattern=re.compile(r"\s*\d+\s*[bkmgBKMG]?\s*"),
    allowed="a size such as '100m', '1g' or '0' for no limit",
    corrected=_size,
    may_be_empty=True,
)
_VERSION = _Syntax(
    pattern=re.compile(r"\s*1\.[01]\s*"),
    allowed="'1.0' or '1.1'",
    corrected=lambda value: str(value) if value in (1.0, 1.1) else None,
    may_be_empty=True,
)
_BOOLEAN = _Syntax(
    pattern=re.compile(r"1|t|T|TRUE|true|True|0|f|F|FALSE|false|False"),
    allowed="'true' or 'false'",
    corrected=_switch("true", "false"),
    may_be_empty=False,
)
_TIME = _Syntax(
    pattern=re.compile(r"\s*(?=\d)(\d+(ms|[smhdwMy]) *|\d+ +)*(\d+)?\s*"),
    allowed="a time such as '600s'",
    corrected=_whole("s"),
    may_be_empty=False,
)
_OFFSET = _Syntax(
    pattern=re.compile(r"\s*\d+[kKmMgG]?\s*"),
    allowed="a size such as '100m', '1g' or '0' for no limit",
    corrected=_size,
    may_be_empty=False,
)
_SYNTAX: dict[str, _Syntax] = {
    f"{NGINX}/proxy-body-size": _SIZE,
    f"{NGINX}/proxy-buffer-size": _SIZE,
    f"{NGINX}/proxy-buffering": _ON_OFF,
    f"{NGINX}/proxy-buffers-number": _NUMBER,
    f"{NGINX}/proxy-busy-buffers-size": _SIZE,
    f"{NGINX}/proxy-connect-timeout": _SECONDS,
    f"{NGINX}/proxy-http-version": _VERSION,
    f"{NGINX}/proxy-max-temp-file-size": _SIZE,
    f"{NGINX}/proxy-next-upstream-timeout": _SECONDS,
    f"{NGINX}/proxy-next-upstream-tries": _NUMBER,
    f"{NGINX}/proxy-read-timeout": _SECONDS,
    f"{NGINX}/proxy-request-buffering": _ON_OFF,
    f"{NGINX}/proxy-send-timeout": _SECONDS,
    f"{NGINX_ORG}/client-max-body-size": _OFFSET,
    f"{NGINX_ORG}/fail-timeout": _TIME,
    f"{NGINX_ORG}/proxy-buffering": _BOOLEAN,
    f"{NGINX_ORG}/proxy-connect-timeout": _TIME,
    f"{NGINX_ORG}/proxy-read-timeout": _TIME,
    f"{NGINX_ORG}/proxy-send-timeout": _TIME,
    f"{NGINX_ORG}/redirect-to-https": _BOOLEAN,
    f"{NGINX_ORG}/use-cluster-ip": _BOOLEAN,
}


def refused(key: str, value: object) -> Problem | None:
    """Why a controller refuses the value of an annotation; None if it accepts it.

    Args:
        key: Key of the annotation.
        value: Its value.
    """
    syntax = _SYNTAX.get(key)
    if syntax is None or value is None or is_placeholder(value):
        return None
    shown = escaped(require.shown(value))
    if not isinstance(value, str):
        return Problem(
            where=key,
            text=f"is {shown}, no string, and Kubernetes accepts only strings in annotations",
            value=require.shown(value),
            allowed=escaped(f"{syntax.allowed}, in quotes"),
        )
    if syntax.pattern.fullmatch(value) or (syntax.may_be_empty and not value):
        return None
    return Problem(
        where=key,
        text=f"is {shown}, which {_PREFIXES[key.partition('/')[0]]} refuses",
        value=require.shown(value),
        allowed=escaped(syntax.allowed),
    )


def corrected(key: str, value: object) -> str | None:
    """What the refused value of an annotation means, as the controller writes it.

    Args:
        key: Key of the annotation.
        value: Its value, which `refused` has a problem with.
    """
    found = _SYNTAX[key].corrected(value) if key in _SYNTAX else None
    return found if found is not None and refused(key, found) is None else None
