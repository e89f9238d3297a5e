"""The Job that downloads a model's weights into a claim, and the policy of its pod."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.kube.egress import EgressRule
from vllm_constructs.kube.quantity import pair
from vllm_constructs.kube.references import HasEnvValue
from vllm_constructs.releases.release import VllmRelease

from .container import Container
from .egress import is_mirrored, rules_in
from .env_sources import EnvVarSource
from .model_checks import is_gated
from .mounts import TEMPORARY
from .network_policy import policy
from .pod_security import PodSecurity
from .pod_variables import check_env
from .secrets import HuggingFaceToken
from .storage import CACHE, MOUNT_PATH, ExistingClaim
from .volumes import Volume
from .weights import IMAGE, DownloadedWeights, HuggingFaceMirror

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,127}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_OWN = ("is set by ModelDownload", "leave it out")
_RESERVED = {
    **dict.fromkeys(("HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "MARKER"), _OWN),
    "HF_HUB_OFFLINE": ("would prevent the download", "leave it out"),
    "HF_ENDPOINT": ("has an option of its own", "give {mirror=HuggingFaceMirror(...)}"),
    "HF_TOKEN": ("would put the token into the manifests", "give {hf_token}"),
    "HUGGING_FACE_HUB_TOKEN": ("would put the token into the manifests", "give {hf_token}"),
}
# The marker is written last, so that pods never start with only some of the files.
_SCRIPT = 'hf download "$@" && mkdir -p "$(dirname "$MARKER")" && touch "$MARKER"'


@dataclass(frozen=True, kw_only=True)
class Download:
    """What a Job downloads, and how; `ModelDownload` documents the options."""

    model: str
    revision: str
    cache: ExistingClaim
    hf_token: HuggingFaceToken | None
    mirror: HuggingFaceMirror | None
    include: Sequence[str]
    exclude: Sequence[str]
    image: str
    memory: str | tuple[str, str]
    service_account: str | None
    image_pull_secrets: Sequence[str]
    env: Mapping[str, str | EnvVarSource | HasEnvValue]
    allow_to: Sequence[str | EgressRule]
    security: PodSecurity

    def __post_init__(self) -> None:
        allowed = "a model of the Hugging Face Hub, such as 'Qwen/Qwen2.5-7B-Instruct'"
        require.matching("ModelDownload.model", self.model, _REPOSITORY, allowed)
        allowed = "a commit, with 40 hexadecimal digits"
        require.matching("ModelDownload.revision", self.revision, _REVISION, allowed)
        if not _COMMIT.fullmatch(self.revision):
            refuse(
                Problem(
                    where="ModelDownload.revision",
                    text=f"is {self.revision!r}, whose commit can change",
                    value=repr(self.revision),
                    advice="give the commit, with 40 hexadecimal digits",
                )
            )
        self._check_kinds()
        object.__setattr__(self, "env", check_env("ModelDownload.env", self.env, _RESERVED))
        for name in ("include", "exclude"):
            patterns = require.texts(f"ModelDownload.{name}", getattr(self, name))
            object.__setattr__(self, name, patterns)
        pair("ModelDownload.memory", self.memory)
        if self.hf_token is None and self.mirror is None and is_gated(self.model):
            text = f"is {self.model!r}, which is gated on the Hugging Face Hub, and there is no "
            text += "{hf_token}, so that the download is refused"
            advice = "give {hf_token=HuggingFaceToken.from_secret(...)} of an account that has "
            advice += "accepted its terms"
            warn(Problem(where="ModelDownload.model", text=text, advice=advice))
        if not self.cache.can_be_shared or self.cache.is_read_only:
            why = "pods cannot write to it"
            if not self.cache.is_read_only:
                why = "the Job cannot mount it while a pod on another node waits with it mounted"
            refuse(
                Problem(
                    where="ModelDownload.cache",
                    text=f"is {self.cache.access}, so {why}",
                    advice="use storage with {access='ReadWriteMany'}, or download in a container "
                    "of {init_containers}",
                )
            )

    def _check_kinds(self) -> None:
        token = self.hf_token
        if token is not None and not isinstance(token, HuggingFaceToken):
            text = f"is a {type(token).__name__} (not shown)"
            allowed = "HuggingFaceToken.from_secret(name of a Secret)"
            refuse(Problem(where="ModelDownload.hf_token", text=text, allowed=allowed))
        if self.mirror is not None:
            allowed = "HuggingFaceMirror(url)"
            require.instance("ModelDownload.mirror", self.mirror, HuggingFaceMirror, allowed)
        require.instance("ModelDownload.security", self.security, PodSecurity, "PodSecurity(...)")
        require.matching("ModelDownload.image", self.image, IMAGE, "an image with a tag or digest")

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        return VllmRelease(self.image)

    @property
    def checksum(self) -> str:
        """The checksum of what is downloaded."""
        what = (self.model, self.revision, sorted(self.include), sorted(self.exclude))
        return sha256(repr(what).encode()).hexdigest()[:8]

    @property
    def weights(self) -> DownloadedWeights:
        """The weights, for a model's pods."""
        return DownloadedWeights(
            model=self.model,
            revision=self.revision,
            cache=self.cache,
            marker=f".downloads/{self.checksum}",
        )

    def container(self) -> Container:
        """The container that downloads."""
        env: dict[str, str | EnvVarSource] = {
            **check_env("ModelDownload.env", self.env),
            "HOME": TEMPORARY,
            "HF_HOME": MOUNT_PATH,
            "MARKER": f"{MOUNT_PATH}/{self.weights.marker}",
        }
        if self.hf_token is not None:
            token = {"name": self.hf_token.secret_name, "key": self.hf_token.key}
            env["HF_TOKEN"] = EnvVarSource({"secretKeyRef": token})
        if self.mirror is not None:
            env |= self.mirror.variables()
        patterns = [f"--include={one}" for one in self.include]
        patterns += [f"--exclude={one}" for one in self.exclude]
        cache = Volume.from_claim(self.cache, sub_path=self.cache.sub_path, name=CACHE)
        return Container(
            name="download",
            image=self.image,
            command=["sh", "-c", _SCRIPT, "download"],
            args=[self.model, f"--revision={self.revision}", *patterns],
            env=env,
            volumes={MOUNT_PATH: cache, TEMPORARY: Volume.from_empty_dir(name="tmp")},
            cpu="1",
            memory=self.memory,
        )


