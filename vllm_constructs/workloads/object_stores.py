"""Buckets from which vLLM streams weights, with the variables that give it access.

Sources: vLLM 0.33, docs/models/extensions/runai_model_streamer.md and
vllm/transformers_utils/runai_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, ClassVar, Protocol

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.kube import names, quantity
from vllm_constructs.kube.references import HasName, name_of, namespace_of, reject_secret

from .additions import AddedPod, Additions
from .env_sources import EnvVarSource
from .storage import memory_limit
from .volumes import Volume

URL = re.compile(r"(s3|gs|az)://[A-Za-z0-9][\w.-]*(/(?!\.{1,2}(/|$))[\w.-]+)*/?", re.ASCII)
"""A folder of a bucket, as vLLM takes it for a model."""
_HTTP = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][\w.-]*)(:\d{1,5})?(/[\w.%~/-]*)?", re.ASCII
)
_KEY = "/var/run/secrets/google"
_REGION = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
# The metadata server of a node, which issues the credentials of the node's role.
_METADATA = "http://169.254.169.254:80"
# The formats with which vLLM loads from a URL (vllm/config/vllm.py).
_STREAMERS = ("auto", "runai_streamer")
# Its loader takes no settings of the streamer (vLLM, sharded_state_loader.py).
_SHARDED = "runai_streamer_sharded"
_FORMATS = (*_STREAMERS, _SHARDED, "modelexpress")


class StreamingPod(AddedPod, Protocol):
    """The parts of a pod on which its access to buckets depends."""

    @property
    def service_account(self) -> str | None:
        """The ServiceAccount, if one is given."""
        ...

    @property
    def env_from(self) -> Sequence[object]:
        """Secrets and ConfigMaps whose keys are all variables."""
        ...

    @property
    def memory(self) -> str | tuple[str, str] | None:
        """Memory, as it is given."""
        ...

    @property
    def image_pull_policy(self) -> str | None:
        """When the image is pulled."""
        ...


def check_image(where: str, pod: AddedPod) -> None:
    """Reject an image that cannot read buckets.

    Args:
        where: Name of the option that has the bucket.
        pod: The pod.

    Raises:
        VllmConstructsError: It is the official image for XPU or TPU.
    """
    platform = pod.release.family.accelerator
    if pod.release.is_official and platform in ("XPU", "TPU"):
        text = (
            f"is in a bucket, and the image for {platform} has no Run:ai Model Streamer to read it"
        )
        refuse(Problem(where=where, text=text, advice="use the {cache}, or an image of your own"))


def http_url(where: str, value: object, example: str) -> str:
    """The URL of a server, without credentials.

    Args:
        where: Name of the option.
        value: Its value.
        example: A URL for the sentence.

    Raises:
        VllmConstructsError: Another value, or one with credentials, which are not shown.
    """
    reject_secret(where, value)
    return require.matching(where, value, _HTTP, f"a URL such as {example!r}")


@dataclass(frozen=True)
class _Bucket:
    """What all buckets have in common."""

    scheme: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    """Variables of the engine that give access by themselves."""
    url: str | None = None
    secret: str | HasName | None = field(default=None, kw_only=True)
    buffer: str = field(default="8Gi", kw_only=True)

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.url is not None:
            pattern = re.compile(f"{self.scheme}://.*")
            is_url = isinstance(self.url, str) and URL.fullmatch(self.url)
            if not is_url or not pattern.fullmatch(str(self.url)):
                require.wrong(f"{name}.url", self.url, f"a URL such as '{self.scheme}://bucket/x'")
        if self.secret is not None:
            object.__setattr__(self, "namespace", namespace_of(self.secret))
            secret = name_of(f"{name}.secret", self.secret, "Secret")
            object.__setattr__(self, "secret", secret)
        quantity.memory(f"{name}.buffer", self.buffer)

    @property
    def _secret(self) -> str:
        return str(self.secret)

    def _from_secret(self, keys: dict[str, str]) -> dict[str, str | EnvVarSource]:
        """Variables from keys of the Secret."""
        namespace = vars(self).get("namespace")
        return {
            name: EnvVarSource(
                {"secretKeyRef": {"name": self._secret, "key": key}}, namespace=namespace
            )
            for name, key in keys.items()
        }

    def access(self, pod: StreamingPod) -> Additions:
        """What a container needs to read the bucket.

        Args:
            pod: The pod.
        """
        raise NotImplementedError

    def check_identity(self, where: str, pod: StreamingPod) -> None:
        """Warn about a pod without an identity of its own for reading the bucket.

        Args:
            where: Name of the option that has the bucket.
            pod: The pod.
        """
        if self.secret is None and pod.service_account is None:
            name = type(self).__name__
            warn(
                Problem(
                    where=where,
                    text=f"is in {article(name)} without a {{secret}}, and the pod has no "
                    "{service_account}, so the bucket is read with the role of the node or of the "
                    "ServiceAccount 'default', if either has one",
                    advice=f"give {{service_account}}, or {{{name}.secret}}",
                )
            )

    def _check_buffer(self, pod: StreamingPod, given: object = None) -> int:
        """The bytes of the buffer; rejected where the memory of the pod is smaller.

        Args:
            pod: The pod.
            given: Bytes that the user has set among the loader's settings. Default: none.
        """
        buffer = int(quantity.memory("buffer", self.buffer))
        where, shown = f"{type(self).__name__}.buffer", repr(self.buffer)
        if isinstance(given, int) and given > 0:
            buffer, shown = given, f"{given} bytes"
            where = "EngineArgs.model_loader_extra_config['memory_limit']"
        count, limit = pod.gpu.devices, memory_limit(pod.gpu, pod.memory)
        if buffer * count >= quantity.memory("memory", limit):
            each = f" for each of {count} {pod.gpu.unit}" if count > 1 else ""
            option = "{Cpu.memory_gib}" if pod.gpu.platform == "CPU" else "{memory}"
            refuse(
                Problem(
                    where=where,
                    text=f"is {shown}{each}, not below the {{memory}} limit {limit!r}",
                    value=shown,
                    advice=f"lower it, or raise {option}",
                    kind="does not fit",
                )
            )
        return buffer

    def additions(self, pod: StreamingPod) -> Additions:
        """What it adds to a pod that streams its weights.

        Args:
            pod: The pod.

        Raises:
            VllmConstructsError: Two buckets, a format that is not streamed, an image that cannot
                stream, or a buffer that is larger than the memory.
        """
        access = self.access(pod)
        model, load_format = pod.model, pod.engine.get("load_format")
        url = model if self.url is None else self.url
        where = "weights" if self.url is None else f"{type(self).__name__}.url"
        if not url.startswith(f"{self.scheme}://"):
            text = f"is {article(type(self).__name__)} without a URL, and {{model}} is {model!r}"
            refuse(
                Problem(
                    where="weights",
                    text=text,
                    advice=f"give it a URL such as '{self.scheme}://bucket/x'",
                )
            )
        if URL.fullmatch(model) and url != model:
            text = f"is {url!r}, but {{model}} is another bucket, {model!r}"
            refuse(Problem(where=where, text=text, advice="leave one of them out"))
        check_image("weights", pod)
        if load_format is not None and load_format not in _FORMATS:
            refuse(
                Problem(
                    where="EngineArgs.load_format",
                    text=f"is {load_format!r}, with which vLLM does not load from a bucket",
                    value=repr(load_format),
                    allowed=require.one_of(_FORMATS),
                    advice="leave it out, or put the weights into a {cache}",
                )
            )
        if not (pod.env_from or any(name in pod.env for name in self.variables)):
            self.check_identity("weights", pod)
        engine: dict[str, Any] = {} if load_format else {"load_format": "runai_streamer"}
        own = pod.engine.get("model_loader_extra_config") or {}
        is_streamer = load_format is None or load_format in _STREAMERS
        if not is_streamer or not isinstance(own, Mapping):
            pass
        elif "memory_limit" not in own:
            # The default is larger than the memory of the pod (40 GB for each GPU).
            limit = {"memory_limit": self._check_buffer(pod)}
            engine["model_loader_extra_config"] = {**own, **limit}
        else:
            self._check_buffer(pod, own["memory_limit"])
        if load_format == _SHARDED:
            variable = {"RUNAI_STREAMER_MEMORY_LIMIT": str(self._check_buffer(pod))}
            access = replace(access, env={**access.env, **variable})
        return replace(access, option="weights", source=url, engine=engine)

    def _access(self, **more: Any) -> Additions:
        return Additions(option=type(self).__name__, source=self.url, **more)


def article(name: str) -> str:
    """The name of a class with its article."""
    return f"an {name}" if name[0] in "AS" else f"a {name}"


@dataclass(frozen=True)
class S3Bucket(_Bucket):
    """Weights in an S3 bucket, or in a bucket of another store with the S3 protocol.

    vLLM streams them into the GPU, so the cache stays empty.

    Args:
        url: Folder of the model, such as `s3://weights/qwen`. Default: the pod's `model`.
        secret: Secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Default: the
            role of the pod's `service_account`.
        buffer: Memory in which each GPU's tensors arrive. Default: `8Gi`.
        access_key_id: The first of these keys, if it has another name. Default:
            `AWS_ACCESS_KEY_ID`.
        secret_access_key: The second of these keys, if it has another name. Default:
            `AWS_SECRET_ACCESS_KEY`.
        region: Region of the bucket. Default: that of the environment.
        endpoint: URL of a store other than AWS, such as `http://minio.minio.svc:9000`. Default:
            AWS.
        path_style: Whether the name of the bucket is in the path of URLs, as for MinIO, and not in
            the host name, as for AWS. Default: True with an endpoint.

    Raises:
        VllmConstructsError: An invalid URL, name or size.
    """

    scheme: ClassVar[str] = "s3"
    variables: ClassVar[tuple[str, ...]] = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    )
    access_key_id: str = field(default="AWS_ACCESS_KEY_ID", kw_only=True)
    secret_access_key: str = field(default="AWS_SECRET_ACCESS_KEY", kw_only=True)
    region: str | None = field(default=None, kw_only=True)
    endpoint: str | None = field(default=None, kw_only=True)
    path_style: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("access_key_id", "secret_access_key"):
            reject_secret(f"S3Bucket.{option}", getattr(self, option))
            names.secret_key(f"S3Bucket.{option}", getattr(self, option))
        if self.region is not None:
            allowed = "a region such as 'eu-central-1'"
            require.matching("S3Bucket.region", self.region, _REGION, allowed)
        if self.endpoint is not None:
            http_url("S3Bucket.endpoint", self.endpoint, "http://minio.minio.svc:9000")
        if self.path_style is not None:
            require.boolean("S3Bucket.path_style", self.path_style)

    def access(self, pod: StreamingPod) -> Additions:
        """What a container needs to read the bucket.

        Args:
            pod: The pod.
        """
        env: dict[str, str | EnvVarSource] = {}
        if self.region is not None:
            env["AWS_REGION"] = self.region
        if self.endpoint is not None:
            # Old streamers read the second one only (run-ai/runai-model-streamer#34).
            env |= {
                "AWS_ENDPOINT_URL": self.endpoint,
                "RUNAI_STREAMER_S3_ENDPOINT": self.endpoint,
            }
        is_path = self.endpoint is not None if self.path_style is None else self.path_style
        if is_path:
            env["RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING"] = "0"
        addresses = [] if self.endpoint else ["https://s3.amazonaws.com"]
        if self.secret is not None:
            keys = {
                "AWS_ACCESS_KEY_ID": self.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            }
            env |= self._from_secret(keys)
            env["AWS_EC2_METADATA_DISABLED"] = "true"
        else:
            # The agent of EKS Pod Identity; roles of IRSA are fetched by HTTPS.
            addresses += ["http://169.254.170.23:80", "https://sts.amazonaws.com"]
            if pod.service_account is None:
                addresses.append(_METADATA)
        return self._access(env=env, addresses=tuple(addresses))


@dataclass(frozen=True)
class GcsBucket(_Bucket):
    """Weights in a bucket of Google Cloud Storage.

    vLLM streams them into the GPU, so the cache stays empty.

    Args:
        url: Folder of the model, such as `gs://weights/qwen`. Default: the pod's `model`.
        secret: Secret with the key file of a Google service account. Default: the role of the pod's
            `service_account`, through GKE's Workload Identity.
        buffer: Memory in which each GPU's tensors arrive. Default: `8Gi`.
        key: Key of the file in the Secret. Default: `key.json`.

    Raises:
        VllmConstructsError: An invalid URL, name or size.
    """

    scheme: ClassVar[str] = "gs"
    variables: ClassVar[tuple[str, ...]] = (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "RUNAI_STREAMER_GCS_USE_ANONYMOUS_CREDENTIALS",
    )
    key: str = field(default="key.json", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        reject_secret("GcsBucket.key", self.key)
        names.secret_key("GcsBucket.key", self.key)

    def access(self, pod: StreamingPod) -> Additions:  # noqa: ARG002  # one of several
        """What a container needs to read the bucket; see `S3Bucket.access`."""
        addresses = ("https://storage.googleapis.com",)
        if self.secret is None:
            # The metadata server of GKE, without and with Dataplane V2.
            servers = ("http://169.254.169.252:988", _METADATA)
            return self._access(addresses=(*addresses, *servers))
        volume = Volume(
            {"secret": {"secretName": self._secret, "items": [{"key": self.key, "path": "key"}]}},
            namespace=vars(self).get("namespace"),
        )
        env = {"GOOGLE_APPLICATION_CREDENTIALS": f"{_KEY}/key"}
        return self._access(env=env, volumes={_KEY: volume}, addresses=addresses)


@dataclass(frozen=True)
class AzureContainer(_Bucket):
    """Weights in a container of Azure Blob Storage; since vLLM 0.18.

    vLLM streams them into the GPU, so the cache stays empty.

    Args:
        url: Folder of the model, such as `az://container/qwen`. Default: the pod's `model`.
        secret: Secret with the keys `AZURE_CLIENT_ID`, `AZURE_TENANT_ID` and
            `AZURE_CLIENT_SECRET`. Default: the identity of the pod's `service_account`, through
            Microsoft Entra Workload ID, whose label the pods get.
        buffer: Memory in which each GPU's tensors arrive. Default: `8Gi`.
        account: Name of the storage account.

    Raises:
        VllmConstructsError: An invalid URL, name or size.
    """

    scheme: ClassVar[str] = "az"
    variables: ClassVar[tuple[str, ...]] = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    account: str = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = "3 to 24 lower-case letters and digits"
        require.matching("AzureContainer.account", self.account, _ACCOUNT, allowed)

    def access(self, pod: StreamingPod) -> Additions:
        """What a container needs to read the bucket; see `S3Bucket.access`.

        Raises:
            VllmConstructsError: The release does not support its URLs.
        """
        if not pod.release.behaves("azure-streaming"):
            text = f"is not yet in {pod.release.description}"
            advice = "use an image of vLLM 0.18 or newer"
            refuse(Problem(where="AzureContainer", text=text, advice=advice))
        env: dict[str, str | EnvVarSource] = {"AZURE_STORAGE_ACCOUNT_NAME": self.account}
        addresses = (f"https://{self.account}.blob.core.windows.net",)
        labels = {}
        if self.secret is None:
            labels = {"azure.workload.identity/use": "true"}
        else:
            keys = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
            env |= self._from_secret({key: key for key in keys})
        return self._access(env=env, labels=labels, addresses=addresses)
