"""Images without a registry: a small OCI archive that containerd imports.

`busybox` is Debian's static one. An image of vLLM is empty but for its entry point and PATH: the
device plugin mounts the engine into the containers that get a GPU.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAUSE = "registry.k8s.io/pause:3.10"
BUSYBOX = "docker.io/library/busybox:1.37.0"
APPLETS = ["echo", "nc", "printf", "sh", "sleep"]
ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": b"root:x:0:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}
LINKS_TO_USR = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}


class Archive:
    """An OCI layout in the making."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._index: list[dict[str, Any]] = []

    def _keep(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._blobs[digest] = data
        return f"sha256:{digest}"

    def add(
        self,
        name: str,
        settings: Mapping[str, Any],
        files: Mapping[str, bytes],
        links: Mapping[str, str],
        folders: Sequence[str] = (),
    ) -> None:
        """Add an image of one layer.

        Args:
            name: Its full name and tag.
            settings: Its Entrypoint, Cmd, Env and so on.
            files: Its programs and files by path.
            links: Its symbolic links by path.
            folders: Empty folders; `tmp` is always there.
        """
        plain = _layer(files, links, folders)
        packed = gzip.compress(plain, mtime=0)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(settings),
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"],
            },
        }
        told = json.dumps(config).encode()
        kind = "application/vnd.oci.image"
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": self._described(f"{kind}.config.v1+json", told),
            "layers": [self._described(f"{kind}.layer.v1.tar+gzip", packed)],
        }
        entry = self._described(f"{kind}.manifest.v1+json", json.dumps(manifest).encode())
        entry["platform"] = {"architecture": "amd64", "os": "linux"}
        entry["annotations"] = {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        }
        self._index.append(entry)

    def _described(self, kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "digest": self._keep(data), "size": len(data)}

    def write(self, path: Path) -> None:
        """Write the archive."""
        index = json.dumps({"schemaVersion": 2, "manifests": self._index}).encode()
        with tarfile.open(path, "w") as archive:
            _file(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)
            _file(archive, "index.json", index, 0o644)
            for digest, data in self._blobs.items():
                _file(archive, f"blobs/sha256/{digest}", data, 0o644)


def _file(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


def _layer(files: Mapping[str, bytes], links: Mapping[str, str], folders: Sequence[str]) -> bytes:
    raw = io.BytesIO()
    parents = {path.partition("/")[0] for path in files if "/" in path}
    with tarfile.open(fileobj=raw, mode="w") as layer:
        for name in sorted({*parents, *folders, "tmp"}):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            layer.addfile(member)
        for name, data in files.items():
            _file(layer, name, data, 0o755 if name.startswith("bin/") else 0o644)
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            layer.addfile(member)
    return raw.getvalue()


def write(path: Path, busybox: Path, engines: Sequence[str], search: str) -> None:
    """Write all images.

    Args:
        path: The archive.
        busybox: A static busybox.
        engines: The names of the images of vLLM.
        search: The PATH in them.
    """
    made = Archive()
    programs = {"bin/busybox": busybox.read_bytes(), **ACCOUNTS}
    applets = {f"bin/{name}": "busybox" for name in APPLETS}
    forever = {"Entrypoint": ["/bin/sleep", "2147483647"], "Env": ["PATH=/bin"]}
    made.add(PAUSE, forever, programs, applets)
    made.add(BUSYBOX, {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, programs, applets)
    settings = {"Entrypoint": ["vllm", "serve"], "Env": [f"PATH={search}"], "WorkingDir": "/"}
    for name in engines:
        # Otherwise all were one image, and a pod's status would have any of its names.
        own = settings | {"Labels": {"name": name}}
        made.add(name, own, ACCOUNTS, LINKS_TO_USR, ("usr", "root", "home"))
    made.write(path)