def job(
    name: str, download: Download, marks: Sequence[Mapping[str, str] | None] = ()
) -> dict[str, Any]:
    """The Job, whose name has a checksum of its pod template, which cannot be changed.

    Args:
        name: The first part of its name.
        download: What is downloaded.
        marks: Labels and annotations that its template gets. Default: none.
    """
    container = download.container()
    pod: dict[str, Any] = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": download.security.of_pod(download.release.family),
        "containers": [container.manifest(download.security)],
        "volumes": [volume.entry(path) for path, volume in container.volumes.items()],
    }
    if download.service_account is not None:
        pod["serviceAccountName"] = download.service_account
    if download.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": one} for one in download.image_pull_secrets]
    text = json.dumps([pod, *(dict(one or {}) for one in marks)], sort_keys=True)
    full = f"{names.sanitized(name, 54)}-{sha256(text.encode()).hexdigest()[:8]}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": full},
        "spec": {
            "backoffLimit": 6,
            "template": {"metadata": {"labels": _labels(full)}, "spec": pod},
        },
    }


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "model-download", "app.kubernetes.io/instance": name}


def network_policy(name: str, download: Download) -> dict[str, Any]:
    """The NetworkPolicy of its pod, which connects to the Hub or mirror and to given addresses.

    Args:
        name: Name of the Job.
        download: What is downloaded.
    """
    container = download.container()
    where = "ModelDownload.allow_to"
    rules = [
        one if isinstance(one, EgressRule) else EgressRule.to_address(where, one)
        for one in require.items(where, download.allow_to, "a list of addresses")
    ]
    rules += rules_in(container.env)
    plain = {key: value for key, value in container.env.items() if isinstance(value, str)}
    made = policy(
        name=name,
        selector=_labels(name),
        port=0,
        allow_from=(),
        downloads=not is_mirrored(plain),
        egress=rules,
    )
    # Without rules, nothing is let in; an empty list would not be stored.
    spec = {key: value for key, value in made["spec"].items() if key != "ingress"}
    return {**made, "spec": spec}
