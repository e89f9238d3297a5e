"""Manifest: one object of the graph, with its identity and its fields."""

from __future__ import annotations

from typing import Any, TypeAlias

from .fields import items, mapping
from .lazy import lazy

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices that lead to a field of an object."""


class Manifest:
    """One object.

    Attributes:
        body: The object.
        number: Its number in the graph, by which findings are sorted.
    """

    def __init__(self, body: dict[str, Any], number: int = 0) -> None:
        """Keep the object itself, not a copy.

        Args:
            body: The object.
            number: Its number in the graph. Default: 0.
        """
        self.body = body
        self.number = number

    @lazy
    def kind(self) -> str:
        """The `kind`; empty if it has none."""
        return str(self.body.get("kind") or "")

    @lazy
    def api_version(self) -> str:
        """The `apiVersion`; empty if it has none."""
        return str(self.body.get("apiVersion") or "")

    @lazy
    def group(self) -> str:
        """The API group; empty for the core group."""
        group, slash, _ = self.api_version.rpartition("/")
        return group if slash else ""

    @lazy
    def name(self) -> str:
        """The name; empty if it has none."""
        return str(mapping(self.body.get("metadata")).get("name") or "")

    @lazy
    def namespace(self) -> str:
        """The namespace; empty if the object does not have it, so that it may be any."""
        return str(mapping(self.body.get("metadata")).get("namespace") or "")

    @lazy
    def labels(self) -> dict[str, Any]:
        """The labels."""
        return mapping(self.body, "metadata", "labels")

    @lazy
    def annotations(self) -> dict[str, Any]:
        """The annotations."""
        return mapping(self.body, "metadata", "annotations")

    @lazy
    def spec(self) -> dict[str, Any]:
        """The `spec`; empty if it has none."""
        return mapping(self.body.get("spec"))

    @lazy
    def is_patch(self) -> bool:
        """Whether it is only a part of a workload: a patch of Kustomize has no selector."""
        return self.group == "apps" and "selector" not in self.spec

    @property
    def title(self) -> str:
        """Kind, namespace and name, as kubectl writes them: `Deployment llm/qwen`."""
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind or 'object'} {name or '(no name)'}"

    def at(self, *path: str | int) -> Any:
        """What stands at a path; None if nothing does.

        Args:
            *path: Keys and indices that lead to it.
        """
        found: Any = self.body
        for step in path:
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and isinstance(step, int) and -1 < step < len(found):
                found = found[step]
            else:
                return None
        return found

    def each(self, *path: str | int) -> list[tuple[Path, dict[str, Any]]]:
        """The mappings in the list at a path, each with its own path.

        Args:
            *path: Keys and indices that lead to the list.
        """
        return [
            ((*path, i), item)
            for i, item in enumerate(items(self.at(*path)))
            if isinstance(item, dict)
        ]

    def may_be_in(self, namespace: str) -> bool:
        """Whether it may be in a namespace: an object or namespace that is not given may be any."""
        return not namespace or not self.namespace or self.namespace == namespace

    def __repr__(self) -> str:
        return f"<{self.title}>"
