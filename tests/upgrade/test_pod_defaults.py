"""The defaults of pods, of which none rolls a pod when it is written out."""

from typing import Any

import pytest

from vllm_constructs.upgrade.changes import is_same
from vllm_constructs.upgrade.stored import stored

from .both import Missing, changed, sample

POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*POD, "restartPolicy"), "Always"),
        ((*POD, "dnsPolicy"), "ClusterFirst"),
        ((*POD, "schedulerName"), "default-scheduler"),
        ((*POD, "terminationGracePeriodSeconds"), 30),
        ((*POD, "serviceAccount"), "qwen"),
        ((*CONTAINER, "imagePullPolicy"), "IfNotPresent"),
        ((*CONTAINER, "terminationMessagePath"), "/dev/termination-log"),
        ((*CONTAINER, "terminationMessagePolicy"), "File"),
        ((*CONTAINER, "ports", 0, "protocol"), "TCP"),
        ((*CONTAINER, "env", 2, "valueFrom", "fieldRef", "apiVersion"), "v1"),
        ((*CONTAINER, "startupProbe", "periodSeconds"), 10),
        ((*CONTAINER, "startupProbe", "periodSeconds"), 0),
        ((*CONTAINER, "readinessProbe", "failureThreshold"), 3),
        ((*CONTAINER, "readinessProbe", "httpGet", "path"), "/"),
        ((*CONTAINER, "readinessProbe", "httpGet", "scheme"), "HTTP"),
        ((*CONTAINER, "livenessProbe", "grpc", "service"), ""),
        ((*POD, "initContainers", 0, "resources"), {}),
        ((*POD, "initContainers", 0, "resources"), {"limits": {}}),
        ((*POD, "volumes", 2, "configMap", "defaultMode"), 420),
        ((*POD, "volumes", 3, "projected", "defaultMode"), 420),
        (
            (
                *POD,
                "volumes",
                3,
                "projected",
                "sources",
                0,
                "serviceAccountToken",
                "expirationSeconds",
            ),
            3600,
        ),
    ],
)
def test_defaults(path: tuple[str | int, ...], value: Any) -> None:
    """A default of a pod that is written out is no change."""
    old = sample("Deployment")

    assert is_same(stored(old), stored(changed(old, *path, to=value)))


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("vllm/vllm-openai", "Always"),
        ("vllm/vllm-openai:latest", "Always"),
        ("vllm/vllm-openai:v1", "IfNotPresent"),
        ("registry:5000/vllm", "Always"),
        ("registry:5000/vllm:v1", "IfNotPresent"),
        (f"vllm@sha256:{'0' * 64}", "IfNotPresent"),
        (f"vllm:latest@sha256:{'0' * 64}", "Always"),
        (None, "Always"),
    ],
)
def test_pull(image: str | None, policy: str) -> None:
    """The policy follows from the tag."""
    found = stored(changed(sample("Deployment"), *CONTAINER, "image", to=image))

    assert policy == found["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"]


def test_empty_volume() -> None:
    """A volume without a source is empty."""
    old = changed(sample("Deployment"), *POD, "volumes", 1, to={"name": "shm"})

    new = changed(old, *POD, "volumes", 1, "emptyDir", to={})

    assert is_same(stored(old), stored(new))


def test_claims() -> None:
    """Volumes with claims of their own, images, and what is malformed."""
    template = {"spec": {"accessModes": ["ReadWriteOnce"]}}
    volumes: list[Any] = [
        {"name": "a", "ephemeral": {"volumeClaimTemplate": template}},
        {"name": "b", "image": {"reference": "a:v1"}},
        {"name": "c", "hostPath": {"path": "/a"}},
        {"name": "d", "configMap": "x"},
        "e",
    ]

    found = stored(changed(sample("Deployment"), *POD, "volumes", to=volumes))

    one, two, three, *rest = found["spec"]["template"]["spec"]["volumes"]
    assert "Filesystem" == one["ephemeral"]["volumeClaimTemplate"]["spec"]["volumeMode"]
    assert "IfNotPresent" == two["image"]["pullPolicy"]
    assert "" == three["hostPath"]["type"]
    assert [{"name": "d", "configMap": "x"}, "e"] == rest


def test_left_out() -> None:
    """A pod without containers gets the defaults of pods nevertheless."""
    found = stored(changed(sample("Deployment"), *POD, "containers", to=Missing))

    assert "Always" == found["spec"]["template"]["spec"]["restartPolicy"]
