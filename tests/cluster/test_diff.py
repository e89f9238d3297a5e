"""What `vllm-constructs diff` says of a change, beside what the API server does with it.

Every sample is applied once for each of its small changes; then each change is applied with dry
run. Changes that would be no valid object by themselves are left out: only what the API server
refuses as a change counts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading import manifest as reading
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.settings import Settings
from vllm_constructs.upgrade import report
from vllm_constructs.upgrade.changes import Steps, changes, field_name
from vllm_constructs.upgrade.defaults import has_defaults
from vllm_constructs.upgrade.leftovers import SERVER_SIDE, WRITTEN
from vllm_constructs.upgrade.live import LAST_APPLIED
from vllm_constructs.upgrade.upgrade import Upgrade
from vllm_constructs.upgrade.wording import sentence

from .api import RefusedError
from .bed import Bed
from .conftest import CRDS, NEWEST, documents
from .kinds import GLOBAL, SAMPLES, container
from .kubectl import Kubectl, wait_for
from .nodes import Manifest, gpu_node
from .test_rollout import Roll
from .test_scheduling import Nodes, settled
from .variants import Variant, variants

_numbers = itertools.count(1)
_CUSTOM = {"GatewayClass", "HTTPRoute", "ScaledObject"}


# What an API server without operators takes.
KNOWN = {one["kind"] for one in SAMPLES.values()} - (set() if CRDS.is_dir() else _CUSTOM)
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/dist"))


@dataclass(frozen=True)
class Tried:
    """A change that the API server was asked about.

    Attributes:
        variant: The change.
        old: The sample, as it was applied.
        live: What the server made of it.
        refusal: Why the server refuses the change; empty if it does not.
        after: What the server would have then.
    """

    variant: Variant
    old: Manifest
    live: Manifest
    refusal: str
    after: Manifest


def ask(
    kubectl: Kubectl, manifests: Sequence[Manifest], *, dry_run: bool = False
) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Apply objects server-side: what the server has then, and what it refuses, by name."""
    after: dict[str, Manifest] = {}
    refused: dict[str, str] = {}
    for one in manifests:
        name = one["metadata"]["name"]
        try:
            after[name] = kubectl.api.apply(one, dry_run=dry_run, force=True).shown
        except RefusedError as error:
            refused[name] = str(error)
    return after, refused


def named(manifest: Manifest, name: str, namespace: str) -> Manifest:
    """A copy with a name of its own."""
    found = deepcopy(manifest)
    found["metadata"]["name"] = name
    if found["kind"] not in GLOBAL:
        found["metadata"]["namespace"] = namespace
    return found


def tried(kubectl: Kubectl, title: str, namespace: str) -> list[Tried]:
    """All small changes of a sample that are valid, and what the server says to them."""
    number, sample = next(_numbers), SAMPLES[title]
    every = dict(enumerate(variants(title)))
    olds = {i: named(sample, f"v{number}-{i}", namespace) for i in every}
    provide(kubectl, list(olds.values()), namespace)
    fresh = [named(one.manifest, f"f{number}-{i}", namespace) for i, one in every.items()]
    _, invalid = ask(kubectl, fresh, dry_run=True)
    valid = {i: one for i, one in every.items() if f"f{number}-{i}" not in invalid}
    olds = {i: olds[i] for i in valid}
    _, refused = ask(kubectl, list(olds.values()))
    assert {} == refused
    settle(kubectl, sample["kind"], olds)
    where = None if sample["kind"] in GLOBAL else namespace
    shown = kubectl.api.items(sample["kind"], where)
    lives = {one["metadata"]["name"]: one for one in shown}
    news = {i: named(one.manifest, f"v{number}-{i}", namespace) for i, one in valid.items()}
    after, refusals = ask(kubectl, list(news.values()), dry_run=True)
    used = [one for one in olds.values() if sample["kind"] in GLOBAL]
    if used := [*used, *volumes(list(olds.values()))]:
        kubectl.delete(used, wait=False)
    found = []
    for i, one in valid.items():
        name = f"v{number}-{i}"
        variant = Variant(one.what, news[i])
        refusal = refusals.get(name, "")
        found.append(Tried(variant, olds[i], lives[name], refusal, after.get(name, {})))
    return found


def volumes(olds: Sequence[Manifest], storage: str = "bed") -> list[Manifest]:
    """Volumes of the claims among objects."""
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{one['metadata']['namespace']}-{one['metadata']['name']}"},
            "spec": {
                "capacity": {"storage": "200Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage,
                "nfs": {"server": "127.0.0.1", "path": "/weights"},
                "claimRef": {key: one["metadata"][key] for key in ("name", "namespace")},
            },
        }
        for one in olds
        if one["kind"] == "PersistentVolumeClaim"
    ]


