"""Pod templates of objects."""

from typing import Any

import pytest

from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import Pod, pods_of

POD = {"containers": [{"name": "a"}]}
TEMPLATE = {"metadata": {"labels": {"x": "y"}}, "spec": POD}


def pods(api_version: str, kind: str, **body: Any) -> list[Pod]:
    """The pods of an object."""
    metadata = {"name": "n", "namespace": "llm"}
    return list(
        pods_of(Manifest({"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}))
    )


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "path"),
    [
        (
            "apps/v1",
            "Deployment",
            {"selector": {}, "template": TEMPLATE},
            ("spec", "template", "spec"),
        ),
        (
            "apps/v1",
            "StatefulSet",
            {"selector": {}, "template": TEMPLATE},
            ("spec", "template", "spec"),
        ),
        ("batch/v1", "Job", {"template": TEMPLATE}, ("spec", "template", "spec")),
        (
            "batch/v1",
            "CronJob",
            {"jobTemplate": {"spec": {"template": TEMPLATE}}},
            ("spec", "jobTemplate", "spec", "template", "spec"),
        ),
        ("argoproj.io/v1alpha1", "Rollout", {"template": TEMPLATE}, ("spec", "template", "spec")),
        (
            "orchestration.aibrix.ai/v1alpha1",
            "StormService",
            {"template": {"spec": {"roles": [{"template": TEMPLATE}]}}},
            ("spec", "template", "spec", "roles", 0, "template", "spec"),
        ),
    ],
)
def test_template(
    api_version: str, kind: str, spec: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """The template of each kind is found, with its path."""
    (pod,) = pods(api_version, kind, spec=spec)
    assert (path, POD, {"x": "y"}, "", True) == (
        pod.path,
        pod.spec,
        pod.labels,
        pod.role,
        pod.is_whole,
    )
    assert POD == pod.manifest.at(*pod.path)


def test_bare_pod() -> None:
    """A pod is its own template."""
    (pod,) = pods("v1", "Pod", spec=POD)
    assert ("spec",) == pod.path


@pytest.mark.parametrize(
    ("api_version", "kind", "body"),
    [
        ("v1", "Service", {"spec": {"template": TEMPLATE}}),
        ("example.com/v1", "Deployment", {"spec": {"template": TEMPLATE}}),
        ("apps/v1", "Deployment", {"spec": {"template": "x"}}),
        ("apps/v1", "Deployment", {"spec": None}),
        ("serving.kserve.io/v1beta1", "InferenceService", {"spec": {"predictor": {}}}),
    ],
)
def test_none(api_version: str, kind: str, body: dict[str, Any]) -> None:
    """Other kinds, and objects without a template, have no pods."""
    assert [] == pods(api_version, kind, **body)


def test_group() -> None:
    """A group of pods has a leader and workers, or one template for both."""
    both = {"leaderTemplate": TEMPLATE, "workerTemplate": TEMPLATE}
    api_version, kind = "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"
    leader, worker = pods(api_version, kind, spec={"leaderWorkerTemplate": both})
    assert ("leader", "worker") == (leader.role, worker.role)
    assert "0" == leader.labels["leaderworkerset.sigs.k8s.io/worker-index"]
    assert "n" == worker.labels["leaderworkerset.sigs.k8s.io/name"]
    (one,) = pods(api_version, kind, spec={"leaderWorkerTemplate": {"workerTemplate": TEMPLATE}})
    assert "both" == one.role


def test_roles() -> None:
    """A set of roles has a group for each."""
    group = {"spec": {"leaderWorkerTemplate": {"workerTemplate": TEMPLATE}}}
    found = pods("disaggregatedset.x-k8s.io/v1", "DisaggregatedSet", spec={"roles": [group, group]})
    assert ["both", "both"] == [one.role for one in found]
    assert ("spec", "roles", 1, "spec", "leaderWorkerTemplate", "workerTemplate", "spec") == (
        found[1].path
    )


def test_partial() -> None:
    """What an operator completes is not whole."""
    (pod,) = pods("serving.kserve.io/v1beta1", "InferenceService", spec={"predictor": POD})
    assert (("spec", "predictor"), False, {}) == (pod.path, pod.is_whole, pod.labels)


def test_patch() -> None:
    """A Deployment without a selector is a patch, which says nothing by what it lacks."""
    (pod,) = pods("apps/v1", "Deployment", spec={"template": TEMPLATE})
    assert (True, False, {"x": "y"}) == (pod.is_patch, pod.is_whole, pod.labels)


def test_containers() -> None:
    """Sidecars run beside the containers; other init containers do not."""
    spec = {
        "containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8000}]}, 5],
        "initContainers": [{"name": "b"}, {"name": "c", "restartPolicy": "Always"}],
        "securityContext": {"runAsUser": 1, "runAsNonRoot": True},
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    (pod,) = pods("v1", "Pod", spec=spec)
    assert ["a", "c"] == [one["name"] for _, one in pod.containers]
    assert ["a", "b", "c"] == [one["name"] for _, one in pod.all_containers]
    assert {"http": 8000} == pod.ports
    assert (("spec", "volumes", 0), {"name": "v", "emptyDir": {}}) == pod.volumes["v"]
    own = {"securityContext": {"runAsUser": 2}}
    assert (2, True) == (pod.security(own, "runAsUser"), pod.security(own, "runAsNonRoot"))


def test_entries() -> None:
    """A role whose pods have workers is an engine over two templates, and not read."""
    alone = {"name": "a", "entryTemplate": TEMPLATE, "workerReplicas": 0}
    several = {"name": "b", "entryTemplate": TEMPLATE, "workerReplicas": 1}
    roles = {"template": {"roles": [several, alone]}}
    (pod,) = pods("workload.serving.volcano.sh/v1alpha1", "ModelServing", spec=roles)
    assert ("spec", "template", "roles", 1, "entryTemplate", "spec") == pod.path
