"""Rule of the devices that containers request: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

GPU = "nvidia.com/gpu"


def engine(
    limits: dict[str, Any] | None = None, requests: dict[str, Any] | None = None, **container: Any
) -> dict[str, Any]:
    """The spec of a pod with an engine that has these resources."""
    given = {"limits": limits, "requests": requests}
    resources = {name: one for name, one in given.items() if one is not None}
    return pod_spec(container={"resources": resources, **container})


def partial(spec: dict[str, Any]) -> dict[str, Any]:
    """An InferenceService, which an operator completes."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qwen"},
        "spec": {"predictor": spec},
    }


@pytest.mark.parametrize(
    ("limits", "requests", "path", "word"),
    [
        ({GPU: "2"}, {GPU: "1"}, "requests.nvidia.com/gpu", "differ"),
        ({GPU: 2}, {GPU: 4}, "requests.nvidia.com/gpu", "differ"),
        ({GPU: None}, {GPU: 4}, "requests.nvidia.com/gpu", "differ"),
        ({"amd.com/gpu": 2}, {"amd.com/gpu": "1"}, "requests.amd.com/gpu", "differ"),
        ({GPU: 1, "rdma/ib": 1}, {GPU: 1, "rdma/ib": 2}, "requests.rdma/ib", "differ"),
        ({"cpu": 1}, {GPU: "1"}, "requests.nvidia.com/gpu", "without a limit"),
        (None, {GPU: 1}, "requests.nvidia.com/gpu", "without a limit"),
        ({GPU: "0.5"}, None, "limits.nvidia.com/gpu", "whole numbers"),
        ({GPU: 0.5}, None, "limits.nvidia.com/gpu", "whole numbers"),
        ({GPU: "500m"}, None, "limits.nvidia.com/gpu", "whole numbers"),
        ({GPU: "one"}, None, "limits.nvidia.com/gpu", "whole numbers"),
        ({GPU: True}, None, "limits.nvidia.com/gpu", "whole numbers"),
        ({"gpu": 1}, None, "limits.gpu", "write nvidia.com/gpu"),
        ({"gpus": 1}, {"gpus": 1}, "limits.gpus", "write nvidia.com/gpu"),
        ({"nvidia-gpu": 1}, None, "limits.nvidia-gpu", "write nvidia.com/gpu"),
        ({"tpu": 4}, None, "limits.tpu", "with its domain"),
        ({"nvidia.com/gpus": 1}, None, "limits.nvidia.com/gpus", "write nvidia.com/gpu"),
        ({"nvidia.com/GPU": 1}, None, "limits.nvidia.com/GPU", "write nvidia.com/gpu"),
        ({"nvidia/gpu": 1}, None, "limits.nvidia/gpu", "write nvidia.com/gpu"),
        ({"nvdia.com/gpu": 1}, None, "limits.nvdia.com/gpu", "write nvidia.com/gpu"),
        ({"habana.ai/gaudis": 1}, None, "limits.habana.ai/gaudis", "write habana.ai/gaudi"),
    ],
)
def test_refused(
    limits: dict[str, Any] | None, requests: dict[str, Any] | None, path: str, word: str
) -> None:
    """What the API server refuses, and names that no device plugin has."""
    found_here = sentences([deployment(engine(limits, requests))], "G01")
    assert any(f"resources.{path}: " in one and word in one for one in found_here), found_here


@pytest.mark.parametrize("image", ["vllm/vllm-openai:latest", "mirror.example/vllm-openai:v0.9.1"])
@pytest.mark.parametrize("limits", [None, {"cpu": 8}, {GPU: 0}, {"rdma/ib": 1}, {GPU: "0"}])
def test_missing(image: str, limits: dict[str, Any] | None) -> None:
    """An image for CUDA whose container requests no device."""
    spec = engine(limits, image=image)
    for manifest in (deployment(spec), group(None, spec), {"kind": "Pod", "spec": spec}):
        (one,) = found([{"apiVersion": "v1", "metadata": {"name": "q"}, **manifest}], "G01")
        assert "limits" == one.path[-1]
        assert "nvidia.com/gpu" in one.problem.sentence()
    rocm = engine(image="vllm/vllm-openai-rocm:v0.33.0")
    assert "amd.com/gpu" in sentences([deployment(rocm)], "G01")[0]


