"""A model that an HPA scales."""

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    CACHE,
    chart,
    check_sample,
    manifests,
    model,
    named,
    rejected,
    variants,
)
from tests.cdk.scalers import hpa
from vllm_constructs import CpuUtilization, EngineArgs, VllmConstructsWarning


@pytest.mark.parametrize(("kind", "variant"), variants("HpaScaler"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_chart_without_namespace() -> None:
    """The metrics API has a namespace by itself, that of the HPA: its chart needs none."""
    scope = Chart(App(), "x")
    qwen = model(scope, cache=CACHE)
    hpa(scope, "scaler", qwen)
    assert qwen.has_autoscaler


def test_cpu_alone() -> None:
    """CPU needs no vLLM metrics, so a model without them can be scaled on it."""
    scope = chart()
    qwen = model(scope, cache=CACHE, engine=EngineArgs(disable_log_stats=True))
    with pytest.warns(VllmConstructsWarning, match="CPU alone"):
        hpa(scope, "scaler", qwen, triggers=[CpuUtilization(70)])
    model(scope, "other")
    assert 7 == len(manifests(scope))


def test_name_taken() -> None:
    """A scaler whose name is taken is rejected, and the model keeps its replicas."""
    scope = chart()
    hpa(scope, "a-scaler", named(scope, "a"), name="scaler", max_replicas=1)
    other = named(scope, "b")
    with rejected(scope, "'scaler' in namespace 'llm' is made twice"):
        hpa(scope, "b-scaler", other, name="scaler", max_replicas=1)
    assert not other.has_autoscaler
    hpa(scope, "b-scaler", other, max_replicas=1)
