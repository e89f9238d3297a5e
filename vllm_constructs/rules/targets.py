"""What selectors select, and what one that selects nothing was probably meant to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import Pod
from vllm_constructs.reading.selectors import selects, single_labels

from .misspellings import Names, is_misspelt

# Words that tell what an object or pods are, not whose they are.
_PLAIN = frozenset(
    ("deploy", "deployment", "pod", "pods", "server", "service", "serving", "svc", "vllm")
)
# Those of names of objects, beside them.
_KINDS = _PLAIN | frozenset(
    re.split(
        r"\W+",
        """api budget disruption endpoint engine headless http inference internal lb metrics model
        monitor monitoring netpol network networkpolicy np pdb podmonitor policy pool
        poddisruptionbudget scrape servicemonitor set sm statefulset sts""",
    )
)
# Keys of labels that stand for one another in charts.
_ALIASES = (
    frozenset({"app", "app.kubernetes.io/name", "k8s-app", "name"}),
    frozenset({"release", "app.kubernetes.io/instance", "instance", "helm-release-name"}),
    frozenset({"component", "app.kubernetes.io/component", "role"}),
)
# Labels that controllers add to pods.
_ADDED = re.compile(
    r"(pod-template-hash|controller-revision-hash|job-name|controller-uid)$"
    r"|^(statefulset|apps|batch|leaderworkerset\.sigs)\.(kubernetes|k8s)\.io/"
)
# Domains whose labels people write themselves.
_OWN = ("app.kubernetes.io/", "helm.sh/")
_PLACEHOLDER = re.compile(r"[${}<>]")
_MOST = 50


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a selector may select: pods, or a Service.

    Args:
        manifest: The Service, or the object that runs the pods.
        labels: Its labels.
        pod: The pods; None for a Service.
    """

    manifest: Manifest
    labels: Mapping[str, Any]
    pod: Pod | None = None


def _core(name: str, plain: Collection[str]) -> str:
    """A name without the words that tell what something is: `qwen` of `qwen-vllm-service`."""
    return "-".join(one for one in _words(name) if one not in plain)


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def selects_any(selector: object) -> bool:
    """Whether a LabelSelector asks for any label.

    Args:
        selector: The selector.
    """
    given = mapping(selector)
    return bool(mapping(given.get("matchLabels")) or items(given.get("matchExpressions")))


def namespaces(monitor: Manifest) -> list[str]:
    """The namespaces that a monitor looks at; the empty string is any.

    Args:
        monitor: The monitor.
    """
    given = mapping(monitor.spec, "namespaceSelector")
    if given.get("any") is True:
        return [""]
    return strings(given.get("matchNames")) or [monitor.namespace]


def monitored_pods(graph: Graph, monitor: Manifest) -> list[Pod]:
    """The pods that a PodMonitor selects; none if it selects all.

    Args:
        graph: The manifests.
        monitor: The PodMonitor.
    """
    selector = monitor.spec.get("selector")
    if not selects_any(selector):
        return []
    return [pod for one in namespaces(monitor) for pod in graph.selected_pods(one, selector)]


