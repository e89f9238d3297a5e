"""Helpers for tests of apps that use this library.

They need no cluster, and no other package than pytest's own assertions or a snapshot library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from vllm_constructs import require

Manifest = dict[str, Any]


class Chart(Protocol):
    """A chart of cdk8s."""

    def to_json(self) -> list[Any]:
        """Its objects."""
        ...


class App(Protocol):
    """An app of cdk8s."""

    @property
    def charts(self) -> Sequence[Any]:
        """Its charts."""
        ...

    def synth_yaml(self) -> str:
        """All of its objects, after its validations."""
        ...


def manifests(rendered: App | Chart) -> dict[str, Manifest]:
    """The objects of an app or a chart, as they are rendered, without writing a file.

    An app is validated and checked first, as `app.synth()` does it.

    Args:
        rendered: The app or the chart.

    Returns:
        The objects by `Kind/name`, or `Kind/namespace/name` where they have a namespace, sorted.

    Raises:
        VllmConstructsError: The check finds an error in an app.
    """
    charts: Sequence[Any] = getattr(rendered, "charts", [rendered])
    if hasattr(rendered, "charts"):
        # It also runs the validations of the tree.
        cast("App", rendered).synth_yaml()
    found = [item for chart in charts for item in chart.to_json()]
    return dict(sorted((key(item), item) for item in found))


def key(manifest: Mapping[str, Any]) -> str:
    """The key of an object in `manifests`.

    Args:
        manifest: The object.
    """
    metadata = manifest["metadata"]
    parts = (manifest["kind"], metadata.get("namespace"), metadata["name"])
    return "/".join(part for part in parts if part)


def snapshot(found: Mapping[str, Manifest]) -> str:
    """Objects as YAML for a snapshot: sorted by key, fields in the order of Kubernetes' own output.

    Args:
        found: What `manifests` gives.
    """
    import yaml

    return "---\n".join(
        yaml.safe_dump(found[name], sort_keys=True, allow_unicode=True) for name in sorted(found)
    )


def findings(found: Iterable[Manifest], *, kubernetes: str | None = None) -> list[str]:
    """What the rules of `vllm-constructs check` say of objects, a line for each finding.

    Args:
        found: The objects, such as `manifests(app).values()`.
        kubernetes: Release of the cluster, such as `1.34`. Default: not known.

    Raises:
        VllmConstructsError: The release is not known.
    """
    from vllm_constructs.kube.kubernetes import Kubernetes
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.reading.settings import Settings
    from vllm_constructs.reading.spelling import as_fields
    from vllm_constructs.rules.check import check, every_rule

    cluster = None if kubernetes is None else Kubernetes(require.text("kubernetes", kubernetes))
    graph = Graph(list(found), Settings(kubernetes=cluster))
    return [
        f"{one.rule.level} {one.rule.id}: {one.manifest.title}: {one.problem.sentence(as_fields)}"
        for one in check(graph, every_rule())
    ]
