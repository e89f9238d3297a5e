"""Rules of volumes and claims: R02 and R03."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.workloads.storage import ACCESS_MODES, best_mode, sharing_problem

from .misspellings import Names
from .rollout import pods_at_most
from .rule import Found, Level, put, rule

_CLAIM = "PersistentVolumeClaim"
_SHORT = {
    "ROX": "ReadOnlyMany",
    "RWO": "ReadWriteOnce",
    "RWOP": "ReadWriteOncePod",
    "RWX": "ReadWriteMany",
}
_ONE_POD = "ReadWriteOncePod"
# Where templates of claims are, of which each pod gets one.
_TEMPLATES = {
    "StatefulSet": ("spec", "volumeClaimTemplates"),
    "LeaderWorkerSet": ("spec", "leaderWorkerTemplate", "volumeClaimTemplates"),
}
_WORDS = re.compile(r"[a-z]+")
# Names with a word in common that are compared with one.
_MOST = 20
# Classes whose volumes are on one node, to which all pods follow.
_ON_NODE = re.compile(r"local|host-?path|topolvm|lvm", re.IGNORECASE)


@rule("R02", "error", "a claim that its pods cannot mount together")
def sharing(graph: Graph) -> Iterator[Found]:
    """The second pod waits for a volume that another node has, or that another pod has."""
    yield from _modes(graph)
    users: dict[int, list[tuple[Pod, Path]]] = defaultdict(list)
    claims: dict[int, Manifest] = {}
    for pod in dict.fromkeys(engine.pod for engine in graph.engines):
        for path, name in _claims(pod):
            claim = graph.find(_CLAIM, pod.namespace, name)
            if claim is not None:
                claims[claim.number] = claim
                users[claim.number].append((pod, path))
    volumes = {one.name: one for one in graph.of("PersistentVolume")}
    for number, claim in claims.items():
        given = strings(claim.spec.get("accessModes"))
        if not given or any(one not in ACCESS_MODES for one in given):
            continue
        access = best_mode(given)
        is_shared = sharing_problem("", "", access, 2) is None
        if is_shared or (access != _ONE_POD and _is_on_node(claim, volumes)):
            continue
        # What runs on one node can mount it there.
        pods = [one for one, _ in users[number] if access == _ONE_POD or not _is_pinned(one)]
        yield from _shared(graph, claim, access, pods)


def _claims(pod: Pod) -> Iterator[tuple[Path, str]]:
    """The claims of a pod: the path of each name, and the name."""
    for path, volume in pod.volumes.values():
        name = mapping(volume, "persistentVolumeClaim").get("claimName")
        if isinstance(name, str):
            yield (*path, "persistentVolumeClaim", "claimName"), name


def _is_on_node(claim: Manifest, volumes: dict[str, Manifest]) -> bool:
    """Whether its volume is on one node, as far as the manifests tell."""
    volume = volumes.get(str(claim.spec.get("volumeName")))
    if volume is not None and any(one in volume.spec for one in ("hostPath", "local")):
        return True
    return bool(_ON_NODE.search(str(claim.spec.get("storageClassName") or "")))


def _is_pinned(pod: Pod) -> bool:
    """Whether all its pods run on one node."""
    selector = mapping(pod.spec, "nodeSelector")
    return bool(pod.spec.get("nodeName")) or "kubernetes.io/hostname" in selector


def _shared(graph: Graph, claim: Manifest, access: str, pods: list[Pod]) -> Iterator[Found]:
    """Workloads with several pods of one claim, and with one that adds another in rollouts."""
    counts: dict[int, int] = defaultdict(int)
    for pod in pods:
        counted = graph.pod_counts(pod)
        counts[pod.manifest.number] += counted[1] if counted else 0
    workloads = {pod.manifest.number: pod.manifest for pod in pods}
    for number, count in counts.items():
        workload = workloads[number]
        name = escaped(require.shown(claim.name))
        found = sharing_problem(workload.title, f"claim {name}", access, count)
        if found is not None:
            advice = "give a claim that is ReadWriteMany or ReadOnlyMany, or one replica"
            path: Path = ("spec", "accessModes")
            yield Found(manifest=claim, path=path, problem=replace(found, advice=advice))
        elif count == 1 and workload.kind == "Deployment":
            yield from _of_surge(workload, name, access)
    total = sum(counts.values())
    if access == _ONE_POD and len(counts) > 1 and total > 1 and max(counts.values()) == 1:
        names = " and ".join(escaped(one.title) for one in workloads.values())
        text = f"is {_ONE_POD}, but {names} mount it, and only one pod can"
        problem = Problem(where="accessModes", text=text, advice="give each a claim of its own")
        yield Found(manifest=claim, path=("spec", "accessModes"), problem=problem)


def _of_surge(workload: Manifest, name: str, access: str) -> Iterator[Found]:
    """A rollout whose new pod waits for the volume of the old one."""
    strategy = mapping(workload.spec.get("strategy"))
    if strategy.get("type") == "Recreate":
        return
    given = mapping(strategy.get("rollingUpdate"))
    added = pods_at_most(given.get("maxSurge", "25%"), 1, is_up=True)
    stopped = pods_at_most(given.get("maxUnavailable", "25%"), 1, is_up=False)
    # With neither, the controller stops a pod first.
    if not added or stopped:
        return
    where_not = "while the old one has it" if access == _ONE_POD else "on another node"
    text = (
        f"starts a new pod before the old one stops, but claim {name} is {access}: {where_not} "
        "the new pod cannot mount it, and the rollout waits for ever"
    )
    advice = "give type: Recreate, or a claim that is ReadWriteMany"
    problem = Problem(where="strategy", text=text, advice=advice)
    where = ("spec", "strategy")
    fix = put(where, {"type": "Recreate"})
    yield Found(manifest=workload, path=where, problem=problem, fix=fix)


def _modes(graph: Graph) -> Iterator[Found]:
    """Access modes that the API server rejects."""
    own: Path = ("spec", "accessModes")
    lists = [(one, own) for one in graph.of(_CLAIM)]
    for kind, at in _TEMPLATES.items():
        for one in graph.of(kind):
            lists += [(one, (*path, "spec", "accessModes")) for path, _ in one.each(*at)]
    for manifest, path in lists:
        given = items(manifest.at(*path))
        for i, mode in enumerate(given):
            if mode in ACCESS_MODES:
                continue
            right = _SHORT.get(str(mode).upper())
            near = f"give {right}" if right else require.nearest(mode, ACCESS_MODES)
            where, shown = (*path, i), require.shown(mode)
            allowed = require.one_of(ACCESS_MODES)
            problem = Problem(where="accessModes", value=shown, allowed=allowed, advice=near)
            fix = put(where, right, is_safe=True) if right else None
            yield Found(manifest=manifest, path=where, problem=problem, fix=fix)
        if _ONE_POD in given and len(given) > 1:
            text = f"has {_ONE_POD} and others, and the API server takes it only alone"
            advice = "leave it out if several pods mount the claim, or the others if one does"
            problem = Problem(where="accessModes", text=text, advice=advice)
            yield Found(manifest=manifest, path=path, problem=problem)


@rule("R03", "error", "a volume or claim that nothing provides")
def missing(graph: Graph) -> Iterator[Found]:
    """The API server rejects the object, or its pods are Pending for ever."""
    claims = _Claims(graph)
    for pod in graph.pods:
        if pod.is_whole:
            yield from _mounts(pod)
            for path, name in _claims(pod):
                yield from claims.absent(pod, path, name)


def _mounts(pod: Pod) -> Iterator[Found]:
    """Mounts of volumes that the pod lacks, and several on one path."""
    manifest = pod.manifest
    templates = manifest.each(*_TEMPLATES.get(manifest.kind, ("spec", "volumeClaimTemplates")))
    names = {*pod.volumes, *(str(mapping(one, "metadata").get("name")) for _, one in templates)}
    for path, container in pod.all_containers:
        # Without an image it is a patch, and the rest is elsewhere.
        if "image" not in container:
            continue
        paths: dict[str, Path] = {}
        for where, mount in manifest.each(*path, "volumeMounts"):
            name = str(mount.get("name"))
            if name not in names:
                text = f"is {escaped(require.shown(name))}, and the pod has no volume of that name"
                advice = require.nearest(name, names) or "declare it in volumes, or leave it out"
                problem = Problem(where="name of the mount", text=text, advice=escaped(advice))
                yield Found(manifest=manifest, path=(*where, "name"), problem=problem)
            folder = str(mount.get("mountPath")).rstrip("/")
            if folder in paths:
                text = (
                    f"is {escaped(require.shown(folder))}, on which {_step(paths[folder])} is "
                    "mounted already"
                )
                advice = "give it a path of its own, or leave one out"
                problem = Problem(where="mountPath", text=text, advice=advice)
                yield Found(manifest=manifest, path=(*where, "mountPath"), problem=problem)
            paths.setdefault(folder, where)


def _step(path: Path) -> str:
    return f"volumeMounts[{path[-1]}]"


class _Claims:
    """The claims of the manifests, for what is not among them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._near: dict[str, tuple[Names, dict[str, list[str]]]] = {}

    def absent(self, pod: Pod, path: Path, name: str) -> Iterator[Found]:
        """A claim that is not in the manifests, though one is that was probably meant.

        Any other claim may be elsewhere.

        Args:
            pod: The pod that mounts it.
            path: Where its name is.
            name: The name.
        """
        own = pod.namespace
        if self._graph.find(_CLAIM, own, name) is not None:
            return
        there = self._graph.find(_CLAIM, "", name)
        names, unused = self._in(own)
        near = names.near(name)
        fix = put(path, near) if near else None
        level: Level | None = None if near else "warning"
        what, advice = "is no claim of the manifests", f"did you mean {near!r}?"
        if there is not None:
            what = f"is in namespace {require.shown(there.namespace)}, and not in that of the pods"
            advice = f"make one in {require.shown(own)}, unless other manifests do"
            level, fix = "warning", None
        elif near is None:
            words = _WORDS.findall(name)
            alike = dict.fromkeys(one for word in words for one in unused.get(word, [])[:_MOST])
            advice = require.nearest(name, alike)
            if not advice:
                return
            advice += " It is right if other manifests have it"
        text = escaped(f"is {require.shown(name)}, which {what}")
        problem = Problem(where="claimName", text=text, advice=escaped(advice))
        yield Found(manifest=pod.manifest, path=path, problem=problem, level=level, fix=fix)

    def _in(self, namespace: str) -> tuple[Names, dict[str, list[str]]]:
        """The claims that may be in a namespace, and those that no pod mounts by their words."""
        if namespace not in self._near:
            given = self._names
            claims = [*given.get(namespace, ()), *given.get("", ())]
            if not namespace:
                claims = [name for names in given.values() for name in names]
            words: dict[str, list[str]] = defaultdict(list)
            for name in claims:
                for word in _WORDS.findall(name) if name not in self._used else ():
                    words[word].append(name)
            self._near[namespace] = Names(claims), words
        return self._near[namespace]

    @lazy
    def _names(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for one in self._graph.of(_CLAIM):
            found[one.namespace].append(one.name)
        return found

    @lazy
    def _used(self) -> set[str]:
        return {name for pod in self._graph.pods for _, name in _claims(pod)}
