"""Graph: manifests of any origin, with the engines that they run."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from typing import Any

from .containers import engine_containers
from .engines import Engine
from .lazy import lazy
from .manifest import Manifest
from .objects import Objects


class Graph(Objects):
    """Manifests of any origin, with the engines that they run."""

    @lazy
    def engines(self) -> list[Engine]:
        """All containers that run vLLM."""
        found = []
        for pod in self.pods:
            template = {"metadata": pod.metadata, "spec": pod.spec}
            engines = {id(one) for one in engine_containers(template)}
            found += [
                Engine(self, pod, path, one) for path, one in pod.containers if id(one) in engines
            ]
        return found

    @lazy
    def _engines_of(self) -> dict[int, list[Engine]]:
        found: dict[int, list[Engine]] = defaultdict(list)
        for engine in self.engines:
            found[engine.manifest.number].append(engine)
        return found

    def engines_of(self, manifest: Manifest) -> list[Engine]:
        """The engines of an object.

        Args:
            manifest: The object.
        """
        return self._engines_of.get(manifest.number, [])

    @lazy
    def made(self) -> dict[str, Any]:
        """What other modules have read of the graph, by names of their own, so that it stays."""
        return {}

    def unjudged(self) -> Graph:
        """This graph, whose manifests, pods and engines are those that were not judged before.

        What they refer to is found all the same.
        """
        if not self.judged:
            return self
        found = copy(self)
        # Before the lists are shorter, what is made of them has to be there.
        vars(found).update(
            made={},
            _pods_by_label=self._pods_by_label,
            _services=self._services,
            _pods_of=self._pods_of,
            _engines_of=self._engines_of,
            manifests=[one for one in self.manifests if one.number not in self.judged],
            pods=[one for one in self.pods if one.manifest.number not in self.judged],
            engines=[one for one in self.engines if one.manifest.number not in self.judged],
        )
        return found
