"""Rules of engines that compute prompts and answers apart: X01, X03 and X04."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.containers import engine_container
from vllm_constructs.reading.disaggregated import (
    Pair,
    connectors,
    connectors_between,
    pairs,
    transfer_config,
)
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import has_given, is_plain, lists_flags, script
from vllm_constructs.reading.manifest import Manifest

from .rule import Found, put, rule

_HOST = "VLLM_NIXL_SIDE_CHANNEL_HOST"
_CONFIG = "kv-transfer-config"
_SET = re.compile(rf"\b{_HOST}=['\"]?([^\s'\"&|;]+)")
# Where another pod would reach itself, and an address that is no destination.
_OWN = ("localhost", "127.0.0.1", "::1", "[::1]")
_ANY = ("0.0.0.0", "::", "[::]")  # noqa: S104  # compared, not bound
_PODS_OWN = {"name": _HOST, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
# The handshake compares a hash of these since this release (vllm-project/vllm#29503).
_COMPARES = (0, 13, 0)
_FLOATS = {"half": "float16", "float": "float32"}


def is_nixl(engine: Engine) -> bool:
    """Whether an engine transfers its cache by NIXL.

    Args:
        engine: The engine.
    """
    return any(one.name.startswith("Nixl") for one in connectors_between(engine))


@rule("X01", "error", "a side channel that no other pod reaches")
def side_channel(graph: Graph) -> Iterator[Found]:
    """The decoding engine dials the address that the other one tells it: localhost is itself."""
    for engine in graph.engines:
        if not is_nixl(engine) or _has_other_engine(engine):
            continue
        if engine.is_headless and has_given(engine, "nnodes"):
            # The channel is the first node's.
            continue
        found = _host_problem(engine)
        if found is None:
            continue
        roles = {one.role for one in connectors_between(engine)}
        given = engine.env_paths.get(_HOST)
        own = items(engine.container.get("env"))
        place = (*engine.path, "env")
        fix = put((*place, len(own)), _PODS_OWN) if own else put(place, [_PODS_OWN])
        is_in_script = given is None and _SET.search(script(engine.container)) is not None
        path = given or (engine.flag_place(_CONFIG) if is_in_script else place)
        yield Found(
            manifest=engine.manifest,
            path=path,
            problem=Problem(
                where=f"env[{_HOST!r}]", text=found, advice="take it from the field status.podIP"
            ),
            # Nobody dials an engine that only takes.
            level="warning" if roles == {"kv_consumer"} else None,
            fix=None if is_in_script else put(given, _PODS_OWN, is_safe=True) if given else fix,
        )


def _has_other_engine(engine: Engine) -> bool:
    """Whether another engine is in the same pod, to which localhost leads."""
    others = [one for _, one in engine.pod.containers if one is not engine.container]
    return engine_container({"spec": {"containers": others}}) is not None


def _host_problem(engine: Engine) -> str | None:
    """What is wrong with the host of a side channel; None if nothing is, or it is not known."""
    path = engine.env_paths.get(_HOST)
    if path is None and _HOST not in engine.env:
        in_script = _SET.search(script(engine.container))
        if in_script is not None:
            return _of_host(in_script[1])
        known = engine.release.catalog["environment"].get(_HOST, {})
        is_all = engine.pod.is_whole
        if _HOST in script(engine.container) or not is_all or known.get("default") != "localhost":
            return None
        if items(engine.container.get("envFrom")):
            return None
        return "is not given, which means localhost: another pod that dials it reaches itself"
    variable = mapping(engine.manifest.at(*path)) if path else {}
    field = mapping(variable, "valueFrom", "fieldRef").get("fieldPath")
    if field == "status.hostIP" and engine.pod.spec.get("hostNetwork") is not True:
        return "is the address of the machine, on which the pod does not listen"
    return _of_host(engine.env.get(_HOST, ""))


def _of_host(value: str) -> str | None:
    if value.lower() in _OWN:
        return f"is {value!r}: another pod that dials it reaches itself"
    if value in _ANY:
        return f"is {value!r}, which is told to the other pod as an address to dial"
    return None


@rule("X03", "error", "two sides that the handshake finds different")
def handshake(graph: Graph) -> Iterator[Found]:
    """Each request that is handed over fails, or is computed twice."""
    for pair in pairs(graph):
        if not all(map(is_plain, pair)):
            continue
        for flag, what in _differences(pair):
            engine = pair.decode
            problem = Problem(
                where=what,
                text=f"of the prefill side ({escaped(pair.prefill.manifest.title)}), and the "
                "handshake between the two compares it",
                advice="make both sides the same",
            )
            path = (*engine.path, "image") if flag == "image" else engine.flag_place(flag, _CONFIG)
            yield Found(manifest=engine.manifest, path=path, problem=problem)


def _differences(pair: Pair) -> Iterator[tuple[str, str]]:
    """What differs: the flag, and what is wrong with it."""
    prefill, decode = pair
    kinds = [{_transport(one.name) for one in connectors_between(side)} for side in pair]
    if not kinds[0] & kinds[1]:
        names = [sorted(one.name for one in connectors_between(side)) for side in pair]
        yield _CONFIG, f"the connector is {names[1][0]}, not the {names[0][0]}"
        return
    if not all(map(is_nixl, pair)) or not all(map(_is_compared, pair)):
        return
    if any(engine.release.assumed < _COMPARES for engine in pair):
        return
    versions = [engine.release.version for engine in pair]
    if None not in versions and versions[0] != versions[1]:
        yield "image", f"vLLM is {decode.release.name}, not the {prefill.release.name}"
    for flag, values in (
        ("model", [engine.model for engine in pair]),
        ("dtype", [_dtype(engine) for engine in pair]),
        ("kv-cache-dtype", _cache_dtypes(pair)),
        ("attention-backend", [_backend(engine) for engine in pair]),
    ):
        first, second = values
        if first and second and first != second:
            name = "the model" if flag == "model" else f"--{flag}"
            shown = [escaped(require.shown(one)) for one in (second, first)]
            yield "" if flag == "model" else flag, f"{name} is {shown[0]}, not the {shown[1]}"


def _transport(name: str) -> str:
    """What a connector transfers by, and who begins."""
    if name.startswith("Nixl"):
        return "nixl push" if "Push" in name else "nixl"
    return name


def _is_compared(engine: Engine) -> bool:
    """Whether an engine insists on what the handshake compares."""
    return all(
        mapping(one.config.get("kv_connector_extra_config")).get("enforce_handshake_compat", True)
        is not False
        for one in connectors(engine)
    )


def _dtype(engine: Engine) -> str | None:
    value = engine.flag("dtype")
    if not isinstance(value, str) or value == "auto":
        return None
    return _FLOATS.get(value, value)


def _cache_dtypes(pair: Pair) -> list[str | None]:
    """The types of the cache, as far as they can be told; the model's own one by default."""
    found: list[str | None] = []
    for engine in pair:
        value = engine.flag("kv-cache-dtype", "auto")
        is_known = lists_flags(engine) and "kv-cache-dtype" not in engine.line.unread
        found.append(_cache_dtype(value) if is_known else None)
    if "auto" in found:
        # A quantized checkpoint may bring a type of its own, and `bfloat16` may be the model's.
        names = f"{pair.prefill.model} {pair.decode.model}".lower()
        is_plain_model = not re.search(r"fp8|fp4|int8|quant|w8a8|awq|gptq", names)
        is_eight = any(one is not None and one.startswith("fp8") for one in found)
        if not (is_plain_model and is_eight):
            return [None, None]
    return found


