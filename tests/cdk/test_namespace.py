"""A Namespace and its Pod Security labels."""

from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, manifests, model, only, rejected, variants
from vllm_constructs import (
    Namespace,
    PodSecurity,
    ServiceOptions,
    VllmConstructsError,
    Volume,
)


@pytest.mark.parametrize(("kind", "variant"), variants("Namespace"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_pod_security(level: Any) -> None:
    """A namespace enforces its level, and warns and audits by it."""
    scope = Chart(App(), "x")
    Namespace(scope, "llm", pod_security=level)
    labels = only(scope, "Namespace")["metadata"]["labels"]
    assert {level} == {
        labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")
    }


@pytest.mark.parametrize(
    "options", [{"name": "a.b"}, {"name": "x" * 64}, {"name": 5}, {"pod_security": "strict"}]
)
def test_refusals(options: Any) -> None:
    """A name or level that Kubernetes lacks is rejected."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=f"Namespace.{next(iter(options))}"):
        Namespace(scope, "llm", **options)
    assert [] == manifests(scope)


ROOT: Any = {"security": PodSecurity(user="root")}
HOST: Any = {"volumes": {"/mnt": Volume.from_host_path("/mnt", name="host")}}
OVERLAY: Any = {"overlay": {"spec": {"template": {"spec": {"hostNetwork": True}}}}}
SIDECAR: Any = {
    "overlay": {
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a:1.0"}]}}},
    }
}


@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize(
    ("options", "level", "field"),
    [
        (ROOT, "baseline", "securityContext.runAsUser"),
        (HOST, "privileged", r"volumes\[name=host\].hostPath"),
        (OVERLAY, "privileged", "hostNetwork"),
        (SIDECAR, "baseline", r"containers\[name=a\].securityContext.allowPrivilegeEscalation"),
    ],
)
def test_level_of_models(options: Any, level: Any, field: str, order: str) -> None:
    """A namespace whose level does not admit a model is rejected with what needs another one."""
    levels = ["restricted", "baseline", "privileged"]
    for given in levels:
        scope = chart()
        make: list[Any] = [
            lambda scope=scope, given=given: Namespace(scope, "llm", pod_security=given),
            lambda scope=scope: model(scope, **options),
        ]
        first, second = make if order == "before" else reversed(make)
        first()
        if levels.index(given) >= levels.index(level):
            second()
            continue
        with rejected(scope, f"level '{level}', because of {field}, but .* enforces '{given}'"):
            second()


def test_level_of_model() -> None:
    """A model says the level that it needs."""
    scope = chart()
    assert "restricted" == model(scope).pod_security_level
    assert "baseline" == model(scope, "b", served_name="b", **ROOT).pod_security_level
    added = {"capabilities": {"add": ["NET_BIND_SERVICE"]}}
    overlay = {
        "spec": {"template": {"spec": {"containers": [{"name": "vllm", "securityContext": added}]}}}
    }
    found = model(scope, "c", served_name="c", overlay=overlay)
    assert "restricted" == found.pod_security_level


def test_rejected_model() -> None:
    """A model that is rejected does not count for the level."""
    scope = chart()
    with pytest.raises(VllmConstructsError):
        model(scope, service_options=ServiceOptions(headless=True, port=1), **ROOT)
    Namespace(scope, "llm")
