"""Rules of the folder that models are downloaded into: R04 and R05."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import IMAGE, MODEL, Manifest, claim, engine, group, hpa, keda, made, workload
from .findings import found, ids, sentences

HUB = "/root/.cache/huggingface"
OFFLINE = {"name": "HF_HUB_OFFLINE", "value": "1"}
CLAIM = {"persistentVolumeClaim": {"claimName": "weights"}}
EMPTY: dict[str, Any] = {"emptyDir": {}}


def cached(
    *args: str,
    source: dict[str, Any] | None = None,
    path: str = HUB,
    mount: dict[str, Any] | None = None,
    env: list[dict[str, Any]] | None = None,
    container: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    """A Deployment with a volume at a path."""
    mounts = [{"name": "cache", "mountPath": path, **(mount or {})}]
    one = engine(*args, volumeMounts=mounts, env=env or [], **(container or {}))
    volumes = [{"name": "cache", **(CLAIM if source is None else source)}]
    return workload("qwen", one, pod={"volumes": volumes, **(pod or {})}, **spec)


READ_ONLY = {"readOnly": True}


@pytest.mark.parametrize(
    "objects",
    [
        cached(mount=READ_ONLY),
        cached(source={"persistentVolumeClaim": {"claimName": "weights", "readOnly": True}}),
        cached(source={"nfs": {"server": "nfs", "path": "/", "readOnly": True}}),
        cached(source={"csi": {"driver": "gcsfuse.csi.storage.gke.io", "readOnly": True}}),
        cached(mount=READ_ONLY, path="/root/.cache"),
        cached(mount=READ_ONLY, path=f"{HUB}/hub"),
        cached(mount=READ_ONLY, path="/data", env=[{"name": "HF_HOME", "value": "/data"}]),
        cached(mount=READ_ONLY, path="/m", env=[{"name": "HF_HUB_CACHE", "value": "/m/hub"}]),
        cached(mount=READ_ONLY, path="/x", env=[{"name": "XDG_CACHE_HOME", "value": "/x"}]),
        cached(mount=READ_ONLY, path="/home/me", env=[{"name": "HOME", "value": "/home/me"}]),
        cached(MODEL, "--download-dir", "/models", mount=READ_ONLY, path="/models"),
        cached("--model", MODEL, "--download_dir=/models", mount=READ_ONLY, path="/models"),
        cached(MODEL, "--revision", "main", mount=READ_ONLY),
        cached(mount=READ_ONLY, env=[{"name": "HF_HUB_OFFLINE", "value": "0"}]),
        cached(mount=READ_ONLY, container={"command": ["sh", "-c", f"vllm serve {MODEL}"]}),
        workload(
            "qwen",
            engine(
                env=[{"name": "HF_HOME", "value": "/cache"}],
                securityContext={"readOnlyRootFilesystem": True},
            ),
        ),
    ],
)
def test_read_only(objects: Manifest) -> None:
    """A folder of downloads that cannot be written, whatever makes it so."""
    [one] = found([objects], "R04")

    assert "HF_HUB_OFFLINE" in one.problem.sentence()
    assert one.path[-1] in ("readOnly", "readOnlyRootFilesystem")


def test_read_only_claim() -> None:
    """A claim that can only be read."""
    [one] = found([claim("weights", "ReadOnlyMany"), cached()], "R04")

    assert "claimName" == one.path[-1]


CONFIG = {"configMapRef": {"name": "vllm"}}


def config(**data: str) -> Manifest:
    """The ConfigMap of the variables."""
    return {**made("ConfigMap", "vllm", None), "data": data}


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([cached()], "writable"),
        ([claim(), cached()], "writable"),
        ([cached(mount=READ_ONLY, env=[OFFLINE])], "offline"),
        ([cached(mount=READ_ONLY, env=[{**OFFLINE, "name": "TRANSFORMERS_OFFLINE"}])], "offline"),
        ([cached(mount=READ_ONLY, env=[{**OFFLINE, "value": "true"}])], "offline"),
        (
            [cached(mount=READ_ONLY, container={"envFrom": [CONFIG]}), config(HF_HUB_OFFLINE="1")],
            "offline by a ConfigMap",
        ),
        ([cached(mount=READ_ONLY, container={"envFrom": [CONFIG]})], "a ConfigMap of others"),
        (
            [cached(mount=READ_ONLY, env=[{"name": "HF_HUB_OFFLINE", "valueFrom": {}}])],
            "a variable from elsewhere",
        ),
        ([cached("/models/qwen", mount=READ_ONLY, path="/models")], "a model on a path"),
        ([cached("s3://models/qwen", mount=READ_ONLY)], "a model in a bucket"),
        ([cached("$(MODEL)", mount=READ_ONLY)], "a model that is not known"),
        ([cached(MODEL, "--revision", "a" * 40, mount=READ_ONLY)], "a commit that is there"),
        ([cached(MODEL, "--config", "/etc/vllm.yaml", mount=READ_ONLY)], "flags elsewhere"),
        ([cached(mount=READ_ONLY, path="/etc/vllm")], "another folder"),
        (
            [
                cached(
                    mount=READ_ONLY,
                    pod={
                        "initContainers": [
                            {
                                "name": "download",
                                "image": IMAGE,
                                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                            }
                        ]
                    },
                )
            ],
            "an init container downloads",
        ),
        (
            [
                cached(
                    mount=READ_ONLY,
                    container={
                        "command": ["sh", "-c", f"export HF_HUB_OFFLINE=1; vllm serve {MODEL}"]
                    },
                )
            ],
            "a script that switches downloads off",
        ),
        (
            [cached(mount=READ_ONLY, env=[{"name": "VLLM_USE_MODELSCOPE", "value": "True"}])],
            "another hub",
        ),
        ([cached(source={"image": {"reference": "registry/qwen:v1"}})], "weights of an image"),
        (
            [cached(mount=READ_ONLY, container={"image": "registry/x:1", "command": ["x"]})],
            "no engine",
        ),
    ],
)
def test_writable(objects: list[Manifest], why: str) -> None:
    """Caches that are written, need not be written, or may be somewhere else."""
    assert [] == sentences(objects, "R04"), why


@pytest.mark.parametrize(
    "objects",
    [
        [cached(source=EMPTY, replicas=2)],
        [cached(source=EMPTY), hpa(high=4)],
        [cached(source=EMPTY), keda(minReplicaCount=0, maxReplicaCount=1)],
        [cached(source={"emptyDir": {"medium": "Memory"}}, replicas=2)],
        [cached(source={"ephemeral": {"volumeClaimTemplate": {}}}, replicas=2)],
        [cached(source=EMPTY, path="/.cache", replicas=8)],
        [cached(MODEL, "--download-dir", "/m", source=EMPTY, path="/m", replicas=2)],
        [cached(source=EMPTY, replicas=2, kind="StatefulSet")],
        [workload(replicas=2)],
        [workload("qwen", engine("--model", MODEL, command=["vllm", "serve"]), replicas=2)],
        [group(replicas=2)],
    ],
)
def test_each_pod(objects: list[Manifest]) -> None:
    """Several pods, or new ones, that download the weights again."""
    [one] = found(objects, "R05")

    assert "warning" == one.level
    assert "downloads the weights again" in one.problem.sentence()


@pytest.mark.parametrize(
    ("objects", "says", "field"),
    [
        (
            cached(source={"emptyDir": {"sizeLimit": "10Gi"}}),
            "the 10Gi of its emptyDir",
            "sizeLimit",
        ),
        (
            cached(source={"emptyDir": {"sizeLimit": "8G", "medium": "Memory"}}),
            "14.3 GiB of weights, more than the 8G",
            "sizeLimit",
        ),
        (
            cached(source=EMPTY, container={"resources": {"limits": {"ephemeral-storage": "5Gi"}}}),
            "limit of ephemeral-storage",
            "ephemeral-storage",
        ),
        (
            workload("q", engine(MODEL, resources={"limits": {"ephemeral-storage": "5Gi"}})),
            "give 16Gi or more",
            "ephemeral-storage",
        ),
    ],
)
def test_too_small(objects: Manifest, says: str, field: str) -> None:
    """A limit at which the pod is evicted before the weights are complete."""
    [one] = found([objects], "R05")

    assert says in one.problem.sentence()
    assert field == one.path[-1]
    assert one.fix
    assert "16Gi" == one.fix.edits[0].value


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([cached(source=EMPTY)], "one pod"),
        ([cached(source={"emptyDir": {"sizeLimit": "40Gi"}})], "large enough"),
        ([cached("a/b", source={"emptyDir": {"sizeLimit": "1Gi"}})], "a size that is not known"),
        ([cached(source={"emptyDir": {"sizeLimit": "many"}})], "no quantity"),
        ([cached(replicas=4)], "a claim"),
        ([cached(source={"hostPath": {"path": "/models"}}, replicas=4)], "a folder of the node"),
        ([cached(source=EMPTY, env=[OFFLINE], replicas=2)], "offline"),
        ([cached("/models/qwen", source=EMPTY, path="/models", replicas=2)], "a path"),
        (
            [
                cached(
                    path="/data",
                    env=[{"name": "HF_HOME", "value": "/data"}],
                    pod={"volumes": [{"name": "cache", **CLAIM}, {"name": "tmp", **EMPTY}]},
                    replicas=2,
                )
            ],
            "an emptyDir for other files",
        ),
        (
            [
                cached(
                    source=EMPTY,
                    replicas=2,
                    pod={
                        "initContainers": [
                            {
                                "name": "copy",
                                "image": "rclone:1",
                                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                            }
                        ]
                    },
                )
            ],
            "an init container copies them from elsewhere",
        ),
        ([workload("qwen", engine(image="registry/qwen-vllm-openai:1"), replicas=2)], "own image"),
        ([cached(path="/models", replicas=2)], "a volume that may be meant"),
        (
            [workload("qwen", engine(), replicas=2, pod={"securityContext": {"runAsUser": 1234}})],
            "a home directory that is not known",
        ),
        (
            [made("Job", "batch", {"template": workload()["spec"]["template"]}, api="batch/v1")],
            "a job",
        ),
    ],
)
def test_once(objects: list[Manifest], why: str) -> None:
    """Weights that are downloaded once, or not at all."""
    assert [] == sentences(objects, "R05"), why


def test_fragment() -> None:
    """A patch says nothing about volumes that it lacks."""
    patch = workload(replicas=2)
    del patch["spec"]["selector"]

    assert [] == ids([patch], "R05")
