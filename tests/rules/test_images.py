"""Rule of images: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

DIGEST = "sha256:" + "0123456789abcdef" * 4
COMMAND = ["vllm", "serve"]


def engine(image: Any, **pod: Any) -> dict[str, Any]:
    """A Deployment of an engine with an image."""
    return deployment(pod_spec(container={"image": image, "command": COMMAND}, **pod))


class TestImage:
    """H05."""

    @pytest.mark.parametrize(
        "image",
        [
            "vllm/vllm-openai",
            "vllm/vllm-openai:latest",
            "vllm/vllm-openai:nightly",
            "vllm/vllm-openai:latest-x86_64",
            "docker.io/vllm/vllm-openai:latest",
            "lmcache/vllm-openai:latest",
            "lmcache/vllm-openai:latest-nightly",
            "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:latest",
            "registry.example.com:5000/llm/vllm",
            "rocm/vllm:instinct_main",
            "ghcr.io/llm-d/llm-d-cuda-dev:main",
        ],
    )
    def test_bad(self, image: str) -> None:
        """No tag, or one that moves."""
        (one,) = found([engine(image)], "H05")
        assert "warning" == one.level
        assert "image" == one.path[-1]

    @pytest.mark.parametrize(
        "image",
        [
            "vllm/vllm-openai:v0.33.0",
            "vllm/vllm-openai:v0.33.0-cu129",
            "vllm/vllm-openai:v0.34.0rc1",
            f"vllm/vllm-openai:latest@{DIGEST}",
            f"vllm/vllm-openai@{DIGEST}",
            # Builds of one commit or day.
            "vllm/vllm-openai:nightly-0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
            "rocm/vllm-dev:nightly_main_20260120",
            "registry.example.com:5000/llm/vllm:2026-11-01",
            "intel/vllm:0.10.2-xpu",
            # Filled in later.
            "${REGISTRY}/vllm:latest",
            "$(IMAGE)",
            "<your-image>",
            "REPLACE_IMAGE",
            "IMAGE_NAME",
            "__VLLM_IMAGE__",
            "REGION-docker.pkg.dev/PROJECT_ID/REPOSITORY/vllm:TAG",
            "123456789012.dkr.ecr.REGION.amazonaws.com/vllm:v0.33.0",
            "{{ .Values.image }}",
        ],
    )
    def test_good(self, image: str) -> None:
        """A release, a digest, a build of a day, and what a tool fills in."""
        assert [] == sentences([engine(image)], "H05")

    @pytest.mark.parametrize(
        ("image", "words"),
        [
            ("vllm/vllm-openai:v0.33.0 ", "with a space around it"),
            ("\tvllm/vllm-openai:v0.33.0", "with a space around it"),
            ("vllm/vllm-openai:", "InvalidImageName"),
            ("vllm/vllm openai:v1", "InvalidImageName"),
            ("ghcr.io/MyOrg/vllm:v1", "InvalidImageName"),
            ("vllm/vllm-openai:0.33.0", "begins with 'v'"),
            ("", "is missing"),
            (None, "is missing"),
        ],
    )
    def test_rejected(self, image: Any, words: str) -> None:
        """An image that no kubelet pulls is an error."""
        (one,) = found([engine(image)], "H05")
        assert "error" == one.level
        assert words in one.problem.sentence()

    def test_fix(self) -> None:
        """A space is removed; a tag is chosen by those who know the release."""
        (one,) = found([engine("vllm/vllm-openai:v0.33.0 ")], "H05")
        assert one.fix is not None
        assert one.fix.is_safe
        assert "vllm/vllm-openai:v0.33.0" == one.fix.edits[0].value
        (one,) = found([engine("vllm/vllm-openai:latest")], "H05")
        assert one.fix is None
        assert "v0.33.0" in one.problem.sentence()

    def test_containers(self) -> None:
        """All containers of vLLM's pods, and those of no others."""
        tool = {"name": "fetch", "image": "busybox"}
        (one,) = found([engine("vllm/vllm-openai:v0.33.0", initContainers=[tool])], "H05")
        assert ("initContainers", 0, "image") == one.path[-3:]
        router = {"name": "router", "image": "lmcache/lmstack-router:latest"}
        assert [] == ids([deployment({"containers": [router]})], "H05")
        worker = {"containers": [{"name": "ray", "image": "x/vllm:latest", "command": ["ray"]}]}
        assert ["H05"] == ids([group(pod_spec(), worker)], "H05")

    def test_set_elsewhere(self) -> None:
        """Kustomize and OpenShift set images; an operator adds one that is missing."""
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "images": [{"name": "vllm", "newName": "vllm/vllm-openai", "newTag": "v0.33.0"}],
        }
        assert [] == sentences([engine("vllm"), kustomization], "H05")
        assert ["H05"] == ids([engine("vllm")], "H05")
        triggered = engine("vllm:latest")
        triggered["metadata"]["annotations"] = {"image.openshift.io/triggers": "[]"}
        assert [] == sentences([triggered], "H05")
        spec = pod_spec(container={"command": COMMAND})
        del spec["containers"][0]["image"]
        partial = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "q"},
            "spec": {"predictor": spec},
        }
        assert [] == sentences([partial], "H05")


def test_odd_values() -> None:
    """No value of any type raises."""
    kustomization = {"kind": "Kustomization", "images": [{"name": "x", "newTag": "1"}]}
    check_odd_values([engine("vllm/vllm-openai:latest"), kustomization], "H05")
