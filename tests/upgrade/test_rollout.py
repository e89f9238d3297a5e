"""Which workloads replace their pods, or change their number."""

from copy import deepcopy
from typing import Any

import pytest

from vllm_constructs.upgrade.rollout import Rollout

from .both import Missing, changed, live, upgraded
from .models import deployment, group, pod, scaler, workload

Manifest = dict[str, Any]
IMAGE = ("spec", "template", "spec", "containers", 0, "image")
L40S = "NVIDIA-L40S"


def only(old: Manifest | list[Manifest], new: Manifest | list[Manifest]) -> Rollout:
    """The one workload that changes."""
    (found,) = upgraded(old, new).rollouts
    return found


def rolled(manifest: Manifest) -> Manifest:
    """A workload with another image."""
    return changed(manifest, *IMAGE, to="vllm/vllm-openai:v0.33.1")


def gpus(found: Rollout) -> tuple[int, int, int]:
    """The GPUs before, at most and after."""
    one = found.gpus[L40S]
    return one.before, one.peak, one.after


class TestRolls:
    """Whether pods are replaced."""

    @pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
    def test_template(self, kind: str) -> None:
        """A change of the template does, another one does not."""
        old = workload(kind, pod())

        assert only(old, rolled(old)).is_rolling
        assert [] == upgraded(old, changed(old, "metadata", "labels", to={"a": "b"})).rollouts
        assert [] == upgraded(old, changed(old, "spec", "revisionHistoryLimit", to=3)).rollouts
        assert [] == upgraded(old, deepcopy(old)).rollouts

    @pytest.mark.parametrize("kind", ["ReplicaSet", "CronJob"])
    def test_never(self, kind: str) -> None:
        """Some kinds leave the pods that they have."""
        old = workload(kind, pod())

        assert [] == upgraded(old, rolled(old)).rollouts

    def test_order(self) -> None:
        """The order of variables is a change of the template, defaults are none."""
        old = deployment()
        env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        container = IMAGE[:-1]
        one = changed(old, *container, "env", to=env)

        assert only(one, changed(old, *container, "env", to=env[::-1])).is_rolling
        assert (
            []
            == upgraded(
                old, changed(old, *container, "imagePullPolicy", to="IfNotPresent")
            ).rollouts
        )

    def test_groups(self) -> None:
        """Groups roll by their templates, their size and their network."""
        old = group()

        assert only(old, group(size=4)).is_rolling
        assert only(
            old, changed(old, "spec", "networkConfig", "subdomainPolicy", to="UniquePerReplica")
        ).is_rolling
        assert "group" == only(old, group(size=4)).unit
        assert [] == upgraded(old, changed(old, "spec", "startupPolicy", to="LeaderReady")).rollouts

    @pytest.mark.parametrize(
        ("api", "kind", "path"),
        [
            ("argoproj.io/v1alpha1", "Rollout", ("spec", "template", "spec", "a")),
            ("serving.kserve.io/v1beta1", "InferenceService", ("spec", "predictor", "a")),
            ("serving.kserve.io/v1alpha1", "LLMInferenceService", ("spec", "a")),
            ("orchestration.aibrix.ai/v1alpha1", "RoleSet", ("spec", "roles")),
        ],
    )
    def test_operated(self, api: str, kind: str, path: tuple[str, ...]) -> None:
        """Operators roll pods in their own ways, which are not counted."""
        old = {"apiVersion": api, "kind": kind, "metadata": {"name": "a"}, "spec": {}}
        found = only(old, changed(old, *path, to=1))

        assert found.is_rolling
        assert found.strategy is None
        assert not found.is_down
        assert {} == found.gpus
        assert [] == upgraded(old, changed(old, "metadata", "labels", to={"a": "b"})).rollouts

    def test_held(self) -> None:
        """A Deployment that is paused rolls later, with the GPUs that it has."""
        old = deployment(2)
        new = rolled(old)
        new["spec"]["paused"] = True
        found = only(old, new)

        assert not found.is_rolling
        assert not found.stops
        assert (2, 2, 2) == gpus(found)