class Targets:
    """All that selectors of one kind may select, by names and labels."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.all = list(targets)
        self._by_name: dict[str, list[Target]] = defaultdict(list)
        self._by_key: dict[str, dict[str, list[Target]]] = defaultdict(lambda: defaultdict(list))
        self._by_core: dict[tuple[str, str], list[Target]] = defaultdict(list)
        self._by_value: dict[str, list[tuple[str, Target]]] = defaultdict(list)
        self._names: dict[str, Names] = {}
        for one in self.all:
            self._by_name[_core(one.manifest.name, _KINDS)].append(one)
            for key, value in one.labels.items():
                self._by_key[key][str(value)].append(one)
                self._by_core[key, _core(str(value), _PLAIN)].append(one)
                self._by_value[str(value)].append((key, one))

    @classmethod
    def pods(cls, graph: Graph) -> Targets:
        """All pods of the manifests whose labels are there.

        Args:
            graph: The manifests.
        """
        return cls(
            Target(manifest=pod.manifest, labels=pod.labels, pod=pod)
            for pod in graph.pods
            if pod.is_whole
        )

    @classmethod
    def services(cls, graph: Graph) -> Targets:
        """All Services of the manifests.

        Args:
            graph: The manifests.
        """
        return cls(
            Target(manifest=one, labels=one.labels)
            for one in graph.of("Service")
            if one.group == ""
        )

    def selected(self, selector: object, spaces: Collection[str]) -> list[Target]:
        """What a LabelSelector selects in namespaces; nothing if it asks for no label.

        Args:
            selector: The selector.
            spaces: The namespaces; the empty string is any.
        """
        if not selects_any(selector):
            return []
        lists = [
            self._by_key.get(key, {}).get(str(value), [])
            for key, value in single_labels(selector).items()
        ]
        found = (
            one
            for one in min(lists, key=len, default=self.all)
            if _is_in(one, spaces) and selects(selector, one.labels)
        )
        return list(islice(found, _MOST))

    def meant(
        self,
        by: Manifest,
        wanted: Mapping[str, Any],
        spaces: Collection[str],
        is_free: Callable[[Target], bool],
    ) -> Target | None:
        """What was probably meant by labels that nothing has; None if that is not plain.

        Args:
            by: The object that selects.
            wanted: The labels.
            spaces: The namespaces; the empty string is any.
            is_free: Whether no other object of the kind selects it.
        """
        if not self.is_judged(wanted):
            return None
        for one in self._near(wanted, spaces):
            is_misspelt = all(_is_misspelt(*pair, one.labels) for pair in wanted.items())
            if is_misspelt or is_free(one):
                return one
        own = {key: by.labels[key] for key in wanted if key in by.labels}
        if len(own) == len(wanted):
            for one in self.selected({"matchLabels": own}, spaces):
                if is_free(one):
                    return one
        for one in self._by_name.get(_core(by.name, _KINDS), ()):
            shares = not one.labels or any(key in one.labels for key in wanted)
            if shares and _is_in(one, spaces) and is_free(one) and _is_like(by, one):
                return one
        return None

    def is_judged(self, wanted: Mapping[str, Any]) -> bool:
        """Whether all labels are written out, and are none that a controller may add.

        Args:
            wanted: The labels.
        """
        return bool(wanted) and all(
            isinstance(value, str)
            and not _PLACEHOLDER.search(value)
            and not _ADDED.search(key)
            and (key in self._by_key or "/" not in key or key.startswith(_OWN))
            for key, value in wanted.items()
        )

    def _near(self, wanted: Mapping[str, Any], spaces: Collection[str]) -> Iterator[Target]:
        for key, value in wanted.items():
            for one in self._with(key, value):
                if _is_in(one, spaces) and is_near(wanted, one.labels):
                    yield one

    def _with(self, key: str, value: str) -> Iterator[Target]:
        """What has a label that is near this one, but not it."""
        values = self._by_key.get(key, {})
        if key not in self._names:
            self._names[key] = Names(values)
        right = self._names[key].near(value)
        if right is not None:
            yield from values[right][:_MOST]
        yield from self._by_core.get((key, _core(value, _PLAIN)), [])[:_MOST]
        for other, one in self._by_value.get(value, [])[:_MOST]:
            if other != key:
                yield one


def _is_in(target: Target, spaces: Collection[str]) -> bool:
    return any(target.manifest.may_be_in(one) for one in spaces)


def _is_like(by: Manifest, target: Target) -> bool:
    """Whether two names have a word in common, if all their words only tell kinds."""
    if _core(by.name, _KINDS):
        return True
    return bool({*_words(by.name)} & {*_words(target.manifest.name)})


def is_near(wanted: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether labels are those that others were probably meant to be.

    Args:
        wanted: The others.
        labels: The labels.
    """
    return all(
        labels.get(key) == value or _is_label_near(key, value, labels)
        for key, value in wanted.items()
    )


def _is_label_near(key: str, value: object, labels: Mapping[str, Any]) -> bool:
    if not isinstance(value, str) or _is_misspelt(key, value, labels):
        return isinstance(value, str)
    own = str(labels.get(key, ""))
    is_same = _core(value, _PLAIN) == _core(own, _PLAIN) and {*_words(value)} & {*_words(own)}
    return bool(is_same) or any(
        found == value and any(key in one and other in one for one in _ALIASES)
        for other, found in labels.items()
    )


def _is_misspelt(key: str, value: str, labels: Mapping[str, Any]) -> bool:
    """Whether labels have one, or one of which it is a misspelling."""
    own = labels.get(key)
    if own == value or (isinstance(own, str) and is_misspelt(value, own)):
        return True
    return any(found == value and is_misspelt(key, str(one)) for one, found in labels.items())
