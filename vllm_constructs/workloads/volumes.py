"""Volume: what a pod mounts beside its cache, each at the path that the user gives.

Names of fields are those of Kubernetes (core/v1, "Volume"). A volume that several containers mount
is rendered once: volumes of one name are one volume, and the default name follows from the source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names, quantity
from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.kube.references import HasName, name_of, namespace_of, reject_secret

from .paths import ITEM_PATH, SUB_PATH, check_path
from .service_account_token import ServiceAccountToken
from .storage import ACCESS_MODES, AccessMode, ExistingClaim, HasClaim, claim_of

PullPolicy: TypeAlias = Literal["Always", "IfNotPresent", "Never"]
PULL_POLICIES = get_args(PullPolicy)
HostPathType: TypeAlias = Literal[
    "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"
]

_HOST_TYPES = get_args(HostPathType)
# Sources that the kubelet mounts read-only.
_FIXED = ("configMap", "secret", "projected", "image", "downwardAPI")
# Sources of core/v1 that cluster-wide plug-ins have not replaced.
_SOURCES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
# The first minor release of Kubernetes that has a source by default (KEP-4639).
_SINCE = {"image": 35}
# The field that names the object of a source.
_MAIN = ("name", "secretName", "claimName", "reference", "path", "driver", "server")
# Sources whose volume has the object's name, if nothing else is given.
_SHORT = {"config-map": "name", "secret": "secretName", "claim": "claimName"}


def is_json(value: object) -> bool:
    """Whether a value is one that JSON can hold."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Volume:
    """A volume of a pod, and how a container mounts it.

    The class methods make the usual ones; any other source, such as `{"csi": {...}}`, can be given
    as Kubernetes spells it.

    Args:
        source: The source, as in an entry of `volumes` of a pod: one key, which is its kind.
        sub_path: Path inside of the volume that is mounted. Default: the whole volume.
        read_only: Whether the container can only read it. Default: False; files of ConfigMaps,
            Secrets and images are read-only anyway.
        name: Name of the volume in the pod. Default: one that follows from the source; for an
            `emptyDir`, from the path. Two mounts of one name are the same volume.
        namespace: Namespace of the object that the source names; models in other namespaces are
            then rejected. Default: not known.
        access: Access mode of a claim, which must allow all replicas. Default: not known.

    Raises:
        VllmConstructsError: An unknown kind of source, or an invalid name or path.
    """

    source: Mapping[str, Any]
    sub_path: str | None = field(default=None, kw_only=True)
    read_only: bool = field(default=False, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    namespace: str | None = field(default=None, kw_only=True)
    access: AccessMode | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.source, Mapping) or len(self.source) != 1:
            require.wrong("Volume.source", self.source, "one source, such as {{'emptyDir': {{}}}}")
        kind = next(iter(self.source))
        require.choice("the key of Volume.source", kind, _SOURCES)
        if not isinstance(self.source[kind], Mapping):
            allowed = "a dict of its fields"
            require.wrong(f"Volume.source[{kind!r}]", self.source[kind], allowed)
        if not is_json(self.source):
            require.wrong("Volume.source", self.source, "what JSON can hold")
        text = json.dumps(self.source, sort_keys=True)
        reject_secret("Volume.source", text)
        # The order of a user's dict is nobody's.
        object.__setattr__(self, "source", frozen(json.loads(text)))
        if self.sub_path is not None:
            allowed = "a relative path without '..'"
            require.matching("Volume.sub_path", self.sub_path, SUB_PATH, allowed)
        require.boolean("Volume.read_only", self.read_only)
        if self.name is not None:
            names.label("Volume.name", self.name)
        if self.namespace is not None:
            names.label("Volume.namespace", self.namespace)
        if self.access is not None:
            require.choice("Volume.access", self.access, ACCESS_MODES)

    @classmethod
    def from_config_map(
        cls,
        config_map: str | HasName,
        *,
        items: Mapping[str, str] | None = None,
        optional: bool = False,
        default_mode: int | None = None,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """The files of a ConfigMap that exists, or that the app makes elsewhere.

        Files of this model alone are simpler with `files=`, which makes the ConfigMap and rolls
        the pods when a file changes.

        Args:
            config_map: The ConfigMap, by its name or as a cdk8s-plus object.
            items: Keys that are mounted, each with its path in the volume. Default: all keys.
            optional: Whether pods start without the ConfigMap. Default: False.
            default_mode: Mode bits of the files. Default: `0o644`.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume. Such a
                file stays as it is when the ConfigMap changes, until the pod is replaced.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: An invalid name, key or path.
        """
        where = "Volume.from_config_map"
        found = name_of(f"{where} config_map", config_map, "ConfigMap")
        source = {"name": found, **_file_fields(where, items, default_mode, optional=optional)}
        return cls(
            {"configMap": source},
            sub_path=sub_path,
            name=name,
            namespace=namespace_of(config_map),
        )

    @classmethod
    def from_secret(
        cls,
        secret: str | HasName,
        *,
        items: Mapping[str, str] | None = None,
        optional: bool = False,
        default_mode: int | None = None,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """The files of a Secret.

        Args:
            secret: The Secret, by its name or as a cdk8s-plus object.
            items: Keys that are mounted, each with its path in the volume. Default: all keys.
            optional: Whether pods start without the Secret. Default: False.
            default_mode: Mode bits of the files. Default: `0o644`.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: An invalid name, key or path.
        """
        where = "Volume.from_secret"
        found = name_of(f"{where} secret", secret, "Secret")
        fields = _file_fields(where, items, default_mode, optional=optional)
        return cls(
            {"secret": {"secretName": found, **fields}},
            sub_path=sub_path,
            name=name,
            namespace=namespace_of(secret),
        )

    @classmethod
    def from_claim(
        cls,
        claim: str | HasName | ExistingClaim | HasClaim,
        *,
        read_only: bool = False,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """A PersistentVolumeClaim.

        Args:
            claim: The claim: its name, a `ModelCache`, an `ExistingClaim` or a cdk8s-plus object.
                Unless it is a name, its access mode must allow all replicas.
            read_only: Whether the container can only read it. Default: False, unless its access
                mode is `ReadOnlyMany`.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: An invalid name or path.
        """
        if isinstance(claim, str):
            found = name_of("Volume.from_claim claim", claim, "PersistentVolumeClaim")
            namespace = access = None
        else:
            known = claim_of(claim)
            if not isinstance(known, ExistingClaim):
                require.wrong("Volume.from_claim claim", claim, "a claim")
            found, namespace, access = known.claim_name, known.namespace, known.access
        source: dict[str, Any] = {"claimName": found}
        if access == "ReadOnlyMany":
            # Some drivers attach a volume to several nodes only with this.
            source["readOnly"] = True
        return cls(
            {"persistentVolumeClaim": source},
            read_only=require.boolean("Volume.from_claim read_only", read_only)
            or access == "ReadOnlyMany",
            sub_path=sub_path,
            name=name,
            namespace=namespace,
            access=access,
        )

    @classmethod
    def from_empty_dir(
        cls,
        *,
        size_limit: str | None = None,
        in_memory: bool = False,
        read_only: bool = False,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """An empty folder, which lives as long as the pod.

        Args:
            size_limit: Size at which kubelet evicts the pod, without a drain, such as `10Gi`.
                Default: no limit.
            in_memory: Whether it is a tmpfs, whose files count as memory of the containers.
                Default: False, the disk of the node.
            read_only: Whether the container can only read it, for one that another container
                writes to. Default: False.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume.
            name: Name of the volume in the pod. Default: one that follows from the path, so that
                containers that mount one at the same path share it; give a name to share one at
                other paths.

        Raises:
            VllmConstructsError: An invalid size or name.
        """
        source: dict[str, Any] = {}
        if require.boolean("Volume.from_empty_dir in_memory", in_memory):
            source["medium"] = "Memory"
        if size_limit is not None:
            quantity.memory("Volume.from_empty_dir size_limit", size_limit)
            source["sizeLimit"] = size_limit
        return cls({"emptyDir": source}, read_only=read_only, sub_path=sub_path, name=name)

    @classmethod
    def from_host_path(
        cls,
        path: str,
        *,
        type: HostPathType | None = None,  # noqa: A002  # the field's name
        read_only: bool = False,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """A file or folder of the node, which only the Pod Security level "privileged" admits.

        Args:
            path: Its path on the node.
            type: What has to be there, such as `"Directory"`. Default: nothing is checked.
            read_only: Whether the container can only read it. Default: False.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: An invalid path or type.
        """
        source = {"path": check_path("Volume.from_host_path path", path)}
        if type is not None:
            source["type"] = require.choice("Volume.from_host_path type", type, _HOST_TYPES)
        return cls({"hostPath": source}, read_only=read_only, sub_path=sub_path, name=name)

    @classmethod
    def from_image(
        cls,
        reference: str,
        *,
        pull_policy: PullPolicy | None = None,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """The files of an OCI image, read-only; since Kubernetes 1.35.

        Args:
            reference: The image with a tag or digest.
            pull_policy: When it is pulled. Default: Kubernetes' own, `Always` for the tag `latest`,
                otherwise `IfNotPresent`.
            sub_path: Path inside of the image that is mounted. Default: all of it.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: An invalid reference or policy.
        """
        source = {"reference": require.text("Volume.from_image reference", reference)}
        if pull_policy is not None:
            where = "Volume.from_image pull_policy"
            source["pullPolicy"] = require.choice(where, pull_policy, PULL_POLICIES)
        return cls({"image": source}, sub_path=sub_path, name=name)

    @classmethod
    def from_projection(
        cls,
        sources: Sequence[Volume | ServiceAccountToken],
        *,
        default_mode: int | None = None,
        sub_path: str | None = None,
        name: str | None = None,
    ) -> Volume:
        """Several sources in one folder, such as a token for another cloud and its CA.

        Args:
            sources: Volumes of ConfigMaps and Secrets, and `ServiceAccountToken`s.
            default_mode: Mode bits of the files. Default: `0o644`.
            sub_path: Path inside of the volume that is mounted. Default: the whole volume.
            name: Name of the volume in the pod. Default: one that follows from the source.

        Raises:
            VllmConstructsError: Another kind of source, or an invalid path.
        """
        where = "Volume.from_projection sources"
        allowed = "a list of Volume.from_config_map(...), Volume.from_secret(...) and others"
        given = require.items(where, sources, allowed)
        parts = [_projection(where, one, allowed) for one in given]
        spaces = {one.namespace for one in given if isinstance(one, Volume)} - {None}
        if not parts or len(spaces) > 1:
            require.wrong(where, sources, f"{allowed}, all of one namespace")
        source: dict[str, Any] = {"sources": parts}
        if default_mode is not None:
            source["defaultMode"] = _mode("Volume.from_projection", default_mode)
        return cls(
            {"projected": source},
            sub_path=sub_path,
            name=name,
            namespace=next(iter(spaces), None),
        )

    @property
    def kind(self) -> str:
        """The kind of its source, such as `configMap`."""
        return next(iter(self.source))

    @property
    def can_write(self) -> bool:
        """Whether the container can write to it."""
        return not self.read_only and self.kind not in _FIXED

    @property
    def can_be_shared(self) -> bool:
        """Whether pods on several nodes can mount it, as far as its access mode is known."""
        return self.access not in ("ReadWriteOnce", "ReadWriteOncePod")

    def name_at(self, path: str) -> str:
        """Name of the volume in the pod.

        Args:
            path: Where it is mounted.
        """
        if self.name is not None:
            return self.name
        if self.kind == "emptyDir":
            return _name("empty-dir", path, path)
        source = self.source[self.kind]
        main = next((str(source[key]) for key in _MAIN if key in source), "")
        return _name(_dashed(self.kind), main, json.dumps(source, sort_keys=True))

    def entry(self, path: str) -> dict[str, Any]:
        """The entry of `volumes` of the pod.

        Args:
            path: Where it is mounted.
        """
        return {"name": self.name_at(path), self.kind: _plain(self.source[self.kind])}

    def mount(self, path: str) -> dict[str, Any]:
        """The entry of `volumeMounts`.

        Args:
            path: Where it is mounted.
        """
        entry: dict[str, Any] = {"name": self.name_at(path), "mountPath": path}
        if self.sub_path is not None:
            entry["subPath"] = self.sub_path
        return entry if self.can_write else entry | {"readOnly": True}

    def check_target(self, where: str, kubernetes: Kubernetes) -> None:
        """Reject a target release that does not have the kind of the volume.

        Args:
            where: Name of the option.
            kubernetes: The target release.

        Raises:
            VllmConstructsError: The target is older.
        """
        since = _SINCE.get(self.kind, 0)
        if kubernetes.minor < since:
            refuse(
                Problem(
                    where=where,
                    text=f"is a volume of kind {self.kind!r}, which Kubernetes has since "
                    f"1.{since}, and the target is {kubernetes.release}",
                    advice=f"call Kubernetes('1.{since}').set_on(app) directly after App(), if "
                    "the cluster is that new",
                )
            )


def _file_fields(
    where: str, items: Mapping[str, str] | None, default_mode: int | None, *, optional: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if items is not None:
        paths = require.text_map(f"{where} items", items)
        for key, path in paths.items():
            names.data_key(f"a key of {where} items", key)
            allowed = "a relative path without '..'"
            require.matching(f"{where} items[{key!r}]", path, ITEM_PATH, allowed)
        fields["items"] = [{"key": key, "path": path} for key, path in paths.items()]
    if require.boolean(f"{where} optional", optional):
        fields["optional"] = True
    if default_mode is not None:
        fields["defaultMode"] = _mode(where, default_mode)
    return fields


def _mode(where: str, mode: object) -> int:
    text = str(mode)
    is_right = isinstance(mode, int) and mode <= 0o1000
    if re.fullmatch(r"0?[0-7]{3}", text) and not is_right:
        what = "mode bits from 0 to 0o777"
        require.wrong(f"{where} default_mode", mode, what, f"write 0o{text.removeprefix('0')}")
    return require.integer(f"{where} default_mode", mode, 0, 0o777)


def _projection(where: str, one: object, allowed: str) -> dict[str, Any]:
    if isinstance(one, ServiceAccountToken):
        return {"serviceAccountToken": one.source()}
    if not isinstance(one, Volume) or one.kind not in ("configMap", "secret"):
        require.wrong(where, one, allowed)
    fields = dict(one.source[one.kind])
    if one.sub_path is not None or "defaultMode" in fields:
        require.wrong(where, one, "volumes without sub_path and default_mode, which all share")
    name = fields.pop("secretName", None) or fields.pop("name")
    return {one.kind: {"name": name, **fields}}


def _dashed(kind: str) -> str:
    """`configMap` spelled as `config-map`."""
    return "claim" if kind == "persistentVolumeClaim" else re.sub("([A-Z]+)", r"-\1", kind).lower()


def _name(prefix: str, main: str, whole: str) -> str:
    """A legal name, which differs for different sources.

    Args:
        prefix: The kind of the source.
        main: What is shown of it.
        whole: All of it. What is not shown is a checksum in the name.
    """
    name = names.sanitized(f"{prefix}-{main}" if main else prefix)
    if name == f"{prefix}-{main}" and whole in (main, json.dumps({_SHORT.get(prefix): main})):
        return name
    return f"{names.sanitized(name, 54)}-{sha256(whole.encode()).hexdigest()[:8]}"


def _plain(value: Any) -> Any:
    """A value as JSON has it: frozen lists as lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
