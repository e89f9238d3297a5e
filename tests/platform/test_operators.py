"""Platform: operators by Flux or Argo CD, namespaces, sharing and the smoke test."""

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, pod_security_problems, validate
from vllm_constructs import (
    ArgoApplication,
    FluxHelmRelease,
    MigSlice,
    TimeSlicedGpu,
    Toleration,
    WholeGpu,
)
from vllm_constructs.platform import operators as platform

IMAGE = "nvidia/cuda:13.0.2-base-ubuntu24.04"


def chart(values: Any = None, **fields: Any) -> platform.HelmChart:
    """Return the chart of an operator."""
    given_fields = {
        "name": "gpu-operator",
        "repository": "https://helm.example.com",
        "version": "v26.3.0",
        "namespace": "gpu-operator",
        "derived": {"driver": {"enabled": True}, "mig": {"strategy": "mixed"}},
        "values": {} if values is None else values,
        **fields,
    }
    return platform.helm_chart("GpuOperator", **given_fields)


@pytest.mark.parametrize("delivery", [FluxHelmRelease(), ArgoApplication()], ids=repr)
def test_delivery(delivery: Any) -> None:
    """Whatever the values, the objects are valid and hold them in a stable order."""

    @settings(max_examples=30, deadline=None)
    @given(st.dictionaries(strategies.one_line(), strategies.json_values(), max_size=3))
    def check(values: dict[str, Any]) -> None:
        found = delivery.manifests(chart(values))
        again = delivery.manifests(chart(strategies.shuffled(values)))

        assert json.dumps(found) == json.dumps(again)
        assert all(strategies.is_plain(one) for one in found)

    check()
    found = delivery.manifests(chart({"driver": {"enabled": False}}))
    assert_valid(*found)
    assert {one["metadata"]["namespace"] for one in found} == {delivery.namespace}


def test_flux() -> None:
    """Flux installs into the operator's namespace, which it makes, CRDs included."""
    source, release = FluxHelmRelease(interval="10m").manifests(chart())

    assert source["spec"] == {"interval": "10m", "url": "https://helm.example.com"}
    spec = release["spec"]
    assert spec["targetNamespace"] == spec["storageNamespace"] == "gpu-operator"
    assert spec["install"] == {"createNamespace": True, "crds": "CreateReplace"}
    assert spec["chart"]["spec"]["sourceRef"]["name"] == source["metadata"]["name"]
    assert spec["values"] == {"driver": {"enabled": True}, "mig": {"strategy": "mixed"}}


def test_argo() -> None:
    """Argo CD applies on the server's side, since CRDs are large."""
    (found,) = ArgoApplication(project="platform").manifests(chart())

    spec = found["spec"]
    assert spec["project"] == "platform"
    assert spec["source"]["targetRevision"] == "v26.3.0"
    assert spec["source"]["helm"]["valuesObject"]["mig"] == {"strategy": "mixed"}
    assert "ServerSideApply=true" in spec["syncPolicy"]["syncOptions"]


def test_merged() -> None:
    """The user's values go over the derived ones, key by key."""
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": {"g": 1}}

    found = platform.merged(base, {"a": {"c": {"d": 3}}, "e": [2], "f": 1, "h": {"i": 1}})

    assert found == {"a": {"b": 1, "c": {"d": 3}}, "e": [2], "f": 1, "h": {"i": 1}}
    assert base["a"] == {"b": 1, "c": {"d": 2}}


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
    return platform.gpu_operator_values(**given_fields)


def test_gpu_operator_values() -> None:
    """The chart's values switch its parts, cut GPUs into slices and share them."""
    plain = gpu_operator()
    sliced = gpu_operator(mig=MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe"))

    assert plain == {
        "driver": {"enabled": True},
        "toolkit": {"enabled": False},
        "dcgm": {"enabled": True},
        "dcgmExporter": {"enabled": True},
        "mig": {"strategy": "mixed"},
    }
    assert sliced["migManager"] == {"config": {"default": "all-1g.10gb"}}
    shared = gpu_operator(shared="sharing")["devicePlugin"]
    assert shared == {"config": {"create": False, "name": "sharing"}}


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(("l4", "A100_x4", "t4.mps")), strategies.shared_gpus()))
def test_sharing_config_map(shared: dict[str, TimeSlicedGpu]) -> None:
    """The device plugin gets one file for each way of sharing."""
    found = platform.sharing_config_map("sharing", "gpu-operator", shared)

    assert validate(found) == []
    read = {key: yaml.safe_load(text) for key, text in found["data"].items()}
    assert read == {key: gpu.device_plugin_config() for key, gpu in shared.items()}
    assert list(read) == sorted(shared)


