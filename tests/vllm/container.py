"""Containers of rendered pods, read as a kubelet reads them.

Command and args have `$(NAME)` replaced; volumes are at their paths. `running.py` runs them.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vllm_constructs.kube import quantity

Manifest = dict[str, Any]

SECRET = "secret-of-the-tests"
POD = {
    "metadata.name": "pod-of-the-tests",
    "metadata.namespace": "llm",
    "metadata.uid": "00000000-0000-0000-0000-000000000000",
    "spec.nodeName": "node-of-the-tests",
    "status.podIP": "127.0.0.1",
    "status.hostIP": "127.0.0.1",
}
REFERENCE = re.compile(r"\$\$|\$\(([^)]+)\)")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume at a path of a container."""

    path: str
    source: Path | None
    """A folder or file of this machine; memory where there is none."""
    read_only: bool = False
    size: int | None = None


@dataclass(kw_only=True)
class Container:
    """A container as a kubelet starts it.

    Attributes:
        name: Of the workload.
        command: Command and arguments.
        environment: All variables.
        mounts: Its volumes.
        manifest: The container of the pod.
        pod: The pod's spec.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    mounts: list[Mount]
    manifest: Manifest
    pod: Manifest

    @classmethod
    def read(
        cls,
        workload: Manifest,
        objects: Sequence[Manifest],
        scratch: Path,
        name: str | None = None,
    ) -> Self:
        """A container of a workload.

        Args:
            workload: A Deployment or something else with a pod template.
            objects: What is rendered with it, ConfigMaps among them.
            scratch: A folder for volumes.
            name: Of the container. Default: the first one's.
        """
        pod = workload["spec"]["template"]["spec"]
        all_of_pod = [*pod["containers"], *pod.get("initContainers", [])]
        manifest = next(one for one in all_of_pod if name in {None, one["name"]})
        space = workload["metadata"].get("namespace")
        kept = _Objects(objects, space)
        variables: dict[str, str] = {}
        for entry in manifest.get("env", []):
            value = kept.variable(entry)
            variables[entry["name"]] = expanded(value, variables)
        words = [*manifest.get("command", []), *manifest.get("args", [])]
        return cls(
            name=workload["metadata"]["name"],
            command=[expanded(word, variables) for word in words],
            environment=variables,
            mounts=_mounts(pod, manifest, kept, scratch),
            manifest=manifest,
            pod=pod,
        )

    @classmethod
    def only(cls, objects: Sequence[Manifest], scratch: Path) -> Self:
        """The engine of the one Deployment among some objects."""
        (workload,) = (item for item in objects if item["kind"] == "Deployment")
        return cls.read(workload, objects, scratch)

    @property
    def port(self) -> int:
        """The port that its probes ask."""
        asked = self.manifest["startupProbe"]["httpGet"]["port"]
        ports = {port.get("name"): port["containerPort"] for port in self.manifest["ports"]}
        found: int = ports.get(asked, asked)
        return found

    def path(self, path: str) -> Path:
        """Where a path of one of its volumes is on this machine.

        Raises:
            LookupError: No volume is there, so that a pod would not find it either.
        """
        for mount in sorted(self.mounts, key=lambda mount: -len(mount.path)):
            if mount.source is not None and Path(path).is_relative_to(mount.path):
                return mount.source / Path(path).relative_to(mount.path)
        raise LookupError(f"{self.name} has no volume at {path}")

    def place(self, path: str, source: Path) -> None:
        """Copy a folder to a path of one of its volumes."""
        shutil.copytree(source, self.path(path), dirs_exist_ok=True)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with `$(NAME)` replaced, as Kubernetes does it; unknown names stay."""
    return REFERENCE.sub(
        lambda found: "$" if found[1] is None else variables.get(found[1], found[0]), text
    )


@dataclass
class _Objects:
    objects: Sequence[Manifest]
    namespace: str | None

    def data(self, kind: str, name: str) -> dict[str, bytes]:
        """The keys of a ConfigMap or Secret; none where users make it themselves."""
        for item in self.objects:
            metadata = item["metadata"]
            if (item["kind"], metadata["name"]) == (kind, name) and (
                metadata.get("namespace") == self.namespace
            ):
                plain = {key: text.encode() for key, text in item.get("data", {}).items()}
                if kind == "Secret":
                    plain = {key: base64.b64decode(text) for key, text in plain.items()}
                texts = item.get("stringData", {}).items()
                return plain | {key: text.encode() for key, text in texts}
        return {}

    def variable(self, entry: Manifest) -> str:
        """The value of an entry of `env`."""
        source = entry.get("valueFrom", {})
        if "fieldRef" in source:
            return POD[source["fieldRef"]["fieldPath"]]
        for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if key in source:
                wanted = source[key]
                found = self.data(kind, wanted["name"]).get(wanted["key"], SECRET.encode())
                return found.decode()
        value: str = entry.get("value", "")
        return value


def _mounts(pod: Manifest, container: Manifest, kept: _Objects, scratch: Path) -> list[Mount]:
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    found = []
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        empty = volume.get("emptyDir", {})
        if empty.get("medium") == "Memory":
            limit = empty.get("sizeLimit")
            size = None if limit is None else quantity.memory("sizeLimit", limit, 1)
            found.append(Mount(path=mount["mountPath"], source=None, size=size))
            continue
        folder = scratch / "volumes" / mount["name"]
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder, volume, kept)
        source = folder / mount["subPath"] if "subPath" in mount else folder
        if "emptyDir" in volume or "persistentVolumeClaim" in volume or "hostPath" in volume:
            source.mkdir(parents=True, exist_ok=True)
        read_only = mount.get("readOnly", False) or "configMap" in volume or "secret" in volume
        found.append(Mount(path=mount["mountPath"], source=source, read_only=read_only))
    return found


def _fill(folder: Path, volume: Manifest, kept: _Objects) -> None:
    for kind, key, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
        if key in volume:
            data = kept.data(kind, volume[key][name])
            items = volume[key].get("items") or [{"key": one, "path": one} for one in data]
            for item in items:
                path = folder / item["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.get(item["key"], SECRET.encode()))
