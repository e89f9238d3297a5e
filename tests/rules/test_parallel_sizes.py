"""Sizes and GPUs: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

CONTAINER = ("spec", "template", "spec", "containers", 0)
ARGS = (*CONTAINER, "args")
GPU = "nvidia.com/gpu"


def engine(gpus: object, *args: str, resource: str = GPU, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with GPUs."""
    resources = {"limits": {resource: gpus, "memory": "64Gi"}}
    return deployment(pod_spec("a/b", *args, container={"resources": resources, **container}))


def script(gpus: object, text: str) -> dict[str, Any]:
    """A Deployment whose engine a shell starts."""
    return engine(gpus, command=["sh", "-c"], args=[text])


def on_nodes(gpus: object, *args: str, resource: str = GPU, **labels: str) -> dict[str, Any]:
    """A Deployment on nodes with labels."""
    resources = {"limits": {resource: gpus}}
    container = {"resources": resources}
    return deployment(pod_spec("a/b", *args, container=container, nodeSelector=labels))


PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


@pytest.mark.parametrize(
    ("manifest", "at", "words"),
    [
        (
            engine("2", "-tp", "4"),
            1,
            "needs 4 GPUs (tensor 4 x pipeline 1 x data 1), but the pod has 2",
        ),
        (engine(2, "--tensor-parallel-size=4"), 1, "request 4, or give sizes whose product is 2"),
        (engine("4", "--tensor_parallel_size", "2"), 1, "uses 2 of the pod's 4 GPUs"),
        (engine("8", "-tp=4", "-pp=4"), 1, "needs 16 GPUs"),
        (engine("8", "--data-parallel-size=16", "--enable-expert-parallel"), 1, "needs 16 GPUs"),
        (engine("1", "-pp", "2"), 1, "needs 2 GPUs"),
        (on_nodes("8", "-tp=16", **PRODUCT), 1, "no node has 16"),
        (engine("2", "-tp=4", resource="amd.com/gpu"), 1, "needs 4 GPUs"),
        (engine("2", "-tp=4", resource="gpu.intel.com/i915"), 1, "needs 4 GPUs"),
        (engine("8", "-tp=4", resource="habana.ai/gaudi"), 1, "uses 4"),
        (engine("8", "-tp=4", image="example.com/vllm:1", command=["vllm", "serve"]), 1, "uses 4"),
        (engine("8", "-tp=4", image="vllm/vllm-openai:v0.6.3"), 1, "uses 4"),
    ],
)
def test_sizes(manifest: dict[str, Any], at: int, words: str) -> None:
    """Sizes that need more GPUs than the pod has, or fewer."""
    (finding,) = found([manifest], "E05")

    assert (finding.level, finding.path) == ("error", (*ARGS, at))
    assert words in finding.problem.sentence()


def test_unused() -> None:
    """Without a size vLLM uses one GPU."""
    (finding,) = found([engine("2")], "E05")

    assert finding.path == ARGS
    assert "uses 1 of the pod's 2 GPUs" in finding.problem.sentence()
    assert "give tensor_parallel_size=2, or request 1" in finding.problem.sentence()
    assert ["E05"] == ids([script("2", "exec vllm serve $MODEL --port 8000")], "E05")
    assert ["E05"] == ids(
        [engine("2", command=["vllm", "serve", "$(MODEL)"], args=["-pp=1"])], "E05"
    )


def test_file() -> None:
    """Sizes may be in the config file."""
    spec = pod_spec(
        "a/b", "--config", "/etc/vllm/flags.yaml",
        container={
            "volumeMounts": [{"name": "flags", "mountPath": "/etc/vllm"}],
            "resources": {"limits": {GPU: "2"}},
        },
        volumes=[{"name": "flags", "configMap": {"name": "flags"}}],
    )  # fmt: skip
    file = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "flags", "namespace": "llm"},
    }

    assert [] == ids([deployment(spec)], "E05")
    right = {**file, "data": {"flags.yaml": "tensor-parallel-size: 2"}}
    assert [] == ids([deployment(spec), right], "E05")
    wrong = {**file, "data": {"flags.yaml": "tensor-parallel-size: 4"}}
    (finding,) = found([deployment(spec), wrong], "E05")
    assert finding.path == (*ARGS, 1)


