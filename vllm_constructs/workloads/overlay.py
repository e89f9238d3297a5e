"""Overlay: what a user adds to a Deployment, merged as Kubernetes' strategic merge does.

Entries of containers, volumes, variables and others are found by their keys (Kubernetes docs,
"Update API Objects in Place Using kubectl patch"). An overlay adds fields; one that changes what
the library has derived would make the manifest contradict itself, so it is rejected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, cast

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.kubernetes import Kubernetes

from .container import NAME
from .pod_facts import SCRAPE_ANNOTATIONS
from .pod_variables import RESERVED, check_env

# The keys by which entries of lists are found; other lists are values of their own.
_KEYS = {
    ("PodSpec", "containers"): "name",
    ("PodSpec", "initContainers"): "name",
    ("PodSpec", "ephemeralContainers"): "name",
    ("PodSpec", "volumes"): "name",
    ("PodSpec", "imagePullSecrets"): "name",
    ("PodSpec", "hostAliases"): "ip",
    ("PodSpec", "resourceClaims"): "name",
    ("PodSpec", "schedulingGates"): "name",
    ("PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("Container", "env"): "name",
    ("Container", "ports"): "containerPort",
    ("Container", "volumeDevices"): "devicePath",
    ("Container", "volumeMounts"): "mountPath",
    ("ResourceRequirements", "claims"): "name",
}
# Options that set what an overlay may not change, by the last field of its path.
_OPTIONS = {
    "preStop": "drain",
    "args": "engine",
    "automountServiceAccountToken": "automount_service_account_token",
    "command": "command",
    "cpu": "cpu",
    "dnsPolicy": "dns",
    "failureThreshold": "probes} or {startup",
    "fsGroup": "security",
    "image": "image",
    "imagePullPolicy": "image_pull_policy",
    "maxSurge": "rollout",
    "maxUnavailable": "rollout",
    "medium": "shared_memory",
    "memory": "memory",
    "amd.com/gpu": "gpu",
    "google.com/tpu": "gpu",
    "habana.ai/gaudi": "gpu",
    "nvidia.com/gpu": "gpu",
    "resourceClaims": "gpu",
    "periodSeconds": "probes",
    "priorityClassName": "priority_class",
    "progressDeadlineSeconds": "startup",
    "readOnlyRootFilesystem": "security",
    "runAsGroup": "security",
    "runAsNonRoot": "security",
    "runAsUser": "security",
    "runtimeClassName": "runtime_class",
    "schedulerName": "scheduler",
    "serviceAccountName": "service_account",
    "sizeLimit": "shared_memory} or {cache",
    "terminationGracePeriodSeconds": "drain",
    "timeoutSeconds": "probes",
    "tolerations": "tolerations",
    "strategy.type": "rollout",
}
_NAMES = {"integer": "an integer", "quantity": "a number or a quantity"}
_NEVER = {
    "replicas": ("has an option of its own, and a scaler may set it", "give {replicas}"),
    "selector": ("is immutable, and scalers and Services rely on it", "leave it out"),
}
_NAME = "belongs to the objects of the model together"
_FIXED = {
    "metadata.generateName": _NAME,
    "metadata.namespace": _NAME,
    "spec.template.metadata.generateName": _NAME,
    "spec.template.metadata.name": _NAME,
    "spec.template.metadata.namespace": _NAME,
    "spec.template.spec.shareProcessNamespace": "takes process 1 from the engine, which the "
    "preStop hook has to end",
    "spec.template.spec.restartPolicy": "is always 'Always' for a Deployment",
}
# Entries that have one value; with more fields they would have two.
_WHOLE = ("EnvVar", "PodResourceClaim", "Volume")
_PLAIN: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "quantity": (int, float, str),
    "string": (str,),
}


@cache
def _types() -> dict[str, dict[str, str | list[Any]]]:
    path = Path(__file__).parents[1] / "data" / "deployment-fields.json"
    return cast("dict[str, dict[str, str | list[Any]]]", json.loads(path.read_text("utf-8")))


def merged(manifest: Mapping[str, Any], overlay: object, kubernetes: Kubernetes) -> dict[str, Any]:
    """A Deployment with an overlay.

    Args:
        manifest: The Deployment.
        overlay: What is added: `metadata` and `spec` of a Deployment, as far as they are needed.
        kubernetes: The target release.

    Raises:
        VllmConstructsError: A field that the target does not have, a value of another type, or one
            that contradicts the manifest.
    """
    if not isinstance(overlay, Mapping) or not set(overlay) <= {"metadata", "spec"}:
        allowed = "a dict with the 'spec' or 'metadata' of a Deployment"
        require.wrong("overlay", overlay, allowed)
    spec = overlay.get("spec")
    for field, (text, advice) in _NEVER.items():
        if isinstance(spec, Mapping) and field in spec:
            refuse(Problem(where=f"overlay spec.{field}", text=text, advice=advice))
    return _Merge(kubernetes).fields("Deployment", dict(manifest), overlay, "")


class _Merge:
    """A merge for one target release."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes

    def fields(
        self, kind: str, base: dict[str, Any], overlay: Mapping[Any, Any], path: str
    ) -> dict[str, Any]:
        """An object of a type with what the overlay adds."""
        known = _types()[kind]
        found = dict(base)
        for field, value in sorted(overlay.items(), key=lambda item: str(item[0])):
            where = f"{path}.{field}".lstrip(".")
            if where in _FIXED:
                refuse(Problem(where=f"overlay {where}", text=_FIXED[where], advice="leave it out"))
            if field not in known:
                near = require.nearest(field, known)
                text = f"is no field of a {kind} of Kubernetes"
                refuse(Problem(where=f"overlay {where}", text=text, advice=near or "leave it out"))
            entry = known[field]
            declared, since = (entry, 0) if isinstance(entry, str) else entry
            if since > self._kubernetes.minor:
                text = f"is newer than the target: Kubernetes has it since 1.{since}"
                advice = (
                    f"call Kubernetes('1.{since}').set_on(app) directly after App(), if the "
                    "cluster is that new"
                )
                refuse(Problem(where=f"overlay {where}", text=text, advice=advice))
            found[field] = self._value(declared, found.get(field), value, where, (kind, field))
        return found

    def _value(
        self, declared: str, base: Any, value: object, where: str, place: tuple[str, str]
    ) -> Any:
        if value is None:
            if base is not None:
                _contradicts(where, value, base)
            text = "is None, and there is nothing that it could remove"
            refuse(Problem(where=f"overlay {where}", text=text, advice="leave it out"))
        if declared.startswith("["):
            return self._list(declared[1:-1], base, value, where, place)
        if declared.startswith("{"):
            return self._map(declared[1:-1], base, value, where)
        if declared in _types():
            if not isinstance(value, Mapping):
                _wrong(where, value, f"the fields of a {declared}, in a dict")
            own = base if isinstance(base, dict) else {}
            return self.fields(declared, own, value, where)
        return _scalar(declared, base, value, where)

    def _map(self, declared: str, base: Any, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            _wrong(where, value, "a dict")
        found = dict(base or {})
        for key, item in value.items():
            if not isinstance(key, str):
                _wrong(f"{where} key", key, "a string")
            if key in SCRAPE_ANNOTATIONS or key.startswith(f"{names.PREFIX}/"):
                text = "is set by this library"
                refuse(Problem(where=f"overlay {where}.{key}", text=text, advice="leave it out"))
            found[key] = self._value(declared, found.get(key), item, f"{where}.{key}", ("", key))
        return found

    def _list(
        self, declared: str, base: Any, value: object, where: str, place: tuple[str, str]
    ) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            _wrong(where, value, "a list")
        key = _KEYS.get(place)
        if key is None:
            items = [
                self._value(declared, None, item, f"{where}[{at}]", ("", ""))
                for at, item in enumerate(value)
            ]
            if base is not None and base != items:
                _contradicts(where, items, base)
            return items
        found = list(base or [])
        for at, item in enumerate(value):
            if not isinstance(item, Mapping) or key not in item:
                _wrong(f"{where}[{at}]", item, f"a dict with {key!r}, by which entries are found")
            if not isinstance(item[key], (str, int)):
                _wrong(f"{where}[{at}].{key}", item[key], "a string or a number")
            same = [i for i, other in enumerate(found) if other.get(key) == item[key]]
            if not same:
                found.append({})
            index = same[0] if same else -1
            one = f"{where}[{key}={require.shown(item[key])}]"
            names_of = [str(other.get(key)) for other in found[:-1]]
            if not same:
                self._check_new(declared, item, one, names_of)
            found[index] = self._entry(declared, found[index], item, one)
        return found

    def _entry(
        self, declared: str, own: dict[str, Any], item: Mapping[Any, Any], where: str
    ) -> dict[str, Any]:
        new = self.fields(declared, own, item, where)
        if own and declared in _WHOLE and new != own:
            _contradicts(where, new, own)
        return new

    @staticmethod
    def _check_new(
        declared: str, item: Mapping[Any, Any], where: str, others: Sequence[str]
    ) -> None:
        """Reject a new container without an image, and a variable that `env=` would reject."""
        if declared == "Container" and "image" not in item:
            near = require.nearest(item["name"], others) or "give its image to add a container"
            text = "is in no container of the pod"
            refuse(Problem(where=f"overlay {where}", text=text, advice=near))
        if declared == "EnvVar":
            check_env("overlay env", {item["name"]: item.get("value", "")}, RESERVED)


def _scalar(declared: str, base: object, value: object, where: str) -> Any:
    kinds = _PLAIN.get(declared)
    is_bool = isinstance(value, bool) and declared != "boolean"
    if kinds is None:
        # A type of any fields.
        found = json.loads(_json(where, value))
    elif is_bool or not isinstance(value, kinds) or _is_odd(value):
        _wrong(where, value, _NAMES.get(declared, f"a {declared}"))
    else:
        found = value
    if isinstance(value, str) and require.has_secret(value):
        text = "looks like a credential (not shown), which would be written into the manifests"
        advice = "put it into a Secret and refer to that"
        refuse(Problem(where=f"overlay {where}", text=text, advice=advice))
    if base is not None and base != found:
        _contradicts(where, found, base)
    return found


def _is_odd(value: object) -> bool:
    """Whether a number is NaN or infinite."""
    return isinstance(value, float) and not isfinite(value)


def _json(where: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return _wrong(where, value, "what JSON can hold")


def _wrong(where: str, value: object, allowed: str) -> NoReturn:
    text = f"is {_shown(where, value)}"
    refuse(Problem(where=f"overlay {where}", text=text, allowed=escaped(allowed)))


def _shown(where: str, value: object) -> str:
    """A value for a sentence; those of variables may be credentials."""
    return "(not shown)" if ".env" in where else escaped(require.shown(value))


def _contradicts(where: str, value: object, base: object) -> NoReturn:
    path = f".{where}"
    is_other = "ontainers[name=" in path and f"ontainers[name={NAME!r}" not in path
    matching = (one for one in _OPTIONS if f"{path}.".find(f".{one}.") >= 0)
    option = None if is_other else next((_OPTIONS[one] for one in matching), None)
    advice = "leave it out, or replace it with a JsonPatch of ApiObject.of(model)"
    if option is not None:
        advice = f"give {{{option}}} instead"
    refuse(
        Problem(
            where=f"overlay {where}",
            text=f"is {_shown(where, value)}, but the library sets {escaped(require.shown(base))}",
            advice=advice,
        )
    )
