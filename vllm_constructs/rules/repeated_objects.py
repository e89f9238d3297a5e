"""Rule of objects that are there twice: H11."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .rule import Found, Level, rule

_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")


@rule("H11", "error", "an object that is there twice")
def repeated_objects(graph: Graph) -> Iterator[Found]:
    """The one that is applied last replaces the other, and Kustomize rejects them.

    Other files may be for another cluster, and hooks are applied at another time.
    """
    seen: dict[tuple[str, ...], Manifest] = {}
    for file, manifest in zip(graph.files, graph.manifests, strict=False):
        if not manifest.name or not manifest.api_version or not manifest.kind:
            continue
        is_patch = manifest.is_patch or "$patch" in manifest.body
        if is_patch or any(name in manifest.annotations for name in _HOOKS):
            continue
        key = (file, manifest.group, manifest.kind, manifest.namespace, manifest.name)
        first = seen.setdefault(key, manifest)
        if first is manifest:
            continue
        is_lost = first.body != manifest.body
        shown = escaped(require.shown(manifest.name))
        text = f"is {shown}, the name of another {manifest.kind} in the file, "
        text += "and one replaces the other" if is_lost else "which is the same"
        problem = Problem(
            where="metadata.name",
            text=text,
            advice="rename one, or make them one" if is_lost else "leave one out",
        )
        level: Level = "error" if is_lost else "warning"
        yield Found(manifest=manifest, path=("metadata", "name"), problem=problem, level=level)
