"""Rules of the sizes and ranks of engines that have several nodes: M01 and M02."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import (
    LEADER,
    NODES,
    SIZES,
    WORKER,
    container,
    deployment,
    group,
    one_template,
    pod,
    script,
    two_nodes,
)

RANKS = (
    "/models/m",
    "--data-parallel-size",
    "16",
    "--data-parallel-address",
    "$(LWS_LEADER_ADDRESS)",
)
RAY = "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh"


def without(words: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """Arguments without some flags and their values."""
    kept = list(words)
    for name in names:
        at = kept.index(name)
        del kept[at : at + (1 if name == "--headless" else 2)]
    return tuple(kept)


def ray_group(size: int, leader: str) -> dict[str, Any]:
    """A group whose nodes join a cluster of Ray."""
    return group(
        pod(script(f"{RAY} leader --ray_cluster_size=$(LWS_GROUP_SIZE); {leader}")),
        pod(script(f"{RAY} worker --ray_address=$(LWS_LEADER_ADDRESS)")),
        size=size,
    )


def without_size(args: tuple[str, ...]) -> dict[str, Any]:
    """A group whose size is left out."""
    found = two_nodes(args, (*without(WORKER, "--nnodes"), "--nnodes=2"))
    del found["spec"]["leaderWorkerTemplate"]["size"]
    return found


BAD_SIZES: list[tuple[dict[str, Any], str, str]] = [
    (
        two_nodes((*without(LEADER, "--nnodes"), "--nnodes", "4")),
        "leaderTemplate.spec.containers.0.args.13",
        "--nnodes is 4, but a group of the set has 2 pods",
    ),
    (
        two_nodes(size=4),
        "leaderTemplate.spec.containers.0.args.1",
        "makes 4 ranks on each of the 4 nodes, but a pod has 8 GPUs",
    ),
    (
        # Without a size, a group is its leader alone.
        without_size((*without(LEADER, "--nnodes"), "--nnodes=2")),
        "args.13",
        "--nnodes is 2, but a group of the set has 1 pod;",
    ),
    (
        two_nodes((*LEADER, "--data-parallel-size", "2"), (*WORKER, "--data-parallel-size", "2")),
        "args.1",
        "tensor 8 x pipeline 2 x data 2",
    ),
    (
        group(
            pod(script("vllm serve m --nnodes 2 -tp 16 --master-addr ${LWS_LEADER_ADDRESS}")),
            pod(
                script(
                    "vllm serve m --nnodes 2 -tp 8 --headless --master-addr ${LWS_LEADER_ADDRESS}"
                )
            ),
        ),
        "workerTemplate.spec.containers.0.args.0",
        "--tensor-parallel-size is 8 on the workers and 16 on the leader",
    ),
    (
        deployment("n0", pod(container("m", "-tp=3", "--nnodes=2", "--node-rank=0"))),
        "containers.0.args.2",
        "is 2, which does not divide the 3 ranks",
    ),
    (
        group(
            pod(container(*RANKS, "--data-parallel-size-local", "8")),
            pod(container(*RANKS, "--data-parallel-size-local", "8", "--headless")),
            size=4,
        ),
        "leaderTemplate.spec.containers.0.args.1",
        "--data-parallel-size is 16, but the 4 pods of a group have 32 ranks",
    ),
    (
        ray_group(2, "vllm serve m -tp 8 -pp 4"),
        "leaderTemplate.spec.containers.0.args.0",
        "makes 32 ranks, but the 2 pods of a group have 16 GPUs",
    ),
]
GOOD_SIZES: list[dict[str, Any]] = [
    two_nodes(),
    two_nodes(size="${SIZE}"),
    two_nodes(size=None),
    # Its nodes are in other groups too.
    two_nodes((*without(LEADER, "--nnodes", "--master-addr"), "--nnodes=4", "--master-addr=n0")),
    # Each pod has an engine of its own.
    one_template("m", "--tensor-parallel-size", "8", size=4),
    # What other flags say is in a variable, or in a script that chooses.
    two_nodes((*LEADER, "$(MORE)"), (*WORKER, "$(MORE)"), size=4),
    group(pod(script("vllm serve m --nnodes 2 -tp 8 $ARGS")), pod(container(*WORKER))),
    one_template(
        *RANKS,
        "--data-parallel-multi-port-external-lb",
        "--data-parallel-size-local=8",
        "--node-rank",
        "$(LWS_WORKER_INDEX)",
    ),
    # The head has no ranks of its own.
    group(
        pod(container(*RANKS, "--data-parallel-size-local", "0")),
        pod(container(*RANKS, "--data-parallel-size-local", "8", "--headless")),
        size=3,
    ),
    ray_group(2, "vllm serve m -tp 8 -pp 2"),
    # A resource claim, not a resource, gives the GPUs.
    two_nodes(size=4)
    | {
        "spec": {
            "leaderWorkerTemplate": {
                "size": 4,
                "workerTemplate": pod(container(*WORKER, resources={"claims": [{"name": "gpu"}]})),
                "leaderTemplate": pod(container(*LEADER, resources={"claims": [{"name": "gpu"}]})),
            }
        }
    },
    deployment("n0", pod(container("m", "-tp=16", "--nnodes=2", "--node-rank=0"))),
]


@pytest.mark.parametrize(("manifest", "path", "words"), BAD_SIZES)
def test_sizes(manifest: dict[str, Any], path: str, words: str) -> None:
    """Group, nodes, GPUs and sizes that do not agree are found at the flag that is wrong."""
    findings = sentences([manifest], "M01")

    assert [one for one in findings if words in one and f"{path}: " in one], findings


@pytest.mark.parametrize("manifest", GOOD_SIZES)
def test_good_sizes(manifest: dict[str, Any]) -> None:
    """What agrees, and what the manifests do not say, is no mistake."""
    assert [] == sentences([manifest], "M01")


def test_one_finding() -> None:
    """A group that is too large for its flags is told once, not for each template."""
    assert 1 == len(found([two_nodes(size=4)], "M01"))


BAD_HEADLESS: list[tuple[dict[str, Any], str]] = [
    (two_nodes((*LEADER, "--headless")), "is given to the leader, so that no node serves HTTP"),
    (two_nodes(worker=without(WORKER, "--headless")), "is missing on this node"),
    (one_template(*LEADER), "is missing on the nodes behind the first one"),
    (one_template(*LEADER, "--headless"), "is given to all nodes, the first one too"),
    (
        deployment("n1", pod(container("m", *SIZES, "--nnodes=2", "--node-rank=1"))),
        "is missing on this node",
    ),
    (
        deployment("n0", pod(script("vllm serve m --nnodes 2 --node-rank 0 --headless"))),
        "is given to the first node",
    ),
    (
        group(pod(container(*RANKS)), pod(container(*RANKS, "--data-parallel-size-local=8"))),
        "is missing on this node, which would start an API server",
    ),
    (group(pod(container(*RANKS, "--headless")), pod(container(*RANKS, "--headless"))), "leader"),
]
CHOICE = """
if [ "$LWS_WORKER_INDEX" = 0 ]; then
  vllm serve m --nnodes 2 --node-rank 0 --master-addr $LWS_LEADER_ADDRESS
