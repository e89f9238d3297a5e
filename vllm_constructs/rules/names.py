"""Rule of names and labels: H08."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.kube import names
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.workloads import credentials

from .kind_fields import is_open, where
from .kind_tables import tables
from .rule import Edit, Fix, Found, Level, put, rule

# Files of tools, and kinds whose names are paths or users.
_OTHER_GROUPS = re.compile(
    r"(.*\.)?(config\.k8s\.io|openshift\.io|kubeadm\.k8s\.io|kind\.x-k8s\.io)"
)
_RBAC = "rbac.authorization.k8s.io"
# The controller puts the name, with what it appends, into labels of the pods.
_LONGEST = {"CronJob": 52, "Job": 63, "LeaderWorkerSet": 52, "StatefulSet": 52}
# They may be longer, but host names of their pods are cut.
_CUT = ("DaemonSet", "Deployment", "Pod", "ReplicaSet")
_LABELS = ("LeaderWorkerSet", "Namespace", "Service")
_LETTER_FIRST = ("LeaderWorkerSet", "Service")
# RelaxedServiceNameValidation and RelaxedEnvironmentVariableValidation.
_DIGITS_SINCE, _ANY_VARIABLE_SINCE = 37, 32
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_SHELL_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PRINTABLE = re.compile(r"[ -<>-~]+")
_PORT = re.compile(r"(?=[^a-z]*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_PLACEHOLDER = re.compile(r"REPLACE|CHANGE[-_]?ME|YOUR[-_]|PLACEHOLDER|%|__\w+__")

Check = Callable[[str, object], object]


@rule("H08", "error", "a name or label that Kubernetes rejects")
def accepted(graph: Graph) -> Iterator[Found]:
    """Names of models have capitals and slashes; the API server rejects the object, or its pods."""
    for manifest in graph.manifests:
        if not manifest.kind or not manifest.api_version or _OTHER_GROUPS.fullmatch(manifest.group):
            continue
        yield from _of_object(graph, manifest)
        metadata = mapping(manifest.body.get("metadata"))
        yield from _of_metadata(manifest, metadata, ("metadata",))
        if manifest.kind in ("ConfigMap", "Secret"):
            yield from _of_data(manifest)
        elif manifest.kind == "Service" and not manifest.group:
            yield from _of_service(manifest)
        for pod in graph.pods_of(manifest):
            if pod.metadata_path != ("metadata",):
                yield from _of_metadata(manifest, pod.metadata, pod.metadata_path)
            yield from _of_pod(graph, pod)
        selector = mapping(manifest.spec.get("selector")).get("matchLabels")
        yield from _of_labels(manifest, selector, ("spec", "selector", "matchLabels"))


def _wrong(
    manifest: Manifest, path: Path, check: Check, value: object, what: str = ""
) -> Iterator[Found]:
    """What a check of values says to a name, unless somebody fills it in later."""
    if not isinstance(value, str) or is_open(value) or _PLACEHOLDER.search(value):
        return
    try:
        check(what or where(path), value)
    except VllmConstructsError as error:
        yield Found(manifest=manifest, path=path, problem=error.problem)


def _found(
    manifest: Manifest,
    path: Path,
    text: str,
    advice: str,
    *,
    level: Level | None = None,
    fix: Fix | None = None,
) -> Found:
    problem = Problem(where=where(path), text=text, advice=advice)
    return Found(manifest=manifest, path=path, problem=problem, level=level, fix=fix)


def _of_object(graph: Graph, manifest: Manifest) -> Iterator[Found]:
    metadata = mapping(manifest.body.get("metadata"))
    name, kind, path = metadata.get("name"), manifest.kind, ("metadata", "name")
    yield from _wrong(manifest, ("metadata", "namespace"), names.label, metadata.get("namespace"))
    if not name:
        is_known = f"{manifest.api_version} {kind}" in tables().kinds
        if is_known and not metadata.get("generateName"):
            yield _found(manifest, path, "is missing", "name the object")
        return
    if not isinstance(name, str) or is_open(name) or _PLACEHOLDER.search(name):
        return
    if manifest.group == _RBAC:
        if "/" in name or "%" in name:
            text = f"is {escaped(require.shown(name))}, which has '/' or '%'"
            yield _found(manifest, path, text, "leave them out")
        return
    own = not manifest.group or kind == "LeaderWorkerSet"
    check = names.label if kind in _LABELS and own else names.subdomain
    wrong = list(_wrong(manifest, path, check, name))
    yield from wrong
    if wrong:
        return
    if kind in _LETTER_FIRST and own and name[0].isdigit():
        yield from _digit_first(graph, manifest, name)
    elif len(name) > _LONGEST.get(kind, 253):
        most = _LONGEST[kind]
        text = (
            f"has {len(name)} characters, and labels of the pods have no place for more than {most}"
        )
        yield _found(manifest, path, text, "shorten it")
    elif kind in _CUT and len(name) > 63:
        text = f"has {len(name)} characters, and the names of its pods are cut after 63"
        yield _found(manifest, path, text, "shorten it", level="warning")


def _digit_first(graph: Graph, manifest: Manifest, name: str) -> Iterator[Found]:
    target = graph.settings.kubernetes
    is_relaxed = manifest.kind == "Service"
    if is_relaxed and target is not None and target.minor >= _DIGITS_SINCE:
        return
    text = f"is {name!r}, which begins with a digit, and the API server rejects it"
    if is_relaxed:
        text += f" before Kubernetes 1.{_DIGITS_SINCE}"
    level: Level | None = "warning" if is_relaxed and target is None else None
    advice = f"begin with a letter, for example 'm-{name}'"
    yield _found(manifest, ("metadata", "name"), text, advice, level=level)


def _of_metadata(manifest: Manifest, metadata: Mapping[str, Any], path: Path) -> Iterator[Found]:
    yield from _of_labels(manifest, metadata.get("labels"), (*path, "labels"))
    annotations = (*path, "annotations")
    for key in mapping(metadata.get("annotations")):
        yield from _wrong(
            manifest, (*annotations, str(key)), _annotation, key, f"a key of {where(annotations)}"
        )


def _annotation(what: str, value: object) -> None:
    """A key of an annotation, which may have capitals before its slash too."""
    if isinstance(value, str) and value != value.lower():
        with suppress(VllmConstructsError):
            names.key(what, value.lower())
            return
    names.key(what, value)


def _of_labels(manifest: Manifest, labels: object, path: Path) -> Iterator[Found]:
    for key, value in mapping(labels).items():
        place = (*path, str(key))
        yield from _wrong(manifest, place, names.key, key, f"a key of {where(path)}")
        yield from _wrong(manifest, place, names.label_value, value)


def _of_data(manifest: Manifest) -> Iterator[Found]:
    is_secret = manifest.kind == "Secret"
    check = names.secret_key if is_secret else names.data_key
    for field in ("data", "binaryData", "stringData"):
        for key in mapping(manifest.body.get(field)):
            # A key of a Secret that is none may be what it should hold.
            place: Path = (field,) if is_secret else (field, str(key))
            yield from _wrong(manifest, place, check, key, f"a key of {field}")


def _port(what: str, value: object) -> None:
    """A port's name, as IANA has them."""
    if not isinstance(value, str) or not _PORT.fullmatch(value):
        require.wrong(
            what,
            value,
            "at most 15 lower-case letters, digits and single '-', one of them a letter",
        )


