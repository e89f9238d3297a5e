"""Pods of their own, and Jobs."""

from typing import Any

import pytest

from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings

from .both import Missing, changed, live, sample, upgraded, verdict

POD = ("spec", "template", "spec")
MORE = {"key": "more", "operator": "Exists"}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("containers", 0, "image"), "other", "changed"),
        (("initContainers", 0, "image"), "other", "changed"),
        (("containers", 0, "image"), Missing, "refused"),
        (("containers", 0, "args", 0), "other", "refused"),
        (("containers", 0, "resources", "limits", "memory"), "1Gi", "refused"),
        (("containers", 0, "resources", "limits", "memory"), "65536Mi", "nothing"),
        (("containers", 1), {"name": "more", "image": "a"}, "refused"),
        (("activeDeadlineSeconds",), 300, "changed"),
        (("activeDeadlineSeconds",), 900, "refused"),
        (("activeDeadlineSeconds",), Missing, "refused"),
        (("tolerations", 1), MORE, "changed"),
        (("tolerations", 0, "tolerationSeconds"), 5, "changed"),
        (("tolerations", 0, "effect"), "NoExecute", "refused"),
        (("tolerations",), Missing, "refused"),
        (("nodeSelector", "zone"), "a", "refused"),
        (("schedulingGates",), [{"name": "a"}], "refused"),
        (("terminationGracePeriodSeconds",), 60, "refused"),
    ],
)
def test_pod(path: tuple[str | int, ...], value: Any, expected: str) -> None:
    """Only images, a shorter deadline and more tolerations can be changed."""
    old = sample("Pod")

    assert expected == verdict(upgraded(old, changed(old, "spec", *path, to=value)))


def test_gated() -> None:
    """A pod that waits at a gate may lose it, and get fewer nodes."""
    old = sample("Pod gated")
    opened = changed(old, "spec", "schedulingGates", to=[{"name": "example.com/a"}])
    fewer = changed(old, "spec", "nodeSelector", "more", to="a")
    affinity = changed(old, "spec", "affinity", to=Missing)

    assert "changed" == verdict(upgraded(old, opened))
    assert "changed" == verdict(upgraded(old, fewer))
    assert "doubtful" == verdict(upgraded(old, affinity))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*POD, "containers", 0, "image"), "other"),
        (("spec", "template", "metadata", "labels", "a"), "b"),
        ((*POD, "nodeSelector", "zone"), "a"),
        (("spec", "completionMode"), "Indexed"),
        (("spec", "completions"), 3),
        (("spec", "podFailurePolicy"), Missing),
        (("spec", "backoffLimitPerIndex"), 1),
        (("spec", "selector"), {"matchLabels": {"a": "b"}}),
        (("spec", "managedBy"), "example.com/a"),
        (("spec", "successPolicy"), {"rules": []}),
    ],
)
def test_job(path: tuple[str | int, ...], value: Any) -> None:
    """The pods of a Job cannot be changed."""
    old = sample("Job")
    old["spec"].pop("ttlSecondsAfterFinished")

    assert "refused" == verdict(upgraded(old, changed(old, *path, to=value)))


@pytest.mark.parametrize("field", ["parallelism", "activeDeadlineSeconds", "backoffLimit"])
def test_job_numbers(field: str) -> None:
    """How many pods of a Job run, and for how long, can be changed."""
    old = sample("Job")

    assert "changed" == verdict(upgraded(old, changed(old, "spec", field, to=9)))


def test_indexed() -> None:
    """Completions of an indexed Job change with its parallelism."""
    old = sample("Job indexed")

    both = sample("Job indexed", completions=3, parallelism=3)
    assert "changed" == verdict(upgraded(old, both))
    assert "refused" == verdict(upgraded(old, sample("Job indexed", completions=3)))


class TestSuspended:
    """A Job that has not started yet may be sent to other nodes."""

    old = sample("Job suspended")

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("spec", "template", "metadata", "labels", "a"), "b"),
            ((*POD, "nodeSelector", "zone"), "a"),
            ((*POD, "tolerations"), Missing),
            ((*POD, "affinity"), Missing),
        ],
    )
    def test_nodes(self, path: tuple[str | int, ...], value: Any) -> None:
        """Where it runs, and its labels."""
        new = changed(self.old, *path, to=value)

        assert "doubtful" == verdict(upgraded(self.old, new))
        assert "refused" == verdict(upgraded(live(self.old, {"startTime": "2026"}), new))
        if value is not Missing:
            assert "changed" == verdict(upgraded(live(self.old), new))

    def test_resources(self) -> None:
        """What it needs, on new releases."""
        new = changed(self.old, *POD, "containers", 0, "resources", "limits", "memory", to="1Gi")

        assert "doubtful" == verdict(upgraded(self.old, new))
        for release, expected in (("1.35", "refused"), ("1.36", "changed"), ("1.37", "changed")):
            settings = Settings(kubernetes=Kubernetes(release))
            assert expected == verdict(upgraded(self.old, new, settings))

    def test_others(self) -> None:
        """Nothing else, and not all of its labels."""
        image = changed(self.old, *POD, "containers", 0, "image", to="other")
        labels = changed(self.old, "spec", "template", "metadata", "labels", to=Missing)
        pods = changed(self.old, *POD, "affinity", to={"podAffinity": {}})

        for new in (image, labels, pods):
            assert "refused" == verdict(upgraded(self.old, new))
