"""Tiers of offloaded KV cache behind the memory of the host: disks and buckets.

Source: vLLM 0.33, vllm/v1/kv_offload/tiering.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn

from .paths import check_path
from .volumes import Volume

# Where pods get a role's credentials: the agent of EKS Pod Identity, and AWS STS.
_ROLES = ("http://169.254.170.23:80", "https://sts.amazonaws.com")
_BUCKET = re.compile(r"[A-Za-z0-9][\w.-]{1,61}[A-Za-z0-9]", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", re.ASCII)
_ENDPOINT = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?(:\d{1,5})?", re.ASCII)


def check_disk(where: str, volume: object) -> Volume:
    """A volume on a disk that the pod can write to."""
    found = require.instance(where, volume, Volume, "a Volume, such as Volume.from_claim(...)")
    if not found.can_write:
        text = f"is read-only ({found.kind}), and KV cache is written to it"
        refuse(Problem(where=where, text=text, advice="give another volume"))
    if found.kind == "emptyDir" and found.source["emptyDir"].get("medium"):
        text = "is in the memory of the host, and not on a disk"
        refuse(Problem(where=where, text=text, advice="give another volume, or raise {gib}"))
    return found


def on_node_disk(volume: Mapping[str, Any]) -> Problem | None:
    """What is wrong with files of KV cache on the disk of a node; None for other volumes.

    Args:
        volume: The volume, without its name.
    """
    kind = next((one for one in ("hostPath", "emptyDir") if one in volume), None)
    if kind is None:
        return None
    # Kubernetes evicts a pod whose emptyDir exceeds its limit.
    is_limited = isinstance(volume[kind], Mapping) and "sizeLimit" in volume[kind]
    effect = "the pod is evicted" if is_limited else "the disk of the node is full"
    return Problem(
        where="DiskTier.volume",
        text="is on the disk of the node, and vLLM never deletes its files: it fills until "
        f"{effect}",
        advice="give a claim, such as Volume.from_claim(...)",
    )


@dataclass(frozen=True)
class DiskTier:
    """A tier of files behind the memory of the host.

    vLLM never deletes its files, so the volume needs a limit, such as the size of a claim: when it
    is full, vLLM skips the writes that fail. Pods that mount the same volume share KV cache if
    their model, data types, block size and parallel sizes are the same.

    Args:
        volume: Where the files are, such as `Volume.from_claim(...)`. One on the disk of the node
            causes a warning.
        path: Where it is mounted. Default: `/kv-cache`.
        read_threads: Threads that prefer reading to writing. Default: vLLM's, 16.
        write_threads: Threads that prefer writing to reading. Default: vLLM's, 16.

    Raises:
        VllmConstructsError: A volume that cannot be written, or an invalid path or number.
    """

    volume: Volume
    path: str = field(default="/kv-cache", kw_only=True)
    read_threads: int | None = field(default=None, kw_only=True)
    write_threads: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_disk("DiskTier.volume", self.volume)
        check_path("DiskTier.path", self.path)
        for name in ("read_threads", "write_threads"):
            if getattr(self, name) is not None:
                require.integer(f"DiskTier.{name}", getattr(self, name), 1, 1024)
        found = on_node_disk(self.volume.source)
        if found is not None:
            warn(found)

    def config(self) -> dict[str, Any]:
        """The tier in vLLM's JSON."""
        threads = {"n_read_threads": self.read_threads, "n_write_threads": self.write_threads}
        given = {name: count for name, count in threads.items() if count is not None}
        return {"type": "fs", "root_dir": self.path, **given}

    def volumes(self) -> dict[str, Volume]:
        """The volumes that the engine mounts for it, by their paths."""
        return {self.path: self.volume}

    def addresses(self, *, has_keys: bool) -> tuple[str, ...]:  # noqa: ARG002  # one of two
        """None: the volume is in the pod; see `BucketTier.addresses`."""
        return ()


@dataclass(frozen=True)
class BucketTier:
    """A tier of objects in a bucket that speaks the S3 protocol.

    Its credentials are those that AWS libraries find: the role of the pod's `service_account`,
    or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` from a Secret, in `env`.

    Args:
        bucket: Name of the bucket.
        endpoint: Host of the object store, such as `s3.eu-west-1.amazonaws.com` or
            `minio.minio.svc:9000`.
        scheme: `"https"` (default) or `"http"`.
        prefix: Prefix of the keys. Default: none.
        region: Region of the bucket. Default: none.

    Raises:
        VllmConstructsError: An invalid name, host or scheme.
    """

    bucket: str
    endpoint: str = field(kw_only=True)
    scheme: str = field(default="https", kw_only=True)
    prefix: str | None = field(default=None, kw_only=True)
    region: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        allowed = "3 to 63 letters, digits, '.', '-' and '_'"
        require.matching("BucketTier.bucket", self.bucket, _BUCKET, allowed)
        endpoint = self.endpoint
        if not isinstance(endpoint, str) or not _ENDPOINT.fullmatch(endpoint):
            allowed = "a host, such as 's3.eu-west-1.amazonaws.com' or 'minio.minio.svc:9000'"
            is_url = isinstance(endpoint, str) and "//" in endpoint
            advice = "give the scheme in {scheme}" if is_url else ""
            require.wrong("BucketTier.endpoint", endpoint, allowed, advice)
        require.choice("BucketTier.scheme", self.scheme, ("https", "http"))
        for name in ("prefix", "region"):
            if getattr(self, name) is not None:
                require.text(f"BucketTier.{name}", getattr(self, name))

    def config(self) -> dict[str, Any]:
        """The tier in vLLM's JSON."""
        store = {"bucket": self.bucket, "endpoint_override": self.endpoint, "scheme": self.scheme}
        if self.region is not None:
            store["region"] = self.region
        prefix = {} if self.prefix is None else {"prefix": self.prefix}
        return {"type": "obj", "store_config": store, **prefix}

    def volumes(self) -> dict[str, Volume]:
        """None: the objects are not in the pod."""
        return {}

    def addresses(self, *, has_keys: bool) -> tuple[str, ...]:
        """The address of the object store, and those that issue a role's credentials.

        Args:
            has_keys: Whether the credentials are variables of the pod.
        """
        return (f"{self.scheme}://{self.endpoint}", *(() if has_keys else _ROLES))
