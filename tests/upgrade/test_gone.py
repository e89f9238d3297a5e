"""What is lost with objects that disappear."""

from typing import Any

import pytest

from tests.cluster.kinds import SAMPLES, made
from vllm_constructs.upgrade.gone import Gone

from .both import changed, sample, upgraded
from .models import deployment, group, pod, scaler, workload

Manifest = dict[str, Any]


def gone(old: list[Manifest], new: list[Manifest]) -> list[Gone]:
    """The objects that disappear."""
    return upgraded(old, new).gone


def losses(old: list[Manifest], new: list[Manifest]) -> list[str]:
    """What is lost with the one object that disappears."""
    (found,) = gone(old, new)
    return list(found.losses)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("PersistentVolumeClaim", "its data is deleted with it, unless the reclaim policy"),
        ("Service", "its name does not resolve any more"),
        ("PodDisruptionBudget", "may evict all pods at once"),
        ("NetworkPolicy", "what only it denied is allowed"),
        ("RoleBinding", "its subjects lose their permissions"),
        ("HTTPRoute", "clients of llm.example.com get no answer"),
        ("Ingress", "clients of llm.example.com get no answer"),
        ("StorageClass", "new claims that name it stay unbound"),
    ],
)
def test_losses(title: str, words: str) -> None:
    """Each kind has something to lose."""
    (found,) = losses([sample(title)], [])

    assert words in found


def test_scalers() -> None:
    """A workload that stays is not scaled any more."""
    old = [deployment(None), scaler(1, 4)]

    assert ["nothing scales Deployment llm/qwen any more"] == losses(old, old[:1])
    assert [(), ("its 4 pods stop",)] == sorted(one.losses for one in gone(old, []))


def test_nothing() -> None:
    """Of others it is only said that they disappear."""
    assert [] == losses([SAMPLES["ConfigMap"]], [])
    assert [] == gone([SAMPLES["ConfigMap"]], [SAMPLES["ConfigMap"]])


class TestClaims:
    """Claims, with their data."""

    def test_kept(self) -> None:
        """A class may keep the volumes of its claims."""
        kept = made("storage.k8s.io/v1", "StorageClass", provisioner="a", reclaimPolicy="Retain")
        kept["metadata"]["name"] = "bed"

        (found,) = losses([SAMPLES["PersistentVolumeClaim"], kept], [kept])

        assert found.startswith("its volume stays")

    def test_renamed(self) -> None:
        """A claim of another name is empty."""
        new = changed(SAMPLES["PersistentVolumeClaim"], "metadata", "name", to="weights-2")

        found = losses([SAMPLES["PersistentVolumeClaim"]], [new])

        assert "PersistentVolumeClaim weights-2 appears and is empty" in found[1]

    def test_named(self) -> None:
        """Pods that name it still will not start."""
        old = changed(SAMPLES["PersistentVolumeClaim"], "metadata", "name", to="weights")
        user = SAMPLES["Deployment"]

        assert "still named by Deployment x" == losses([old, user], [user])[-1]
        other = changed(user, "metadata", "name", to="y")
        assert (
            "still named by Deployment x and 1 more"
            == losses([old, user, other], [user, other])[-1]
        )
        away = changed(user, "metadata", "namespace", to="other")
        here = changed(old, "metadata", "namespace", to="llm")
        assert 1 == len(losses([here, away], [away]))


class TestWorkloads:
    """Workloads, with their pods and GPUs."""

    def test_pods(self) -> None:
        """The pods stop, and their GPUs are free."""
        (found,) = gone([deployment(3, gpus=2)], [])

        assert ("its 3 pods stop",) == found.losses
        assert found.stops
        assert 6 == found.gpus["NVIDIA-L40S"].before
        assert ["its 1 pod stops"] == losses([deployment()], [])
        assert ["its 1 group stops"] == losses([group()], [])
        assert ["its pods stop"] == losses([workload("DaemonSet", pod())], [])

    def test_claims(self) -> None:
        """The claims of a StatefulSet stay, or not."""
        old = sample("StatefulSet")
        policy = {"whenDeleted": "Delete"}

        assert "its claims stay" in losses([old], [])
        found = losses([sample("StatefulSet", persistentVolumeClaimRetentionPolicy=policy)], [])
        assert "its claims and their data are deleted" in found

    def test_renamed(self) -> None:
        """A StatefulSet of another name has claims of other names."""
        new = changed(SAMPLES["StatefulSet"], "metadata", "name", to="y")

        assert "StatefulSet y appears, whose pods get new, empty claims" in losses(
            [SAMPLES["StatefulSet"]], [new]
        )

    def test_moved(self) -> None:
        """The same under another name is told, something else is not."""
        same = changed(deployment(), "metadata", "name", to="other")

        assert "Deployment llm/other appears with the same content" in losses(
            [deployment()], [same]
        )
        assert ["its 1 pod stops"] == losses(
            [deployment()], [changed(same, "spec", "replicas", to=2)]
        )
        away = changed(same, "metadata", "namespace", to="other")
        assert ["its 1 pod stops"] == losses([deployment()], [away])