def provide(kubectl: Kubectl, olds: Sequence[Manifest], namespace: str) -> None:
    """What samples need to be in use: an account for pods, and volumes for claims."""
    metadata = {"name": "qwen", "namespace": namespace}
    account: Manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    kubectl.apply([account, *volumes(olds)])


def settle(kubectl: Kubectl, kind: str, olds: dict[int, Manifest]) -> None:
    """Wait until claims are bound."""
    if kind != "PersistentVolumeClaim":
        return
    namespace = next(iter(olds.values()))["metadata"]["namespace"]

    def are_bound() -> bool:
        claims = kubectl.items(kind, namespace)
        return all(one["status"].get("phase") == "Bound" for one in claims)

    wait_for("claims to be bound", are_bound)


def bare(live: Manifest) -> Manifest:
    """An object as kubectl shows it by default."""
    metadata = {key: one for key, one in live["metadata"].items() if key != "managedFields"}
    return {**live, "metadata": metadata}


def content(manifest: Manifest) -> Any:
    """An object without what every write changes."""
    metadata = {
        key: one
        for key, one in manifest["metadata"].items()
        if key not in ("generation", "managedFields", "resourceVersion")
    }
    notes = dict(metadata.get("annotations", {}))
    for key in COUNTED:
        notes.pop(key, None)
    return {**manifest, "metadata": {**metadata, "annotations": notes}, "status": None}


def problems(
    one: Tried, old: Manifest, settings: Settings, extra: Sequence[Manifest] = ()
) -> list[str]:
    """Where the diff says something else than the server.

    Args:
        one: The change.
        old: The old side: the manifest that was applied, or what the cluster shows.
        settings: What the manifests do not say.
        extra: Other objects of both sides.
    """
    is_file, is_bare = old is one.old, "managedFields" not in old["metadata"]
    # Without `managedFields` nothing tells who has set a field; with them, what of an atomic list
    # is a default of a custom resource.
    is_known = has_defaults(reading.Manifest(old))
    may_miss = not is_file and (is_bare or not is_known) and one.variant.what.startswith("without")
    found = Upgrade(Graph([old, *extra], settings), Graph([one.variant.manifest, *extra], settings))
    # Which nodes a selector leaves is not told for pods that wait at a gate.
    may_doubt = is_file or "schedulingGates" in old.get("spec", {})
    may_doubt |= any(it.unless in (SERVER_SIDE, WRITTEN) for it in found.doubtful)
    refused = [f"{sentence(it.change)} ({it.reason})" for it in found.refused]
    doubtful = [f"{sentence(it.change)} (unless {it.unless})" for it in found.doubtful]
    changed = [sentence(it) for compared in found.compared for it in compared.changes]
    told = f"{one.variant.what}: refused {refused}, doubtful {doubtful}, changed {changed}"
    if one.refusal:
        is_told = refused or (doubtful and may_doubt) or may_miss
        return [] if is_told else [f"{told}; server: {one.refusal}"]
    if refused or doubtful:
        return [] if doubtful and may_doubt and not refused else [f"{told}; accepted"]
    wrong = []
    every = [it.path for it in changes(content(one.live), content(one.after))]
    fields = [path for path in every if path[-1] not in ALLOCATED]
    own = [
        it.path
        for compared in found.compared
        for it in compared.changes
        if it.path[-1] not in ALLOCATED
    ]
    if not (are_near(fields, own) and are_near(own, fields)):
        shown = [field_name(path) for path in fields]
        wrong += [] if may_miss and len(own) < len(fields) else [f"{told}; the server: {shown}"]
    template = [it.get("spec", {}).get("template") for it in (one.live, one.after)]
    if one.live["kind"] in ("DaemonSet", "Deployment", "StatefulSet"):
        has_reasons = any(it.reasons for it in found.rollouts)
        if has_reasons != (template[0] != template[1]) and not may_miss:
            wrong.append(f"{told}; rolls {has_reasons}, but the templates differ otherwise")
    return wrong


def are_near(paths: Sequence[Steps], others: Sequence[Steps]) -> bool:
    """Whether each field is one of others, or in one, or has one in it."""
    return all(any(path[: len(one)] == one[: len(path)] for one in others) for path in paths)


COUNTED = {
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    LAST_APPLIED,
}
"""Annotations that every write may change."""
ALLOCATED = {
    "clusterIP",
    "clusterIPs",
    "healthCheckNodePort",
    "ipFamilies",
    "ipFamilyPolicy",
    "nodePort",
}
"""Fields that the API server chooses the values of."""

