"""Rules of volumes and claims: R02 and R03."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import Manifest, claim, engine, group, hpa, keda, made, mounted, workload
from .findings import found, ids, sentences

RECREATE = {"type": "Recreate"}
ONE = "ReadWriteOnce"
ONE_POD = "ReadWriteOncePod"


def caching(name: str = "qwen", *, claim_name: str = "weights", **spec: Any) -> Manifest:
    """A workload whose engine mounts a claim; nothing is added in its rollouts."""
    pod = {**mounted(claim_name), **spec.pop("pod", {})}
    given = {"strategy": RECREATE} if spec.get("kind", "Deployment") == "Deployment" else {}
    return workload(name, pod=pod, **{**given, **spec})


@pytest.mark.parametrize(
    "objects",
    [
        [claim("weights", ONE), caching(replicas=2)],
        [claim("weights", ONE), caching(), hpa(high=3)],
        [claim("weights", ONE), caching(), keda(minReplicaCount=1)],
        [claim("weights", ONE_POD), caching(replicas=2)],
        [claim("weights", ONE), caching(kind="StatefulSet", replicas=3)],
        [claim("weights", ONE), group(**mounted())],
        [{**claim("weights", ONE), "metadata": {"name": "weights"}}, caching(replicas=2)],
        [claim("weights", ONE, storageClassName="gp3"), caching(replicas=2)],
    ],
)
def test_several(objects: list[Manifest]) -> None:
    """Several pods of a claim that one node mounts."""
    [one] = found(objects, "R02")

    assert ("spec", "accessModes") == one.path
    assert "PersistentVolumeClaim" == one.manifest.kind
    assert "which pods on two nodes cannot mount" in one.problem.sentence()


@pytest.mark.parametrize(
    "strategy",
    [
        None,
        {"type": "RollingUpdate"},
        {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        {"rollingUpdate": {"maxSurge": "100%"}},
    ],
)
def test_surge(strategy: Any) -> None:
    """The new pod of a rollout waits for the volume of the old one."""
    bad = workload(
        pod=mounted(), replicas=1, **({} if strategy is None else {"strategy": strategy})
    )
    [one] = found([claim("weights", ONE), bad], "R02")

    assert ("spec", "strategy") == one.path
    assert "starts a new pod before the old one stops" in one.problem.sentence()


def test_two_workloads() -> None:
    """A claim of one pod that two workloads mount; one of one node may be on that."""
    both = [caching(), caching("coder")]

    assert "only one pod can" in sentences([claim("weights", ONE_POD), *both], "R02")[0]
    assert [] == ids([claim("weights", ONE), *both], "R02")


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([claim(), caching(replicas=4)], "many nodes"),
        ([claim("weights", "ReadOnlyMany"), caching(replicas=4)], "many nodes read"),
        ([claim("weights", ONE, "ReadWriteMany"), caching(replicas=4)], "one of the modes"),
        ([claim("weights", ONE), caching()], "one pod"),
        ([claim("weights", ONE), caching(), keda(minReplicaCount=0, maxReplicaCount=1)], "one"),
        ([claim("weights", ONE), caching(claim_name="other", replicas=2)], "another claim"),
        ([caching(replicas=2)], "a claim of other manifests"),
        ([claim("weights", ONE, storageClassName="local-path"), caching(replicas=2)], "one node"),
        ([claim("weights", ONE, storageClassName="hostpath"), workload(pod=mounted())], "one node"),
        (
            [
                claim("weights", ONE, volumeName="disk"),
                made("PersistentVolume", "disk", {"hostPath": {"path": "/data"}}),
                caching(replicas=2),
            ],
            "one node",
        ),
        (
            [
                claim("weights", ONE),
                caching(replicas=2, pod={"nodeSelector": {"kubernetes.io/hostname": "gpu-1"}}),
            ],
            "all pods run on one node",
        ),
        (
            [
                claim("weights", ONE),
                workload(pod=mounted(), strategy={"rollingUpdate": {"maxSurge": 0}}),
            ],
            "the controller stops the old pod first",
        ),
        (
            [claim("weights", ONE), workload("db", {"name": "db", "image": "db:1"}, replicas=2)],
            "no engine",
        ),
    ],
)
def test_shared(objects: list[Manifest], why: str) -> None:
    """Claims that the pods can mount."""
    assert [] == sentences(objects, "R02"), why


def test_own_claims() -> None:
    """Each pod of a StatefulSet has a claim of its own, of a template."""
    template = {"metadata": {"name": "cache"}, "spec": {"accessModes": [ONE_POD]}}
    mounts = [{"name": "cache", "mountPath": "/root/.cache/huggingface"}]
    objects = workload(
        "qwen",
        engine(volumeMounts=mounts),
        kind="StatefulSet",
        replicas=3,
        volumeClaimTemplates=[template],
    )
    assert [] == ids([objects], "R02", "R03")


@pytest.mark.parametrize(
    ("modes", "says", "right"),
    [
        (["RWX"], "give ReadWriteMany", "ReadWriteMany"),
        (["rwo"], "give ReadWriteOnce", ONE),
        (["ReadWriteMay"], "did you mean 'ReadWriteMany'?", None),
        ([None], "expected one of", None),
        (["ReadWriteMany", ONE_POD], "takes it only alone", None),
    ],
)
def test_modes(modes: list[Any], says: str, right: str | None) -> None:
    """What the API server refuses, in claims and in templates."""
    template = {"metadata": {"name": "cache"}, "spec": {"accessModes": modes}}
    objects = [
        claim("weights", *modes),
        workload(kind="StatefulSet", volumeClaimTemplates=[template]),
    ]
    both = found(objects, "R02")

    assert 2 == len(both)
    for one in both:
        assert says in one.problem.sentence()
        assert right == (one.fix and one.fix.edits[0].value)
        assert right is None or (one.fix and one.fix.is_safe)


def mounting(*mounts: dict[str, Any], **pod: Any) -> Manifest:
    """A Deployment with mounts."""
    return workload("qwen", engine(volumeMounts=list(mounts)), pod=pod)


CACHE = {"name": "cache", "mountPath": "/cache"}
VOLUMES = [{"name": "cache", "emptyDir": {}}, {"name": "shm", "emptyDir": {"medium": "Memory"}}]


@pytest.mark.parametrize(
    ("objects", "field", "says"),
    [
        (mounting(CACHE), "name", "no volume of that name; declare it"),
        (mounting({**CACHE, "name": "cahce"}, volumes=VOLUMES), "name", "did you mean 'cache'?"),
        (mounting({"mountPath": "/x"}, volumes=VOLUMES), "name", "is 'None'"),
        (
            mounting(CACHE, {"name": "shm", "mountPath": "/cache/"}, volumes=VOLUMES),
            "mountPath",
            "on which volumeMounts[0] is mounted already",
        ),
        (
            workload(
                pod={"initContainers": [{"name": "a", "image": "a:1", "volumeMounts": [CACHE]}]}
            ),
            "name",
            "no volume of that name",
        ),
        (
            workload(
                "qwen",
                engine(volumeMounts=[CACHE]),
                kind="StatefulSet",
                volumeClaimTemplates=[{"metadata": {"name": "data"}}],
            ),
            "name",
            "no volume of that name",
        ),
        (group(containers=[engine(volumeMounts=[CACHE])]), "name", "no volume of that name"),
    ],
)
def test_mount(objects: Manifest, field: str, says: str) -> None:
    """A mount without its volume, and two on one path, in any container."""
    [one] = found([objects], "R03")

    assert field == one.path[-1]
    assert says in one.problem.sentence()


@pytest.mark.parametrize(
    "objects",
    [
        mounting(CACHE, volumes=VOLUMES),
        mounting(CACHE, {**CACHE, "mountPath": "/other", "subPath": "x"}, volumes=VOLUMES),
        workload("qwen", {"name": "vllm", "volumeMounts": [CACHE]}),
        made(
            "InferenceService",
            "qwen",
            {"predictor": {"containers": [engine(volumeMounts=[CACHE])]}},
            api="serving.kserve.io/v1beta1",
        ),
    ],
    ids=["declared", "twice, on two paths", "a patch", "completed by an operator"],
)
def test_mounted(objects: Manifest) -> None:
    """Mounts that are right, or whose volumes are elsewhere."""
    assert [] == sentences([objects], "R03")


@pytest.mark.parametrize(
    ("there", "wanted", "level"),
    [
        ("weights", "weigths", "error"),
        ("model-cache", "model_cache", "error"),
        ("model-weights", "model-weight", "error"),
        ("model-cache-pvc", "model-cache", "warning"),
    ],
)
def test_misspelt(there: str, wanted: str, level: str) -> None:
    """A claim that is not there, beside one of nearly the same name."""
    [one] = found([claim(there), caching(claim_name=wanted)], "R03")

    assert level == one.level
    assert f"did you mean {there!r}?" in one.problem.sentence()
    assert ("persistentVolumeClaim", "claimName") == one.path[-2:]


def test_namespace() -> None:
    """A claim of another namespace, which pods cannot mount."""
    other = claim()
    other["metadata"]["namespace"] = "default"
    [one] = found([other, caching()], "R03")

    assert "warning" == one.level
    assert "is in namespace 'default'" in one.problem.sentence()


@pytest.mark.parametrize(
    "objects",
    [
        [caching(claim_name="elsewhere")],
        [claim("weights"), caching(claim_name="elsewhere")],
        [claim("llama-7b"), caching(claim_name="llama-8b")],
        [claim("cache-dev"), caching(claim_name="cache-prod")],
        [claim("weights-a"), caching(claim_name="weights-a"), caching("b", claim_name="weights-b")],
        [claim("models"), caching(claim_name="models"), caching("b", claim_name="models-eu")],
        [{**claim(), "metadata": {"name": "weights"}}, caching()],
    ],
    ids=lambda one: str(len(one)),
)
def test_elsewhere(objects: list[Manifest]) -> None:
    """Claims that other manifests may have."""
    assert [] == sentences(objects, "R03")
