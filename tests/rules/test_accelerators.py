"""Rules of what engines ask of their GPUs: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

GPU, PRODUCT = "nvidia.com/gpu", "nvidia.com/gpu.product"
MIG = "nvidia.com/mig-1g.10gb"
SHARED = {PRODUCT: "NVIDIA-L40S-SHARED"}
GKE = {
    "cloud.google.com/gke-accelerator": "nvidia-l4",
    "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
    "cloud.google.com/gke-max-shared-clients-per-gpu": "4",
}


def engine(
    *args: str, limits: dict[str, Any], labels: dict[str, str] | None = None, **container: Any
) -> dict[str, Any]:
    """A Deployment of an engine."""
    fields = {} if labels is None else {"nodeSelector": labels}
    resources = {"resources": {"limits": limits}}
    return deployment(pod_spec("a/b", *args, container={**resources, **container}, **fields))


def claimed(
    *args: str, device_class: str, count: int = 1, kind: str = "ResourceClaimTemplate"
) -> list[dict[str, Any]]:
    """A Deployment of an engine with a claim, and the claim or template."""
    exactly = {"deviceClassName": device_class, "count": count}
    spec: dict[str, Any] = {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}
    own = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "gpu", "namespace": "llm"},
        "spec": {"spec": spec} if kind == "ResourceClaimTemplate" else spec,
    }
    field = "resourceClaimTemplateName" if "Template" in kind else "resourceClaimName"
    pod = pod_spec(
        "a/b",
        *args,
        container={"resources": {"claims": [{"name": "gpu"}]}},
        resourceClaims=[{"name": "gpu", field: "gpu"}],
    )
    return [own, deployment(pod)]


class TestParts:
    """G02."""

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("--tensor-parallel-size=2", limits={MIG: 2}),
            engine("--tensor-parallel-size", "2", limits={MIG: "1"}),
            engine("-tp=2", limits={MIG: 2}),
            engine("--tensor_parallel_size=2", limits={MIG: 2}),
            engine("--pipeline-parallel-size=2", limits={MIG: 2}),
            engine("--tensor-parallel-size=2", limits={"nvidia.com/gpu.shared": 2}),
            engine("--tensor-parallel-size=2", limits={GPU: 2}, labels=SHARED),
            engine("--tensor-parallel-size=2", limits={GPU: 2}, labels=GKE),
            engine(
                "--tensor-parallel-size=2",
                limits={GPU: 2},
                labels={PRODUCT: "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"},
            ),
            engine(
                limits={MIG: 2},
                command=["sh", "-c"],
                args=["vllm serve a/b --tensor-parallel-size 2"],
            ),
            engine(
                "--tensor-parallel-size=$(TP)",
                limits={MIG: 2},
                env=[{"name": "TP", "value": "2"}],
            ),
        ],
    )
    def test_bad(self, manifest: dict[str, Any]) -> None:
        """Slices and shares of every kind."""
        (one,) = found([manifest], "G02")
        assert "error" == one.level
        assert {"args"} & set(one.path)
        assert "parallel-size is 2" in one.problem.sentence()

    def test_claims(self) -> None:
        """Slices that a claim names."""
        args = ("--tensor-parallel-size=2",)
        assert ["G02"] == ids(claimed(*args, device_class="mig.nvidia.com", count=2), "G02")
        assert [] == ids(claimed(*args, device_class="gpu.nvidia.com", count=2), "G02")
        # The claim is not in the manifests.
        assert [] == ids(claimed(*args, device_class="mig.nvidia.com")[1:], "G02")

    def test_idle(self) -> None:
        """Slices that an engine does not use work, so they are a warning."""
        (one,) = found([engine(limits={MIG: 2})], "G02")
        assert ("warning", MIG) == (one.level, one.path[-1])
        assert [] == ids([engine("--data-parallel-size=2", limits={MIG: 2})], "G02")
        assert [] == ids([engine("--config=/x.yaml", limits={MIG: 2})], "G02")

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("--tensor-parallel-size=2", limits={GPU: 2}),
            engine("--tensor-parallel-size=2", limits={GPU: 2}, labels={PRODUCT: "NVIDIA-L40S"}),
            engine("--tensor-parallel-size=1", limits={MIG: 1}),
            engine(limits={MIG: 1}),
            engine("--tensor-parallel-size=$(TP)", limits={MIG: 1}),
            # Of another scheduler: parts of different GPUs.
            engine("--tensor-parallel-size=2", limits={GPU: 2, "nvidia.com/gpumem": 20000}),
            engine("--tensor-parallel-size=2", limits={"volcano.sh/vgpu-number": 2}),
            engine("--tensor-parallel-size=2", limits={"amd.com/gpu": 2}),
            engine(limits={GPU: 1}, labels=SHARED),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Whole GPUs, one slice, and sizes that are not known."""
        assert [] == sentences([manifest], "G02")


