"""References to objects of the user, by name or by a cdk8s-plus object."""

from __future__ import annotations

from typing import Any, Protocol

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse

from . import names


class HasName(Protocol):
    """Any object with a name, such as a cdk8s-plus ISecret or IPersistentVolumeClaim."""

    @property
    def name(self) -> str:
        """Name of the object."""
        ...


class HasEnvValue(Protocol):
    """The value of a variable in cdk8s-plus, `EnvValue`."""

    @property
    def value(self) -> Any:
        """The value, if it is a string."""
        ...

    @property
    def value_from(self) -> Any:
        """Its source, if it has one."""
        ...


def name_of(where: str, value: object, kind: str) -> str:
    """The name of an object, or the string itself.

    Args:
        where: Name of the option, for the message.
        value: The name, or an object that has one.
        kind: Kind of the object.
    """
    reject_secret(where, value)
    name = value if isinstance(value, str) else getattr(value, "name", None)
    # Objects of cdk8s-plus have a kind; other constructs may have a name, but are not objects.
    default = None if hasattr(value, "__jsii_type__") else kind
    if not isinstance(name, str) or getattr(value, "kind", default) != kind:
        require.wrong(where, value, f"the name of a {kind} or a cdk8s-plus object")
    reject_secret(where, name)
    return names.subdomain(where, name)


def namespace_of(value: object) -> str | None:
    """The namespace of an object or reference, where it is known."""
    if hasattr(value, "__jsii_type__"):
        value = getattr(value, "metadata", None)
    namespace = getattr(value, "namespace", None)
    return namespace if isinstance(namespace, str) else None


def reject_secret(where: str, value: object) -> None:
    """Reject what looks like a token, without showing it."""
    if isinstance(value, (str, bytes)) and require.has_secret(value):
        refuse(
            Problem(
                where=where,
                text=(
                    f"looks like the secret itself ({len(value)} characters, not shown), which "
                    "would be written into the manifests"
                ),
                advice="put it into a Secret and refer to that",
            )
        )
