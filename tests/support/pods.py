"""Pods that need a level of the Pod Security Standards, each because of one field."""

from __future__ import annotations

from typing import Any

PROBE = {"httpGet": {"port": 80, "host": "10.0.0.5"}}
SECURE: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}

Cases = list[tuple[dict[str, Any], dict[str, Any], str, str]]
# More fields of the pod and of its container, the level, and the field that needs it.
CASES: Cases = [
    ({}, {}, "restricted", ""),
    ({"hostNetwork": True}, {}, "privileged", "hostNetwork"),
    ({"hostPID": True}, {}, "privileged", "hostPID"),
    ({"hostIPC": True}, {}, "privileged", "hostIPC"),
    (
        {"volumes": [{"name": "a", "hostPath": {"path": "/a"}}]},
        {},
        "privileged",
        "volumes[name=a].hostPath",
    ),
    (
        {"volumes": [{"name": "a", "nfs": {"server": "10.0.0.5", "path": "/"}}]},
        {},
        "baseline",
        "volumes[name=a].nfs",
    ),
    ({"volumes": [{"name": "a", "emptyDir": {}}]}, {}, "restricted", ""),
    ({"volumes": [{"name": "a", "image": {"reference": "a:1"}}]}, {}, "restricted", ""),
    (
        {"volumes": [{"name": "a", "csi": {"driver": "secrets-store.csi.k8s.io"}}]},
        {},
        "restricted",
        "",
    ),
    (
        {},
        {"ports": [{"containerPort": 80, "hostPort": 80}]},
        "privileged",
        "containers[name=a].ports[containerPort=80].hostPort",
    ),
    (
        {},
        {"readinessProbe": PROBE},
        "privileged",
        "containers[name=a].readinessProbe.httpGet.host",
    ),
    (
        {},
        {"lifecycle": {"preStop": {"tcpSocket": PROBE["httpGet"]}}},
        "privileged",
        "containers[name=a].lifecycle.preStop.tcpSocket.host",
    ),
    (
        {},
        {"securityContext": {"privileged": True}},
        "privileged",
        "containers[name=a].securityContext.privileged",
    ),
    (
        {},
        {"securityContext": {**SECURE, "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]}}},
        "privileged",
        "containers[name=a].securityContext.capabilities.add",
    ),
    (
        {},
        {"securityContext": {**SECURE, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}},
        "baseline",
        "containers[name=a].securityContext.capabilities.add",
    ),
    (
        {},
        {
            "securityContext": {
                **SECURE,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            }
        },
        "restricted",
        "",
    ),
    ({}, {"securityContext": SECURE | {"capabilities": {"drop": ["MKNOD"]}}}, "baseline", "drop"),
    ({}, {"securityContext": None}, "baseline", "allowPrivilegeEscalation"),
    ({"securityContext": {"runAsNonRoot": True}}, {}, "baseline", "seccompProfile"),
    (
        {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
        {},
        "baseline",
        "runAsNonRoot",
    ),
    (
        {},
        {"securityContext": {**SECURE, "runAsNonRoot": False}},
        "baseline",
        "containers[name=a].securityContext.runAsNonRoot",
    ),
    (
        {},
        {"securityContext": {**SECURE, "runAsUser": 0}},
        "baseline",
        "containers[name=a].securityContext.runAsUser",
    ),
    (
        {},
        {"securityContext": {**SECURE, "seccompProfile": {"type": "Unconfined"}}},
        "privileged",
        "containers[name=a].securityContext.seccompProfile.type",
    ),
    (
        {},
        {"securityContext": {**SECURE, "appArmorProfile": {"type": "Unconfined"}}},
        "privileged",
        "containers[name=a].securityContext.appArmorProfile.type",
    ),
    (
        {},
        {"securityContext": {**SECURE, "seLinuxOptions": {"type": "spc_t"}}},
        "privileged",
        "containers[name=a].securityContext.seLinuxOptions",
    ),
    (
        {},
        {"securityContext": {**SECURE, "seLinuxOptions": {"type": "container_t"}}},
        "restricted",
        "",
    ),
    (
        {
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "kernel.msgmax", "value": "1"}],
            }
        },
        {},
        "privileged",
        "securityContext.sysctls",
    ),
    (
        {"initContainers": [{"name": "b", "image": "b:1"}]},
        {},
        "baseline",
        "initContainers[name=b].securityContext.allowPrivilegeEscalation",
    ),
]


def spec_of(pod: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """The `spec` of a pod that is "restricted" but for some fields."""
    own = {"name": "a", "image": "a:1", "securityContext": SECURE, **container}
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "containers": [{key: value for key, value in own.items() if value is not None}],
        "securityContext": context,
        **pod,
    }
