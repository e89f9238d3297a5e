"""Pod Security Standards: the strictest level that admits a pod.

The rules are those of Kubernetes 1.37 (Kubernetes docs, "Pod Security Standards").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, get_args

from vllm_constructs.dataclass import dataclass

Level: TypeAlias = Literal["restricted", "baseline", "privileged"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels, the strictest one first."""

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
# Capabilities that "baseline" lets a container add; "restricted" has the last one only.
_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
        "NET_BIND_SERVICE",
    }
)

Fields: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Need:
    """A level that a pod needs, and the field that needs it.

    Args:
        level: The strictest level that admits the field.
        field: Path of the field in the `spec` of the pod; empty if nothing needs a level.
    """

    level: Level
    field: str = ""


def need_of(spec: Fields) -> Need:
    """The strictest level that admits a pod, with the first field that needs it.

    Args:
        spec: The `spec` of the pod.
    """
    # The first one of the weakest level.
    return max((Need(level="restricted"), *_needs(spec)), key=lambda need: LEVELS.index(need.level))


def capabilities_beyond(level: Level, added: Iterable[str]) -> list[str]:
    """The capabilities that a level does not admit.

    Args:
        level: The level.
        added: What a container adds.
    """
    admitted = {"baseline": _CAPABILITIES, "restricted": {"NET_BIND_SERVICE"}}.get(level)
    return [] if admitted is None else [one for one in added if one not in admitted]


def _needs(spec: Fields) -> Iterator[Need]:
    yield from (Need(level="privileged", field=path) for path in _beyond_baseline(spec))
    yield from (Need(level="baseline", field=path) for path in _beyond_restricted(spec))


def _containers(spec: Fields) -> Iterator[tuple[str, Fields]]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield f"{kind}[name={container.get('name')}].", container


def _context(fields: Fields) -> Fields:
    context: Fields = fields.get("securityContext") or {}
    return context


def _contexts(spec: Fields) -> Iterator[tuple[str, Fields]]:
    yield "securityContext", _context(spec)
    for path, container in _containers(spec):
        yield f"{path}securityContext", _context(container)


def _beyond_baseline(spec: Fields) -> Iterator[str]:
    """The fields that "baseline" does not admit."""
    yield from (name for name in ("hostIPC", "hostNetwork", "hostPID") if spec.get(name))
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            yield f"volumes[name={volume.get('name')}].hostPath"
    for path, context in _contexts(spec):
        yield from (f"{path}.{one}" for one in _context_beyond_baseline(context))
    for path, container in _containers(spec):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield f"{path}ports[containerPort={port.get('containerPort')}].hostPort"
        yield from (f"{path}{one}" for one in _hosts(container))


def _context_beyond_baseline(context: Fields) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged"
    if set((context.get("capabilities") or {}).get("add") or ()) - _CAPABILITIES:
        yield "capabilities.add"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess"
    for name in ("appArmorProfile", "seccompProfile"):
        if (context.get(name) or {}).get("type", "RuntimeDefault") not in _PROFILES:
            yield f"{name}.type"
    if context.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(one.get("name") not in _SYSCTLS for one in context.get("sysctls") or ()):
        yield "sysctls"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("user") or selinux.get("role") or selinux.get("type", "") not in _SELINUX_TYPES:
        yield "seLinuxOptions"


def _hosts(container: Fields) -> Iterator[str]:
    """The handlers of a container that call another host, which "baseline" forbids since 1.34."""
    handlers = {
        f"lifecycle.{name}": one for name, one in (container.get("lifecycle") or {}).items()
    }
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        handlers[name] = container.get(name)
    for name, handler in handlers.items():
        for kind in ("httpGet", "tcpSocket"):
            if ((handler or {}).get(kind) or {}).get("host"):
                yield f"{name}.{kind}.host"


def _beyond_restricted(spec: Fields) -> Iterator[str]:
    """The fields that "restricted" does not admit, beside those that "baseline" does not."""
    for volume in spec.get("volumes") or ():
        for source in sorted(set(volume) - {"name"} - _VOLUMES):
            yield f"volumes[name={volume.get('name')}].{source}"
    # Root in a user namespace of the pod is nobody outside of it.
    has_users = spec.get("hostUsers") is not False
    for path, context in _contexts(spec):
        if has_users and context.get("runAsUser") == 0:
            yield f"{path}.runAsUser"
    outer = _context(spec)
    for path, container in _containers(spec):
        for one in context_beyond_restricted(_context(container), outer, has_users=has_users):
            yield f"{path}securityContext.{one}"


def context_beyond_restricted(own: Fields, outer: Fields, *, has_users: bool) -> Iterator[str]:
    """The fields of a container's security context that "restricted" does not admit as they are.

    Args:
        own: The container's security context.
        outer: That of the pod.
        has_users: Whether the pod shares the users of its node.
    """
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities.drop"
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if has_users and not own.get("runAsNonRoot", outer.get("runAsNonRoot")):
        yield "runAsNonRoot"
    if not own.get("seccompProfile", outer.get("seccompProfile")):
        yield "seccompProfile"
