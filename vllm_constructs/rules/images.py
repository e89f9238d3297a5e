"""Rule of images: H05."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.releases.release import check_image, image_parts, moving_tag

from .rule import Fix, Found, Level, put, rule
from .security import vllm_pods

# Tags that stand for the newest build, whole or as the last word of a tag.
_MOVING = re.compile(
    r"(.*[-_.])?(latest|main|master)|dev|edge|head|nightly|rolling|stable|tip|latest[-_.].*"
)
# An image of the vLLM project, whose newest release is known.
_OFFICIAL = re.compile(r"(docker\.io/)?vllm/vllm-(openai|tpu)")
# Filled in later, by a tool or by the cluster.
_OPEN = re.compile(
    r"[${}<>%]|^auto$|(?-i:^[A-Z][A-Z0-9_]+$)|REPLACE|PLACEHOLDER|CHANGE_?ME|YOUR_", re.IGNORECASE
)
# A word of a template, as in `REGION-docker.pkg.dev/PROJECT_ID/vllm`; names have no capitals.
_CAPITALS = re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Z0-9_]{2,}(?![A-Za-z0-9])")
_TRIGGERS = "image.openshift.io/triggers"


@rule("H05", "warning", "an image that is not a release")
def image(graph: Graph) -> Iterator[Found]:
    """Each node may run another build, and a restart may bring another vLLM."""
    set_later = _set_by_kustomize(graph)
    for pod, _ in vllm_pods(graph):
        if _TRIGGERS in pod.manifest.annotations:
            continue
        for path, container in pod.all_containers:
            value = container.get("image")
            if value is None or value == "":
                if pod.is_whole:
                    text = "is missing, and the API server rejects the pod"
                    problem = Problem(where=_where(path), text=text, advice="name it with a tag")
                    yield _found(pod.manifest, path, problem, "error")
            elif isinstance(value, str) and not _OPEN.search(value):
                name = re.split(r"@|:(?=[^/]*$)", value.strip())[0]
                if name not in set_later:
                    yield from _wrong(pod, path, value)


def _wrong(pod: Pod, path: Path, value: str) -> Iterator[Found]:
    where, tidy = _where(path), value.strip()
    shown = escaped(require.shown(value))
    if tidy != value:
        text = f"is {shown}, with a space around it, and the kubelet rejects it"
        problem = Problem(where=where, text=text, advice="remove the space")
        yield _found(
            pod.manifest, path, problem, "error", put((*path, "image"), tidy, is_safe=True)
        )
        return
    parts = image_parts(value)
    if parts is None:
        if _CAPITALS.search(re.split(r"@|:(?=[^/]*$)", value)[0]):
            return
        text = f"is {shown}, which is no image, and the pod stays in InvalidImageName"
        problem = Problem(where=where, text=text, allowed="a name with a tag or digest")
        yield _found(pod.manifest, path, problem, "error")
        return
    if parts["digest"]:
        return
    if not parts["tag"]:
        text = f"is {shown}, without a tag, which means latest: each node may run another build"
        problem = Problem(where=where, text=text, advice="give the tag of a release, or a digest")
        yield _found(pod.manifest, path, problem)
        return
    problem_of_tag = moving_tag(parts)
    if _OFFICIAL.match(parts["name"]) and problem_of_tag is not None:
        yield _found(pod.manifest, path, problem_of_tag)
    elif _MOVING.fullmatch(parts["tag"]):
        text = f"is {shown}, whose tag moves to other builds while models run"
        problem = Problem(where=where, text=text, advice="give the tag of a release, or a digest")
        yield _found(pod.manifest, path, problem)
    else:
        try:
            check_image(value)
        except VllmConstructsError as error:
            right = f"{parts['name']}:v{parts['tag']}"
            yield _found(pod.manifest, path, error.problem, "error", put((*path, "image"), right))


def _where(path: Path) -> str:
    return f"{path[-2]}[{path[-1]}].image"


def _found(
    manifest: Manifest,
    path: Path,
    problem: Problem,
    level: Level | None = None,
    fix: Fix | None = None,
) -> Found:
    return Found(manifest=manifest, path=(*path, "image"), problem=problem, level=level, fix=fix)


def _set_by_kustomize(graph: Graph) -> set[Any]:
    """The names of images whose tags a kustomization in the same files sets."""
    found = set()
    for one in graph.of("Kustomization"):
        for image in map(mapping, items(one.body.get("images"))):
            name = image.get("name")
            if isinstance(name, str) and ({"newTag", "newName", "digest"} & set(image)):
                found.add(name)
    return found
