"""The defaults of the API server, which are the same as what is left out.

`tests/cluster/test_diff.py` compares all of them with the real server.
"""

from typing import Any

import pytest

from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.upgrade.changes import is_same
from vllm_constructs.upgrade.defaults import complete, has_defaults
from vllm_constructs.upgrade.stored import stored

from .both import changed, sample


@pytest.mark.parametrize(
    ("title", "path", "value"),
    [
        ("CSIDriver", ("spec", "fsGroupPolicy"), "ReadWriteOnceWithFSType"),
        ("CronJob", ("spec", "concurrencyPolicy"), "Allow"),
        ("CronJob", ("spec", "jobTemplate", "spec", "completions"), 1),
        ("DaemonSet", ("spec", "updateStrategy"), {"rollingUpdate": {"maxUnavailable": 1}}),
        ("Deployment", ("spec", "progressDeadlineSeconds"), 600),
        ("Deployment", ("spec", "strategy", "type"), "RollingUpdate"),
        ("HorizontalPodAutoscaler", ("spec", "minReplicas"), 1),
        ("HorizontalPodAutoscaler", ("spec", "behavior", "scaleDown", "selectPolicy"), "Max"),
        ("IngressClass", ("spec", "parameters", "scope"), "Cluster"),
        ("Job suspended", ("spec", "backoffLimit"), 6),
        ("Job suspended", ("spec", "completions"), 1),
        ("NetworkPolicy", ("spec", "policyTypes"), ["Ingress", "Egress"]),
        ("NetworkPolicy", ("spec", "ingress", 0, "ports", 0, "protocol"), "TCP"),
        ("PersistentVolume", ("spec", "persistentVolumeReclaimPolicy"), "Retain"),
        ("PersistentVolumeClaim", ("spec", "volumeMode"), "Filesystem"),
        ("PriorityClass", ("preemptionPolicy",), "PreemptLowerPriority"),
        ("ResourceClaim", ("spec", "devices", "requests", 0, "exactly", "count"), 1),
        ("RoleBinding", ("roleRef", "apiGroup"), "rbac.authorization.k8s.io"),
        ("Secret immutable", ("type",), "Opaque"),
        ("Service", ("spec", "internalTrafficPolicy"), "Cluster"),
        ("Service", ("spec", "ports", 1, "targetPort"), 9000),
        ("Service headless", ("spec", "clusterIPs"), ["None"]),
        ("Service headless", ("spec", "type"), "ClusterIP"),
        ("Service load balancer", ("spec", "allocateLoadBalancerNodePorts"), True),
        ("StatefulSet", ("spec", "volumeClaimTemplates", 0, "kind"), "PersistentVolumeClaim"),
        ("StatefulSet", ("spec", "persistentVolumeClaimRetentionPolicy"), {"whenScaled": "Retain"}),
        ("StorageClass", ("volumeBindingMode",), "Immediate"),
    ],
)
def test_defaults(title: str, path: tuple[str | int, ...], value: Any) -> None:
    """A default that is written out is no change."""
    old = sample(title)

    assert is_same(stored(old), stored(changed(old, *path, to=value)))


def test_labels() -> None:
    """An object without labels gets those of its pods, and a namespace one of its own."""
    job = changed(sample("Job"), "metadata", "labels", to={})
    space: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "llm"}}

    assert {"app": "qwen", "tier": "gpu"} == stored(job)["metadata"]["labels"]
    assert {"kubernetes.io/metadata.name": "llm"} == stored(space)["metadata"]["labels"]


def test_groups() -> None:
    """The webhook of LeaderWorkerSet has defaults, too."""
    found: dict[str, Any] = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": []}}}},
    }

    complete(found)

    assert 1 == found["spec"]["leaderWorkerTemplate"]["size"]
    rolling = {"maxSurge": 0, "maxUnavailable": 1, "partition": 0}
    assert rolling == found["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]
    pod = found["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    assert "ClusterFirst" == pod["dnsPolicy"]


def test_malformed() -> None:
    """What is not there gets no defaults, and what is malformed stays."""
    given: list[Any] = [None, 1, [], "x"]
    for spec in given:
        found: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {},
            "spec": spec,
        }
        complete(found)
        assert spec == found["spec"]


def test_known() -> None:
    """Defaults of custom resources are not known."""
    assert has_defaults(Manifest(sample("Deployment")))
    assert has_defaults(Manifest(sample("ConfigMap")))
    assert not has_defaults(Manifest(sample("HTTPRoute")))
    assert not has_defaults(Manifest(sample("ScaledObject")))
