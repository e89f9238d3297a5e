"""Image families: what images are built for, who uses them, and how they start vLLM.

Source: docker/Dockerfile of vLLM 0.33 and its siblings for other accelerators; LMCache 0.5.6,
docker/Dockerfile. The package index has no images, so all releases count as this one.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from vllm_constructs.dataclass import dataclass

Platform: TypeAlias = Literal["CUDA", "ROCm", "XPU", "CPU", "TPU", "Gaudi"]


@dataclass(frozen=True, kw_only=True)
class ImageFamily:
    """Images that are built the same way.

    Args:
        repository: Last part of the image's name.
        accelerator: The hardware that its kernels are built for.
        user: User id that is not root; the CUDA image alone has a passwd entry for it.
        home: Home directory of that user.
        command: The command that starts vLLM.
    """

    repository: str
    accelerator: Platform
    user: int = 2000
    home: str = "/home/vllm"
    command: tuple[str, ...] = ("vllm", "serve")

    @property
    def group(self) -> int:
        """Group id: 0, which owns the writable files."""
        return 0

    @property
    def cache(self) -> str:
        """Hugging Face's cache directory unless `HF_HOME` is set."""
        return f"{self.home}/.cache/huggingface"


CUDA = ImageFamily(repository="vllm-openai", accelerator="CUDA")
FAMILIES = (
    CUDA,
    ImageFamily(repository="vllm-openai-rocm", accelerator="ROCm"),
    ImageFamily(repository="vllm-openai-xpu", accelerator="XPU"),
    ImageFamily(repository="vllm-openai-cpu", accelerator="CPU"),
    ImageFamily(repository="vllm-tpu", accelerator="TPU"),
    ImageFamily(repository="vllm-gaudi", accelerator="Gaudi"),
)
# LMCache's own image of vLLM has it in an environment of its own.
_LMCACHE = ImageFamily(
    repository="vllm-openai", accelerator="CUDA", command=("/opt/venv/bin/vllm", "serve")
)
# Words of names that tell what images of others are built for.
_WORDS: dict[str, Platform] = {
    "rocm": "ROCm",
    "xpu": "XPU",
    "cpu": "CPU",
    "tpu": "TPU",
    "gaudi": "Gaudi",
    "habana": "Gaudi",
    "hpu": "Gaudi",
    "cuda": "CUDA",
}
# Images by default; none is published for Gaudi, and TPU's has a release of its own.
DEFAULTS: dict[Platform, str] = {
    "CUDA": "vllm/vllm-openai",
    "ROCm": "vllm/vllm-openai-rocm",
    "XPU": "vllm/vllm-openai-xpu",
    "CPU": "vllm/vllm-openai-cpu",
    "TPU": "vllm/vllm-tpu",
}
TPU_RELEASE = "0.32.0"
"""The newest release of vLLM for TPUs that this library knows."""


def named_accelerator(name: str, tag: str | None = None) -> Platform | None:
    """What an image is built for, as its name or the end of its tag tells; None if neither does.

    Args:
        name: Name of the image without tag and digest.
        tag: Its tag. Default: none.
    """
    host, _, path = name.partition("/")
    known = next((one for one in FAMILIES if one.repository == name.rpartition("/")[2]), None)
    if known is not None:
        return known.accelerator
    if host == "vault.habana.ai":
        return "Gaudi"
    # A registry may have any name.
    is_host = bool(path) and bool(re.search(r"[.:]|^localhost$", host))
    words = [*re.split(r"[-_./]", (path if is_host else name).lower())]
    words += re.split(r"[-_]", (tag or "").lower())[-1:]
    named = [word.rstrip(".0123456789") for word in words]
    return next((kind for word, kind in _WORDS.items() if word in named), None)


def family_of(
    name: str, accelerator: Platform | None = None, tag: str | None = None
) -> ImageFamily:
    """The family of an image.

    Args:
        name: Name of the image without tag and digest.
        accelerator: What it is built for, if neither tells. Default: CUDA.
        tag: Its tag. Default: none.
    """
    if re.search(r"(^|/)lmcache/vllm-openai$", name):
        return _LMCACHE
    built_for = named_accelerator(name, tag) or accelerator or "CUDA"
    return next(one for one in FAMILIES if one.accelerator == built_for)