else
  vllm serve m --nnodes 2 --node-rank $LWS_WORKER_INDEX --headless
fi
"""
GOOD_HEADLESS: list[dict[str, Any]] = [
    two_nodes(),
    group(None, pod(script(CHOICE))),
    # A variable of the script holds it.
    group(
        None,
        pod(script("[ $LWS_WORKER_INDEX = 0 ] || MORE=--headless; vllm serve m --nnodes 2 $MORE")),
    ),
    one_template(*LEADER, "$(EXTRA)"),
    one_template(*LEADER, size=1),
    one_template("m", "--tensor-parallel-size=8"),
    # Each pod serves its ranks.
    one_template(
        *RANKS,
        "--data-parallel-hybrid-lb",
        "--data-parallel-size-local=8",
        "--data-parallel-start-rank",
        "$(START)",
    ),
    one_template(
        *RANKS, "--data-parallel-multi-port-external-lb", "--node-rank=$(LWS_WORKER_INDEX)"
    ),
    one_template(*RANKS, "--data-parallel-rank", "$(LWS_WORKER_INDEX)"),
    group(
        pod(container(*RANKS, "--data-parallel-size-local=8")),
        pod(container(*RANKS, "--data-parallel-start-rank=8", "--headless")),
    ),
    # The API server of these ranks is elsewhere.
    group(
        pod(container("m", "--data-parallel-address=api", "--headless")),
        pod(container("m", "--data-parallel-address=api", "--headless")),
    ),
    ray_group(2, "vllm serve m -tp 8 -pp 2"),
    group(pod(container(*LEADER)), pod(container(*NODES[:2], "--config", "/etc/vllm.yaml"))),
]


@pytest.mark.parametrize(("manifest", "words"), BAD_HEADLESS)
def test_headless(manifest: dict[str, Any], words: str) -> None:
    """A first node that is headless, or another one that is not, is found."""
    findings = sentences([manifest], "M02")

    assert 1 == len(findings), findings
    assert words in findings[0]


@pytest.mark.parametrize("manifest", GOOD_HEADLESS)
def test_good_headless(manifest: dict[str, Any]) -> None:
    """Scripts that choose, and pods that all serve, are no mistake."""
    assert [] == sentences([manifest], "M02")


@pytest.mark.parametrize("value", [None, 3, [], "x", {"a": 1}])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    broken = two_nodes()
    broken["spec"]["leaderWorkerTemplate"]["leaderTemplate"] = value
    other = two_nodes()
    other["spec"]["leaderWorkerTemplate"] = value
    third = two_nodes()
    third["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"] = [value]

    found([broken, other, third], "M01", "M02")
