"""Sources of environment variables: keys of Secrets and ConfigMaps, and facts of the pod."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names
from vllm_constructs.kube.references import HasName, name_of, namespace_of, reject_secret

_KINDS = ("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef")
# Fields of a pod that a variable can have (Kubernetes docs, "Downward API").
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
    "status.podIPs",
)
_KEYED = re.compile(r"metadata\.(labels|annotations)\['[-./\w]+'\]", re.ASCII)
_DIVISORS = {"cpu": re.compile("1m?"), "": re.compile("1([kMGTPE]|[KMGTPE]i)?")}
_RESOURCES = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i)")
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class EnvVarSource:
    """The source of a variable's value.

    Args:
        source: The source as Kubernetes spells it, such as `{"fieldRef": {...}}`. The class methods
            make the usual ones.
        namespace: Namespace of the object that the source names; models in other namespaces are
            then rejected. Default: not known.

    Raises:
        VllmConstructsError: An unknown kind of source.
    """

    source: Mapping[str, Any]
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.source, Mapping) or len(self.source) != 1:
            require.wrong("EnvVarSource.source", self.source, "one source, such as secretKeyRef")
        kind, reference = next(iter(self.source.items()))
        require.choice("the key of EnvVarSource.source", kind, _KINDS)
        object.__setattr__(self, "source", frozen({kind: _fields("EnvVarSource", reference)}))
        if self.namespace is not None:
            names.label("EnvVarSource.namespace", self.namespace)

    @classmethod
    def from_secret(
        cls, secret: str | HasName, *, key: str, optional: bool = False
    ) -> EnvVarSource:
        """A key of a Secret.

        Args:
            secret: The Secret, by its name or as a cdk8s-plus object.
            key: The key.
            optional: Whether pods start without it. Default: False.

        Raises:
            VllmConstructsError: An invalid name or key.
        """
        return cls._from_key("Secret", "secretKeyRef", secret, key, optional=optional)

    @classmethod
    def from_config_map(
        cls, config_map: str | HasName, *, key: str, optional: bool = False
    ) -> EnvVarSource:
        """A key of a ConfigMap.

        Args:
            config_map: The ConfigMap, by its name or as a cdk8s-plus object.
            key: The key.
            optional: Whether pods start without it. Default: False.

        Raises:
            VllmConstructsError: An invalid name or key.
        """
        return cls._from_key("ConfigMap", "configMapKeyRef", config_map, key, optional=optional)

    @classmethod
    def from_field(cls, path: str) -> EnvVarSource:
        """A field of the pod, such as `status.podIP`.

        Args:
            path: Path of the field, as in Kubernetes' downward API.

        Raises:
            VllmConstructsError: A field that a variable cannot have.
        """
        if not (isinstance(path, str) and _KEYED.fullmatch(path)):
            require.choice("EnvVarSource.from_field path", path, _FIELDS)
        return cls({"fieldRef": {"fieldPath": path}})

    @classmethod
    def from_resource(cls, resource: str, *, divisor: str | None = None) -> EnvVarSource:
        """A resource of the container, such as `limits.memory`.

        Args:
            resource: `limits` or `requests`, a dot, and `cpu`, `memory`, `ephemeral-storage` or
                huge pages.
            divisor: The unit, such as `1Gi`. Default: one core, one byte.

        Raises:
            VllmConstructsError: Another resource, or a divisor that is no quantity.
        """
        where = "EnvVarSource.from_resource"
        allowed = "a resource such as 'limits.memory'"
        reference = {
            "resource": require.matching(f"{where} resource", resource, _RESOURCES, allowed)
        }
        if divisor is not None:
            pattern = _DIVISORS["cpu" if resource.endswith(".cpu") else ""]
            allowed = "'1' or '1m'" if resource.endswith(".cpu") else "a unit such as '1Gi' or '1'"
            require.matching(f"{where} divisor", divisor, pattern, allowed)
            reference["divisor"] = divisor
        return cls({"resourceFieldRef": reference})

    @classmethod
    def _from_key(
        cls, kind: str, spelled: str, value: str | HasName, key: str, *, optional: bool
    ) -> EnvVarSource:
        method = "from_secret" if kind == "Secret" else "from_config_map"
        where = f"EnvVarSource.{method}"
        reference: dict[str, Any] = {
            "name": name_of(f"{where} {method.removeprefix('from_')}", value, kind),
            "key": _key(f"{where} key", kind, key),
        }
        if require.boolean(f"{where} optional", optional):
            reference["optional"] = True
        return cls({spelled: reference}, namespace=namespace_of(value))


def _key(where: str, kind: str, key: object) -> str:
    reject_secret(where, key)
    return names.secret_key(where, key) if kind == "Secret" else names.data_key(where, key)


def _fields(owner: str, reference: object) -> dict[str, Any]:
    """The fields of a source, as JSON has them; cdk8s-plus has objects in some."""
    if not isinstance(reference, Mapping) or not reference:
        require.wrong(f"{owner}.source", reference, "the fields of the source, in a dict")
    fields = {
        str(name): getattr(value, "value", value)
        for name, value in sorted(reference.items(), key=lambda item: str(item[0]))
    }
    for name, value in fields.items():
        reject_secret(f"{owner}.source field {name!r}", value)
        if not isinstance(value, (str, bool, int)):
            require.wrong(f"{owner}.source field {name!r}", value, "a string or a Boolean")
    return fields


@dataclass(frozen=True)
class EnvFromSource:
    """A Secret or ConfigMap, of which each key becomes a variable.

    Variables that the library or `env=` sets take precedence.

    Args:
        source: The source as Kubernetes spells it: `{"secretRef": {"name": ...}}` or
            `{"configMapRef": {"name": ...}}`. The class methods make them.
        prefix: Prefix of the variables' names, before the key. Default: none.
        namespace: Namespace of the object; models in other namespaces are then rejected.
            Default: not known.

    Raises:
        VllmConstructsError: Another source, or an invalid prefix.
    """

    source: Mapping[str, Any]
    prefix: str | None = field(default=None, kw_only=True)
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.source, Mapping) or len(self.source) != 1:
            require.wrong("EnvFromSource.source", self.source, "one source, such as secretRef")
        kinds = ("configMapRef", "secretRef")
        kind, reference = next(iter(self.source.items()))
        require.choice("the key of EnvFromSource.source", kind, kinds)
        object.__setattr__(self, "source", frozen({kind: _fields("EnvFromSource", reference)}))
        if self.prefix is not None:
            allowed = "letters, digits and '_', first no digit"
            require.matching("EnvFromSource.prefix", self.prefix, _PREFIX, allowed)
        if self.namespace is not None:
            names.label("EnvFromSource.namespace", self.namespace)

    @classmethod
    def from_secret(
        cls, secret: str | HasName, *, prefix: str | None = None, optional: bool = False
    ) -> EnvFromSource:
        """All keys of a Secret.

        Args:
            secret: The Secret, by its name or as a cdk8s-plus object.
            prefix: Prefix of the variables' names. Default: none.
            optional: Whether pods start without it. Default: False.

        Raises:
            VllmConstructsError: An invalid name or prefix.
        """
        name = name_of("EnvFromSource.from_secret secret", secret, "Secret")
        return cls._of("secretRef", name, secret, prefix, optional=optional)

    @classmethod
    def from_config_map(
        cls, config_map: str | HasName, *, prefix: str | None = None, optional: bool = False
    ) -> EnvFromSource:
        """All keys of a ConfigMap.

        Args:
            config_map: The ConfigMap, by its name or as a cdk8s-plus object.
            prefix: Prefix of the variables' names. Default: none.
            optional: Whether pods start without it. Default: False.

        Raises:
            VllmConstructsError: An invalid name or prefix.
        """
        name = name_of("EnvFromSource.from_config_map config_map", config_map, "ConfigMap")
        return cls._of("configMapRef", name, config_map, prefix, optional=optional)

    @classmethod
    def _of(
        cls, kind: str, name: str, value: object, prefix: str | None, *, optional: bool
    ) -> EnvFromSource:
        reference: dict[str, Any] = {"name": name}
        if require.boolean("EnvFromSource optional", optional):
            reference["optional"] = True
        return cls({kind: reference}, prefix=prefix, namespace=namespace_of(value))

    def manifest(self) -> dict[str, Any]:
        """The entry of `envFrom`."""
        kind, reference = next(iter(self.source.items()))
        entry = {kind: dict(reference)}
        return entry if self.prefix is None else {"prefix": self.prefix, **entry}