@pytest.mark.parametrize(
    "spec",
    [
        engine({GPU: "1"}),
        engine({GPU: 1}, {GPU: "1"}),
        engine({GPU: "1"}, {"cpu": 8, "memory": "32Gi"}),
        engine({GPU: "1.0"}, {GPU: 1}),
        engine({GPU: "1000m"}),
        # Not rendered yet.
        engine({GPU: "${GPUS}"}, {GPU: "${GPUS}"}),
        engine({GPU: "{{ .Values.gpus }}"}, {GPU: 1}),
        engine({GPU: "$(GPUS)"}, {GPU: 8}),
        # Other devices, and parts of them.
        engine({"amd.com/gpu": 1}),
        engine({"google.com/tpu": 8}, image="vllm/vllm-tpu:v0.11.0"),
        engine({"habana.ai/gaudi": 8}),
        engine({"gpu.intel.com/i915": 1}),
        engine({"aws.amazon.com/neuroncore": 2}),
        engine({"huawei.com/Ascend910": 8}),
        engine({"nvidia.com/mig-1g.10gb": 1}),
        engine({"nvidia.com/mig-1g.10gb.me": 1}),
        engine({"nvidia.com/gpu.shared": 1}),
        engine({"nvidia.com/pgpu": 1}),
        engine({"nvidia.com/vgpu": 1}),
        engine({"nvidia.com/A100": 1}),
        engine({GPU: 1, "nvidia.com/gpumem": 20000, "nvidia.com/gpucores": 30}),
        engine({"volcano.sh/vgpu-number": 1, "volcano.sh/vgpu-memory": 1024}),
        engine({"aliyun.com/gpu-mem": 8}),
        engine({"example.com/anything": 1}),
        engine({GPU: 8, "vpc.amazonaws.com/efa": 4, "hugepages-2Mi": "5120Mi"}),
        # Claims, runtimes, schedulers and hosts that give devices.
        engine(resources={"claims": [{"name": "gpu"}]}),
        {**engine(), "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]},
        {**engine(), "runtimeClassName": "nvidia"},
        {**engine(), "schedulerName": "kai-scheduler"},
        {**engine(), "volumes": [{"name": "dri", "hostPath": {"path": "/dev/dri"}}]},
        engine(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]),
        engine(securityContext={"privileged": True}),
        # Images that need no device, or may need none.
        engine(image="vllm/vllm-openai-cpu:v0.33.0"),
        engine(image="public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:v0.10.0"),
        engine(image="registry.example/vllm-openai:0.9-cpu"),
        engine(image="registry.example/llm/server:1", command=["vllm", "serve", "a/b"]),
        engine(image="", command=["vllm", "serve", "a/b"]),
        engine(env=[{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "40"}]),
        engine(env=[{"name": "VLLM_TARGET_DEVICE", "value": "cpu"}]),
        engine(image="quay.io/ascend/vllm-ascend:v0.9.1", command=["vllm", "serve", "a/b"]),
        # Something else.
        {"containers": [{"name": "web", "image": "nginx:1"}]},
    ],
)
def test_good(spec: dict[str, Any]) -> None:
    """Devices of any kind, and containers that get theirs otherwise."""
    assert [] == sentences([deployment(spec)], "G01")


def test_parts() -> None:
    """What an operator or another file completes is not missing; what is there may be wrong."""
    patch = deployment(engine(None, {GPU: 2}))
    del patch["spec"]["selector"]
    assert [] == ids([patch, partial(engine()), partial(engine(None, {GPU: 1}))], "G01")
    assert ["G01"] == ids([partial(engine({GPU: "0.5"}))], "G01")
    annotated = deployment(engine())
    for key in (
        "gpu-fraction",
        "eks.tke.cloud.tencent.com/gpu-type",
        "k8s.aliyun.com/eci-use-specs",
    ):
        annotated["spec"]["template"]["metadata"]["annotations"] = {key: "x"}
        assert [] == ids([annotated], "G01")
    annotated["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    assert ["G01"] == ids([annotated], "G01")


def test_all_containers() -> None:
    """Init containers and sidecars, and pods without an engine."""
    wrong = {"resources": {"limits": {GPU: 1}, "requests": {GPU: 2}}, "name": "a", "image": "a:1"}
    init = {**engine({GPU: 1}), "initContainers": [wrong]}
    assert ["G01"] == ids([deployment(init)], "G01")
    assert ["G01"] == ids([deployment({"containers": [wrong]})], "G01")


def test_fixes() -> None:
    """What follows from the manifest is a fix."""
    (one,) = found([deployment(engine(None, {GPU: 2}))], "G01")
    assert one.fix is not None
    assert one.fix.is_safe
    assert (2, "limits") == (one.fix.edits[0].value, one.fix.edits[0].path[-2])
    (one,) = found([deployment(engine({GPU: 2}, {GPU: 1}))], "G01")
    assert one.fix is not None
    assert not one.fix.is_safe
    (one,) = found([deployment(engine({"nvidia.com/gpus": 2}))], "G01")
    assert one.fix is not None
    assert [GPU, "nvidia.com/gpus"] == [edit.path[-1] for edit in one.fix.edits]
    (one,) = found([deployment(engine({GPU: 2, "gpu": 2}))], "G01")
    assert one.fix is not None
    assert ["gpu"] == [edit.path[-1] for edit in one.fix.edits]