def _of_service(service: Manifest) -> Iterator[Found]:
    ports = service.each("spec", "ports")
    yield from _of_labels(service, service.spec.get("selector"), ("spec", "selector"))
    for path, port in ports:
        yield from _wrong(service, (*path, "name"), names.label, port.get("name"))
        if len(ports) > 1 and not port.get("name"):
            text = "is missing, and the API server rejects several ports without names"
            yield _found(service, (*path, "name"), text, "name each port")
    yield from _twice(service, [((*path, "name"), port.get("name")) for path, port in ports])


def _twice(manifest: Manifest, named: list[tuple[Path, Any]]) -> Iterator[Found]:
    seen = set()
    for path, name in named:
        if isinstance(name, str):
            if name in seen:
                text = f"is {escaped(require.shown(name))} again, and the API server rejects it"
                yield _found(manifest, path, text, "take another name")
            seen.add(name)


def _of_pod(graph: Graph, pod: Pod) -> Iterator[Found]:
    manifest = pod.manifest
    yield from _of_labels(manifest, pod.spec.get("nodeSelector"), (*pod.path, "nodeSelector"))
    for field in ("hostname", "subdomain"):
        yield from _wrong(manifest, (*pod.path, field), names.label, pod.spec.get(field))
    volumes = manifest.each(*pod.path, "volumes")
    for named in (pod.all_containers, volumes):
        listed = [((*path, "name"), one.get("name")) for path, one in named]
        for path, name in listed:
            yield from _wrong(manifest, path, names.label, name)
        yield from _twice(manifest, listed)
    engines = [engine.path for engine in graph.engines_of(manifest)]
    for path, _ in pod.all_containers:
        ports = manifest.each(*path, "ports")
        listed = [((*place, "name"), port.get("name")) for place, port in ports]
        for place, name in listed:
            yield from _wrong(manifest, place, _port, name)
        yield from _twice(manifest, listed)
        for place, variable in manifest.each(*path, "env"):
            name = variable.get("name")
            if isinstance(name, str) and not _SHELL_VARIABLE.fullmatch(name):
                yield from _variable(graph, manifest, place, variable, is_vllm=path in engines)


def _variable(
    graph: Graph, manifest: Manifest, path: Path, variable: Mapping[str, Any], *, is_vllm: bool
) -> Iterator[Found]:
    """A variable that no shell can read."""
    full, place = str(variable["name"]), (*path, "name")
    # Behind an equals sign may be a secret.
    name, sign, value = full.partition("=")
    shown = escaped(require.shown(name))
    target = graph.settings.kubernetes
    is_old = target is not None and target.minor < _ANY_VARIABLE_SINCE
    if sign or not _PRINTABLE.fullmatch(name):
        text = "is empty, and the API server rejects it"
        if sign:
            text = f"begins with {shown} and has an equals sign, and the API server rejects it"
        elif name:
            text = f"is {shown}, which has characters that the API server rejects"
        fix = None
        is_plain = sign and "valueFrom" not in variable and not variable.get("value")
        if is_plain and _SHELL_VARIABLE.fullmatch(name) and not credentials.is_name(name):
            edits = (Edit(path=place, value=name), Edit(path=(*path, "value"), value=value))
            fix = Fix(edits=edits, is_safe=True)
        yield _found(manifest, place, text, "give name and value as two fields", fix=fix)
    elif is_old and not _VARIABLE.fullmatch(name):
        text = f"is {shown}, which Kubernetes before 1.{_ANY_VARIABLE_SINCE} rejects"
        yield _found(manifest, place, text, "use letters, digits and '_'")
    elif is_vllm:
        right = re.sub(r"\W", "_", name, flags=re.ASCII).upper()
        right = right if _SHELL_VARIABLE.fullmatch(right) else ""
        text = f"is {shown}, which no shell can read, and neither vLLM nor its libraries read it"
        advice = f"did you mean {right!r}?" if right else "use letters, digits and '_'"
        fix = put(place, right) if right else None
        yield _found(manifest, place, text, advice, level="warning", fix=fix)
