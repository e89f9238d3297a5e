"""The defaults that the API server writes into the pods of workloads.

A field with its default and a field that is left out are the same there, so that neither rolls a
pod. Kubernetes 1.37, pkg/apis/core/v1/defaults.go and zz_generated.defaults.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm_constructs.reading.fields import items, mapping

_POD: dict[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER: dict[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_MODE = 0o644
_VOLUMES: dict[str, dict[str, Any]] = {
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "configMap": {"defaultMode": _MODE},
    "downwardAPI": {"defaultMode": _MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "projected": {"defaultMode": _MODE},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "secret": {"defaultMode": _MODE},
}


def complete_pod(spec: dict[str, Any]) -> None:
    """Write the defaults into the `spec` of a pod template.

    Args:
        spec: The spec, which is changed.
    """
    _fill(spec, _POD)
    spec.setdefault("securityContext", {})
    # The second is an old name of the first.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in mappings(spec.get(field)):
            _complete_container(container)
    for volume in mappings(spec.get("volumes")):
        _complete_volume(volume)


def complete_claim(spec: dict[str, Any]) -> None:
    """Write the defaults into the `spec` of a claim or of a template of claims.

    Args:
        spec: The spec, which is changed.
    """
    spec.setdefault("volumeMode", "Filesystem")


def _complete_container(container: dict[str, Any]) -> None:
    _fill(container, _CONTAINER)
    # Structs, which cannot be left out.
    container.setdefault("resources", {})
    container.setdefault("imagePullPolicy", _pull_policy(container.get("image")))
    for port in mappings(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for variable in mappings(container.get("env")):
        source = mapping(variable, "valueFrom")
        _complete_field(source)
        if "fileKeyRef" in source:
            mapping(source, "fileKeyRef").setdefault("optional", False)
        if variable.get("value") == "":
            del variable["value"]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(probe := container.get(name), dict):
            # Zero stands for the default as well.
            _fill(probe, _PROBE, zero=True)
            _complete_http(probe)
            if isinstance(grpc := probe.get("grpc"), dict):
                grpc.setdefault("service", "")
    for name in ("postStart", "preStop"):
        _complete_http(mapping(container, "lifecycle", name))


def _complete_http(handler: dict[str, Any]) -> None:
    if isinstance(get := handler.get("httpGet"), dict):
        _fill(get, {"path": "/", "scheme": "HTTP"})


def _complete_field(source: dict[str, Any]) -> None:
    if isinstance(field := source.get("fieldRef"), dict):
        field.setdefault("apiVersion", "v1")


def _complete_volume(volume: dict[str, Any]) -> None:
    if not set(volume) - {"name"}:
        volume["emptyDir"] = {}
    for kind, defaults in _VOLUMES.items():
        if isinstance(source := volume.get(kind), dict):
            _fill(source, defaults)
    if isinstance(image := volume.get("image"), dict):
        image.setdefault("pullPolicy", _pull_policy(image.get("reference")))
    for source in (volume, *mappings(mapping(volume, "projected").get("sources"))):
        for one in mappings(mapping(source, "downwardAPI").get("items")):
            _complete_field(one)
        if isinstance(token := source.get("serviceAccountToken"), dict):
            token.setdefault("expirationSeconds", 3600)
    claim = mapping(volume, "ephemeral", "volumeClaimTemplate")
    if isinstance(spec := claim.get("spec"), dict):
        complete_claim(spec)


def _pull_policy(image: object) -> str:
    """The policy of an image, by its tag: `latest`, or none at all."""
    reference, is_digest, _ = str(image or "").partition("@")
    _, is_tagged, tag = reference.rpartition("/")[2].partition(":")
    is_latest = tag == "latest" if is_tagged else not is_digest
    return "Always" if is_latest else "IfNotPresent"


def _fill(value: dict[str, Any], defaults: dict[str, Any], *, zero: bool = False) -> None:
    for key, default in defaults.items():
        if key not in value or (zero and value[key] == 0):
            value[key] = default


def mappings(value: object) -> Iterator[dict[str, Any]]:
    """The mappings in a list.

    Args:
        value: The list.
    """
    return (item for item in items(value) if isinstance(item, dict))
