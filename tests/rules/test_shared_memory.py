"""Rules of shared memory: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.rules.shared_memory import SHM

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

TWO = "--tensor-parallel-size=2"
MEMORY = {"medium": "Memory"}


def engine(
    *args: str,
    shm: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """The spec of a pod with an engine, and a volume at its /dev/shm."""
    own: dict[str, Any] = {"resources": {"limits": {"nvidia.com/gpu": 2, **(limits or {})}}}
    if shm is not None:
        own["volumeMounts"] = [{"name": "dshm", "mountPath": SHM}]
        fields["volumes"] = [{"name": "dshm", **shm}]
    return pod_spec("a/b", *args, container={**own, **(container or {})}, **fields)


def empty_dir(**fields: Any) -> dict[str, Any]:
    """A volume."""
    return {"emptyDir": fields}


class TestWorkers:
    """G04."""

    @pytest.mark.parametrize(
        "spec",
        [
            engine(TWO),
            engine("--tensor-parallel-size", "2"),
            engine("--pipeline-parallel-size=2"),
            engine(
                container={
                    "command": ["bash", "-c"],
                    "args": ["vllm serve a/b --tensor-parallel-size 2"],
                }
            ),
            engine(TWO, volumes=[{"name": "other", "emptyDir": {}}]),
            engine(TWO, limits={"nvidia.com/gpu": 0, "amd.com/gpu": 2}),
        ],
    )
    def test_missing(self, spec: dict[str, Any]) -> None:
        """Several workers and no volume."""
        for manifest in (deployment(spec), group(None, spec)):
            (one,) = found([manifest], "G04")
            assert ("error", "volumeMounts") == (one.level, one.path[-1])
            assert "64 MiB" in one.problem.sentence()
            assert one.fix is not None
            assert not one.fix.is_safe
            volume, mount = (edit.value for edit in one.fix.edits)
            volume, mount = (x[0] if isinstance(x, list) else x for x in (volume, mount))
            assert "Memory" == volume["emptyDir"]["medium"]
            assert (volume["name"], SHM) == (mount["name"], mount["mountPath"])

    @pytest.mark.parametrize(
        ("shm", "level", "word"),
        [
            (empty_dir(), "warning", "on the disk"),
            (empty_dir(sizeLimit="8Gi"), "warning", "on the disk"),
            (empty_dir(medium="", sizeLimit="8Gi"), "warning", "on the disk"),
            (empty_dir(medium="Memory", sizeLimit="64Mi"), "error", "is 64 MiB"),
            (empty_dir(medium="Memory", sizeLimit="128M"), "error", "only if 240 MiB are free"),
            (empty_dir(medium="Memory", sizeLimit="512Mi"), "warning", "take up to 664 MiB"),
            (empty_dir(medium="memory", sizeLimit="8Gi"), "error", "write Memory"),
            (empty_dir(medium="tmpfs"), "error", "write Memory"),
            (empty_dir(medium="Disk"), "error", "does not know"),
        ],
    )
    def test_volume(self, shm: dict[str, Any], level: str, word: str) -> None:
        """A volume on a disk, one that is too small, and a medium that nobody knows."""
        (one,) = found([deployment(engine(TWO, shm=shm))], "G04")
        assert level == one.level
        assert word in one.problem.sentence()
        assert "emptyDir" in one.path

    def test_medium_of_others(self) -> None:
        """Media are looked at in all volumes of an engine's pod."""
        volumes = [{"name": "cache", "emptyDir": {"medium": "MEMORY"}}]
        (one,) = found([deployment(engine(volumes=volumes))], "G04")
        assert one.fix is not None
        assert one.fix.is_safe
        assert "Memory" == one.fix.edits[0].value

    @pytest.mark.parametrize(
        "spec",
        [
            engine(),
            engine("--tensor-parallel-size=1"),
            # Two GPUs of which vLLM uses one.
            engine(limits={"nvidia.com/gpu": 2}),
            engine("--data-parallel-size=2"),
            engine("--tensor-parallel-size=$(TP)"),
            engine(TWO, hostIPC=True),
            engine(TWO, shm=empty_dir(medium="Memory")),
            engine(TWO, shm=empty_dir(medium="Memory", sizeLimit="1Gi")),
            engine(TWO, shm=empty_dir(medium="Memory", sizeLimit="2Gi")),
            engine(TWO, shm=empty_dir(medium="HugePages-2Mi")),
            engine(TWO, shm=empty_dir(medium="Memory", sizeLimit="${SHM}")),
            engine(
                "--tensor-parallel-size=4",
                shm=empty_dir(medium="Memory", sizeLimit="2Gi"),
                limits={"nvidia.com/gpu": 4},
            ),
            engine(TWO, shm={"hostPath": {"path": SHM}}),
            engine(
                TWO,
                container={"volumeMounts": [{"name": "dev", "mountPath": "/dev"}]},
                volumes=[{"name": "dev", "hostPath": {"path": "/dev"}}],
            ),
            # A claim of a StatefulSet.
            engine(TWO, container={"volumeMounts": [{"name": "c", "mountPath": SHM}]}),
            # With Ray over two pods of one GPU each.
            engine(TWO, limits={"nvidia.com/gpu": 1}),
            engine(TWO, "--distributed-executor-backend=ray"),
            engine("--tensor-parallel-size=2", "--nnodes=2", "--node-rank=0"),
        ],
    )
    def test_good(self, spec: dict[str, Any]) -> None:
        """One worker, the memory of the host, and volumes that are large enough."""
        assert [] == sentences([deployment(spec)], "G04")

    @pytest.mark.parametrize("resource", ["google.com/tpu", "aws.amazon.com/neuron"])
    def test_one_process(self, resource: str) -> None:
        """Chips that one process drives exchange nothing there."""
        spec = engine("--tensor-parallel-size=4", limits={"nvidia.com/gpu": 0, resource: 4})
        assert [] == sentences([deployment(spec)], "G04")

    def test_parts(self) -> None:
        """What an operator or another file adds is not missing."""
        patch = deployment(engine(TWO))
        del patch["spec"]["selector"]
        service = {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "LLMInferenceService",
            "metadata": {"name": "q"},
            "spec": {"template": engine(TWO)},
        }
        assert [] == ids([patch, service], "G04")

    def test_ray(self) -> None:
        """The workers of a group with Ray are in all its pods."""
        shm = empty_dir(medium="Memory", sizeLimit="4Gi")
        leader = engine(
            "--tensor-parallel-size=8",
            "--pipeline-parallel-size=2",
            shm=shm,
            limits={"nvidia.com/gpu": 8},
        )
        worker = {"containers": [{"name": "w", "image": "a:1", "command": ["ray", "start"]}]}
        assert [] == sentences([group(leader, worker)], "G04")