EQUIVALENT = {
    # Nothing stands for the numbers that are there by default.
    ("StatefulSet", "file", "without spec.updateStrategy.rollingUpdate"),
    ("StatefulSet", "owned", "without spec.updateStrategy.rollingUpdate"),
    ("StatefulSet", "file", "without spec.updateStrategy.rollingUpdate.partition"),
    ("StatefulSet", "owned", "without spec.updateStrategy.rollingUpdate.partition"),
    # It keeps what is by default in it.
    *(
        ("HorizontalPodAutoscaler", side, "without spec.behavior.scaleDown")
        for side in ("file", "owned", "bare")
    ),
    # The defaults of its labels have its own id.
    *(
        (f"Job{more}", side, "without metadata.labels")
        for more in ("", " suspended")
        for side in ("file", "owned")
    ),
    # What is there by default may have been asked for.
    ("NetworkPolicy", "bare", "without spec.egress"),
    ("NetworkPolicy", "bare", "without spec.egress.0"),
    *(
        (
            "Deployment of defaults",
            "bare",
            f"spec.template.spec.containers.0.image=example.com/vllm{tag}",
        )
        for tag in ("", ":latest")
    ),
    (
        "Deployment of defaults",
        "bare",
        "spec.template.spec.volumes.2={'name': 'scratch', 'configMap': {'name': 'settings'}}",
    ),
    # That a key was a string is not to be seen any more.
    ("Secret", "bare", "without stringData"),
    ("Secret", "bare", "without stringData.b"),
    ("Secret immutable", "bare", "without stringData"),
    ("Secret immutable", "bare", "without stringData.a"),
}
"""Changes of which diff says something else than the API server, and why."""


@pytest.mark.parametrize("title", sorted(SAMPLES))
def test_changes(bed: Bed, kubectl: Kubectl, namespace: str, title: str) -> None:
    """Of each small change, diff says what the API server does: refused, changed, rolled or not."""
    if title in _CUSTOM and not CRDS.is_dir():
        pytest.skip(f"no CRD of {title}: ../shared/crds is not there")
    extra: list[Manifest] = []
    if title == "PersistentVolumeClaim":
        extra = [storage_class("bed")]
        kubectl.apply(extra)

    found = tried(kubectl, title, namespace)

    assert len(found) > 3
    settings = Settings(kubernetes=Kubernetes(bed.version))
    wrong = [
        f"{side} {text}"
        for one in found
        for side, old in (("file", one.old), ("owned", one.live), ("bare", bare(one.live)))
        if (title, side, one.variant.what) not in EQUIVALENT
        for text in problems(one, old, settings, extra)
    ]
    assert [] == wrong, "\n".join(wrong)


def storage_class(name: str, *, grows: bool | None = True, default: bool = False) -> Manifest:
    """A class whose claims grow, or not, or that does not say; perhaps that of the cluster."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()},
        },
        "provisioner": "csi.example.com",
        **({} if grows is None else {"allowVolumeExpansion": grows}),
    }


def claim(namespace: str, size: str = "200Gi", **fields: Any) -> Manifest:
    """A claim."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    metadata = {"name": "weights", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {**spec, **fields},
    }


def is_refused(kubectl: Kubectl, manifest: Manifest) -> bool:
    """Whether the server refuses a change."""
    _, refused = ask(kubectl, [manifest], dry_run=True)
    return bool(refused)


def verdict(old: Sequence[Manifest], new: Sequence[Manifest]) -> str:
    """What diff says: refused, doubtful or accepted."""
    found = Upgrade(Graph(old), Graph(new))
    if found.refused:
        return "refused"
    return "doubtful" if found.doubtful else "accepted"


@pytest.mark.parametrize("grows", [True, False, None])
@pytest.mark.parametrize("bound", [True, False])
def test_growth(kubectl: Kubectl, namespace: str, *, grows: bool | None, bound: bool) -> None:
    """A claim grows if it is bound and its class says so; without the class nobody knows."""
    used = storage_class(f"grows-{grows}".lower(), grows=grows)
    old = claim(namespace, storageClassName=used["metadata"]["name"])
    new = claim(namespace, "300Gi", storageClassName=used["metadata"]["name"])
    kubectl.apply([used])
    made = volumes([old], used["metadata"]["name"]) if bound else []
    kubectl.apply([*made, old])
    if bound:
        settle(kubectl, "PersistentVolumeClaim", {0: old})
    (live,) = kubectl.items("persistentvolumeclaims", namespace)

    expected = "refused" if is_refused(kubectl, new) else "accepted"

    assert ("accepted" if grows and bound else "refused") == expected
    assert expected == verdict([live, used], [new, used])
    if bound:
        assert expected == verdict([old, used], [new, used])
    assert "doubtful" == verdict([old], [new])
    kubectl.delete([old, used, *made], wait=False)


