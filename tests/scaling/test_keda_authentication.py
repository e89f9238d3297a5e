"""KedaAuthentication: what KEDA presents to Prometheus, from a Secret."""

from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import KedaAuthentication

TRIGGER: dict[str, Any] = {
    "type": "prometheus",
    "metadata": {"serverAddress": "https://thanos-querier.openshift-monitoring.svc:9091"},
}


def test_secret() -> None:
    """Keys of a Secret become a TriggerAuthentication with KEDA's own parameters."""
    found = KedaAuthentication.from_secret("thanos", bearer_token="token", ca="service-ca.crt")
    manifest = found.manifest("qwen-prometheus")

    assert manifest is not None
    assert [
        {"parameter": "bearerToken", "name": "thanos", "key": "token"},
        {"parameter": "ca", "name": "thanos", "key": "service-ca.crt"},
    ] == manifest["spec"]["secretTargetRef"]
    trigger = found.authenticated(TRIGGER, "qwen-prometheus")
    assert {"name": "qwen-prometheus"} == trigger["authenticationRef"]
    assert "bearer" == trigger["metadata"]["authModes"]
    assert_valid(strategies.in_namespace(manifest))


@pytest.mark.parametrize(
    ("given", "modes"),
    [
        ({"bearer_token": "a"}, "bearer"),
        ({"username": "a", "password": "b"}, "basic"),
        ({"certificate": "a", "private_key": "b"}, "tls"),
        ({"bearer_token": "a", "certificate": "b", "private_key": "c"}, "bearer,tls"),
    ],
)
def test_modes(given: dict[str, str], modes: str) -> None:
    """The modes follow from what the Secret has."""
    found = KedaAuthentication.from_secret("s", **given)

    assert modes == found.authenticated(TRIGGER, "x")["metadata"]["authModes"]


def test_existing() -> None:
    """One that exists is referred to, and nothing is made."""
    found = KedaAuthentication("thanos", cluster=True)

    assert found.manifest("x") is None
    reference = {"name": "thanos", "kind": "ClusterTriggerAuthentication"}
    assert reference == found.authenticated(TRIGGER, "x")["authenticationRef"]


def test_others() -> None:
    """Triggers that do not read Prometheus stay as they are."""
    cron = {"type": "cron", "metadata": {}}

    assert cron == KedaAuthentication("a").authenticated(cron, "x")


def test_plus() -> None:
    """A Secret of cdk8s-plus is taken with its namespace."""
    chart = Chart(App(), "x", namespace="llm")
    secret = kplus.Secret(chart, "s", metadata={"name": "thanos", "namespace": "llm"})
    found = KedaAuthentication.from_secret(secret, bearer_token="token")

    assert ("thanos", "llm") == (found.secret, found.namespace)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (KedaAuthentication, "needs either a name or a secret"),
        (lambda: KedaAuthentication.from_secret("s"), "has no credentials"),
        (lambda: KedaAuthentication.from_secret("s", username="u"), "password is missing"),
        (lambda: KedaAuthentication.from_secret("s", password="p"), "username is missing"),
        (
            lambda: KedaAuthentication.from_secret(
                "s", bearer_token="t", username="u", password="p"
            ),
            "which exclude each other; leave one out",
        ),
        (lambda: KedaAuthentication("a", modes=["Bearer"]), "did you mean 'bearer'"),  # type: ignore[list-item]  # the mistake
        (lambda: KedaAuthentication("a", modes=["bearer", "basic"]), "which exclude each other"),
        (lambda: KedaAuthentication("A_b"), "'a-b'"),
        (
            lambda: KedaAuthentication(secret="s", keys={"bearerToken": "t"}, cluster=True),
            "makes a TriggerAuthentication of its namespace",
        ),
        (lambda: KedaAuthentication(secret="s", keys={"ca": "t"}), "has no 'bearerToken'"),
        (
            lambda: KedaAuthentication.from_secret("s", bearer_token="sk-ABCDEFGHIJKLM"),
            "looks like the secret itself",
        ),
    ],
)
def test_refusals(call: strategies.Call, words: str) -> None:
    """What KEDA could not use is rejected."""
    assert words in strategies.refusal(call)
