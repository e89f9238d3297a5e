"""The Pod Security Standard "restricted", which contains "baseline"."""

from collections.abc import Iterator, Mapping
from typing import Any

from .syntax import words

_VOLUMES = words(
    "configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret",
)
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})
_SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"},
)
_SYSCTLS = words(
    """
    kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports
    net.ipv4.ip_unprivileged_port_start net.ipv4.ping_group_range net.ipv4.tcp_fin_timeout
    net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_keepalive_time
    net.ipv4.tcp_rmem net.ipv4.tcp_syncookies net.ipv4.tcp_wmem
    """,
)
_HANDLERS = ("startupProbe", "livenessProbe", "readinessProbe")

Fields = Mapping[str, Any]


def pod_security_problems(pod_spec: Fields) -> list[str]:
    """Check a pod against the restricted profile.

    Args:
        pod_spec: The `spec` of a pod or of a pod template.

    Returns:
        One sentence for each rule that the pod breaks.
    """
    found = [*_pod(pod_spec)]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(pod_spec.get(field, ())):
            where = f"{field}[{index}]"
            found += [f"{where}.{one}" for one in _container(container, pod_spec)]
    return found


def _context(fields: Fields) -> Fields:
    context: Fields = fields.get("securityContext", {})
    return context


def _pod(pod: Fields) -> Iterator[str]:
    for name in ("hostIPC", "hostNetwork", "hostPID"):
        if pod.get(name):
            yield f"{name}: must not be true"
    for volume in pod.get("volumes", ()):
        for source in set(volume) - {"name"} - _VOLUMES:
            yield f"volumes[{volume.get('name')}]: {source} is not allowed"
    for sysctl in _context(pod).get("sysctls", ()):
        if sysctl.get("name") not in _SYSCTLS:
            yield f"securityContext.sysctls: {sysctl.get('name')} is not allowed"
    if _context(pod).get("runAsUser") == 0 and not _own_users(pod):
        yield "securityContext.runAsUser: must not be 0"
    yield from _shared(_context(pod))


def _own_users(pod: Fields) -> bool:
    return pod.get("hostUsers") is False


def _shared(context: Fields) -> Iterator[str]:
    app_armor = context.get("appArmorProfile", {}).get("type", "RuntimeDefault")
    if app_armor not in _PROFILES:
        yield f"securityContext.appArmorProfile.type: {app_armor} is not allowed"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "securityContext.seLinuxOptions: only a container type is allowed"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "securityContext.windowsOptions.hostProcess: must not be true"
    seccomp = context.get("seccompProfile")
    if seccomp is not None and seccomp.get("type") not in _PROFILES:
        yield f"securityContext.seccompProfile.type: {seccomp.get('type')} is not allowed"


def _container(container: Fields, pod: Fields) -> Iterator[str]:
    own, outer = _context(container), _context(pod)
    yield from _shared(own)
    if own.get("privileged"):
        yield "securityContext.privileged: must not be true"
    if own.get("procMount", "Default") != "Default":
        yield "securityContext.procMount: must be Default"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation: must be false"
    yield from _capabilities(own.get("capabilities", {}))
    yield from _users(own, pod)
    if not own.get("seccompProfile", outer.get("seccompProfile")):
        yield "securityContext.seccompProfile: must be set here or for the pod"
    for port in container.get("ports", ()):
        if port.get("hostPort"):
            yield f"ports: hostPort {port['hostPort']} is not allowed"
    yield from _hosts(container)


def _capabilities(capabilities: Fields) -> Iterator[str]:
    if "ALL" not in capabilities.get("drop", ()):
        yield "securityContext.capabilities.drop: must contain ALL"
    for name in set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"securityContext.capabilities.add: {name} is not allowed"


def _users(own: Fields, pod: Fields) -> Iterator[str]:
    # Root inside a user namespace of the pod's own is nobody outside.
    if _own_users(pod):
        return
    if not own.get("runAsNonRoot", _context(pod).get("runAsNonRoot")):
        yield "securityContext.runAsNonRoot: must be true here or for the pod"
    if own.get("runAsUser") == 0:
        yield "securityContext.runAsUser: must not be 0"


def _hosts(container: Fields) -> Iterator[str]:
    hooks = container.get("lifecycle", {})
    handlers = {name: container[name] for name in _HANDLERS if name in container}
    handlers |= {f"lifecycle.{name}": hook for name, hook in hooks.items()}
    for name, handler in handlers.items():
        for kind in ("httpGet", "tcpSocket"):
            if handler.get(kind, {}).get("host"):
                yield f"{name}.{kind}.host: must not be set"