class TestLimit:
    """G05."""

    @pytest.mark.parametrize(
        ("size", "limit"),
        [
            ("64Gi", "64Gi"),
            ("80Gi", "64Gi"),
            ("64Gi", "64G"),
            (f"{2**36}", "32Gi"),
            ("2Gi", "2048Mi"),
        ],
    )
    def test_bad(self, size: str, limit: str) -> None:
        """A size that is not below the limit."""
        shm = empty_dir(medium="Memory", sizeLimit=size)
        spec = engine(shm=shm, limits={"memory": limit})
        for manifest in (deployment(spec), group(None, spec)):
            (one,) = found([manifest], "G05")
            assert ("error", "sizeLimit") == (one.level, one.path[-1])
            assert size in one.problem.sentence()
        own = engine(shm=shm)
        own["resources"] = {"limits": {"memory": limit}}
        assert ["G05"] == ids([deployment(own)], "G05")

    @pytest.mark.parametrize("size", ["-1Gi", "-5", -1])
    def test_negative(self, size: object) -> None:
        """A size below zero."""
        (text,) = sentences([deployment(engine(shm=empty_dir(sizeLimit=size)))], "G05")
        assert "negative" in text

    @pytest.mark.parametrize(
        ("shm", "limits"),
        [
            (empty_dir(medium="Memory", sizeLimit="16Gi"), {"memory": "64Gi"}),
            (empty_dir(medium="Memory", sizeLimit="16Gi"), {}),
            (empty_dir(medium="Memory"), {"memory": "64Gi"}),
            (empty_dir(medium="Memory", sizeLimit=None), {"memory": "64Gi"}),
            (empty_dir(sizeLimit="100Gi"), {"memory": "64Gi"}),
            (empty_dir(medium="Memory", sizeLimit="16Gi"), {"memory": "$(LIMIT)"}),
            (empty_dir(medium="Memory", sizeLimit="${SHM}"), {"memory": "64Gi"}),
            # Units that are wrong are another mistake.
            (empty_dir(medium="Memory", sizeLimit="16Gi"), {"memory": "64000m"}),
            ({"persistentVolumeClaim": {"claimName": "x"}}, {"memory": "64Gi"}),
            ({"emptyDir": None}, {"memory": "64Gi"}),
        ],
    )
    def test_good(self, shm: dict[str, Any], limits: dict[str, Any]) -> None:
        """Sizes below the limit, no limit, and disks."""
        assert [] == sentences([deployment(engine(shm=shm, limits=limits))], "G05")

    def test_fix(self) -> None:
        """What the workers need, if nothing else is kept there."""
        shm = empty_dir(medium="Memory", sizeLimit="64Gi")
        (one,) = found([deployment(engine(TWO, shm=shm, limits={"memory": "64Gi"}))], "G05")
        assert one.fix is not None
        assert "2Gi" == one.fix.edits[0].value
        tier = engine("--kv-offloading-size=32", shm=shm, limits={"memory": "64Gi"})
        assert [None] == [one.fix for one in found([deployment(tier)], "G05")]
