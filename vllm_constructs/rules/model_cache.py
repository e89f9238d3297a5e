"""Rules of the folder that models are downloaded into: R04 and R05."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.workloads.storage import disk_needed, repeated_download, size_problem

from .rule import Found, put, remove, rule

# An id of the Hub, with the file type of GGUF or without.
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?(:[\w.-]+)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
# As huggingface_hub reads them.
_TRUE = ("1", "ON", "YES", "TRUE")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_FOLDERS = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME")
# What a script that changes any of it has in it.
_SCRIPTED = re.compile(
    rf"{'|'.join((*_OFFLINE, *_FOLDERS[:4]))}|snapshot_download|huggingface-cli|\bhf download"
)
# Folders that are mounted as the cache, below whichever home directory.
_MOUNTED = ("/.cache/huggingface/hub", "/.cache/huggingface", "/.cache")
# Sources of volumes that hold no models.
_SMALL = ("configMap", "secret", "projected", "downwardAPI")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that vLLM writes to when it downloads.

    Args:
        path: Its path in the container.
        mount: The mount that has it, with its path; None if it is the container's own disk.
        volume: The volume of that mount, with its path; None if the pod does not declare it.
    """

    path: str
    mount: tuple[Path, Mapping[str, Any]] | None
    volume: tuple[Path, dict[str, Any]] | None


def downloads(engine: Engine) -> bool:
    """Whether an engine downloads its weights from the Hub, as far as the manifests tell.

    Args:
        engine: The engine.
    """
    model = engine.line.model
    if model is None or "model" in engine.line.unread or not _ID.fullmatch(model):
        return False
    if not engine.is_line_whole or engine.flag("load-format") == "dummy":
        return False
    words = [*strings(engine.container.get("command")), *strings(engine.container.get("args"))]
    if any(_SCRIPTED.search(word) for word in words) or not _has_whole_env(engine):
        return False
    env = engine.env
    unknown = [one for one in (*_OFFLINE, *_FOLDERS) if one in engine.env_paths and one not in env]
    is_offline = any(env.get(one, "").upper() in _TRUE for one in _OFFLINE)
    is_elsewhere = env.get("VLLM_USE_MODELSCOPE", "").lower() in ("1", "true")
    return not (unknown or is_offline or is_elsewhere)


def _has_whole_env(engine: Engine) -> bool:
    """Whether no ConfigMap of another file may have variables of it; Secrets have others."""
    for source in map(mapping, items(engine.container.get("envFrom"))):
        name = mapping(source, "configMapRef").get("name")
        if name is not None and engine.graph.find("ConfigMap", engine.pod.namespace, name) is None:
            return False
    return True


def folders(engine: Engine) -> list[Folder]:
    """The folders that an engine downloads into, the weights' first; none if they are not known.

    Args:
        engine: The engine.
    """
    hub = _hub(engine)
    given = engine.flag("download-dir")
    paths = [given, hub] if isinstance(given, str) else [hub]
    return [_folder(engine, path) for path in dict.fromkeys(paths) if path is not None]


def _hub(engine: Engine) -> str | None:
    """The folder of huggingface_hub (its constants.py)."""
    env = engine.env
    for name, below in zip(_FOLDERS, ("", "", "hub", "huggingface/hub"), strict=False):
        if env.get(name, "").startswith("/"):
            return posixpath.join(env[name], below).rstrip("/")
    home = env.get("HOME")
    if home is None:
        # Who mounts one of these knows the home directory.
        for end in _MOUNTED:
            for _, one in engine.manifest.each(*engine.path, "volumeMounts"):
                path = str(one.get("mountPath")).rstrip("/")
                if path.endswith(end):
                    return f"{path}{_MOUNTED[0].removeprefix(end)}"
        home = _home(engine)
    return posixpath.join(home, ".cache/huggingface/hub") if home else None


def _home(engine: Engine) -> str | None:
    """The home directory of an official image's user, as far as it has one."""
    if not engine.release.is_official:
        return None
    user = engine.pod.security(engine.container, "runAsUser")
    family = engine.release.family
    return {0: "/root", family.user: family.home, None: "/root"}.get(user)


def _folder(engine: Engine, path: str) -> Folder:
    mount = engine.mount(path)
    volume = None if mount is None else engine.volume(mount[1])
    return Folder(path=path, mount=mount, volume=volume)


def _is_filled(engine: Engine, folder: Folder) -> bool:
    """Whether an init container mounts the folder's volume, so that the weights may be there."""
    name = folder.mount[1].get("name") if folder.mount else None
    return name is not None and any(
        mount.get("name") == name and mount.get("readOnly") is not True
        for path, one in engine.manifest.each(*engine.pod.path, "initContainers")
        if one.get("restartPolicy") != "Always"
        for _, mount in engine.manifest.each(*path, "volumeMounts")
    )


@rule("R04", "error", "a read-only cache with downloads on")
def read_only(graph: Graph) -> Iterator[Found]:
    """A download that is due, of a missing file or a new revision, cannot be written."""
    for engine in graph.engines:
        if not engine.pod.is_whole or not downloads(engine):
            continue
        # Of a commit nothing is downloaded that is there.
        is_fixed = bool(_COMMIT.fullmatch(str(engine.flag("revision"))))
        for folder in folders(engine):
            why = _why_read_only(graph, engine, folder)
            if why is None or is_fixed or _is_filled(engine, folder):
                continue
            path, what = why
            text = (
                f"makes {escaped(require.shown(folder.path))} read-only, and vLLM writes what it "
                f"downloads there: without HF_HUB_OFFLINE a missing file or a new revision ends "
                "the start"
            )
            advice = "give HF_HUB_OFFLINE=1 if all files are there, or mount it writable"
            fix = remove(path) if path[-1] == "readOnly" else None
            problem = Problem(where=what, text=text, advice=advice)
            yield Found(manifest=engine.manifest, path=path, problem=problem, fix=fix)
            break