def _cache_dtype(value: object) -> str:
    text = str(value)
    return "fp8_e4m3" if text == "fp8" else text


def _backend(engine: Engine) -> str | None:
    config = mapping(engine.flag("attention-config")).get("backend")
    for value in (
        engine.flag("attention-backend"),
        config,
        engine.env.get("VLLM_ATTENTION_BACKEND"),
    ):
        if isinstance(value, str) and "$" not in value and value.lower() != "auto":
            return value.upper()
    return None


@rule("X04", "warning", "rolling updates of both sides that fail requests")
def rolling(graph: Graph) -> Iterator[Found]:
    """While the sides have different releases, no handshake between them succeeds."""
    told: set[int] = set()
    for pair in pairs(graph):
        prefill, decode = pair
        if decode.manifest is prefill.manifest or id(decode) in told:
            continue
        if not all(is_nixl(one) and _is_compared(one) for one in pair):
            continue
        if not all(_rolls(one.manifest) for one in pair):
            continue
        config = transfer_config(decode)
        known = decode.release.catalog["flags"].get(f"--{_CONFIG}", {}).get("fields", {})
        # Before 0.17 the default is to compute the prompt again.
        default = mapping(known.get("kv_load_failure_policy")).get("default")
        if config.get("kv_load_failure_policy", default) != "fail":
            continue
        told.add(id(decode))
        given = "is 'fail'"
        if "kv_load_failure_policy" not in config:
            given = f"is left out, which is 'fail' in {decode.release.description}"
        text = (
            f"{given}: while {escaped(decode.manifest.title)} and "
            f"{escaped(prefill.manifest.title)} roll from one release to another, the requests "
            "between them fail"
        )
        advice = (
            "give 'recompute', or let a DisaggregatedSet or one pool for each release update both "
            "together"
        )
        problem = Problem(where="kv_load_failure_policy", text=text, advice=advice)
        path = decode.flag_place(_CONFIG)
        yield Found(manifest=decode.manifest, path=path, problem=problem)


def _rolls(manifest: Manifest) -> bool:
    """Whether an update of an object leaves pods of two releases beside each other."""
    if manifest.kind == "Deployment":
        return mapping(manifest.spec.get("strategy")).get("type") != "Recreate"
    if manifest.kind == "StatefulSet":
        return mapping(manifest.spec.get("updateStrategy")).get("type") != "OnDelete"
    return manifest.kind in ("LeaderWorkerSet", "Rollout")
