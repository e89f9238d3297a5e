"""Rules of the engine's variables: E09, G07 and H06."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import script
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.releases import environment
from vllm_constructs.releases.behavior import numbers
from vllm_constructs.releases.release import catalog, is_misspelled, releases

from .rule import Fix, Found, Level, put, remove, rule
from .starts import count_of_starts

_OWN = "VLLM_"
_DEV_MODE = "VLLM_SERVER_DEV_MODE"
_VISIBLE = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
# Values that hide all devices, as in a pod that has none.
_NO_DEVICE = ("", "-1", "none", "void", "NoDevFiles")
# In a script, or in the arguments of `env`.
_ASSIGNED = re.compile(
    r"(?<![\w$./-])(?P<name>VLLM_\w+|(?:CUDA|HIP|NVIDIA|ROCR)_VISIBLE_DEVICES)="
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s;&|\"']*)"
)
# Whose plugins have variables of their own that begin as those of vLLM.
_PLUGINS = ("TPU", "Gaudi")


@dataclass(frozen=True, kw_only=True)
class _Variable:
    """A variable of an engine.

    Args:
        name: Its name.
        value: Its value, as it stands in the manifest; None if that is in none of them.
        manifest: The object that has it.
        path: The fields that lead to the value.
        name_path: The fields that lead to the name.
    """

    name: str
    value: object
    manifest: Manifest
    path: Path
    name_path: Path


def _variables(engine: Engine) -> list[_Variable]:
    """The variables that concern these rules; the ones that others replace are left out."""
    found = (*_from_config_maps(engine), *_own(engine), *_assigned(engine))
    return list({one.name: one for one in found}.values())


def _concerns(name: str) -> bool:
    return name.startswith(_OWN) or name in _VISIBLE


def _own(engine: Engine) -> Iterator[_Variable]:
    for path, one in engine.manifest.each(*engine.path, "env"):
        name = str(one.get("name"))
        if not _concerns(name):
            continue
        # A value that is not given is empty.
        value = one.get("value", "") if "valueFrom" not in one else engine.env.get(name)
        field = "valueFrom" if "valueFrom" in one else "value"
        yield _Variable(
            name=name,
            value="" if value is None and field == "value" else value,
            manifest=engine.manifest,
            path=(*path, field),
            name_path=(*path, "name"),
        )


def _from_config_maps(engine: Engine) -> Iterator[_Variable]:
    for source in map(mapping, items(engine.container.get("envFrom"))):
        name = mapping(source, "configMapRef").get("name")
        found = engine.graph.find("ConfigMap", engine.pod.namespace, name) if name else None
        if found is None or found.namespace != engine.pod.namespace:
            continue
        for key in mapping(found.body.get("data")):
            path: Path = ("data", key)
            full = f"{source.get('prefix', '')}{key}"
            if _concerns(full):
                value = engine.env.get(full)
                yield _Variable(name=full, value=value, manifest=found, path=path, name_path=path)


def _assigned(engine: Engine) -> Iterator[_Variable]:
    """What a script sets before it starts vLLM, if it starts it once."""
    text = script(engine.container)
    if not _ASSIGNED.search(text) or count_of_starts(engine) > 1:
        return
    for key in ("command", "args"):
        for i, word in enumerate(strings(engine.container.get(key))):
            for one in _ASSIGNED.finditer(word):
                path: Path = (*engine.path, key, i)
                yield _Variable(
                    name=one["name"],
                    value=one["value"].strip("\"'"),
                    manifest=engine.manifest,
                    path=path,
                    name_path=path,
                )


@rule("E09", "error", "a variable that this vLLM release does not have, or cannot read")
def variables(graph: Graph) -> Iterator[Found]:
    """VLLM reads most of them only after it has loaded the model, and then ends."""
    told: set[tuple[int, Path]] = set()
    for engine in graph.engines:
        for one in _variables(engine):
            found = _wrong(engine, one) if one.name.startswith(_OWN) else None
            # Several engines may have the same ConfigMap.
            if found is not None and (found.manifest.number, found.path) not in told:
                told.add((found.manifest.number, found.path))
                yield found


def _wrong(engine: Engine, one: _Variable) -> Found | None:
    if one.value is not None and not isinstance(one.value, str):
        return _no_string(engine, one)
    entry = engine.release.catalog["environment"].get(one.name)
    # What is in a variable is not known here; an empty text may stand for what is left out.
    is_known = one.value is not None and "$" not in one.value
    is_known &= bool(one.value) or (entry is not None and entry.get("syntax") == "0/1")
    value = str(one.value) if is_known else "$("
    try:
        environment.check(engine.release, one.name, value)
    except VllmConstructsError as error:
        level = _level_of_name(engine, one) if entry is None else _level_of_value(engine)
        if level is None:
            return None
        return Found(
            manifest=one.manifest,
            path=one.path if entry is not None else one.name_path,
            problem=error.problem,
            level=level,
            fix=None if entry is None else _as_switch(engine, one, entry),
        )
    return None


def _level_of_name(engine: Engine, one: _Variable) -> Level | None:
    """How certain it is that a name is wrong; None if something else may read it."""
    release, known = engine.release, engine.release.catalog
    is_gone = one.name in known["removed_environment"] or any(
        one.name in catalog(name)["environment"] for name in releases()
    )
    is_near = is_misspelled(one.name, known["environment"])
    if _is_used(engine, one.name) and not is_gone:
        return None
    if release.is_open:
        return "warning" if is_near and not is_gone else None
    if not is_gone and not is_near:
        if not engine.pod.is_whole:
            # The operator may read it.
            return None
        has_plugins = release.family.accelerator in _PLUGINS or "VLLM_PLUGINS" in engine.env
        if engine.flag("fail-on-environ-validation") is True:
            return "error"
        return None if has_plugins else "warning"
    return "error" if release.is_certain else "warning"


def _is_used(engine: Engine, name: str) -> bool:
    """Whether the container's own words or variables refer to a variable."""
    values = (
        str(one.get("value"))
        for one in map(mapping, items(engine.container.get("env")))
        if one.get("name") != name
    )
    text = "\n".join((script(engine.container), *values))
    return re.search(rf"\$[({{]?{re.escape(name)}\b", text) is not None