class TestGpus:
    """The GPUs that a rollout takes."""

    @pytest.mark.parametrize(
        ("before", "after", "numbers", "expected"),
        [
            ((3, 1), (3, 1), (1, 0), (3, 4, 3)),
            ((3, 1), (3, 2), (1, 0), (3, 7, 6)),
            ((3, 2), (3, 1), (1, 0), (6, 7, 3)),
            ((3, 1), (3, 1), (0, 1), (3, 3, 3)),
            ((2, 1), (4, 1), (1, 0), (2, 5, 4)),
            ((4, 1), (2, 1), (1, 0), (4, 4, 2)),
        ],
    )
    def test_deployment(
        self,
        before: tuple[int, int],
        after: tuple[int, int],
        numbers: tuple[int, int],
        expected: tuple[int, int, int],
    ) -> None:
        """As `tests/cluster/test_diff.py` has watched it."""
        strategy = {"rollingUpdate": {"maxSurge": numbers[0], "maxUnavailable": numbers[1]}}
        old = deployment(before[0], strategy, gpus=before[1])
        new = rolled(deployment(after[0], strategy, gpus=after[1]))

        assert expected == gpus(only(old, new))

    def test_recreate(self) -> None:
        """Old pods are gone before new ones start."""
        strategy = {"type": "Recreate"}

        found = only(deployment(3, strategy), rolled(deployment(3, strategy, gpus=2)))

        assert (3, 6, 6) == gpus(found)
        assert found.is_down

    def test_kinds(self) -> None:
        """Other GPUs have a count of their own."""
        old = deployment(2)
        path = ("spec", "template", "spec", "nodeSelector", "nvidia.com/gpu.product")
        found = only(old, changed(old, *path, to="NVIDIA-L4"))

        assert (2, 2, 0) == gpus(found)
        other = found.gpus["NVIDIA-L4"]
        assert (0, 2, 2) == (other.before, other.peak, other.after)


class TestNumber:
    """How many pods there are."""

    def test_replicas(self) -> None:
        """More or fewer, without a rollout."""
        more, fewer = only(deployment(1), deployment(3)), only(deployment(3), deployment(1))

        assert (1, 3) == (more.before, more.after)
        assert (False, True) == (more.stops, fewer.stops)
        assert not fewer.is_rolling
        assert (3, 3, 1) == gpus(fewer)

    def test_default(self) -> None:
        """Without a number there is one."""
        assert (3, 1) == (
            only(deployment(3), deployment(None)).before,
            only(deployment(3), deployment(None)).after,
        )

    def test_scaler(self) -> None:
        """A scaler sets the most; another range changes the number."""
        old, new = [deployment(None), scaler(1, 4)], [deployment(None), scaler(1, 8)]
        found = only(old, new)

        assert (4, 8, True) == (found.before, found.after, found.is_most)
        assert [] == upgraded(old, deepcopy(old)).rollouts

    def test_left_out(self) -> None:
        """Left to a scaler, the number falls to one before the scaler raises it."""
        found = only(deployment(3), [deployment(None), scaler(1, 4)])

        assert "spec.replicas (3) is left out" in found.note
        assert found.stops
        assert [] == upgraded(deployment(1), [deployment(None), scaler(1, 1)]).rollouts

    def test_annotation(self) -> None:
        """An annotation tells the range of a scaler that is elsewhere."""
        key = "vllm-constructs.dev/replicas"
        old = changed(deployment(None), "metadata", "annotations", to={key: "0-8"})

        assert 8 == only(old, rolled(old)).before

    def test_live(self) -> None:
        """A cluster tells how many there are now."""
        shown = live(deployment(5))
        free, scaled = deployment(None), [deployment(None), scaler(1, 4)]

        assert [] == upgraded(shown, free).rollouts
        assert (5, 5) == (only(shown, rolled(free)).before, only(shown, rolled(free)).after)
        assert (5, 4) == (only(shown, scaled).before, only(shown, scaled).after)
        assert (5, 2) == (only(shown, deployment(2)).before, only(shown, deployment(2)).after)
        assert [] == upgraded([shown, scaled[1]], scaled).rollouts

    def test_daemon_set(self) -> None:
        """Of a DaemonSet it is not known."""
        old = workload("DaemonSet", pod())
        found = only(old, rolled(old))

        assert found.before is None
        assert {} == found.gpus
        assert not found.is_down


@pytest.mark.parametrize(
    ("replicas", "strategy", "expected"),
    [
        (1, {}, False),
        (1, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, True),
        (1, {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}, True),
        (3, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, False),
        (3, {"rollingUpdate": {"maxUnavailable": "100%"}}, True),
        (3, {"type": "Recreate"}, True),
    ],
)
def test_is_down(replicas: int, strategy: Manifest, *, expected: bool) -> None:
    """Whether there is a time without a ready pod."""
    old = deployment(replicas, strategy)

    assert expected == only(old, rolled(old)).is_down


def test_selector() -> None:
    """What is refused does not roll."""
    old = deployment()
    new = changed(rolled(old), "spec", "selector", to=Missing)

    assert [] == upgraded(old, new).rollouts