@pytest.mark.parametrize("chosen", ["fast", None])
def test_class(kubectl: Kubectl, namespace: str, chosen: str | None) -> None:
    """The class of a claim may be the one that the cluster has chosen; a live claim tells."""
    defaults = [] if chosen is None else [storage_class(chosen, default=True)]
    old = claim(namespace)
    if defaults:
        kubectl.apply(defaults)
    kubectl.apply([old])
    (live,) = kubectl.items("persistentvolumeclaims", namespace)
    assert chosen == live["spec"].get("storageClassName")

    for name in ("fast", "other"):
        new = claim(namespace, storageClassName=name)
        expected = "refused" if is_refused(kubectl, new) else "accepted"
        assert ("accepted" if chosen in (None, name) else "refused") == expected
        assert expected == verdict([live], [new])
        assert "doubtful" == verdict([old], [new])
    kubectl.delete([old, *defaults])


def test_crd(kubectl: Kubectl) -> None:
    """A CRD keeps its kind and its scope."""
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    old: Manifest = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
    kubectl.apply([old])
    kubectl.run("wait", "--for=condition=Established", "crd/widgets.example.com")

    for change, expected in (
        ({"scope": "Cluster"}, "refused"),
        ({"names": {**names, "kind": "Gadget"}}, "refused"),
        ({"names": {**names, "shortNames": ["w"]}}, "accepted"),
    ):
        new = {**old, "spec": {**old["spec"], **change}}
        assert (expected == "refused") == is_refused(kubectl, new)
        assert expected == verdict([old], [new])
    kubectl.delete([old])


def test_domain(kubectl: Kubectl, namespace: str) -> None:
    """A ComputeDomain cannot be changed, by a rule of its CRD."""
    crd = CRDS.parent / "crds-topologies" / "resource.nvidia.com_computedomains.yaml"
    if not crd.is_file():
        pytest.skip("no CRD of ComputeDomain: ../shared/crds-topologies is not there")
    kubectl.apply(crd)
    kubectl.run("wait", "--for=condition=Established", "crd/computedomains.resource.nvidia.com")
    old: Manifest = {
        "apiVersion": "resource.nvidia.com/v1beta1",
        "kind": "ComputeDomain",
        "metadata": {"name": "x", "namespace": namespace},
        "spec": {"numNodes": 2, "channel": {"resourceClaimTemplate": {"name": "x"}}},
    }
    kubectl.apply([old])
    new = {**old, "spec": {**old["spec"], "numNodes": 4}}

    assert is_refused(kubectl, new)
    assert "refused" == verdict([old], [new])
    kubectl.delete([old])


@pytest.mark.parametrize("title", ["DaemonSet", "Service", "ConfigMap", "HTTPRoute"])
def test_client_side(kubectl: Kubectl, namespace: str, title: str) -> None:
    """What client-side apply removes is what its annotation tells, of any kind."""
    if title in _CUSTOM and not CRDS.is_dir():
        pytest.skip(f"no CRD of {title}: ../shared/crds is not there")
    old = named(SAMPLES[title], "x", namespace)
    kubectl.run("apply", "-f", "-", given=json.dumps(old))
    kind = SAMPLES[title]["kind"]
    live = kubectl.get(kind, "x", namespace)
    wrong = []
    for one in variants(title):
        if not one.what.startswith("without"):
            continue
        new = named(one.manifest, "x", namespace)
        found = Upgrade(Graph([live]), Graph([new]))
        if found.refused:
            continue
        try:
            done = kubectl.run(
                "apply", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(new)
            )
        except RefusedError:
            continue
        fields = [it.path for it in changes(content(live), content(json.loads(done.stdout)))]
        own = [it.path for compared in found.compared for it in compared.changes]
        if not (are_near(fields, own) and are_near(own, fields)):
            wrong.append(f"{one.what}: {own}; kubectl: {fields}")
    assert [] == wrong, "\n".join(wrong)


