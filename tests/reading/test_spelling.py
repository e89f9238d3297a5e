"""How manifests spell options."""

import pytest

from tests import strategies
from vllm_constructs import (
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.workloads import plan_annotations

PRODUCT = "nodeSelector['nvidia.com/gpu.product']"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("EngineArgs", "the container's command line"),
        ("image", "image"),
        ("vllm", f"the annotation {plan_annotations.VLLM}"),
        ("WholeGpu.count", "limits['nvidia.com/gpu']"),
        ("MigSlice.profile", "the MIG resource in limits"),
        ("TimeSlicedGpu.replicas", f"the annotation {plan_annotations.GPU_SHARING}"),
        ("WholeGpu.product", PRODUCT),
        ("MigSlice.product", PRODUCT),
        ("TimeSlicedGpu.product", PRODUCT),
        ("VirtualGpu.product", PRODUCT),
        ("WholeGpu.memory_mib", f"the annotation {plan_annotations.GPU_MEMORY}"),
        ("TimeSlicedGpu.memory_mib", f"the annotation {plan_annotations.GPU_MEMORY}"),
        ("VirtualGpu.memory_mib", f"the annotation {plan_annotations.GPU_MEMORY}"),
        ("AmdGpu.product", "nodeSelector['amd.com/gpu.product-name']"),
        ("AmdGpu.count", "limits['amd.com/gpu']"),
        ("AmdGpu.memory_mib", f"the annotation {plan_annotations.GPU_MEMORY}"),
        ("IntelGpu.product", "nodeSelector['gpu.intel.com/product']"),
        ("Gaudi.count", "limits['habana.ai/gaudi']"),
        ("Tpu.topology", "nodeSelector['cloud.google.com/gke-tpu-topology']"),
        ("Cpu.kv_cache_gib", "env['VLLM_CPU_KVCACHE_SPACE']"),
        ("DeviceClaim.product", "the product of the resource claim"),
        ("DeviceClaim.shared_by", f"the annotation {plan_annotations.GPU_SHARING}"),
        ("EngineArgs.max_num_seqs", "--max-num-seqs"),
        ("max_num_seqs", "--max-num-seqs"),
        ("Drain.seconds", "Drain.seconds"),
    ],
)
def test_names(option: str, expected: str) -> None:
    """An option is the field, annotation or flag that says the same."""
    assert expected == as_fields(option)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("WholeGpu.count", "8", "limits['nvidia.com/gpu']: 8"),
        ("WholeGpu.memory_mib", "24576", f"the annotation {plan_annotations.GPU_MEMORY}: 24576"),
        ("image", "'vllm:1'", "image: 'vllm:1'"),
        ("max_num_seqs", "8", "--max-num-seqs=8"),
        ("port", "80", "--port=80"),
        ("Drain.seconds", "60", "Drain(seconds=60)"),
    ],
)
def test_values(option: str, value: str, expected: str) -> None:
    """A value stands behind a field as in YAML, and behind a flag as on a command line."""
    assert expected == as_fields(option, value)


def test_sentences() -> None:
    """The problems of accelerators and engines name fields, never Python's keywords."""
    calls: list[strategies.Call] = [
        lambda: WholeGpu("New-GPU"),
        lambda: WholeGpu("NVIDIA-L5"),
        lambda: WholeGpu("NVIDIA-L4", count=17),
        lambda: MigSlice("9g.9gb"),
        lambda: TimeSlicedGpu("NVIDIA-L4", replicas=1),
        lambda: VirtualGpu("a b"),
    ]
    for call in calls:
        with pytest.raises(VllmConstructsError) as caught:
            call()
        sentence = caught.value.problem.sentence(as_fields)
        for kind in ("WholeGpu", "MigSlice", "TimeSlicedGpu", "VirtualGpu", "memory_mib="):
            assert kind not in sentence
    problem = Parallelism(tensor=8, pipeline=1, data=1).problem(WholeGpu("NVIDIA-L4"))
    assert problem is not None
    assert "limits['nvidia.com/gpu']: 8" in problem.sentence(as_fields)
