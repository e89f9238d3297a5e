"""Rules of what nodes need of their image and namespace: M09 and M10."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import LEADER, WORKER, container, deployment, group, pod, script

SCRIPT = "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh"
OLD = "vllm/vllm-openai:v0.17.1"


def ray_group(image: str, before: str = "") -> dict[str, Any]:
    """A group whose nodes join a cluster of Ray.

    Args:
        image: The image.
        before: What its scripts do first.
    """
    return group(
        pod(script(f"{before}{SCRIPT} leader --ray_cluster_size=2; vllm serve m", image=image)),
        pod(script(f"{before}{SCRIPT} worker --ray_address=$(LWS_LEADER_ADDRESS)", image=image)),
    )


def cluster(image: str) -> dict[str, Any]:
    """A RayCluster of KubeRay.

    Args:
        image: The image of its nodes.
    """
    template = {"spec": {"containers": [{"name": "ray", "image": image}]}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "big"},
        "spec": {
            "headGroupSpec": {"template": template},
            "workerGroupSpecs": [{"groupName": "gpu", "template": template}],
        },
    }


@pytest.mark.parametrize(
    ("manifest", "places"),
    [
        (
            ray_group("vllm/vllm-openai:v0.33.0"),
            ["leaderTemplate.spec.containers.0.image", "workerTemplate.spec.containers.0.image"],
        ),
        (
            deployment("m", pod(container("m", "--distributed-executor-backend=ray"))),
            ["spec.containers.0.args.1"],
        ),
        (
            deployment("m", pod(container("m", "--data-parallel-backend", "ray"))),
            ["spec.containers.0.args.1"],
        ),
        (
            deployment("m", pod(script("ray start --head --block & vllm serve m"))),
            ["spec.containers.0.image"],
        ),
        (
            cluster("vllm/vllm-openai:v0.20.2"),
            [
                "headGroupSpec.template.spec.containers.0.image",
                "workerGroupSpecs.0.template.spec.containers.0.image",
            ],
        ),
        (
            deployment(
                "m",
                pod(
                    container(
                        "m",
                        "--distributed_executor_backend",
                        "ray",
                        image="vllm/vllm-openai-rocm:v0.33.0",
                    )
                ),
            ),
            ["spec.containers.0.args.1"],
        ),
    ],
)
def test_ray(manifest: dict[str, Any], places: list[str]) -> None:
    """Ray in scripts, flags and clusters of an image that has none is found."""
    findings = found([manifest], "M09")

    paths = [".".join(map(str, one.path)) for one in findings]
    assert len(places) == len(paths)
    assert all(path.endswith(place) for path, place in zip(paths, places, strict=True))
    assert {"error"} == {one.level for one in findings}


def test_moving() -> None:
    """A tag that moves has no Ray now, which is as much as can be told."""
    findings = found([ray_group("docker.io/vllm/vllm-openai:latest")], "M09")

    assert ["warning", "warning"] == [one.level for one in findings]
    assert "no Ray since vLLM 0.18" in findings[0].problem.sentence()


@pytest.mark.parametrize(
    "manifest",
    [
        ray_group(OLD),
        ray_group("registry.example/llm:1"),
        ray_group("vllm/vllm-openai-xpu:v0.33.0"),
        ray_group("vllm/vllm-openai:v0.33.0", "pip install 'ray[default]' && "),
        ray_group("vllm/vllm-openai:v0.33.0", "uv pip install --system ray; "),
        cluster("rayproject/ray:2.50.0"),
        cluster(OLD),
        deployment("m", pod(container("m", "--distributed-executor-backend=mp"))),
        deployment("m", pod(container("m", "--distributed-executor-backend=ray", image=OLD))),
        deployment("m", pod(container("m", "--served-model-name", "ray"))),
        # E06 tells that these flags exclude each other.
        group(
            pod(container(*LEADER, "--distributed-executor-backend=ray")), pod(container(*WORKER))
        ),
    ],
)
def test_good_ray(manifest: dict[str, Any]) -> None:
    """Images that have or install Ray, and unknown ones, are no mistake."""
    assert [] == sentences([manifest], "M09")


def namespace(level: Any, name: str = "llm") -> dict[str, Any]:
    """A Namespace.

    Args:
        level: What it enforces.
        name: Its name.
    """
    labels = {"pod-security.kubernetes.io/enforce": level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def locking(*names: str, **limits: str) -> dict[str, Any]:
    """An engine with capabilities and other resources.

    Args:
        *names: The capabilities that it adds.
        **limits: Resources, `__` for a slash.
    """
    given = {name.replace("__", "/"): value for name, value in limits.items()}
    return deployment(
        "m",
        pod(
            container(
                "m",
                securityContext={"capabilities": {"add": list(names)}},
                resources={"limits": {"nvidia.com/gpu": "8", **given}},
            )
        ),
    )


@pytest.mark.parametrize("level", ["baseline", "restricted"])
@pytest.mark.parametrize(
    ("engine", "place", "severity"),
    [
        (locking("IPC_LOCK"), "securityContext.capabilities.add", "error"),
        (locking("IPC_LOCK", rdma__ib="1"), "securityContext.capabilities.add", "error"),
        (locking("IPC_LOCK", "SYS_RAWIO"), "securityContext.capabilities.add", "error"),
        (locking(rdma__roce_gdr="1"), "resources.limits.rdma/roce_gdr", "warning"),
    ],
)
def test_admitted(level: str, engine: dict[str, Any], place: str, severity: str) -> None:
    """What the namespace of an engine does not admit is found."""
    (finding,) = found([namespace(level), engine], "M10")

    assert ".".join(map(str, finding.path)).endswith(place)
    assert severity == finding.level
    assert level in finding.problem.sentence()


def test_efa() -> None:
    """Cards of clouds have names of their own."""
    engine = locking()
    limits = engine["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    limits["vpc.amazonaws.com/efa"] = 4

    assert 1 == len(found([namespace("restricted"), engine], "M10"))


@pytest.mark.parametrize(
    "manifests",
    [
        [locking("IPC_LOCK")],
        [namespace("privileged"), locking("IPC_LOCK", rdma__ib="1")],
        [namespace("restricted", "other"), locking("IPC_LOCK")],
        [namespace(None), locking("IPC_LOCK")],
        [namespace("baseline"), locking("NET_BIND_SERVICE")],
        [namespace("restricted"), locking(hugepages__fabric="1", **{"example.com__library": "1"})],
    ],
)
def test_good_admitted(manifests: list[dict[str, Any]]) -> None:
    """Namespaces that admit it, or are not here, are no mistake."""
    assert [] == sentences(manifests, "M10")


@pytest.mark.parametrize("value", [None, "x", [], {"limits": []}, 3])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    broken = locking()
    one = broken["spec"]["template"]["spec"]["containers"][0]
    one["resources"] = one["securityContext"] = value
    broken_cluster = cluster(str(value))
    broken_cluster["spec"]["workerGroupSpecs"] = value

    found([namespace("baseline"), broken, broken_cluster], "M09", "M10")