def test_replicas(kubectl: Kubectl, namespace: str) -> None:
    """Replicas that are left out fall to one, unless a scaler has set them."""
    old = named(SAMPLES["Deployment"], "x", namespace)
    old["spec"]["replicas"] = 3
    new = deepcopy(old)
    del new["spec"]["replicas"]
    scaler = named(SAMPLES["HorizontalPodAutoscaler"], "x", namespace)
    scaler["spec"]["scaleTargetRef"]["name"] = "x"
    kubectl.apply([old])

    after, _ = ask(kubectl, [new], dry_run=True)

    assert 1 == after["x"]["spec"]["replicas"]
    (alone,) = Upgrade(Graph([old]), Graph([new])).rollouts
    assert (3, 1, "") == (alone.before, alone.after, alone.note)
    (scaled,) = Upgrade(Graph([old]), Graph([new, scaler])).rollouts
    assert "the apply sets it to 1" in scaled.note

    kubectl.run("scale", "deployment/x", "-n", namespace, "--replicas=4")
    live = kubectl.api.items("deployments", namespace)
    after, _ = ask(kubectl, [new], dry_run=True)
    assert 4 == after["x"]["spec"]["replicas"]
    assert [] == Upgrade(Graph(live), Graph([new])).rollouts


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.parent.name)
def test_rendered(kubectl: Kubectl, namespace: str, folder: Path) -> None:
    """What this library renders is the same in the cluster: nothing changes, nothing rolls."""
    manifests = [one for one in documents(*sorted(folder.glob("*.yaml"))) if one["kind"] in KNOWN]
    for one in manifests:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = namespace
    kubectl.apply(manifests)
    for options in ((), ("--show-managed-fields",)):
        given = "\n---\n".join(json.dumps(one) for one in manifests)
        done = kubectl.run("get", "-o", "json", *options, "-f", "-", given=given)
        shown = json.loads(done.stdout)
        live = shown["items"] if shown["kind"] == "List" else [shown]

        found = Upgrade(Graph(live), Graph(manifests))

        assert "Nothing changes." == report.text(found)


L40S = "NVIDIA-L40S"


def workload(
    namespace: str, replicas: int, count: int, strategy: Manifest, version: str
) -> Manifest:
    """A Deployment of pods with GPUs, which take a second to load and two to drain."""
    pod = {
        "containers": [container(resources={"limits": {"nvidia.com/gpu": str(count)}})],
        "nodeSelector": {"nvidia.com/gpu.product": L40S},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    notes = {"bed/loads": "1", "bed/drains": "2", "version": version}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "qwen"}},
            "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": "qwen"}, "annotations": notes},
                "spec": pod,
            },
        },
    }


def rolling(surge: int | str, unavailable: int | str) -> Manifest:
    """A strategy."""
    return {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("bed", [NEWEST], indirect=True)
@pytest.mark.parametrize(
    ("before", "after", "strategy", "peak"),
    [
        ((3, 1), (3, 1), rolling(1, 0), 4),
        ((3, 1), (3, 2), rolling(1, 0), 7),
        ((3, 2), (3, 1), rolling(1, 0), 7),
        ((3, 1), (3, 1), rolling(0, 1), 3),
        ((3, 1), (3, 1), rolling("100%", 0), 6),
        ((3, 1), (3, 1), {}, 4),
        ((3, 1), (3, 2), {"type": "Recreate"}, 6),
        ((2, 1), (4, 1), rolling(1, 0), 5),
        ((4, 1), (2, 1), rolling(1, 0), 4),
    ],
)
def test_peak(
    kubectl: Kubectl,
    nodes: Nodes,
    namespace: str,
    tmp_path: Path,
    before: tuple[int, int],
    after: tuple[int, int],
    strategy: Manifest,
    peak: int,
) -> None:
    """With GPUs to spare, a rollout takes and leaves at most as many as diff says, and not less."""
    old = workload(namespace, *before, strategy, "1")
    new = workload(namespace, *after, strategy, "2")
    (rollout,) = Upgrade(Graph([old]), Graph([new])).rollouts
    assert rollout.strategy is not None
    assert peak == rollout.gpus[L40S].peak
    nodes(gpu_node("gpus", L40S, 32))
    kubectl.apply([old])
    settled(kubectl, namespace, before[0])

    with (
        kubectl.watch("pods", namespace, tmp_path / "watch") as events,
        kubectl.watch("replicasets", namespace, tmp_path / "sets") as sets,
    ):
        start = len(wait_for("the watch", lambda: events()[before[0] - 1 :] and events()))
        wait_for("the other watch", sets)
        kubectl.apply([new])
        kubectl.run("rollout", "status", "deployment/qwen", "-n", namespace, "--timeout=90s")
        wait_for("old pods to go", lambda: len(kubectl.items("pods", namespace)) == after[0])
        found = Roll(events(), start - 1, sets())

    assert peak == found.most_gpus
    least = min(before[0], after[0]) - rollout.strategy.unavailable
    assert found.fewest_ready >= max(0, least)
    assert rollout.is_down == (found.fewest_ready == 0)
