"""A Namespace and its Pod Security labels."""

from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, manifests, only, variants
from vllm_constructs import Namespace, VllmConstructsError


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
