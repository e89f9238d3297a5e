"""Weights: where the weights of a model come from, if not from the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Protocol, TypeAlias, cast

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse

from .additions import AddedPod, Additions
from .container import Container
from .env_sources import EnvVarSource
from .object_stores import URL, AzureContainer, GcsBucket, S3Bucket, StreamingPod, http_url
from .paths import SUB_PATH
from .storage import CACHE, MOUNT_PATH, ExistingClaim
from .volumes import PULL_POLICIES, PullPolicy, Volume

# Variables that name the folder of downloads.
_FOLDERS = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
WEIGHTS = "/weights"
"""Where an image with weights is mounted."""
IMAGE = re.compile(
    r"[A-Za-z0-9][\w.-]*(:\d{1,5}(?=/))?(/[\w.-]+)*"
    r"(:\w[\w.-]{0,127}(@\w+:[0-9a-fA-F]{32,})?|@\w+:[0-9a-fA-F]{32,})",
    re.ASCII,
)
"""A reference to an image with a tag or digest."""


@dataclass(frozen=True)
class HuggingFaceMirror:
    """A mirror of the Hugging Face Hub, such as one in China or behind a firewall.

    Mirrors do not serve Xet, the Hub's newer storage protocol, so downloads do not use it. Gated
    models need `hf_token` with a mirror, too.

    Args:
        url: Its address, such as `https://hf-mirror.com`.

    Raises:
        VllmConstructsError: An invalid URL.
    """

    url: str

    def __post_init__(self) -> None:
        http_url("HuggingFaceMirror.url", self.url, "https://hf-mirror.com")

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod.

        Args:
            pod: The pod.

        Raises:
            VllmConstructsError: The model is a path or a URL, which no mirror has, or a variable
                contradicts it.
        """
        _check_is_named(pod.model, "HuggingFaceMirror")
        _check_variables(pod, ("VLLM_USE_MODELSCOPE",), "download from ModelScope")
        return Additions(option="weights", env=self.variables())

    def variables(self) -> dict[str, str]:
        """The variables of a container that downloads from it."""
        return {"HF_ENDPOINT": self.url.rstrip("/"), "HF_HUB_DISABLE_XET": "1"}


@dataclass(frozen=True, kw_only=True)
class ModelScope:
    """ModelScope instead of the Hugging Face Hub: for the model, its tokenizer and adapters.

    Of the official images, only that for CUDA has the library that it needs.

    Args:
        token: Where the token for private models is, such as `EnvVarSource.from_secret(...)`.
            Default: none.

    Raises:
        VllmConstructsError: A token of another type.
    """

    token: EnvVarSource | None = None

    def __post_init__(self) -> None:
        if self.token is not None and not isinstance(self.token, EnvVarSource):
            text = f"is a {type(self.token).__name__} (not shown)"
            allowed = "EnvVarSource.from_secret(name of a Secret, key=...)"
            refuse(Problem(where="ModelScope.token", text=text, allowed=allowed))

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod; see `HuggingFaceMirror.additions`.

        Raises:
            VllmConstructsError: An image that lacks the library, or a model that is a path or a
                URL.
        """
        _check_is_named(pod.model, "ModelScope")
        release = pod.release
        if release.is_official and release.family.accelerator != "CUDA":
            text = f"is ModelScope, which the image for {release.family.accelerator} cannot read"
            advice = "use {weights=HuggingFaceMirror(...)}, or an image of your own"
            refuse(Problem(where="weights", text=text, advice=advice))
        env: dict[str, str | EnvVarSource] = {
            "VLLM_USE_MODELSCOPE": "True",
            "MODELSCOPE_CACHE": f"{MOUNT_PATH}/modelscope",
        }
        if self.token is not None:
            env["MODELSCOPE_API_TOKEN"] = self.token
        return Additions(option="weights", env=env)


@dataclass(frozen=True)
class OciImage:
    """Weights in an OCI image, which the kubelet pulls and mounts; since Kubernetes 1.35.

    The kubelet uses the pod's `image_pull_secrets`, and pulls before the time of `startup` begins.
    The node's disk must have room for the image. containerd mounts only OCI images; CRI-O also
    mounts other OCI artifacts.

    Args:
        reference: The image with a tag or digest.
        path: Folder of the model in the image. Default: the root of the image.
        pull_policy: When the kubelet pulls it. Default: Kubernetes' own.

    Raises:
        VllmConstructsError: An invalid reference, path or policy.
    """

    reference: str
    path: str | None = field(default=None, kw_only=True)
    pull_policy: PullPolicy | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        allowed = "an image with a tag or digest, such as 'registry.example.com/qwen:v1'"
        require.matching("OciImage.reference", self.reference, IMAGE, allowed)
        if self.path is not None:
            allowed = "a relative path without '..'"
            require.matching("OciImage.path", self.path, SUB_PATH, allowed)
        if self.pull_policy is not None:
            require.choice("OciImage.pull_policy", self.pull_policy, PULL_POLICIES)

    def _volume(self) -> Volume:
        return Volume.from_image(
            self.reference, pull_policy=self.pull_policy, sub_path=self.path, name="weights"
        )

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod; see `HuggingFaceMirror.additions`.

        Raises:
            VllmConstructsError: The model is a URL, which says where its weights are.
        """
        if URL.fullmatch(pod.model):
            text = f"is an OciImage, but {{model}} is the bucket {pod.model!r}"
            refuse(Problem(where="weights", text=text, advice="leave one of them out"))
        return Additions(option="weights", source=WEIGHTS, volumes={WEIGHTS: self._volume()})