@pytest.mark.parametrize("level", platform.POD_SECURITY)
def test_namespace(level: Any) -> None:
    """A Namespace enforces its Pod Security level, and audits and warns by it."""
    found = platform.namespace(name="llm", pod_security=level)

    assert validate(found) == []
    prefix = "pod-security.kubernetes.io/"
    labels = {prefix + mode: level for mode in ("enforce", "audit", "warn")}
    assert found["metadata"]["labels"] == labels


@settings(max_examples=50, deadline=None)
@given(strategies.names(), strategies.gpus(), st.lists(strategies.tolerations(), max_size=2))
def test_smoke_test(name: str, gpu: Any, tolerations: list[Toleration]) -> None:
    """The Job asks for one GPU where the model's are, as an ordinary user, and ends."""
    found = platform.smoke_test(name=name, gpu=gpu, image=IMAGE, tolerations=tolerations)

    assert validate(strategies.in_namespace(found)) == []
    assert strategies.is_plain(found)
    pod = found["spec"]["template"]["spec"]
    assert pod_security_problems(pod) == []
    resources = pod["containers"][0]["resources"]
    assert resources["requests"][gpu.resource] == resources["limits"][gpu.resource] == "1"
    assert pod.get("nodeSelector", {}) == gpu.node_labels
    assert pod["tolerations"][1:] == [one.manifest() for one in tolerations]
    assert found["spec"]["activeDeadlineSeconds"] > 0
    assert pod["restartPolicy"] == "Never"


def test_smoke_test_anywhere() -> None:
    """A slice of any product is tested on any node that has it."""
    found = platform.smoke_test(name="x", gpu=MigSlice("1g.10gb"), image=IMAGE)

    assert "nodeSelector" not in found["spec"]["template"]["spec"]


L4 = WholeGpu("NVIDIA-L4")

REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: FluxHelmRelease(namespace="A"), ("FluxHelmRelease.namespace is 'A'", "'a'")),
    (lambda: FluxHelmRelease(interval="1d"), ("interval is '1d'", "'1h'")),
    (lambda: ArgoApplication(namespace="A"), ("ArgoApplication.namespace is 'A'", "'a'")),
    (lambda: ArgoApplication(project="A"), ("ArgoApplication.project is 'A'", "'a'")),
    (lambda: chart(["a"]), ("GpuOperator.values is ['a']", "a dict of Helm values")),
    (lambda: chart({"a": float("nan")}), ("GpuOperator.values['a']", "nan", "finite")),
    (lambda: chart(version=""), ("GpuOperator.version is ''", "not empty")),
    (lambda: chart(namespace="A"), ("GpuOperator.namespace is 'A'", "'a'")),
    (lambda: gpu_operator(driver="yes"), ("GpuOperator.driver is 'yes'", "True or False")),
    (lambda: gpu_operator(dcgm_exporter=1), ("dcgmExporter is 1", "True or False")),
    (
        lambda: platform.sharing_config_map("x", "y", {"a b": TimeSlicedGpu("NVIDIA-L4")}),
        ("shared_gpus is 'a b'", "letters"),
    ),
    (
        lambda: platform.sharing_config_map("x", "y", {"a": L4}),  # type: ignore[dict-item]  # the mistake
        ("shared_gpus['a']", "WholeGpu", "a TimeSlicedGpu"),
    ),
    (lambda: platform.namespace(name="A", pod_security="baseline"), ("is 'A'", "'a'")),
    (
        lambda: platform.namespace(name="a", pod_security="strict"),  # type: ignore[arg-type]  # the mistake
        ("'strict'", "'privileged', 'baseline', 'restricted'"),
    ),
    (lambda: platform.smoke_test(name="A", gpu=L4, image=IMAGE), ("is 'A'", "'a'")),
    (lambda: platform.smoke_test(name="a", gpu=L4, image="cuda"), ("'cuda'", "a tag")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What no platform takes is refused with what it does."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A delivery cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        FluxHelmRelease().interval = "1d"  # type: ignore[misc]  # the point
