"""Image families: the user of vLLM's official images, and the directory where it may write.

Source: docker/Dockerfile of vLLM 0.33 and its siblings for other accelerators. The package index
has no images, so all releases count as this one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from vllm_constructs.dataclass import dataclass

Accelerator: TypeAlias = Literal["CUDA", "ROCm", "XPU", "CPU"]


@dataclass(frozen=True, kw_only=True)
class ImageFamily:
    """Images that are built the same way.

    Args:
        repository: Last part of the image's name.
        accelerator: The hardware that its kernels are built for.
        user: User id that is not root and has a passwd entry; None if there is none.
        home: Home directory of that user, or of root.
    """

    repository: str
    accelerator: Accelerator
    user: int | None
    home: str

    @property
    def group(self) -> int:
        """Group id: 0, which owns the writable files."""
        return 0

    @property
    def cache(self) -> str:
        """Hugging Face's cache directory unless `HF_HOME` is set."""
        return f"{self.home}/.cache/huggingface"


CUDA = ImageFamily(repository="vllm-openai", accelerator="CUDA", user=2000, home="/home/vllm")
FAMILIES = (
    CUDA,
    ImageFamily(repository="vllm-openai-rocm", accelerator="ROCm", user=None, home="/root"),
    ImageFamily(repository="vllm-openai-xpu", accelerator="XPU", user=None, home="/root"),
    ImageFamily(repository="vllm-openai-cpu", accelerator="CPU", user=None, home="/root"),
)


def family_of(name: str) -> ImageFamily:
    """The family of an image's name; an unknown name counts as vLLM's CUDA image."""
    repository = name.rpartition("/")[2]
    return next((one for one in FAMILIES if one.repository == repository), CUDA)
