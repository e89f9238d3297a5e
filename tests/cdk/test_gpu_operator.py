"""The values and objects that GpuOperator derives."""

from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from tests.cdk.operators import operator, values
from tests.cdk.samples import chart, check_sample, manifests, only, variants
from vllm_constructs import MigSlice, TimeSlicedGpu, VllmConstructsError, WholeGpu


@pytest.mark.parametrize(("kind", "variant"), variants("GpuOperator"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_namespace() -> None:
    """Its namespace is privileged, as drivers need it, and stands first."""
    scope = chart()
    operator(scope, "GpuOperator", namespace="gpus")
    first = manifests(scope)[0]
    assert ("Namespace", "gpus") == (first["kind"], first["metadata"]["name"])
    labels = first["metadata"]["labels"]
    assert "privileged" == labels["pod-security.kubernetes.io/enforce"]


def test_user_values() -> None:
    """The user's values win, key by key."""
    scope = chart()
    more = {"driver": {"version": "580"}, "dcgm": {"enabled": False}}
    operator(scope, "GpuOperator", values=more)
    found = values(scope)
    assert {"enabled": True, "version": "580"} == found["driver"]
    assert {"enabled": False} == found["dcgm"]


@pytest.mark.parametrize(
    ("given", "mig", "expected"),
    [
        (None, None, "single"),
        ("mixed", None, "mixed"),
        (None, MigSlice("1g.10gb"), "mixed"),
        (
            None,
            MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3", strategy="single"),
            "single",
        ),
    ],
)
def test_mig(given: Any, mig: MigSlice | None, expected: str) -> None:
    """The strategy is the slice's, where it is not given."""
    scope = chart()
    operator(scope, "GpuOperator", mig_strategy=given, mig=mig)
    assert {"strategy": expected} == values(scope)["mig"]


@pytest.mark.parametrize(
    "options",
    [
        {"mig_strategy": "both"},
        {"mig_strategy": "single", "mig": MigSlice("1g.10gb")},
        {"mig": "1g.10gb"},
        {"shared_gpus": [TimeSlicedGpu("NVIDIA-A10")]},
        {"shared_gpus": {"a10": WholeGpu("NVIDIA-A10")}},
        {"shared_gpus": {"a 10": TimeSlicedGpu("NVIDIA-A10")}},
        {"driver": "yes"},
        {"dcgm_exporter": 1},
    ],
)
def test_refusals(options: Any) -> None:
    """A strategy, slice or share that does not fit is rejected."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=r"GpuOperator\.\w+"):
        operator(scope, "GpuOperator", **options)
    assert [] == manifests(scope)


def test_sharing() -> None:
    """Ways of sharing are files of a ConfigMap in its namespace, which the plugin reads."""
    scope = chart()
    shares = {"a10-by-4": TimeSlicedGpu("NVIDIA-A10", replicas=4)}
    found = operator(scope, "GpuOperator", shared_gpus=shares, namespace="gpus")
    config = only(scope, "ConfigMap")
    assert "gpus" == config["metadata"]["namespace"]
    assert config["metadata"]["name"] == values(scope)["devicePlugin"]["config"]["name"]
    sharing = yaml.safe_load(config["data"]["a10-by-4"])["sharing"]["timeSlicing"]
    assert 4 == sharing["resources"][0]["replicas"]
    assert found.sharing.name == config["metadata"]["name"]
