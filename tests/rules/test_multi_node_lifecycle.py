"""Rules of how the pods of an engine with several nodes begin and end: M03 to M05, and M07."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import (
    HTTP,
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

NAME = "leaderworkerset.sigs.k8s.io/name"
TCP = {"tcpSocket": {"port": 29501}}
RAY = "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh"


def probed(args: tuple[str, ...] = LEADER, **probes: Any) -> dict[str, Any]:
    """A group whose leader has probes.

    Args:
        args: The arguments of the leader.
        **probes: Its probes.
    """
    return group(
        pod(container(*args, **probes)),
        pod(container(*WORKER)),
        startupPolicy="LeaderReady",
    )


@pytest.mark.parametrize(
    "manifest",
    [
        probed(readinessProbe=HTTP),
        probed(startupProbe={"tcpSocket": {"port": "8000"}}),
        group(
            pod(
                script(
                    f"{RAY} leader; vllm serve m -tp 16 --port 8080",
                    readinessProbe={"tcpSocket": {"port": 8080}},
                )
            ),
            pod(script(f"{RAY} worker")),
            startupPolicy="LeaderReady",
        ),
        one_template(
            "m",
            "--data-parallel-address=$(LWS_LEADER_ADDRESS)",
            "--data-parallel-hybrid-lb",
            startupPolicy="LeaderReady",
        ),
    ],
)
def test_startup(manifest: dict[str, Any]) -> None:
    """Workers that wait for a leader that waits for them are found, with the right policy."""
    finding = found([manifest], "M03")[0]

    assert ("spec", "startupPolicy") == finding.path
    assert finding.fix is not None
    assert "LeaderCreated" == finding.fix.edits[0].value
    is_probed = "readinessProbe" in str(manifest) or "startupProbe" in str(manifest)
    assert ("error" if is_probed else "warning") == finding.level


@pytest.mark.parametrize(
    "manifest",
    [
        two_nodes(),
        two_nodes(startupPolicy="LeaderCreated"),
        two_nodes(startupPolicy="LeaderReady", size=1),
        two_nodes(startupPolicy="LeaderReady", size="${SIZE}"),
        # Each pod has an engine of its own.
        one_template("m", startupPolicy="LeaderReady"),
        # What its probe waits for is not known, or is another port.
        probed(readinessProbe={"exec": {"command": ["ray", "status"]}}),
        probed(readinessProbe={"tcpSocket": {"port": 6379}}),
    ],
)
def test_good_startup(manifest: dict[str, Any]) -> None:
    """Leaders that are ready without their workers are no mistake."""
    assert [] == sentences([manifest], "M03")


def recreated(policy: Any, manifest: dict[str, Any] | None = None) -> dict[str, Any]:
    """A group with a restart policy.

    Args:
        policy: The policy.
        manifest: The set. Default: two nodes of one engine.
    """
    made = two_nodes() if manifest is None else manifest
    made["spec"]["leaderWorkerTemplate"]["restartPolicy"] = policy
    return made


DISAGGREGATED = {
    "apiVersion": "disaggregatedset.x-k8s.io/v1",
    "kind": "DisaggregatedSet",
    "metadata": {"name": "pd"},
    "spec": {"roles": [{"name": "prefill", "spec": recreated("None")["spec"]}]},
}


@pytest.mark.parametrize("policy", ["None", "Default"])
def test_restart(policy: str) -> None:
    """A policy that restarts one pod of a group alone is found, by its old name too."""
    finding = found([recreated(policy)], "M04")[0]

    assert ("spec", "leaderWorkerTemplate", "restartPolicy") == finding.path
    assert f"is {policy}" in finding.problem.sentence()
    assert finding.fix is not None
    assert finding.fix.is_safe


def test_restart_of_role() -> None:
    """The group of a role is one too."""
    (line,) = sentences([DISAGGREGATED], "M04")

    assert "spec.roles.0.spec.leaderWorkerTemplate.restartPolicy: " in line


@pytest.mark.parametrize(
    "manifest",
    [
        two_nodes(),
        recreated("RecreateGroupOnPodRestart"),
        recreated("RecreateGroupAfterStart"),
        recreated(None),
        recreated("None", two_nodes(size=1)),
        recreated("None", one_template("m")),
        # Nodes of Ray join again.
        recreated(
            "None",
            group(pod(script(f"{RAY} leader; vllm serve m -tp 16")), pod(script(f"{RAY} worker"))),
        ),
    ],
)
def test_good_restart(manifest: dict[str, Any]) -> None:
    """Groups that are recreated, and pods that are no group, are no mistake."""
    assert [] == sentences([manifest], "M04")


@pytest.mark.parametrize(
    ("args", "probes", "count"),
    [
        (WORKER, {"readinessProbe": HTTP, "livenessProbe": HTTP}, 2),
        (WORKER, {"startupProbe": TCP}, 1),
        (WORKER, {"livenessProbe": {"grpc": {"port": 8000}}}, 1),
        (("m", "--headless", "--data-parallel-start-rank=8"), {"readinessProbe": HTTP}, 1),
    ],
)
def test_probed(args: tuple[str, ...], probes: dict[str, Any], count: int) -> None:
    """A probe of a headless node over the network is found, and its fix removes it."""
    manifest = group(pod(container(*LEADER)), pod(container(*args, **probes)))
    findings = found([manifest], "M05")

    assert count == len(findings)
    for one in findings:
        assert one.fix is not None
        assert one.fix.edits[0].path == one.path[:-1]


@pytest.mark.parametrize(
    "manifest",
    [
        two_nodes(),
        group(pod(container(*LEADER, readinessProbe=HTTP)), pod(container(*WORKER))),
        # E06 tells that of pods that are no group.
        deployment("worker", pod(container("m", "--headless", readinessProbe=HTTP))),
        # It dials the leader, or asks a sidecar.
        group(
            pod(container(*LEADER)),
            pod(container(*WORKER, startupProbe={"exec": {"command": ["dial", "29501"]}})),
        ),
        group(
            pod(container(*LEADER)),
            pod(container(*WORKER, livenessProbe={"tcpSocket": {"host": "leader", "port": 1}})),
        ),
        group(
            pod(container(*LEADER)),
            pod(
                container(*WORKER, livenessProbe={"httpGet": {"port": "agent"}}),
                {"name": "agent", "ports": [{"name": "agent", "containerPort": 9400}]},
            ),
        ),
        # Which line runs is chosen in the pod.
        group(
            None,
            pod(
                script(
                    "if [ $LWS_WORKER_INDEX != 0 ]; then vllm serve m --headless; fi; vllm serve m",
                    readinessProbe=HTTP,
                )
            ),
        ),
    ],
)
def test_good_probed(manifest: dict[str, Any]) -> None:
    """Probes that something answers are no mistake."""
    assert [] == sentences([manifest], "M05")


def budget(selector: dict[str, Any]) -> dict[str, Any]:
    """A PodDisruptionBudget.

    Args:
        selector: Its selector.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {"maxUnavailable": 1, "selector": selector},
    }


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {NAME: "big", "leaderworkerset.sigs.k8s.io/worker-index": "0"}},
        {"matchLabels": {"role": "leader"}},
        {"matchExpressions": [{"key": "role", "operator": "In", "values": ["leader"]}]},
    ],
)
def test_budget(selector: dict[str, Any]) -> None:
    """A budget that selects the leader of a group alone is found."""
    findings = found([two_nodes(), budget(selector)], "M07")

    assert [("PodDisruptionBudget", ("spec", "selector"), "warning")] == [
        (one.manifest.kind, one.path, one.level) for one in findings
    ]