def _level_of_value(engine: Engine) -> Level | None:
    release = engine.release
    if release.is_certain:
        return "error"
    oldest = numbers(releases()[0])
    return None if release.version is not None and release.version < oldest else "warning"


def _no_string(engine: Engine, one: _Variable) -> Found:
    shown = escaped(require.shown(one.value))
    text = f"is {shown}, no string, and the API server rejects the object"
    right: str | None = None
    if isinstance(one.value, bool):
        is_switch = engine.release.catalog["environment"].get(one.name, {}).get("syntax") == "0/1"
        right = str(int(one.value)) if is_switch else str(one.value).lower()
    elif isinstance(one.value, (int, float)):
        right = str(one.value)
    return Found(
        manifest=one.manifest,
        path=one.path,
        problem=Problem(where=f"env[{one.name!r}]", text=text, advice="write it in quotes"),
        fix=None if right is None else put(one.path, right, is_safe=True),
    )


def _as_switch(engine: Engine, one: _Variable, entry: dict[str, object]) -> Fix | None:
    """`"1"` or `"0"` for a word that means it."""
    words = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
    right = words.get(str(one.value).strip().lower())
    if right is None or entry.get("syntax") != "0/1" or one.path[-1] == "valueFrom":
        return None
    if one.manifest.at(*one.path) != one.value:
        # In a script.
        return None
    return put(one.path, right, is_safe=engine.release.is_certain)


@rule("G07", "warning", "devices that are chosen by hand")
def visible_devices(graph: Graph) -> Iterator[Found]:
    """Two pods take the same GPU, or the pod takes one that the scheduler gave to another."""
    for engine in graph.engines:
        for one in _variables(engine):
            if one.name not in _VISIBLE or one.value in _NO_DEVICE:
                continue
            is_own = one.path[-1] in ("value", "valueFrom")
            what = "makes all GPUs of the node visible" if one.value == "all" else "chooses GPUs"
            text = f"{what} whatever the device plugin gives to the pod"
            advice = "leave it out, and ask for GPUs in resources.limits"
            yield Found(
                manifest=one.manifest,
                path=one.name_path,
                problem=Problem(where=f"env[{one.name!r}]", text=text, advice=advice),
                fix=remove(one.path[:-1]) if is_own and one.manifest is engine.manifest else None,
            )


@rule("H06", "error", "vLLM's development mode")
def development_mode(graph: Graph) -> Iterator[Found]:
    """Whoever reaches the port can stop the engine, and call any method in its workers."""
    for engine in graph.engines:
        for one in _variables(engine):
            value = str(one.value).strip()
            if one.name != _DEV_MODE or not value.isdecimal() or not int(value):
                continue
            text = (
                f"is {escaped(require.shown(value))}, so that /collective_rpc, /sleep, /pause and "
                "others are open to everybody who reaches the port, without the API key"
            )
            is_own = one.path[-1] == "value"
            yield Found(
                manifest=one.manifest,
                path=one.path,
                problem=Problem(where=f"env[{_DEV_MODE!r}]", text=text, advice="leave it out"),
                fix=remove(one.path[:-1]) if is_own else None,
            )
