"""Annotations: facts of an app that no field has are planned from the manifest all the same."""

from typing import Any

import pytest

from vllm_constructs import (
    EngineArgs,
    GpuPodSpec,
    Kubernetes,
    MigSlice,
    ModelShape,
    Rollout,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
)
from vllm_constructs.cli import plan_table
from vllm_constructs.memory import fit
from vllm_constructs.reading.workloads import deployed_models
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.plan_annotations import (
    PlanAnnotations,
    make_plan_annotations,
    read_plan_annotations,
)
from vllm_constructs.workloads.workload import Workload

QWEN = "Qwen/Qwen2.5-1.5B-Instruct"
OWN = {"image": "registry.example.com/vllm:mine", "vllm": "0.22.1"}


def pod(**given: Any) -> GpuPodSpec:
    """Return a pod of a small model."""
    options: dict[str, Any] = {"model": QWEN, "gpu": WholeGpu("NVIDIA-L40S")} | given
    return GpuPodSpec(**options)


def manifest(spec: GpuPodSpec, annotations: dict[str, str]) -> dict[str, Any]:
    """Return the Deployment of a pod."""
    return deployment.manifest(
        workload=Workload(name="qwen"),
        pod=spec,
        replicas=1,
        rollout=Rollout(),
        labels={},
        annotations=annotations,
        kubernetes=Kubernetes("1.34"),
        config_map_name=None,
        scrape_hints=True,
        root_path=None,
    )


def annotations_of(spec: GpuPodSpec, shape: str | None) -> dict[str, str]:
    """Return the annotations of a pod's workload."""
    return make_plan_annotations(
        gpu=spec.gpu, nodes=spec.all_node_labels, vllm=spec.vllm, shape=shape
    )


def planned(document: dict[str, Any]) -> plan_table.Row:
    """Return the row that the manifest alone gives."""
    (found,) = deployed_models([document])
    return plan_table.row(found, {})


@pytest.mark.parametrize(
    "spec",
    [
        pod(),
        pod(**OWN),
        pod(gpu=WholeGpu("My-GPU", memory_mib=24000)),
        pod(gpu=WholeGpu("My-GPU", memory_mib=24000, count=2)),
        pod(gpu=VirtualGpu("GRID-A100D-40C", memory_mib=40960)),
        pod(gpu=VirtualGpu(memory_mib=40960)),
        pod(gpu=TimeSlicedGpu("NVIDIA-L40S", sharing="mps")),
        pod(gpu=TimeSlicedGpu("NVIDIA-L40S", replicas=3, renamed=True)),
        pod(gpu=TimeSlicedGpu("My-GPU", memory_mib=48000)),
        pod(gpu=MigSlice("1g.10gb")),
        pod(engine=EngineArgs(max_model_len=4096), **OWN),
    ],
    ids=lambda one: f"{one.gpu} {one.vllm}",
)
def test_same_plan(spec: GpuPodSpec) -> None:
    """The manifest gives the plan that the app made, to the byte."""
    expected = fit.check_fit("a pod", spec, None)
    assert expected is not None

    row = planned(manifest(spec, annotations_of(spec, None)))

    assert row.plan is not None, row.reason
    assert (row.reason, row.model.notes) == ("", ())
    # The engine's split is given in the one and derived in the other.
    ours, theirs = expected.as_dict(), row.plan.as_dict()
    assert ours == theirs


def test_shape() -> None:
    """A model of one's own has the shape that it was given, where the catalog has that."""
    shape = ModelShape.named(QWEN)
    spec = pod(model="/model-cache/mine")
    expected = fit.check_fit("a pod", spec, shape)
    assert expected is not None

    row = planned(manifest(spec, annotations_of(spec, fit.name_in_catalog(shape))))

    assert row.plan is not None
    assert row.plan.weights == expected.weights
    other = ModelShape(**{**vars(shape), "hidden_size": 1024})
    assert fit.name_in_catalog(other) is None
    assert fit.name_in_catalog(None) is None
    unknown = planned(manifest(spec, annotations_of(spec, None)))
    assert unknown.reason.startswith("/model-cache/mine is not in the catalog; give ")
    assert "--config /model-cache/mine=config.json" in unknown.reason


def test_nothing() -> None:
    """What the manifest says by itself is not repeated."""
    assert annotations_of(pod(), None) == {}
    assert annotations_of(pod(gpu=MigSlice("1g.10gb")), None) == {}


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"vllm-constructs.dev/gpu-memory-mib": "many", "vllm-constructs.dev/gpu-sharing": "mps"},
        {"vllm-constructs.dev/gpu-memory-mib": "٣", "vllm-constructs.dev/gpu-sharing": "mps/x"},
        {"vllm-constructs.dev/vllm": 3, "vllm-constructs.dev/model-shape": None},
        {"vllm-constructs.dev/gpu-memory-mib": 24000},
    ],
)
def test_garbage(found: dict[str, Any]) -> None:
    """An annotation that nobody can read says nothing."""
    assert read_plan_annotations(found) == PlanAnnotations()


def test_read() -> None:
    """What is written is read."""
    gpu = TimeSlicedGpu("My-GPU", replicas=3, sharing="mps", memory_mib=24000)

    found = make_plan_annotations(gpu=gpu, nodes={}, vllm="0.22.1", shape=QWEN)

    assert PlanAnnotations(
        vllm="0.22.1",
        model_shape=QWEN,
        gpu_memory_mib=24000,
        gpu_product="My-GPU",
        gpu_sharing=("mps", 3),
    ) == read_plan_annotations(found)


def test_wrong() -> None:
    """A release or a way of sharing that there is none of is no crash."""
    spec = pod(gpu=TimeSlicedGpu("NVIDIA-L40S"))
    document = manifest(spec, {"vllm-constructs.dev/gpu-sharing": "magic/4"})
    assert "sharing is 'magic'" in planned(document).reason
    document = manifest(pod(), {"vllm-constructs.dev/vllm": "new"})
    assert planned(document).plan is not None
