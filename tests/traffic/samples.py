"""What the tests of traffic share: every controller, and what a proxy has to do."""

from typing import Any

import pytest
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import (
    AwsAlb,
    ClusterIssuerRef,
    F5Nginx,
    GkeIngress,
    IngressNginx,
    TlsSecret,
    Traefik,
    VllmConstructsWarning,
)
from vllm_constructs.traffic.controllers import ProxySettings
from vllm_constructs.traffic.tls import Tls

ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b-2c3d"


def old_nginx(**fields: Any) -> IngressNginx:
    """Return the retired controller."""
    with pytest.warns(VllmConstructsWarning, match="retired"):
        return IngressNginx(**fields)


def controllers() -> list[Any]:
    """Return every controller, with and without options."""
    return [
        old_nginx(),
        old_nginx(class_name="internal", namespace="edge"),
        F5Nginx(),
        Traefik(),
        Traefik(entry_point="web2"),
        AwsAlb(subnets=["10.0.0.0/16", "fd00::/64"]),
        AwsAlb(subnets=("10.0.0.0/16",), certificate=ARN, scheme="internet-facing"),
        GkeIngress(),
        GkeIngress(class_name="gce-internal", proxy_subnets=["10.129.0.0/23"]),
    ]


def proxy_settings(longest: int = 86400) -> st.SearchStrategy[ProxySettings]:
    """What a proxy has to do."""
    issuers = st.builds(ClusterIssuerRef, strategies.names(), secret=strategies.names())
    return st.builds(
        ProxySettings,
        response_timeout=st.integers(1, longest),
        drain=st.integers(1, 90_000),
        max_body=st.integers(1, 10_240),
        tls=st.one_of(st.none(), issuers, st.builds(TlsSecret, strategies.names())),
    )


def made(seconds: int = 300, tls: Tls | None = None) -> ProxySettings:
    """Return the settings for this longest response."""
    return ProxySettings(response_timeout=seconds, drain=330, max_body=100, tls=tls)
