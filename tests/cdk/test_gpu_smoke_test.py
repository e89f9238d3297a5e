"""A Job that uses one GPU as the models do."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import GPU, chart, check_sample, manifests, only, variants
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    GpuSmokeTest,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    VllmConstructsError,
    WholeGpu,
)


@pytest.mark.parametrize(("kind", "variant"), variants("GpuSmokeTest"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


@pytest.mark.parametrize(
    ("gpu", "resource"),
    [
        (WholeGpu("NVIDIA-L40S", count=4), "nvidia.com/gpu"),
        (MigSlice("1g.10gb"), "nvidia.com/mig-1g.10gb"),
        (TimeSlicedGpu("NVIDIA-A10", renamed=True), "nvidia.com/gpu.shared"),
        (VirtualGpu(), "nvidia.com/gpu"),
    ],
)
def test_gpu(gpu: Any, resource: str) -> None:
    """It asks for one GPU of the kind, on the nodes that have it."""
    scope = chart()
    GpuSmokeTest(scope, "test", gpu=gpu)
    pod = only(scope, "Job")["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    assert "1" == resources["limits"][resource] == resources["requests"][resource]
    assert gpu.node_labels == pod.get("nodeSelector", {})
    assert [] == pod_security_problems(pod)
    assert_valid(*manifests(scope))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("gpu", "NVIDIA-L40S"),
        ("gpu", None),
        ("image", "nvidia/cuda"),
        ("image", 5),
        ("tolerations", "all"),
        ("tolerations", ["all"]),
        ("name", "Test"),
    ],
)
def test_refusals(keyword: str, value: object) -> None:
    """What could not run is rejected."""
    scope = chart()
    options: Any = {"gpu": GPU, keyword: value}
    with pytest.raises(VllmConstructsError, match=keyword):
        GpuSmokeTest(scope, "test", **options)
    assert [] == manifests(scope)
