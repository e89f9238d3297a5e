"""Objects as the API server stores them: with its defaults, and without what says nothing.

Then a manifest, its object in the cluster, and a manifest that writes the defaults out are the
same.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.manifest import Manifest

from .defaults import complete, has_defaults

# What the API server writes into the metadata.
_METADATA = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
}
# What controllers and clients write there.
_ANNOTATIONS = {
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "kubectl.kubernetes.io/last-applied-configuration",
}
# Maps whose keys are the user's.
_MAPS = {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector", "stringData"}
# Fields in which an empty map says nothing.
_EMPTY = _MAPS | {"limits", "metadata", "parameters", "requests"}
# Fields that say nothing if they are false, zero or empty; others, such as `optional`, do.
_ZERO = {
    "clusterIP",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "initialDelaySeconds",
    "medium",
    "minReadySeconds",
    "nodeName",
    "paused",
    "priorityClassName",
    "publishNotReadyAddresses",
    "readOnly",
    "serviceAccount",
    "serviceAccountName",
    "stdin",
    "stdinOnce",
    "subPath",
    "subPathExpr",
    "subdomain",
    "tty",
    "workingDir",
}
# No manifest is as deep.
_DEEPEST = 64


def written(body: dict[str, Any]) -> dict[str, Any]:
    """What a manifest has, without nulls and what says nothing.

    Args:
        body: The manifest, which is not changed.
    """
    found: dict[str, Any] = encoded(_copied(body, strict=has_defaults(Manifest(body))))
    return found


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """An object as the API server stores it, without identity and status.

    Args:
        body: The object, which is not changed.
    """
    found = written(body)
    if not isinstance(found.get("metadata"), dict):
        found["metadata"] = {}
    complete(found)
    found.pop("status", None)
    metadata = {key: one for key, one in found["metadata"].items() if key not in _METADATA}
    if annotations := mapping(metadata.get("annotations")):
        own = {key: one for key, one in annotations.items() if key not in _ANNOTATIONS}
        metadata["annotations"] = own
        if not own:
            del metadata["annotations"]
    return {**found, "metadata": metadata}


def encoded(body: dict[str, Any]) -> dict[str, Any]:
    """A Secret with its strings in its data, as the API server has them; others as they are.

    Args:
        body: The object, which is not changed.
    """
    if body.get("kind") != "Secret":
        return body
    data = {key: _without_breaks(one) for key, one in mapping(body.get("data")).items()}
    for key, value in mapping(body.get("stringData")).items():
        data[key] = base64.b64encode(str(value).encode(errors="surrogatepass")).decode()
    found = {key: one for key, one in body.items() if key not in ("data", "stringData")}
    return {**found, "data": data} if data else found


def _copied(value: object, *, strict: bool, key: str = "", depth: int = 0) -> Any:
    """A copy without nulls and, in kinds whose defaults are known, without what says nothing."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        if key in _MAPS:
            return {name: one for name, one in value.items() if one is not None}
        found = {}
        for name, one in value.items():
            copy = _copied(one, strict=strict, key=str(name), depth=depth + 1)
            if copy is not None and not (strict and _says_nothing(str(name), copy)):
                found[name] = copy
        return found
    if isinstance(value, list):
        return [_copied(one, strict=strict, depth=depth + 1) for one in value]
    return value


def _says_nothing(name: str, value: object) -> bool:
    if isinstance(value, list):
        return not value
    if isinstance(value, dict):
        return not value and name in _EMPTY
    return name in _ZERO and not value


def _without_breaks(value: object) -> object:
    """Data in base64 on one line."""
    if not isinstance(value, str) or "\n" not in value:
        return value
    try:
        return base64.b64encode(base64.b64decode(value)).decode()
    except (binascii.Error, ValueError):
        return value
