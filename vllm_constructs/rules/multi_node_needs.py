"""Rules of what nodes need of their image and namespace: M09 and M10."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vllm_constructs.engine.flag_checks import ray_problem
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube.pod_security_standards import Level, capabilities_beyond
from vllm_constructs.reading.containers import release_of
from vllm_constructs.reading.fields import mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import script, starts_ray
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .rule import Found, rule

_RAY_FLAGS = ("distributed-executor-backend", "data-parallel-backend")
_INSTALLS = re.compile(r"\binstall\b[^;&|\n]*\bray\b")
_LEVELS: tuple[Level, ...] = ("baseline", "restricted")
_ENFORCE = "pod-security.kubernetes.io/enforce"
# Resources of network cards for RDMA, as device plugins name them.
_RDMA = re.compile(r"rdma/.+|.*/(.*[_-])?(rdma|roce|ib|efa|hca)([_-].*)?|.*rdma.*", re.IGNORECASE)
_GROUPS = {
    # The fields that lead to the pod templates of KubeRay.
    "RayCluster": ("spec",),
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
}


@rule("M09", "error", "Ray asked of an image that has none")
def ray(graph: Graph) -> Iterator[Found]:
    """The script or the executor does not start: `ray` is no command, and no module."""
    for engine in graph.engines:
        nodes = engine.size("nnodes")
        for flag in _RAY_FLAGS if nodes == 1 else ():
            if engine.flag(flag) == "ray" and not _INSTALLS.search(script(engine.container)):
                problem = ray_problem(engine.release, flag.replace("-", "_"))
                if problem is not None:
                    path = engine.flag_place(flag)
                    yield Found(manifest=engine.manifest, path=path, problem=problem)
    for manifest, path, container in _with_ray(graph):
        image = str(container.get("image") or "")
        release = release_of(image, graph.settings.vllm)[0]
        is_known = release.version is not None
        has_none = ray_problem(release) is not None
        is_moving = not is_known and release.is_official
        if release.family.accelerator in ("XPU", "TPU") or not (has_none or is_moving):
            continue
        if _INSTALLS.search(script(container)):
            continue
        text = f"is {escaped(repr(image))}, which has no Ray"
        if not is_known:
            text = f"is {escaped(repr(image))}: official images have no Ray since vLLM 0.18"
        yield Found(
            manifest=manifest,
            path=(*path, "image"),
            problem=Problem(
                where="image",
                text=text,
                advice="start each node with --nnodes, --node-rank and --master-addr instead, or "
                "use an image of your own that has Ray",
            ),
            level=None if is_known else "warning",
        )


def _with_ray(graph: Graph) -> Iterator[tuple[Manifest, Path, dict[str, Any]]]:
    """The containers that start a node of Ray."""
    for pod in graph.pods:
        for path, container in pod.containers:
            if starts_ray(container):
                yield pod.manifest, path, container
    for kind, before in _GROUPS.items():
        for manifest in graph.of(kind):
            paths = [
                (*before, "headGroupSpec"),
                *(path for path, _ in manifest.each(*before, "workerGroupSpecs")),
            ]
            for path in paths:
                for place, container in manifest.each(*path, "template", "spec", "containers"):
                    yield manifest, place, container


@rule("M10", "error", "RDMA in a namespace that does not admit it")
def admitted(graph: Graph) -> Iterator[Found]:
    """The API server rejects the pods, so that the set stays without any."""
    levels: dict[str, Level] = {
        one.name: level
        for one in graph.of("Namespace")
        for level in _LEVELS
        if one.labels.get(_ENFORCE) == level
    }
    for engine in graph.engines if levels else ():
        level = levels.get(engine.pod.namespace)
        if level is None:
            continue
        added = list(_capabilities(engine.pod, level))
        for path, names in added:
            text = (
                f"has {' and '.join(names)}, but the namespace {engine.pod.namespace!r} enforces "
                f"{level}, which rejects the pod"
            )
            yield Found(
                manifest=engine.manifest,
                path=path,
                problem=Problem(
                    where="capabilities.add",
                    text=escaped(text),
                    advice=f"label the namespace {_ENFORCE}: privileged, or leave it out",
                ),
            )
        cards = [name for name in engine.limits if _RDMA.fullmatch(str(name))]
        if cards and not added:
            text = (
                f"has {cards[0]!r} in the namespace {engine.pod.namespace!r}, which enforces "
                f"{level} and so rejects IPC_LOCK, without which RDMA cannot register memory"
            )
            yield Found(
                manifest=engine.manifest,
                path=(*engine.path, "resources", "limits", cards[0]),
                problem=Problem(
                    where="resources.limits",
                    text=escaped(text),
                    advice=f"label the namespace {_ENFORCE}: privileged and add IPC_LOCK; where "
                    "the container runtime lifts the limit of locked memory, accept this",
                ),
                level="warning",
            )


def _capabilities(pod: Pod, level: Level) -> Iterator[tuple[Path, list[str]]]:
    """The capabilities that a level does not admit, with their paths."""
    for path, container in pod.all_containers:
        added = strings(mapping(container, "securityContext", "capabilities").get("add"))
        names = capabilities_beyond(level, added)
        if names:
            yield (*path, "securityContext", "capabilities", "add"), names