@pytest.mark.parametrize("pause", [None, {"sleep": {"seconds": 5}}])
def test_alone(pause: dict[str, Any] | None) -> None:
    """A headless node of a Deployment or StatefulSet ends before its leader."""
    args = ("m", *SIZES, "--nnodes=2", "--node-rank=1", "--headless")
    one = container(*args, **({} if pause is None else {"lifecycle": {"preStop": pause}}))
    stateful = {**deployment("worker", pod(one)), "kind": "StatefulSet"}

    for manifest in (deployment("worker", pod(one)), stateful):
        (finding,) = found([manifest], "M07")
        assert "preStop" == finding.path[-1]


@pytest.mark.parametrize(
    "manifests",
    [
        [two_nodes()],
        [two_nodes(), budget({"matchLabels": {NAME: "big"}})],
        [two_nodes(), budget({"matchLabels": {"app": "big"}})],
        # Another one is about the workers.
        [
            two_nodes(),
            budget({"matchLabels": {"role": "leader"}}),
            budget({"matchLabels": {"role": "worker"}}),
        ],
        [one_template("m", *NODES), budget({"matchLabels": {"app": "big"}})],
        [
            deployment(
                "worker",
                pod(
                    container("m", "--headless", lifecycle={"preStop": {"sleep": {"seconds": 135}}})
                ),
            )
        ],
        [
            deployment(
                "worker",
                pod(
                    container(
                        "m",
                        "--headless",
                        lifecycle={"preStop": {"exec": {"command": ["/wait-for-leader"]}}},
                    )
                ),
            )
        ],
    ],
)
def test_good_ends(manifests: list[dict[str, Any]]) -> None:
    """Workers that a set ends after their leader, or that wait, are no mistake."""
    assert [] == sentences(manifests, "M07")
