"""Rules of rollouts: R01 and R07."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .rule import Fix, Found, put, remove, rule

_DEFAULT = "25%"
_PERCENT = re.compile(r"\d+%", re.ASCII)
_ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
# Resources whose name says that they are accelerators, and none of their parts.
_DEVICE = re.compile(
    r"/(?!.*(gpu-?mem|gpu-?core|gpu-?percent))"
    r".*(gpu|mig-|tpu|npu|neuron|gaudi|ascend|dcu|mlu|xe$|i915|accelerator)",
    re.IGNORECASE,
)
_VERSION_KEYS = re.compile(
    r"(^|[/._-])(version|tag|image|revision|commit|sha|build|checksum|timestamp|date|chart)$",
    re.IGNORECASE,
)
# A release, a date, the hash of a commit, or a chart with its release.
_VERSION = re.compile(r"(.*-)?v?\d+(\.\d+)+.*|\d{6,}.*|(?=.*\d)[0-9a-f]{7,64}", re.IGNORECASE)
# Labels that are always a release, and those of Kueue and Istio, which change while pods run.
_CHANGED = ("app.kubernetes.io/version", "helm.sh/chart", "istio.io/rev")
_QUEUES = "kueue.x-k8s.io/"


def devices(pod: Pod) -> str:
    """The accelerators of one pod in words, such as `2 nvidia.com/gpu`; empty without any.

    Args:
        pod: The pod.
    """
    found: dict[str, int] = {}
    for _, container in pod.containers:
        for field in ("requests", "limits"):
            for name, amount in mapping(container, "resources", field).items():
                text = str(amount)
                if _DEVICE.search(str(name)) and text.isdecimal() and int(text):
                    found[str(name)] = max(int(text), found.get(str(name), 0))
    if found:
        return " and ".join(f"{count} {name}" for name, count in sorted(found.items()))
    claims = map(mapping, items(pod.spec.get("resourceClaims")))
    return (
        "its claimed devices" if any(one.get("resourceClaimTemplateName") for one in claims) else ""
    )


def pods_at_most(value: object, replicas: int, *, is_up: bool) -> int | None:
    """Pods of an integer or a percentage; None for anything else.

    Args:
        value: The value.
        replicas: All pods.
        is_up: Whether a percentage is rounded up.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        share = int(value[:-1]) * replicas / 100
        return math.ceil(share) if is_up else math.floor(share)
    return None


@rule("R01", "warning", "a rollout that needs GPUs which nobody has declared spare")
def surge(graph: Graph) -> Iterator[Found]:
    """The new pod stays Pending, and the old one is not stopped before it is ready."""
    seen = set()
    for engine in graph.engines:
        manifest = engine.manifest
        if manifest.number in seen:
            continue
        seen.add(manifest.number)
        if manifest.kind == "Deployment":
            where: Path = ("spec", "strategy")
            found = _refused(manifest, where, "rollingUpdate", _DEFAULT, _DEFAULT)
            yield from found or _of_surge(graph, engine, where)
        elif manifest.kind == "LeaderWorkerSet":
            where = ("spec", "rolloutStrategy")
            yield from _refused(manifest, where, "rollingUpdateConfiguration", 0, 1)


def _refused(
    manifest: Manifest, where: Path, field: str, surge: object, unavailable: object
) -> list[Found]:
    """What the API server refuses in a strategy, with the defaults of its kind."""
    strategy = mapping(manifest.at(*where))
    path = (*where, field)
    if strategy.get("type") == "Recreate" and strategy.get(field) is not None:
        text = f"has {field}, which the API server rejects where type is Recreate"
        problem = Problem(where=str(where[-1]), text=text, advice="leave it out")
        return [
            Found(manifest=manifest, path=path, problem=problem, fix=remove(path, is_safe=True))
        ]
    given = mapping(strategy.get(field))
    amounts = {
        "maxSurge": given.get("maxSurge", surge),
        "maxUnavailable": given.get("maxUnavailable", unavailable),
    }
    found = []
    for name, value in amounts.items():
        if isinstance(value, str) and not _PERCENT.fullmatch(value):
            shown = escaped(require.shown(value))
            text = f"is {shown}, and the API server takes an integer, or a percentage in quotes"
            advice = f"write {value} without quotes" if value.isdecimal() else "give one of them"
            problem = Problem(where=name, text=text, advice=escaped(advice))
            fix = put((*path, name), int(value), is_safe=True) if value.isdecimal() else None
            found.append(Found(manifest=manifest, path=(*path, name), problem=problem, fix=fix))
    if all(value in (0, "0", "0%") and value is not False for value in amounts.values()):
        text = (
            "is 0, and so is maxSurge: no pod may be added or stopped, and the API server "
            "rejects that"
        )
        advice = "give maxUnavailable: 1, or maxSurge: 1 if GPUs for one more pod are spare"
        problem = Problem(where="maxUnavailable", text=text, advice=advice)
        where = (*path, "maxUnavailable")
        found.append(Found(manifest=manifest, path=where, problem=problem, fix=put(where, 1)))
    return found