def _why_read_only(graph: Graph, engine: Engine, folder: Folder) -> tuple[Path, str] | None:
    """The field that makes a folder read-only, and its name; None if it is writable."""
    if folder.mount is None:
        field = "readOnlyRootFilesystem"
        is_fixed = mapping(engine.container, "securityContext").get(field) is True
        return ((*engine.path, "securityContext", field), field) if is_fixed else None
    where, mount = folder.mount
    if mount.get("readOnly") is True:
        return (*where, "readOnly"), "readOnly"
    if folder.volume is None:
        return None
    path, volume = folder.volume
    source = mapping(volume, "persistentVolumeClaim")
    claim = graph.find("PersistentVolumeClaim", engine.pod.namespace, source.get("claimName"))
    if claim is not None and strings(claim.spec.get("accessModes")) == ["ReadOnlyMany"]:
        return (*path, "persistentVolumeClaim", "claimName"), "a claim that is ReadOnlyMany"
    return _of_source(path, volume)


def _of_source(path: Path, volume: Mapping[str, Any]) -> tuple[Path, str] | None:
    """As above, for a volume whose source is read-only."""
    for kind, source in volume.items():
        if mapping(source).get("readOnly") is True:
            return (*path, kind, "readOnly"), f"readOnly of {kind}"
    return None


@rule("R05", "warning", "weights downloaded into a volume of each pod")
def ephemeral(graph: Graph) -> Iterator[Found]:
    """Each pod downloads all weights again, or is evicted before they are complete."""
    for engine in graph.engines:
        found = next(iter(folders(engine)), None)
        if found is None or not engine.pod.is_whole or not downloads(engine):
            continue
        if engine.manifest.kind in ("Job", "CronJob"):
            continue
        kind = _own(engine, found)
        if kind is None or _is_filled(engine, found):
            continue
        yield from _repeated(graph, engine, found, kind)
        yield from _too_small(engine, found)


def _own(engine: Engine, folder: Folder) -> str | None:
    """What the folder is on, if each pod has one of its own; None if pods may share it."""
    if folder.mount is None:
        # Other images may have the weights in them, and a volume elsewhere may be meant.
        is_known = engine.release.is_official and not _has_disk(engine)
        return "the disk of the container" if is_known else None
    if folder.volume is None:
        return None
    for kind in ("emptyDir", "ephemeral"):
        if kind in folder.volume[1]:
            return f"an {'emptyDir' if kind == 'emptyDir' else 'ephemeral volume'}"
    return None


def _has_disk(engine: Engine) -> bool:
    """Whether the engine mounts any volume that may hold models."""
    for _, mount in engine.manifest.each(*engine.path, "volumeMounts"):
        found = engine.volume(mount)
        source = {} if found is None else found[1]
        is_memory = mapping(source, "emptyDir").get("medium") == "Memory"
        if not is_memory and not any(kind in source for kind in _SMALL):
            return True
    return False


def _place(engine: Engine, folder: Folder) -> Path:
    if folder.volume is None:
        return (*engine.path, "volumeMounts")
    path, volume = folder.volume
    return (*path, "emptyDir" if "emptyDir" in volume else "ephemeral")


def _repeated(graph: Graph, engine: Engine, folder: Folder, kind: str) -> Iterator[Found]:
    counts = graph.pod_counts(engine.pod)
    if counts is None or engine.pod.role == "worker":
        return
    is_scaled = bool(graph.scalers_of(engine.manifest))
    if counts[1] < 2 and not is_scaled:
        return
    problem = repeated_download(engine.manifest.title, counts[1])
    if counts[1] < 2:
        text = "is scaled without a shared cache, so each new pod downloads the weights again"
        problem = replace(problem, text=text)
    advice = (
        f"{folder.path} is on {kind}; mount a claim that is ReadWriteMany there, or weights that "
        "are on the nodes"
    )
    problem = replace(problem, advice=escaped(advice))
    yield Found(manifest=engine.manifest, path=_place(engine, folder), problem=problem)


def _too_small(engine: Engine, folder: Folder) -> Iterator[Found]:
    """A limit below the size of the weights, at which the kubelet evicts the pod."""
    source = {} if folder.volume is None else mapping(folder.volume[1], "emptyDir")
    limits: list[tuple[Path, object, str]] = []
    if folder.volume is not None and "sizeLimit" in source:
        path = (*folder.volume[0], "emptyDir", "sizeLimit")
        limits.append((path, source["sizeLimit"], "emptyDir"))
    resource = "ephemeral-storage"
    # All containers of a pod may use as much as all have.
    if resource in engine.limits and len(engine.pod.containers) == 1 and not source.get("medium"):
        path = (*engine.path, "resources", "limits", resource)
        limits.append((path, engine.limits[resource], f"limit of {resource}"))
    if not limits:
        return
    from vllm_constructs.memory.fit import stored_weights

    weights = stored_weights(str(engine.line.model), None)
    if weights is None:
        return
    right = disk_needed(weights)
    for path, size, what in limits:
        title = engine.manifest.title
        problem = size_problem(title, what, escaped(str(size)), weights, f"give {right} or more")
        if problem is not None:
            yield Found(manifest=engine.manifest, path=path, problem=problem, fix=put(path, right))
