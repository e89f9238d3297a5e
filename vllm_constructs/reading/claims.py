"""Device claims of pods: the claims and templates that they name, and what these request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs.dataclass import dataclass

from .fields import items, mapping
from .manifest import Manifest, Path
from .objects import Objects
from .pods import Pod

GROUP = "resource.k8s.io"
SPECS: dict[str, tuple[str, ...]] = {
    "ResourceClaim": ("spec",),
    "ResourceClaimTemplate": ("spec", "spec"),
}
"""The kinds that request devices, with the path of what they request."""
_FIELDS = {
    "resourceClaimName": "ResourceClaim",
    "resourceClaimTemplateName": "ResourceClaimTemplate",
}


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """A request of devices.

    Args:
        manifest: The claim or template that has it.
        path: The fields that lead to what it requests, the device class and count.
        device_class: Its device class; empty if it has none.
        body: What it requests.
    """

    manifest: Manifest
    path: Path
    device_class: str
    body: Mapping[str, Any]


def claims_of(graph: Objects, pod: Pod) -> dict[str, Manifest]:
    """The claims and templates that a pod names, by its own names; those in the manifests.

    Args:
        graph: The graph.
        pod: The pod.
    """
    found = {}
    for claim in map(mapping, items(pod.spec.get("resourceClaims"))):
        for field, kind in _FIELDS.items():
            if claim.get(field):
                one = graph.find(kind, pod.namespace, claim[field])
                if one is not None:
                    found[str(claim.get("name"))] = one
    return found


def requests_of(manifest: Manifest) -> Iterator[tuple[str, DeviceRequest]]:
    """What a claim or a template requests, each with the name of the request.

    Args:
        manifest: The claim or template.
    """
    for path, one in manifest.each(*SPECS[manifest.kind], "devices", "requests"):
        parts = [(*path, "exactly")] if isinstance(one.get("exactly"), dict) else []
        parts += [where for where, _ in manifest.each(*path, "firstAvailable")]
        # In v1beta1 the request itself has the fields.
        for where in parts or [path]:
            body = mapping(manifest.at(*where))
            named = str(body.get("deviceClassName") or "")
            made = DeviceRequest(manifest=manifest, path=where, device_class=named, body=body)
            yield str(one.get("name")), made


def device_requests(
    graph: Objects, pod: Pod, container: Mapping[str, Any]
) -> Iterator[DeviceRequest]:
    """The requests behind a container's claims; none for claims that are in no manifest.

    Args:
        graph: The graph.
        pod: The pod.
        container: The container.
    """
    used = items(mapping(container, "resources").get("claims"))
    claims = claims_of(graph, pod) if used else {}
    for one in map(mapping, used):
        claim, wanted = claims.get(str(one.get("name"))), one.get("request")
        for name, request in requests_of(claim) if claim is not None else ():
            if wanted is None or str(wanted).partition("/")[0] == name:
                yield request
