"""Command lines that objects give to an operator: models of KubeAI, and a variable of KServe."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.pods import Pod

from .starts import KUBEAI

_KSERVE = "LLMInferenceService"
# What KServe's own script appends to `vllm serve`, by way of `eval`.
_APPENDED = "VLLM_ADDITIONAL_ARGS"


class _Appended(Engine):
    """The flags in a variable that KServe appends to its own."""

    def __init__(
        self, graph: Graph, pod: Pod, path: Path, container: dict[str, Any], words: list[str]
    ) -> None:
        super().__init__(graph, pod, path, container)
        self._appended = words

    @lazy
    def words(self) -> list[str]:
        """The model, whose path KServe gives, and the flags."""
        return ["/mnt/models", *self._appended]

    def word_place(self, at: int) -> Path:  # noqa: ARG002  # all words have one place
        """The path of the variable's value, which has all words.

        Args:
            at: Number of the word in the line.
        """
        return (*self.env_paths[_APPENDED], "value")

    def flag_place(self, *names: str) -> Path:  # noqa: ARG002
        """The path of the variable's value.

        Args:
            *names: Names of flags without dashes.
        """
        return self.word_place(0)


def of_operators(graph: Graph) -> Iterator[Engine]:
    """Engines whose pods an operator makes, with the flags that the manifests give it.

    Args:
        graph: The manifests.
    """
    for manifest in graph.of(KUBEAI):
        if manifest.group == "kubeai.org" and manifest.spec.get("engine") == "VLLM":
            pod = Pod(manifest, ("spec",), is_whole=False)
            yield Engine(graph, pod, ("spec",), manifest.spec)
    for manifest in graph.of(_KSERVE):
        for pod in graph.pods_of(manifest):
            for path, container in pod.containers:
                words = _words(graph, pod, path, container)
                if words:
                    yield _Appended(graph, pod, path, container, words)


def _words(graph: Graph, pod: Pod, path: Path, container: dict[str, Any]) -> list[str]:
    """The words of the variable; none where another command may take no notice of it."""
    value = Engine(graph, pod, path, container).env.get(_APPENDED, "")
    if "command" in container:
        return []
    try:
        return shlex.split(value)
    except ValueError:
        return []
