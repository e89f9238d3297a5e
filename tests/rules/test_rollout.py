"""Rules of rollouts: R01 and R07."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import GPU, IMAGE, Manifest, engine, group, hpa, keda, made, workload
from .findings import found, ids, sentences

AMD = engine(resources={"limits": {"amd.com/gpu": "2"}})
CLAIMED = engine(resources={"claims": [{"name": "gpu"}]})
TEMPLATE = [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]
ONE_CLAIM = [{"name": "gpu", "resourceClaimName": "gpu"}]


def rolled(*containers: Manifest, strategy: Any = None, **spec: Any) -> Manifest:
    """A Deployment with a strategy, or without one."""
    given = {} if strategy is None else {"strategy": strategy}
    return workload("qwen", *containers, **given, **spec)


def rolling(**amounts: Any) -> dict[str, Any]:
    """A strategy with amounts."""
    return {"type": "RollingUpdate", "rollingUpdate": amounts}


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([rolled(replicas=1)], "strategy is left out, so that a rollout of 1 pod adds 1 more"),
        ([rolled(replicas=3)], "a rollout of 3 pods adds 1 more with 1 nvidia.com/gpu"),
        ([rolled(strategy={"type": "RollingUpdate"})], "rollingUpdate is left out"),
        ([rolled(strategy=rolling(maxSurge="25%", maxUnavailable="25%"))], "maxSurge: 25%"),
        ([rolled(), hpa(low=2, high=9)], "2 to 3 pods"),
        ([rolled(), keda(minReplicaCount=0, maxReplicaCount=2)], "1 to 2 pods"),
        (
            [rolled(strategy=rolling(maxSurge="100%", maxUnavailable=0), replicas=4)],
            "adds 4 more with 1 nvidia.com/gpu each",
        ),
        ([rolled(strategy=rolling(maxUnavailable="10%"), replicas=5)], "adds 2 more"),
        ([rolled(AMD, replicas=1)], "2 amd.com/gpu"),
        ([rolled(CLAIMED, replicas=1, pod={"resourceClaims": TEMPLATE})], "its claimed devices"),
    ],
)
def test_surge(objects: list[Manifest], says: str) -> None:
    """A surge that nobody has decided on, by whatever sets the replicas."""
    [one] = found(objects, "R01")

    assert "warning" == one.level
    assert says in one.problem.sentence()
    assert one.path[:2] == ("spec", "strategy")


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([rolled(strategy=rolling(maxSurge=1, maxUnavailable=0))], "a decision"),
        ([rolled(strategy=rolling(maxSurge=2, maxUnavailable=0), replicas=8)], "a decision"),
        ([rolled(strategy=rolling(maxSurge=1))], "a decision"),
        ([rolled(strategy=rolling(maxSurge="25%", maxUnavailable=0), replicas=4)], "one pod"),
        ([rolled(strategy=rolling(maxUnavailable=0), replicas=2)], "one pod"),
        ([rolled(strategy=rolling(maxSurge=0, maxUnavailable=1))], "no surge"),
        ([rolled(strategy=rolling(maxSurge=0))], "no surge, so the controller stops one"),
        ([rolled(strategy=rolling(maxUnavailable=1))], "an old pod stops first"),
        ([rolled(strategy={"type": "Recreate"})], "no surge"),
        ([rolled(replicas=4)], "a quarter of 4 may be missing"),
        ([rolled(), hpa(low=4, high=9)], "a quarter of 4 may be missing"),
        ([rolled(replicas=0)], "no pods"),
        ([rolled(engine(resources={"limits": {"cpu": "8"}}))], "no GPUs"),
        ([rolled(engine(resources={"limits": {"nvidia.com/gpumem": "8000"}}))], "no whole GPUs"),
        ([rolled(CLAIMED, pod={"resourceClaims": ONE_CLAIM})], "the new pod shares the claim"),
        ([workload(kind="StatefulSet", replicas=2)], "a StatefulSet adds no pod"),
        ([group()], "neither does a LeaderWorkerSet by default"),
        ([workload("ui", {"name": "ui", "image": "ui:1", "resources": GPU})], "no engine"),
    ],
)
def test_no_surge(objects: list[Manifest], why: str) -> None:
    """Rollouts that go on without spare GPUs, or that somebody has decided on."""
    assert [] == sentences(objects, "R01"), why


def test_fragment() -> None:
    """A patch of a Deployment says nothing about a strategy that it lacks."""
    patch = rolled(replicas=1)
    del patch["spec"]["selector"]

    assert [] == ids([patch], "R01")


@pytest.mark.parametrize(
    ("strategy", "field", "says"),
    [
        (rolling(maxSurge=0, maxUnavailable=0), "maxUnavailable", "no pod may be added or stopped"),
        (rolling(maxSurge="0%", maxUnavailable=0), "maxUnavailable", "rejects that"),
        (rolling(maxSurge="1", maxUnavailable=0), "maxSurge", "write 1 without quotes"),
        (
            rolling(maxSurge=1, maxUnavailable="one"),
            "maxUnavailable",
            "an integer, or a percentage",
        ),
        ({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}, "rollingUpdate", "is Recreate"),
    ],
)
def test_refused(strategy: dict[str, Any], field: str, says: str) -> None:
    """What the API server refuses, and is a mistake of the same kind."""
    [one] = found([rolled(strategy=strategy)], "R01")

    assert field == one.path[-1]
    assert says in one.problem.sentence()


def test_refused_group() -> None:
    """A LeaderWorkerSet has defaults of its own, and a webhook that refuses the same."""
    bad, good = group(), group()
    bad["spec"]["rolloutStrategy"] = {"rollingUpdateConfiguration": {"maxUnavailable": 0}}
    good["spec"]["rolloutStrategy"] = {"rollingUpdateConfiguration": {"maxSurge": 1}}

    [one] = found([bad], "R01")
    assert ("spec", "rolloutStrategy", "rollingUpdateConfiguration") == one.path[:3]
    assert [] == ids([good], "R01")


def labelled(kind: str = "Deployment", name: str = "qwen", **labels: str) -> Manifest:
    """A workload whose selector has labels; `__` stands for `/`, and `_` for `.`."""
    given = {key.replace("__", "/").replace("_", "."): one for key, one in labels.items()}
    return workload(name, kind=kind, labels={"app": name, **given})


@pytest.mark.parametrize(
    "objects",
    [
        labelled(app_kubernetes_io__version="0.33.0"),
        labelled("StatefulSet", helm_sh__chart="vllm-0.2.0"),
        labelled("DaemonSet", version="v0.33.0"),
        labelled(chart="vllm-stack-0.1.5"),
        labelled(tag="v0.33.0"),
        labelled(commit="4f2a9c1"),
        labelled(build="20261126"),
    ],
    ids=lambda one: str(one["spec"]["selector"]),
)
def test_version(objects: Manifest) -> None:
    """A label that changes with the release, in the selector of any workload."""
    [one] = found([objects], "R07")

    assert ("spec", "selector", "matchLabels") == one.path[:3]
    assert "changes with the next release" in one.problem.sentence()


def test_queue() -> None:
    """A label of Kueue, which changes while the pods run; also in an expression."""
    queue = {"kueue.x-k8s.io/queue-name": "gpus"}
    objects = workload(labels={"app": "qwen", **queue})
    expression = {"key": "app.kubernetes.io/version", "operator": "In", "values": ["1.0.0"]}
    selector = {"matchExpressions": [expression]}

    assert "the queue or the revision" in sentences([objects], "R07")[0]
    assert ["R07"] == ids([{**objects, "spec": {**objects["spec"], "selector": selector}}], "R07")


@pytest.mark.parametrize(
    "objects",
    [
        labelled(version="v1"),
        labelled(version="stable"),
        labelled(name="qwen-0-33-0", version="0.33.0"),
        labelled(model="qwen2.5-7b-instruct"),
        labelled(release="vllm-2025.1"),
        labelled(app_kubernetes_io__instance="vllm-0.33.0"),
        labelled(app_kubernetes_io__managed_by="Helm"),
        labelled(environment="test", release="test"),
        group(),
        made("Service", "qwen", {"selector": {"app.kubernetes.io/version": "0.33.0"}}),
        made("ReplicationController", "qwen", {"selector": {"version": "1.0.0"}}),
    ],
    ids=lambda one: str(one["spec"].get("selector"))[:60],
)
def test_stable(objects: Manifest) -> None:
    """Labels that tell one workload from another, and selectors that may change."""
    assert [] == sentences([objects], "R07")


def test_version_beside() -> None:
    """A version in the labels of the pods alone is right."""
    objects = workload()
    objects["spec"]["template"]["metadata"]["labels"] = {
        "app": "qwen",
        "app.kubernetes.io/version": IMAGE.rpartition(":")[2],
    }
    assert [] == ids([objects], "R07")
