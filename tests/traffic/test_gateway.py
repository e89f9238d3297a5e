from typing import Any

import pytest

from tests.support import assert_valid
from vllm_constructs import ClusterIssuerRef, TlsSecret, VllmConstructsError
from vllm_constructs.traffic import gateway


def gateway_with(**options: Any) -> dict[str, Any]:
    """A Gateway with some options."""
    given: dict[str, Any] = {
        "name": "public",
        "gateway_class": "eg",
        "host": None,
        "tls": TlsSecret("tls"),
        "routes_from": "Same",
        "redirects": True,
    }
    made = gateway.manifest(**{**given, **options})
    assert_valid({**made, "metadata": {**made["metadata"], "namespace": "llm"}})
    return made


def listeners(**options: Any) -> dict[str, dict[str, Any]]:
    """Its listeners by their names."""
    return {one["name"]: one for one in gateway_with(**options)["spec"]["listeners"]}


def test_listeners() -> None:
    """HTTPS has the certificate; plain HTTP is there for the redirect, or without one."""
    both = listeners()
    assert {"http": 80, "https": 443} == {name: one["port"] for name, one in both.items()}
    assert [{"name": "tls"}] == both["https"]["tls"]["certificateRefs"]
    assert "tls" not in both["http"]

    assert ["https"] == [*listeners(redirects=False)]
    assert ["http"] == [*listeners(tls=None, redirects=False)]


def test_certificate() -> None:
    """cert-manager finds the Gateway by its annotation."""
    issued = gateway_with(tls=ClusterIssuerRef("letsencrypt", secret="tls"))
    assert {"cert-manager.io/cluster-issuer": "letsencrypt"} == issued["metadata"]["annotations"]
    assert "annotations" not in gateway_with()["metadata"]


@pytest.mark.parametrize("host", [None, "llm.example.com", "*.example.com"])
def test_host(host: str | None) -> None:
    """All listeners have the host, if there is one."""
    for one in listeners(host=host).values():
        assert host == one.get("hostname")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"host": "LLM"},
            "Gateway.host is 'LLM'; expected a host name in lower case, such as 'llm.example.com'.",
        ),
        (
            {"routes_from": "Selector"},
            "Gateway.routes_from is 'Selector'; expected one of 'Same', 'All'.",
        ),
        (
            {"gateway_class": "E G"},
            (
                "Gateway.gateway_class is 'E G'; expected at most 253 lower-case letters, digits, "
                "'-' and '.'; for example 'e-g'."
            ),
        ),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    """What the Gateway API would refuse is refused."""
    with pytest.raises(VllmConstructsError) as refusal:
        gateway_with(**options)
    assert message == str(refusal.value)