class TestShares:
    """G06."""

    @pytest.mark.parametrize(
        ("manifest", "word"),
        [
            (engine("--gpu-memory-utilization=0.9", limits={GPU: 1}, labels=SHARED), "at least"),
            (engine("--gpu-memory-utilization=0.5", limits={GPU: 1}, labels=SHARED), "at least"),
            (engine(limits={GPU: 1}, labels=SHARED), "left out, which means 0.92"),
            (engine(limits={"nvidia.com/gpu.shared": 1}), "left out"),
            (
                engine(limits={GPU: 1}, labels=SHARED, image="vllm/vllm-openai:v0.14.1"),
                "left out, which means 0.9,",
            ),
            (engine("--gpu-memory-utilization=0.3", limits={GPU: 1}, labels=GKE), "4 pods"),
            (
                engine("--gpu-memory-utilization", "0.25", limits={GPU: 1}, labels=GKE),
                "such as 0.22",
            ),
            (
                engine(
                    "--gpu-memory-utilization=0.4",
                    limits={GPU: 1},
                    labels={**SHARED, "nvidia.com/gpu.replicas": "3"},
                ),
                "3 pods",
            ),
        ],
    )
    def test_bad(self, manifest: dict[str, Any], word: str) -> None:
        """What is known of the sharers decides."""
        (one,) = found([manifest], "G06")
        assert word in one.problem.sentence()
        assert "error" == one.level

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("--gpu-memory-utilization=0.9", limits={GPU: 1}),
            engine(limits={GPU: 1}, labels={PRODUCT: "NVIDIA-L40S"}),
            engine("--gpu-memory-utilization=0.45", limits={GPU: 1}, labels=SHARED),
            engine("--gpu-memory-utilization=0.2", limits={GPU: 1}, labels=GKE),
            engine("--gpu-memory-utilization=$(PART)", limits={GPU: 1}, labels=SHARED),
            engine("--config=/x.yaml", limits={GPU: 1}, labels=SHARED),
            engine("--kv-cache-memory-bytes=4G", limits={GPU: 1}, labels=SHARED),
            # MPS divides the memory.
            engine(
                "--gpu-memory-utilization=0.9",
                limits={GPU: 1},
                labels={**GKE, "cloud.google.com/gke-gpu-sharing-strategy": "mps"},
            ),
            engine(
                "--gpu-memory-utilization=0.9",
                limits={GPU: 1},
                labels={**SHARED, "nvidia.com/gpu.sharing-strategy": "mps"},
            ),
            # Not known, or divided by another scheduler.
            engine(limits={GPU: 1, "nvidia.com/gpumem": 20000}),
            engine(limits={"aliyun.com/gpu-mem": 8}),
            engine(limits={MIG: 1}),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Small parts, whole GPUs, and what divides the memory itself."""
        assert [] == sentences([manifest], "G06")

    def test_parts(self) -> None:
        """A flag that an operator or another file may add is not missing."""
        patch = engine(limits={GPU: 1}, labels=SHARED)
        del patch["spec"]["selector"]
        assert [] == ids([patch], "G06")

    def test_claims(self) -> None:
        """Replicas that use one claim share its GPU."""
        claim, workload = claimed(device_class="gpu.nvidia.com", kind="ResourceClaim")
        assert [] == ids([claim, workload], "G06")
        workload["spec"]["replicas"] = 3
        (text,) = sentences([claim, workload], "G06")
        assert "3 pods" in text
        claim["spec"]["devices"]["config"] = [{"opaque": {"driver": "gpu.nvidia.com"}}]
        assert [] == ids([claim, workload], "G06")
        own = claimed(device_class="gpu.nvidia.com")
        own[1]["spec"]["replicas"] = 3
        assert [] == ids(own, "G06")


LLAMA = "meta-llama/Llama-3.1-70B-Instruct"
L40S = {PRODUCT: "NVIDIA-L40S"}
H100 = {PRODUCT: "NVIDIA-H100-80GB-HBM3"}


def model(
    name: str, *args: str, count: int = 1, labels: dict[str, str] | None = None, **container: Any
) -> dict[str, Any]:
    """A Deployment of a model."""
    made = engine(*args, limits={GPU: count}, labels=labels, **container)
    if "args" not in container:
        made["spec"]["template"]["spec"]["containers"][0]["args"][0] = name
    return made


class TestFit:
    """G08."""

    @pytest.mark.parametrize(
        "manifest",
        [
            model(LLAMA, labels=L40S),
            model(LLAMA, labels={"cloud.google.com/gke-accelerator": "nvidia-l4"}),
            model(LLAMA, labels={"karpenter.k8s.aws/instance-gpu-name": "h100"}),
            model(LLAMA, "--tensor-parallel-size=2", count=2, labels=L40S),
            model(LLAMA, "--tensor-parallel-size=2", "--max-model-len=1024", count=2, labels=L40S),
            model(LLAMA, labels=L40S, image="vllm/vllm-openai:latest"),
            model("", args=["--model", LLAMA], labels=L40S),
            model(
                "", command=["sh", "-c"], args=[f"exec vllm serve {LLAMA} --port 8000"], labels=L40S
            ),
            # The whole length does not fit, though the weights do.
            model("meta-llama/Llama-3.1-8B-Instruct", labels={PRODUCT: "NVIDIA-L4"}),
        ],
    )
    def test_bad(self, manifest: dict[str, Any]) -> None:
        """Weights or one request of full length that do not fit."""
        (one,) = found([manifest], "G08")
        assert "does not fit" in one.problem.sentence()
        assert "containers" in one.path

    @pytest.mark.parametrize(
        "manifest",
        [
            model("Qwen/Qwen2.5-7B-Instruct", labels=L40S),
            model(LLAMA, "--tensor-parallel-size=8", count=8, labels=H100),
            # What is not known: the GPU, the model, flags, the release.
            model(LLAMA),
            model(LLAMA, labels={"pool": "gpu"}),
            model("/models/llama-70b", labels=L40S),
            model("my/llama-70b", labels=L40S),
            model("$(MODEL)", labels=L40S),
            model(LLAMA, "--config=/x.yaml", labels=L40S),
            model(LLAMA, "--max-model-len=$(LENGTH)", labels=L40S),
            model(LLAMA, labels=L40S, image="registry.example/llm:1", command=["vllm", "serve"]),
            # Weights elsewhere, or another model's.
            model(LLAMA, "--cpu-offload-params=x", labels=L40S),
            model(LLAMA, "--hf-overrides={}", "--load-format=dummy", labels=H100, count=8),
            # Another mistake: the engine uses one of its GPUs.
            model(LLAMA, count=8, labels=H100),
            model(LLAMA, "--tensor-parallel-size=8", "--no-such-flag", count=8, labels=L40S),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """What fits, and what nobody can tell."""
        assert [] == sentences([manifest], "G08")

    def test_parts(self) -> None:
        """Groups of pods, patches and what an operator completes are not planned."""
        patch = model(LLAMA, labels=L40S)
        del patch["spec"]["selector"]
        args = ["--tensor-parallel-size=8", "--nnodes=2", "--node-rank=0"]
        resources = {"resources": {"limits": {GPU: 8}}}
        several = pod_spec(LLAMA, *args, container=resources, nodeSelector=L40S)
        service = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "q"},
            "spec": {"predictor": model(LLAMA, labels=L40S)["spec"]["template"]["spec"]},
        }
        assert [] == ids([patch, group(None, several), service], "G08")

    def test_others(self) -> None:
        """Lengths that the model does not support, and heads that cannot be split."""
        length = model("Qwen/Qwen2.5-32B-Instruct", "--max-model-len=131072", labels=H100)
        (one,) = found([length], "G08")
        assert ("args", 1) == one.path[-2:]
        assert "supports 32768 tokens" in one.problem.sentence()
        heads = model("Qwen/Qwen2.5-7B-Instruct", "--tensor-parallel-size=8", count=8, labels=H100)
        assert "28 attention heads" in sentences([heads], "G08")[0]
        env = [{"name": "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "value": "1"}]
        allowed = model("Qwen/Qwen2.5-32B-Instruct", "--max-model-len=40000", labels=H100, env=env)
        assert [] == ids([allowed], "G08")

    def test_settings(self) -> None:
        """A product that the user names."""
        settings = Settings(gpu="NVIDIA-L40S", kubernetes=Kubernetes("1.34"))
        assert 1 == len(found([model(LLAMA)], "G08", settings=settings))

    def test_each(self) -> None:
        """Each of several equal engines has its finding."""
        several = [model(LLAMA, labels=L40S) for _ in range(3)]
        assert 3 == len(found(several, "G08"))