@dataclass(frozen=True, kw_only=True)
class DownloadedWeights:
    """Weights that a Job downloads into the cache, at a fixed revision.

    The pods wait for the Job, and download nothing themselves. `ModelDownload` makes the Job.

    Args:
        model: The model.
        revision: Its revision.
        cache: The claim with the weights.
        marker: Path in the cache of the file that the Job writes last.
    """

    model: str
    revision: str
    cache: ExistingClaim
    marker: str

    @property
    def namespace(self) -> str | None:
        """Namespace of the claim; None if it is not known."""
        return self.cache.namespace

    def additions(self, pod: StreamingPod) -> Additions:
        """What it adds to a pod; see `HuggingFaceMirror.additions`.

        Raises:
            VllmConstructsError: The Job downloads another model, or into another claim, or a
                variable contradicts it.
        """
        _check_variables(pod, ("VLLM_USE_MODELSCOPE", *_FOLDERS), "look elsewhere")
        if pod.model != self.model:
            text = f"is the download of {self.model!r}, but {{model}} is {pod.model!r}"
            refuse(Problem(where="weights", text=text, advice="give the download of this model"))
        cache = pod.cache
        same = (self.cache.claim_name, self.cache.sub_path)
        if not isinstance(cache, ExistingClaim) or (cache.claim_name, cache.sub_path) != same:
            folder = (
                "" if self.cache.sub_path is None else f"folder {self.cache.sub_path!r} of the "
            )
            refuse(
                Problem(
                    where="weights",
                    text=f"are in the {folder}claim {self.cache.claim_name!r}, which is not the "
                    "{cache}",
                    advice="give that claim as {cache}",
                )
            )
        volume = Volume.from_claim(cache, sub_path=cache.sub_path, name=CACHE)
        waiting = Container(
            name="wait-for-weights",
            image=pod.image,
            image_pull_policy=cast("PullPolicy | None", pod.image_pull_policy),
            command=["sh", "-c", 'until [ -e "$0" ]; do sleep 5; done'],
            args=[f"{MOUNT_PATH}/{self.marker}"],
            volumes={MOUNT_PATH: replace(volume, read_only=True)},
            # On CPUs the pod is Guaranteed only if all containers have equal limits.
            cpu=("100m", "100m") if pod.gpu.platform == "CPU" else "100m",
        )
        return Additions(
            option="weights",
            engine={"revision": self.revision},
            # With a read-only cache, the pod has this variable already.
            env={} if cache.is_read_only else {"HF_HUB_OFFLINE": "1"},
            init_containers=(waiting,),
        )


def _check_is_named(model: str, name: str) -> None:
    """Reject a model that is not downloaded by its name."""
    if model.startswith("/") or URL.fullmatch(model):
        text = f"is {name}, but {{model}} is {model!r}, which is not downloaded by its name"
        refuse(Problem(where="weights", text=text, advice="leave one of them out"))


def _check_variables(pod: AddedPod, variables: Sequence[str], what: str) -> None:
    """Reject variables with which vLLM loads other weights."""
    for name in variables:
        if name in pod.env:
            text = f"makes vLLM {what}, but {{weights}} is given"
            refuse(Problem(where=f"env[{name!r}]", text=text, advice="leave one of them out"))


class HasWeights(Protocol):
    """A construct that provides weights, such as `ModelDownload`."""

    @property
    def weights(self) -> DownloadedWeights:
        """The weights."""
        ...


WeightsSource: TypeAlias = (
    S3Bucket
    | GcsBucket
    | AzureContainer
    | OciImage
    | ModelScope
    | HuggingFaceMirror
    | DownloadedWeights
)
Weights: TypeAlias = WeightsSource | HasWeights
KINDS = (
    S3Bucket,
    GcsBucket,
    AzureContainer,
    OciImage,
    ModelScope,
    HuggingFaceMirror,
    DownloadedWeights,
)
EXPECTED = (
    "an S3Bucket, GcsBucket, AzureContainer, OciImage, ModelScope, HuggingFaceMirror or "
    "ModelDownload"
)


def weights_of(given: object, model: object) -> WeightsSource | None:
    """Where the weights come from, as a value; None for the Hugging Face Hub.

    Args:
        given: What the option `weights` has.
        model: The model, which may be the URL of a bucket.

    Raises:
        VllmConstructsError: A value of another type, or an Azure URL without a storage account.
    """
    if given is not None:
        value = getattr(given, "weights", given)
        if not isinstance(value, KINDS):
            require.wrong("weights", given, EXPECTED)
        return value
    if not isinstance(model, str) or not URL.fullmatch(model):
        return None
    if model.startswith("az:"):
        text = f"is {model!r}, whose storage account is not known"
        refuse(
            Problem(where="model", text=text, advice="give {weights=AzureContainer(account=...)}")
        )
    return S3Bucket() if model.startswith("s3:") else GcsBucket()
