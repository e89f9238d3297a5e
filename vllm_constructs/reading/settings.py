"""Settings: what manifests do not say, and their user does."""

from __future__ import annotations

from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube.kubernetes import Kubernetes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What manifests do not say, and their user does.

    Args:
        vllm: The vLLM release in images that do not specify it. Default: the newest known one.
        kubernetes: The release of the cluster. Default: it is not known, so nothing is said about
            fields that some releases lack.
        gpu: The product of GPUs that manifests do not name. Default: none.
    """

    vllm: str | None = None
    kubernetes: Kubernetes | None = None
    gpu: str | None = None
