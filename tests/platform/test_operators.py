"""Operators: their values, sharing of GPUs, namespaces and the smoke test."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import pod_security_problems, validate
from vllm_constructs import MigSlice, Nodes, PodSecurity, TimeSlicedGpu, Toleration, WholeGpu
from vllm_constructs.kube.pod_security_standards import LEVELS
from vllm_constructs.platform import operators

IMAGE = "nvidia/cuda:13.0.2-base-ubuntu24.04"


def gpu_operator(**fields: Any) -> dict[str, Any]:
    """Return the values of NVIDIA's chart."""
    given_fields = {
        "driver": True,
        "toolkit": False,
        "dcgm": True,
        "dcgm_exporter": True,
        "mig": None,
        "mig_strategy": "mixed",
        "shared": None,
        **fields,
    }
    return operators.gpu_operator_values(**given_fields)


def test_gpu_operator_values() -> None:
    """The chart's values switch its parts, cut GPUs into slices and share them."""
    plain = gpu_operator()
    sliced = gpu_operator(mig=MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe"))

    expected = {
        "driver": {"enabled": True},
        "toolkit": {"enabled": False},
        "dcgm": {"enabled": True},
        "dcgmExporter": {"enabled": True},
        "mig": {"strategy": "mixed"},
    }
    assert expected == plain
    assert {"config": {"default": "all-1g.10gb"}} == sliced["migManager"]
    shared = gpu_operator(shared="sharing")["devicePlugin"]
    assert {"config": {"create": False, "name": "sharing"}} == shared


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(("l4", "A100_x4", "t4.mps")), strategies.shared_gpus()))
def test_sharing_config_map(shared: dict[str, TimeSlicedGpu]) -> None:
    """The device plugin gets one file for each way of sharing."""
    found = operators.sharing_config_map("sharing", "gpu-operator", shared)

    assert [] == validate(found)
    read = {key: yaml.safe_load(text) for key, text in found["data"].items()}
    assert {key: gpu.device_plugin_config() for key, gpu in shared.items()} == read
    assert sorted(shared) == list(read)


@pytest.mark.parametrize("level", LEVELS)
def test_namespace(level: Any) -> None:
    """A Namespace enforces its Pod Security level, and audits and warns by it."""
    found = operators.namespace(name="llm", pod_security=level)

    assert [] == validate(found)
    prefix = "pod-security.kubernetes.io/"
    labels = {prefix + mode: level for mode in ("enforce", "audit", "warn")}
    assert labels == found["metadata"]["labels"]


@settings(max_examples=50, deadline=None)
@given(strategies.names(), strategies.gpus(), st.lists(strategies.tolerations(), max_size=2))
def test_smoke_test(name: str, gpu: Any, tolerations: list[Toleration]) -> None:
    """The Job asks for one GPU where the model's are, as an ordinary user, and ends."""
    found = operators.smoke_test(name=name, gpu=gpu, image=IMAGE, tolerations=tolerations)

    assert [] == validate(strategies.in_namespace(found))
    assert strategies.is_plain(found)
    pod = found["spec"]["template"]["spec"]
    assert [] == pod_security_problems(pod)
    resources = pod["containers"][0]["resources"]
    assert "1" == resources["requests"][gpu.resource] == resources["limits"][gpu.resource]
    assert gpu.node_labels == pod.get("nodeSelector", {})
    assert [one.manifest() for one in tolerations] == pod["tolerations"][1:]
    assert found["spec"]["activeDeadlineSeconds"] > 0
    assert "Never" == pod["restartPolicy"]


def test_smoke_test_anywhere() -> None:
    """A slice of any product is tested on any node that has it."""
    found = operators.smoke_test(name="x", gpu=MigSlice("1g.10gb"), image=IMAGE)

    assert "nodeSelector" not in found["spec"]["template"]["spec"]


L4 = WholeGpu("NVIDIA-L4")


@pytest.mark.parametrize(
    ("gpu", "nodes", "keys", "values"),
    [
        (WholeGpu("NVIDIA-L4"), Nodes("gke"), {"cloud.google.com/gke-accelerator"}, 0),
        (WholeGpu("NVIDIA-L4"), Nodes("eks"), set(), 1),
        (WholeGpu("NVIDIA-L4"), Nodes("any"), set(), 0),
        (WholeGpu("NVIDIA-L4"), Nodes(labels={"pool": "a"}), {"pool"}, 0),
    ],
)
def test_smoke_test_on_clouds(gpu: Any, nodes: Nodes, keys: set[str], values: int) -> None:
    """The nodes of a cloud are found by its labels, as those of a model are."""
    found = operators.smoke_test(
        name="x", gpu=gpu, image=IMAGE, nodes=nodes, security=PodSecurity(user="platform")
    )

    assert [] == validate(strategies.in_namespace(found))
    pod = found["spec"]["template"]["spec"]
    assert keys == set(pod.get("nodeSelector", {}))
    assert (values > 0) == ("affinity" in pod)
    assert "runAsUser" not in pod["securityContext"]
    assert [] == pod_security_problems(pod)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: gpu_operator(driver="yes"), ("GpuOperator.driver is 'yes'", "True or False")),
    (lambda: gpu_operator(dcgm_exporter=1), ("dcgm_exporter is 1", "True or False")),
    (
        lambda: operators.sharing_config_map("x", "y", {"a b": TimeSlicedGpu("NVIDIA-L4")}),
        ("shared_gpus is 'a b'", "letters"),
    ),
    (
        lambda: operators.sharing_config_map("x", "y", {"a": L4}),  # type: ignore[dict-item]  # the mistake
        ("shared_gpus['a']", "WholeGpu", "a TimeSlicedGpu"),
    ),
    (lambda: operators.namespace(name="A", pod_security="baseline"), ("is 'A'", "'a'")),
    (
        lambda: operators.namespace(name="a", pod_security="strict"),  # type: ignore[arg-type]  # the mistake
        ("'strict'", "'restricted', 'baseline', 'privileged'"),
    ),
    (lambda: operators.smoke_test(name="A", gpu=L4, image=IMAGE), ("is 'A'", "'a'")),
    (lambda: operators.smoke_test(name="a", gpu=L4, image="cuda"), ("'cuda'", "a tag")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What no platform takes is rejected with what it does."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
