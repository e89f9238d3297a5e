"""Groups of pods that a set makes together, and engines that have several pods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .engines import Engine
from .fields import mapping, strings
from .lazy import lazy
from .manifest import Manifest, Path
from .pods import Pod

if TYPE_CHECKING:
    from .graph import Graph

LEADER_ADDRESS = "LWS_LEADER_ADDRESS"
"""The variable of each pod of a group with the address of its leader."""
NAME = "leaderworkerset.sigs.k8s.io/name"
INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
"""Labels that a set adds to its pods; the index of a leader is 0."""
_TEMPLATE = "leaderWorkerTemplate"
_SHELL = re.compile(r"(.*/)?(ba|da|z)?sh")
_STARTS = re.compile(r"\bserve\b|\bapi_server\b")
_BRANCHES = re.compile(r"\b(if|case|elif)\b")
_RAY = re.compile(r"\bray\s+start\b|multi-node-serving\.sh|ray_cluster_size|\bray_init\.sh")
# Flags with which the ranks of an engine are in several pods.
_ADDRESSES = ("data-parallel-address", "data-parallel-start-rank", "data-parallel-rank")
_PER_RANK = (
    "data-parallel-hybrid-lb",
    "data-parallel-external-lb",
    "data-parallel-multi-port-external-lb",
)


class Group:
    """A group of pods: those of one index of a LeaderWorkerSet, or of a role of several such sets.

    Attributes:
        manifest: The object that makes it.
        path: The fields that lead to its set, which has `leaderWorkerTemplate`.
        pods: Its templates: one for all pods, or one for the leader and one for the workers.
        engines: The engines in them.
    """

    def __init__(self, graph: Graph, manifest: Manifest, path: Path, pods: list[Pod]) -> None:
        """Read a group.

        Args:
            graph: The manifests.
            manifest: The object that makes it.
            path: The fields that lead to its set.
            pods: Its templates.
        """
        self.manifest = manifest
        self.path = path
        self.pods = pods
        self.engines = [one for one in graph.engines_of(manifest) if one.pod in pods]

    @property
    def set(self) -> dict[str, Any]:
        """The fields of its set."""
        return mapping(self.manifest.at(*self.path))

    @property
    def template_path(self) -> Path:
        """The fields that lead to what its pods are made of."""
        return (*self.path, _TEMPLATE)

    @property
    def size(self) -> int | None:
        """How many pods it has; None if the manifest does not say."""
        return self.pods[0].group_size

    @property
    def has_several(self) -> bool:
        """Whether it has more than one pod, as far as the manifest says."""
        return self.size is not None and self.size > 1

    def engine(self, role: str) -> Engine | None:
        """The engine of its leader or of its workers, if they have a template of their own.

        Args:
            role: `leader` or `worker`.
        """
        return next((one for one in self.engines if one.pod.role == role), None)

    @lazy
    def uses_ray(self) -> bool:
        """Whether a script of its pods starts Ray."""
        return any(starts_ray(one) for pod in self.pods for _, one in pod.containers)

    @lazy
    def is_one_engine(self) -> bool:
        """Whether its pods are nodes of one engine, as their flags say."""
        return self.has_several and any(has_other_nodes(one) for one in self.engines)


def groups(graph: Graph) -> Iterator[Group]:
    """All groups.

    Args:
        graph: The manifests.
    """
    for manifest in graph.of("LeaderWorkerSet", "DisaggregatedSet"):
        found: dict[Path, list[Pod]] = {}
        for pod in graph.pods_of(manifest):
            if pod.role:
                found.setdefault(pod.path[: pod.path.index(_TEMPLATE)], []).append(pod)
        for path, pods in found.items():
            yield Group(graph, manifest, path, pods)


def script(container: Mapping[str, Any]) -> str:
    """The words with which a container starts, as one string.

    Args:
        container: The container.
    """
    return " ".join([*strings(container.get("command")), *strings(container.get("args"))])


def starts_ray(container: Mapping[str, Any]) -> bool:
    """Whether a container starts a node of Ray.

    Args:
        container: The container.
    """
    return bool(_RAY.search(script(container)))


def has_given(engine: Engine, *names: str) -> bool:
    """Whether an engine has one of some flags, whether or not its value is known.

    Args:
        engine: The engine.
        *names: Names of flags without dashes.
    """
    line = engine.line
    return any(name in line.options or name in line.unread for name in names)


def lists_flags(engine: Engine) -> bool:
    """Whether the manifests name all flags of an engine, so that a missing one is not given.

    Args:
        engine: The engine.
    """
    from vllm_constructs.engine.command_line_parser import REST

    line = engine.line
    if REST in line.unread or "config" in line.unread or not engine.is_line_here:
        return False
    if "model" in line.unread and any(one.flag is None for one in line.given):
        # What stands for the model may stand for flags.
        return False
    return engine.config_file is not None if "config" in line.options else True


def is_plain(engine: Engine) -> bool:
    """Whether an engine has one command line, and no script that chooses one.

    Args:
        engine: The engine.
    """
    words = [*strings(engine.container.get("command")), *strings(engine.container.get("args"))]
    if not words or not _SHELL.fullmatch(words[0]):
        return True
    text = " ".join(words)
    return len(_STARTS.findall(text)) == 1 and not _BRANCHES.search(text)


def has_other_nodes(engine: Engine) -> bool:
    """Whether an engine is a node or rank of one that has several pods, as its flags say.

    Args:
        engine: The engine.
    """
    if "nnodes" in engine.line.unread or engine.size("nnodes") > 1:
        return True
    # Alone, a headless engine is a mistake of its own.
    return has_given(engine, *_ADDRESSES) or (engine.is_headless and bool(engine.pod.role))


def serves_ranks(engine: Engine) -> bool:
    """Whether each of its pods has an HTTP server for the ranks that it runs.

    Args:
        engine: The engine.
    """
    is_hybrid = has_given(engine, "data-parallel-start-rank") and not engine.is_headless
    return (
        is_hybrid
        or any(engine.flag(name) is True for name in _PER_RANK)
        or has_given(engine, "data-parallel-rank")
    )


def pods_of_pool(graph: Graph, pool: Manifest) -> list[Pod]:
    """The pods that an InferencePool selects; none without a selector.

    Args:
        graph: The manifests.
        pool: The pool; the selector of older ones is a map of labels.
    """
    selector = mapping(pool.spec.get("selector"))
    if not {"matchLabels", "matchExpressions"} & set(selector):
        selector = {"matchLabels": selector} if selector else {}
    return graph.selected_pods(pool.namespace, selector) if selector else []