def _of_surge(graph: Graph, engine: Engine, where: Path) -> Iterator[Found]:
    """A Deployment's own rollout, as far as its surge is not a decision."""
    manifest = engine.manifest
    strategy = mapping(manifest.at(*where))
    each = devices(engine.pod)
    low, high = graph.replicas(manifest)
    is_part = engine.pod.is_patch and not strategy
    if strategy.get("type") == "Recreate" or is_part or not each or high < 1:
        return
    given = mapping(strategy.get("rollingUpdate"))
    surge, unavailable = given.get("maxSurge"), given.get("maxUnavailable")
    # With each percentage, the fewest replicas let the fewest pods go.
    least = max(1, low)
    fewest = pods_at_most(_DEFAULT if unavailable is None else unavailable, least, is_up=False)
    if fewest != 0:
        return
    most = _most_stuck(_DEFAULT if unavailable is None else unavailable, least, high)
    pods = pods_at_most(_DEFAULT if surge is None else surge, most, is_up=True)
    # A number is a decision, and so is that no pod may be missing while one is added.
    is_decided = isinstance(surge, int) or (unavailable in (0, "0%") and pods == 1)
    if not pods or is_decided:
        return
    what = "is left out"
    if given:
        shares = [_DEFAULT if one is None else one for one in (surge, unavailable)]
        what = escaped("has maxSurge: {} and maxUnavailable: {}".format(*shares))
    with_devices = escaped(f"{each} each" if pods > 1 else each)
    text = (
        f"{what}, so that a rollout of {_pods(least, most)} adds {pods} more with {with_devices}, "
        "and stops no old one before a new one is ready: without spare ones it waits for ever"
    )
    advice = (
        "give maxSurge: 0 and maxUnavailable: 1, or, if GPUs are spare or nodes are added, "
        "maxSurge: 1 and maxUnavailable: 0"
    )
    problem = Problem(where="rollingUpdate" if strategy else "strategy", text=text, advice=advice)
    path = (*where, "rollingUpdate") if strategy else where
    yield Found(manifest=manifest, path=path, problem=problem, fix=put(where, _ONE_BY_ONE))


def _most_stuck(unavailable: object, least: int, most: int) -> int:
    """The largest number of replicas of which no pod may be missing."""
    if isinstance(unavailable, str) and _PERCENT.fullmatch(unavailable) and int(unavailable[:-1]):
        return max(least, min(most, math.ceil(100 / int(unavailable[:-1])) - 1))
    return max(least, most)


def _pods(least: int, most: int) -> str:
    return f"{least if least == most else f'{least} to {most}'} pod{'s' * (most > 1)}"


@rule("R07", "error", "a label that changes in a selector that cannot")
def immutable(graph: Graph) -> Iterator[Found]:
    """The first apply works; the one with the next release is refused."""
    for manifest in graph.of("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"):
        pods = graph.pods_of(manifest)
        selector = mapping(manifest.spec.get("selector"))
        if not pods or manifest.group == "":
            continue
        labels = mapping(selector.get("matchLabels"))
        at = ("spec", "selector", "matchLabels")
        for key, value in labels.items():
            if _changes(str(key), str(value), manifest, pods[0]):
                path: Path = (*at, key)
                fix = remove(path) if len(labels) > 1 else None
                yield _of_label(manifest, path, str(key), str(value), fix)
        for path, one in manifest.each("spec", "selector", "matchExpressions"):
            key, values = str(one.get("key")), strings(one.get("values"))
            if values and all(_changes(key, value, manifest, pods[0]) for value in values):
                yield _of_label(manifest, (*path, "key"), key, values[0], None)


def _changes(key: str, value: str, manifest: Manifest, pod: Pod) -> bool:
    """Whether a label is known to change while its workload stays."""
    if key in _CHANGED or key.startswith(_QUEUES):
        return True
    if not _VERSION_KEYS.search(key):
        return False
    # A workload with the release in its name is another one with the next.
    name = re.sub(r"[^a-z0-9]", "-", manifest.name.lower())
    is_named = re.sub(r"[^a-z0-9]", "-", value.lower()) in name
    tags = {str(one.get("image")).rpartition(":")[2] for _, one in pod.containers}
    return not is_named and (value in tags or bool(_VERSION.fullmatch(value)))


def _of_label(manifest: Manifest, path: Path, key: str, value: str, fix: Fix | None) -> Found:
    why = (
        "the queue or the revision of a workload changes"
        if key.startswith((_QUEUES, "istio.io/"))
        else "it changes with the next release"
    )
    text = (
        f"has {escaped(require.shown(key))}: {escaped(require.shown(value))}: {why}, and the API "
        f"server then rejects the {manifest.kind}, whose selector is immutable"
    )
    advice = "keep it in the labels of the pods, and select by a name that stays"
    problem = Problem(where="selector", text=text, advice=advice)
    return Found(manifest=manifest, path=path, problem=problem, fix=fix)