@pytest.mark.parametrize(
    "manifest",
    [
        engine("1"),
        engine("2", "-tp", "2"),
        engine("8", "-tp=4", "-pp=2"),
        engine("8", "--data-parallel-size=8", "--enable-expert-parallel"),
        engine("8", "-tp=2", "--data-parallel-size=4"),
        # The number of GPUs is not known, or none of these rule's.
        deployment(pod_spec("a/b", "-tp=4")),
        engine(None, "-tp=4"),
        engine("two", "-tp=4"),
        engine("0", "-tp=4"),
        engine("1.5", "-tp=4"),
        engine("4", "-tp=2", resource="example.com/gpu"),
        engine("1", "-tp=2", resource="nvidia.com/mig-3g.40gb"),
        engine("1", "-tp=2", resource="nvidia.com/gpu.shared"),
        on_nodes("2", "-tp=1", **{"nvidia.com/gpu.product": "NVIDIA-L40S-SHARED"}),
        on_nodes("2", **{"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb"}),
        on_nodes("2", **{"cloud.google.com/gke-gpu-sharing-strategy": "time-sharing"} | PRODUCT),
        deployment(
            pod_spec("a/b", "-tp=2", container={"resources": {"claims": [{"name": "gpu"}]}})
        ),
        engine("4", "-tp=2", image="vllm/vllm-openai-cpu:v0.33.0", resource="cpu"),
        # Sizes that are not known.
        engine("2", "-tp=$(GPUS)"),
        engine("2", "--config=/etc/vllm/flags.yaml"),
        engine("2", "-tp=two"),
        engine("2", "--tensor-paralel-size=2"),
        engine("2", "--tensor-parallel-size 2"),
        engine("2", command=["vllm", "serve", "a/b", "$(EXTRA)"]),
        script("2", "vllm serve a/b $EXTRA"),
        script("2", "vllm serve $ARGS"),
        script("2", 'vllm serve "$@"'),
        script("4", "vllm serve a/b -tp $(nvidia-smi -L | wc -l)"),
        script("4", 'if [ "$X" ]; then vllm serve a/b; else vllm serve a/b -tp 4; fi'),
        # Other processes, other pods.
        script(
            "2", "CUDA_VISIBLE_DEVICES=0 vllm serve a/b & CUDA_VISIBLE_DEVICES=1 vllm serve c/d"
        ),
        script("2", "CUDA_VISIBLE_DEVICES=0 vllm serve a/b & python train.py"),
        script("8", "ray start --head && vllm serve a/b -tp 8 -pp 2"),
        engine("8", "-tp=8", "-pp=2", "--distributed-executor-backend=ray"),
        engine("8", "-tp=1", "--distributed-executor-backend=external_launcher"),
        engine("8", "-tp=8", "-pp=2", "--nnodes=2", "--node-rank=1", "--headless"),
        engine(
            "8",
            "--data-parallel-size=16",
            "--data-parallel-size-local=8",
            "--data-parallel-address=a",
        ),
        engine("1", "--data-parallel-size=16", "--data-parallel-rank=3"),
        engine("8", "--data-parallel-size=8", "--enable-elastic-ep"),
        engine("8", "--tensor-parallel-size=4", "--prefill-context-parallel-size=2"),
        engine("2", image="example.com/vllm-openai-launcher:1"),
        group(None, pod_spec("a/b", "-tp=8", container={"resources": {"limits": {GPU: "4"}}})),
    ],
)
def test_good(manifest: dict[str, Any]) -> None:
    """Sizes that fit, and those that something else decides."""
    assert [] == sentences([manifest], "E05")


def test_operators() -> None:
    """What an operator completes may get other sizes or GPUs."""
    spec = {"predictor": engine("2")["spec"]["template"]["spec"]}
    kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}

    assert [] == ids([{**kind, "metadata": {"name": "qwen"}, "spec": spec}], "E05")


def test_tpu() -> None:
    """The devices of a host of TPUs follow from its labels."""
    labels = {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }
    resource = "google.com/tpu"

    def host(gpus: str, *args: str) -> list[dict[str, Any]]:
        return [on_nodes(gpus, *args, resource=resource, **labels)]

    assert [] == ids(host("8", "-tp=8"), "E05")
    assert ["E05"] == ids(host("8", "-tp=4"), "E05")
    assert [] == ids(host("4", "-tp=4"), "E05")
    assert [] == ids([engine("8", "-tp=4", resource=resource)], "E05")


def test_odd_values() -> None:
    """No value of any type raises."""
    check_odd_values([on_nodes("2", "-tp", "4", **PRODUCT)], "E05")


def test_flags_of_others() -> None:
    """What builds on vLLM may place its parts by flags that vLLM does not have."""
    own: dict[str, Any] = {"image": "example.com/omni:1", "command": ["vllm", "serve"]}
    assert [] == ids([engine("4", "--stages-of-mine", **own)], "E05")
    assert ["E05"] == ids([engine("4", **own)], "E05")
