"""References: the objects that an object names, by kind and name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from vllm_constructs.reading.fields import items
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

Reference: TypeAlias = "tuple[str, str]"
"""Kind and name."""

# Fields with a name, and the kind of what has it.
_NAMES = {
    "claimName": "PersistentVolumeClaim",
    "gatewayClassName": "GatewayClass",
    "ingressClassName": "IngressClass",
    "priorityClassName": "PriorityClass",
    "resourceClaimName": "ResourceClaim",
    "resourceClaimTemplateName": "ResourceClaimTemplate",
    "runtimeClassName": "RuntimeClass",
    "secretName": "Secret",
    "serviceAccountName": "ServiceAccount",
    "serviceName": "Service",
    "storageClassName": "StorageClass",
}
# Fields with a mapping that has a name, or a list of such, and the kind where they do not say it.
_MAPPINGS = {
    "authenticationRef": "TriggerAuthentication",
    "backendRef": "Service",
    "backendRefs": "Service",
    "certificateRefs": "Secret",
    "configMap": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "endpointPickerRef": "Service",
    "imagePullSecrets": "Secret",
    "issuerRef": "Issuer",
    "parentRefs": "Gateway",
    "poolRef": "InferencePool",
    "roleRef": "Role",
    "scaleTargetRef": "Deployment",
    "secret": "Secret",
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
    "service": "Service",
}
_DEEPEST = 64


def references(value: object, depth: int = 0) -> Iterator[Reference]:
    """The objects that a part of a manifest needs; optional ones are left out.

    Args:
        value: The part.
        depth: How deep it is in a manifest. Default: it is the top.
    """
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from references(item, depth + 1)
    if not isinstance(value, dict):
        return
    is_optional = value.get("optional") is True
    for key, inner in value.items():
        if isinstance(inner, str) and inner and key in _NAMES and not is_optional:
            yield _NAMES[key], inner
        for one in [inner] if isinstance(inner, dict) else items(inner):
            if key in _MAPPINGS and isinstance(one, dict):
                yield from _named(one, _MAPPINGS[key])
        yield from references(inner, depth + 1)


def referring(graph: Graph) -> Mapping[Reference, list[Manifest]]:
    """The objects that name others, by what they name.

    Args:
        graph: The objects.
    """
    found: dict[Reference, list[Manifest]] = defaultdict(list)
    for manifest in graph.manifests:
        for one in dict.fromkeys(references(manifest.body)):
            found[one].append(manifest)
    return found


def _named(value: dict[str, Any], kind: str) -> Iterator[Reference]:
    name = value.get("name")
    if isinstance(name, str) and name and value.get("optional") is not True:
        yield str(value.get("kind") or kind), name
