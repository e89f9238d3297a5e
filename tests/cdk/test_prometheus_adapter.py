"""The address and the rules that an HPA needs."""

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.operators import operator, values
from tests.cdk.samples import chart, check_sample, variants
from vllm_constructs import VllmConstructsError


@pytest.mark.parametrize(("kind", "variant"), variants("PrometheusAdapter"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


@pytest.mark.parametrize(
    ("address", "url", "port"),
    [
        ("http://prometheus.monitoring.svc:9090", "http://prometheus.monitoring.svc", 9090),
        ("https://prometheus.example.com", "https://prometheus.example.com", 443),
        ("http://prometheus.monitoring.svc/", "http://prometheus.monitoring.svc", 80),
    ],
)
def test_address(address: str, url: str, port: int) -> None:
    """The chart takes address and port apart."""
    scope = chart()
    operator(scope, "PrometheusAdapter", prometheus=address)
    assert {"url": url, "port": port} == values(scope)["prometheus"]


@pytest.mark.parametrize("address", ["prometheus:9090", "", None, 9090, "http://"])
def test_refusals(address: object) -> None:
    """An address that is none is rejected."""
    with pytest.raises(VllmConstructsError, match=r"PrometheusAdapter\.prometheus"):
        operator(chart(), "PrometheusAdapter", prometheus=address)


def test_rules() -> None:
    """Each metric that HpaScaler uses gets its name by a rule."""
    scope = chart()
    operator(scope, "PrometheusAdapter")
    rules = values(scope)["rules"]
    assert rules["default"] is False
    names = {rule["name"]["as"] for rule in rules["custom"]}
    assert {
        "vllm_kv_cache_usage_perc",
        "vllm_num_requests_running",
        "vllm_num_requests_waiting",
    } == names
