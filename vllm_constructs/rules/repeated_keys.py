"""Rule of keys that are there twice, in a mapping of a file or in a list by key: H10."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.repeated_keys import Repeated

from .kind_fields import where
from .rule import Found, Level, rule

_KEEP_ONE = "keep one, with all that it needs"
# The lists of a container and a pod that server-side apply merges by key, and whose keys no other
# rule compares; what the API server does to a key that is there again.
_OF_CONTAINER = {"env": ("name",), "ports": ("containerPort", "protocol")}
_OF_POD = {
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_OF_SERVICE = ("port", "protocol")
_REJECTED = ("resourceClaims", "topologySpreadConstraints")
_DEFAULTS = {"protocol": "TCP"}


@rule("H10", "error", "a key that is there twice")
def repeated_keys(graph: Graph) -> Iterator[Found]:
    """Of a mapping or variable the last one counts; of other lists, some clients reject it."""
    for manifest in graph.manifests:
        # Values files of charts, and files of other programs, have neither.
        if not manifest.kind or not manifest.api_version:
            continue
        for one in graph.repeated.get(manifest.number, ()):
            yield _of_mapping(manifest, one)
        if manifest.kind == "Service" and not manifest.group:
            yield from _of_list(manifest, ("spec", "ports"), _OF_SERVICE, is_rejected=True)
        for pod in graph.pods_of(manifest):
            for field, keys in _OF_POD.items():
                path = (*pod.path, field)
                yield from _of_list(manifest, path, keys, is_rejected=field in _REJECTED)
            engines = [engine.path for engine in graph.engines_of(manifest)]
            for place, _ in pod.all_containers:
                for field, keys in _OF_CONTAINER.items():
                    path = (*place, field)
                    yield from _of_list(manifest, path, keys, is_engine=place in engines)


def _of_mapping(manifest: Manifest, one: Repeated) -> Found:
    count = "twice" if len(one.lines) == 2 else f"{len(one.lines)} times"
    text = f"is there {count}, in {one.where}, "
    text += "and only the last one counts" if one.is_lost else "with one value"
    advice = _KEEP_ONE if one.is_lost else "keep one"
    return _found(manifest, one.path, text, advice, "error" if one.is_lost else "warning")


def _of_list(
    manifest: Manifest,
    path: Path,
    keys: Sequence[str],
    *,
    is_rejected: bool = False,
    is_engine: bool = False,
) -> Iterator[Found]:
    given: dict[tuple[Any, ...], list[tuple[Path, Mapping[str, Any]]]] = {}
    for place, item in manifest.each(*path):
        # A patch of Kustomize, which removes an item and adds one.
        if "$patch" in item:
            continue
        values = tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)
        if all(isinstance(one, (str, int)) for one in values):
            given.setdefault(values, []).append((place, item))
    for items in given.values():
        if len(items) == 1:
            continue
        *earlier, (place, last) = items
        by, advice = "the API server" if is_rejected else "server-side apply", "keep one"
        level: Level = "error" if is_rejected else "warning"
        words = " and ".join(where(one[-2:]) for one, _ in earlier)
        text = f"repeats {words}, and {by} rejects it"
        if path[-1] == "env" and any(one != last for _, one in earlier):
            if all(_adds(one) for _, one in items[1:]):
                advice = "write its whole value in one of them"
            else:
                text = f"repeats {words}: only the last one counts, and {by} rejects it"
                # Charts of others often repeat a variable, on purpose or not.
                level, advice = "error" if is_engine else "warning", _KEEP_ONE
        yield _found(manifest, (*place, keys[0]), escaped(text), advice, level)


def _adds(variable: Mapping[str, Any]) -> bool:
    """Whether a variable has its earlier value in it: `$(NAME)`, and not `$$(NAME)`."""
    value, name = str(variable.get("value")), re.escape(str(variable.get("name")))
    return re.search(rf"(?<!\$)(\$\$)*\$\({name}\)", value) is not None


def _found(manifest: Manifest, path: Path, text: str, advice: str, level: Level) -> Found:
    problem = Problem(where=escaped(where(path)), text=text, advice=advice)
    return Found(manifest=manifest, path=path, problem=problem, level=level)
