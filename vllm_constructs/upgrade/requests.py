"""Requests: those that are lost while a change is on its way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import Pod
from vllm_constructs.reading.selectors import selects_labels
from vllm_constructs.reading.spelling import as_fields

from .changes import names_of
from .compared import Compared
from .gone import ROUTES, Gone, hosts
from .rollout import Rollout

_OPEN = ("LoadBalancer", "NodePort")


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Requests that are lost.

    Args:
        manifest: The object for which they are.
        text: Which ones, and why: a clause.
    """

    manifest: Manifest
    text: str


def lost_in_rollouts(
    rollouts: Iterable[Rollout], gone: Iterable[Gone], graphs: tuple[Graph, Graph]
) -> Iterator[Loss]:
    """What is lost as pods stop.

    Args:
        rollouts: The workloads whose pods change.
        gone: The objects that disappear.
        graphs: All objects before, and all after.
    """
    stopping, ending = list(rollouts), [one for one in gone if one.stops]
    if not ending and not any(one.stops for one in stopping):
        return
    before, after = (_undrained(graph) for graph in graphs)
    for one in stopping:
        if one.is_down and one.strategy is not None:
            is_one = one.before == 1
            how = f"its only {one.unit} stops" if is_one else f"all of its {one.unit}s stop at once"
            text = f"{how} ({one.strategy.name}), and none answers until a new one is ready"
            yield Loss(manifest=one.manifest, text=text)
        for text in before.get(one.one.old.number, ()) if one.stops else ():
            more = ""
            if not after.get(one.manifest.number):
                more = "; the pods that stop are the old ones, so the new drain works next time"
            yield Loss(manifest=one.manifest, text=f"{text}{more}")
    for two in ending:
        for text in before.get(two.manifest.number, ()):
            yield Loss(manifest=two.manifest, text=f"if it is deleted: {text}")


def lost_in_services(
    compared: Iterable[Compared], rollouts: Iterable[Rollout], refused: set[int]
) -> Iterator[Loss]:
    """What Services lose, which change at once, while pods take their time.

    Args:
        compared: All objects that are there before and after.
        rollouts: The workloads whose pods change.
        refused: The numbers of the new objects that are refused.
    """
    found = list(compared)
    rolling = {one.manifest.number for one in rollouts if one.is_rolling}
    workloads = {one.old.number: one for one in found}
    for one in found:
        if one.kind == ("", "Service") and one.new.number not in refused and one.changes:
            yield from _of_type(one)
            yield from _of_selector(one, workloads, refused)
            yield from _of_ports(one, workloads, rolling)


def lost_by_hosts(compared: Iterable[Compared]) -> Iterator[Loss]:
    """What is lost by clients of hosts that a route or Ingress does not have any more.

    Args:
        compared: Objects that are there before and after.
    """
    for one in compared:
        if one.kind in ROUTES:
            after = set(hosts(one.new))
            if dropped := [host for host in hosts(one.old) if host not in after]:
                text = f"clients of {' and '.join(dropped)} get no answer from it any more"
                yield Loss(manifest=one.new, text=text)


def lost_by_names(rollouts: Iterable[Rollout]) -> Iterator[Loss]:
    """What is lost by clients that ask for a model by a name that is not served any more.

    Args:
        rollouts: The workloads whose pods change.
    """
    for one in rollouts:
        if not one.is_rolling:
            continue
        before, after = (
            {(engine.pod.role, engine.name): engine for engine in graph.engines_of(side)}
            for graph, side in zip(one.one.graphs, one.one.sides, strict=True)
        )
        for key, old in before.items():
            names = (old.served_names, after[key].served_names) if key in after else (None, None)
            if names[0] is None or names[1] is None:
                continue
            if dropped := [name for name in names[0] if name not in names[1]]:
                shown = " and ".join(require.shown(name) for name in dropped)
                now = " and ".join(require.shown(name) for name in names[1])
                text = f"clients that ask for the model {shown} get 404, as it is {now} now"
                yield Loss(manifest=one.manifest, text=text)


def _undrained(graph: Graph) -> Mapping[int, list[str]]:
    """What the drains of engines lose, by the number of their objects: rules P05 and P06."""
    from vllm_constructs.rules.lifecycle import drain, grace

    found: dict[int, list[str]] = defaultdict(list)
    for rule in (grace, drain):
        for one in rule.check(graph):
            # What to do is told by the check.
            text = replace(one.problem, advice="").sentence(as_fields).removesuffix(".")
            found[one.manifest.number].append(f"{text} ({rule.id})")
    return found


def _of_type(one: Compared) -> Iterator[Loss]:
    """A Service that is not open to the outside any more."""
    before, after = one.both("spec", "type")
    if before in _OPEN and after not in _OPEN:
        text = "clients outside of the cluster cannot reach it any more"
        yield Loss(manifest=one.new, text=text)


def _of_selector(
    one: Compared, workloads: Mapping[int, Compared], refused: set[int]
) -> Iterator[Loss]:
    """A selector that selects none of the pods that run when it is applied."""
    selector = mapping(one.after.get("spec")).get("selector")
    if not one.changed("spec", "selector") or not mapping(selector):
        return
    pods = [pod for pod in one.graphs[0].pods_behind(one.old) if pod.manifest.number in workloads]
    if not pods or any(selects_labels(selector, pod.labels) for pod in pods):
        return
    names = sorted({workloads[pod.manifest.number].new.title for pod in pods})
    are_refused = [workloads[pod.manifest.number].new.number in refused for pod in pods]
    if all(are_refused):
        how = "is refused, so that its pods keep their labels and the Service selects none"
    else:
        how = "has no pod yet that the new selector selects: no endpoints until one is ready"
    yield Loss(manifest=one.new, text=f"{' and '.join(names)} {how}")


def _of_ports(
    one: Compared, workloads: Mapping[int, Compared], rolling: set[int]
) -> Iterator[Loss]:
    """Ports that clients cannot reach any more, or that pods do not have yet."""
    before, after = (
        items(mapping(body.get("spec")).get("ports")) for body in (one.before, one.after)
    )
    numbers = [mapping(port).get("port") for port in after]
    for port in map(mapping, before):
        if port.get("port") not in numbers:
            text = f"clients of port {require.shown(port.get('port'))} are refused"
            yield Loss(manifest=one.new, text=text)
    names = names_of(before, after)
    if names is None:
        return
    known = dict(zip(names[0], before, strict=True))
    pods = [
        pod
        for pod in one.graphs[0].pods_behind(one.old)
        if pod.manifest.number in workloads and workloads[pod.manifest.number].new.number in rolling
    ]
    for name, port in zip(names[1], after, strict=True):
        target, old = port.get("targetPort"), mapping(known.get(name)).get("targetPort")
        if old is None or target == old or not pods:
            continue
        if not any(_listens(pod, target) for pod in pods) and any(
            _listens(pod, old) for pod in pods
        ):
            text = (
                f"targetPort {require.shown(target)} is none of the pods that have not rolled yet; "
                "a name of the port instead of its number would be right for both"
            )
            yield Loss(manifest=one.new, text=text)


def _listens(pod: Pod, port: object) -> bool:
    """Whether a container of a pod has a port, by its number or name."""
    ports = [
        one
        for _, container in pod.containers
        for one in map(mapping, items(container.get("ports")))
    ]
    return any(port in (one.get("containerPort"), one.get("name")) for one in ports)
