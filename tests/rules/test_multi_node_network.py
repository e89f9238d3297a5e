"""Rules of the network between the nodes of an engine, and to them: M06, M08 and M11."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import (
    LEADER,
    POD_IP,
    SIZES,
    WORKER,
    container,
    deployment,
    group,
    one_template,
    pod,
    policy,
    pool,
    script,
    service,
    two_nodes,
)

SET = {"leaderworkerset.sigs.k8s.io/name": "big"}
INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
HTTP_PORT = [{"name": "http", "containerPort": 8000}]


def monitor(selector: dict[str, Any], **endpoint: Any) -> dict[str, Any]:
    """A PodMonitor.

    Args:
        selector: Its selector.
        **endpoint: Its endpoint.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {"selector": selector, "podMetricsEndpoints": [endpoint]},
    }


def router(selector: str) -> dict[str, Any]:
    """The router of production-stack.

    Args:
        selector: The labels by which it finds pods.
    """
    args = ["--service-discovery", "k8s", "--k8s-label-selector", selector]
    one = {"name": "router", "image": "lmcache/lmstack-router:v1", "args": args}
    return deployment(
        "router", {"metadata": {"labels": {"app": "r"}}, "spec": {"containers": [one]}}
    )


def both_ports() -> dict[str, Any]:
    """A group whose workers list the port of the API too."""
    return group(
        pod(container(*LEADER, ports=HTTP_PORT), role="leader"),
        pod(container(*WORKER, ports=HTTP_PORT)),
    )


OLD_POOL = {
    **pool({}),
    "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
    "spec": {"selector": {"app": "big"}, "targetPortNumber": 8000},
}


@pytest.mark.parametrize(
    ("manifests", "path"),
    [
        ([two_nodes(), service("api", SET, 8000)], "spec.selector"),
        ([two_nodes(), service("api", {"app": "big"})], "spec.selector"),
        ([both_ports(), service("api", {"app": "big"}, "http")], "spec.selector"),
        ([two_nodes(), pool({"matchLabels": {"app": "big"}})], "spec.selector"),
        ([two_nodes(), OLD_POOL], "spec.selector"),
        ([both_ports(), monitor({"matchLabels": {"app": "big"}}, port="http")], "spec.selector"),
        ([both_ports(), monitor({"matchLabels": SET}, portNumber=8000)], "spec.selector"),
        ([two_nodes(), router("app=big")], "spec.template.spec.containers.0.args"),
        (
            [
                group(
                    pod(script("bash multi-node-serving.sh leader; vllm serve m")),
                    pod(script("bash multi-node-serving.sh worker")),
                ),
                service("api", {"app": "big"}, 8000),
            ],
            "spec.selector",
        ),
        (
            [
                deployment("n0", pod(container("m", *SIZES, "--nnodes=2", "--node-rank=0"))),
                deployment("n1", pod(container("m", *SIZES, "--nnodes=2", "--headless"))),
                service("api", {"app": "big"}, 8000),
            ],
            "spec.selector",
        ),
    ],
)
def test_selected(manifests: list[dict[str, Any]], path: str) -> None:
    """What sends requests or scrapes to headless nodes too is found."""
    (finding,) = found(manifests, "M06")

    assert path == ".".join(map(str, finding.path))
    assert "headless nodes of" in finding.problem.sentence()


def test_fix() -> None:
    """Of a group, the fix selects the leader alone."""
    api = service("api", SET, 8000)
    (finding,) = found([two_nodes(), api], "M06")

    assert finding.fix is not None
    assert [(("spec", "selector", INDEX), "0")] == [
        (one.path, one.value) for one in finding.fix.edits
    ]
    api["spec"]["selector"] = {**SET, INDEX: "0"}
    assert [] == found([two_nodes(), api], "M06")


def test_name() -> None:
    """A Service must not have the name of a set, which makes one itself."""
    selector = {**SET, INDEX: "0"}
    (finding,) = found([two_nodes(), service("big", selector, "http")], "M06")

    assert ("metadata", "name") == finding.path
    assert "'big-api'" in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        [two_nodes(), service("api", {**SET, INDEX: "0"}, 8000)],
        [two_nodes(), service("api", {"app": "big", "role": "leader"})],
        # Pods without the named port get nothing.
        [two_nodes(), service("api", {"app": "big"}, "http")],
        [two_nodes(), monitor({"matchLabels": {"app": "big"}}, port="http")],
        # The nodes find each other by it.
        [two_nodes(), service("nodes", {"app": "big"}, 8000, clusterIP="None")],
        [
            two_nodes(),
            service("big", {"app": "big"}, clusterIP="None", publishNotReadyAddresses=True),
        ],
        [
            two_nodes(networkConfig={"subdomainPolicy": "UniquePerReplica"}),
            service("big", {**SET, INDEX: "0"}, 8000),
        ],
        # A sidecar of the workers answers.
        [
            group(
                pod(container(*LEADER), role="leader"),
                pod(container(*WORKER), {"name": "dcgm", "ports": [{"containerPort": 9400}]}),
            ),
            service("gpus", {"app": "big"}, 9400),
        ],
        # All pods serve.
        [
            one_template("m", "--data-parallel-hybrid-lb", "--data-parallel-size-local=8"),
            service("api", {"app": "big"}, 8000),
            pool({"matchLabels": {"app": "big"}}),
        ],
        [two_nodes(), service("api", {"app": "big", "role": "leader"}), router("app=other")],
        [two_nodes(), router("app in (big)")],
        [
            two_nodes(),
            {**service("api", SET, 8000), "metadata": {"name": "api", "namespace": "other"}},
        ],
        [two_nodes(), service("api", {})],
        [two_nodes(), pool({})],
    ],
)
def test_good_selected(manifests: list[dict[str, Any]]) -> None:
    """Services of leaders, and of pods that all serve, are no mistake."""
    assert [] == sentences(manifests, "M06")


def with_env(*env: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A group whose nodes have other variables.

    Args:
        *env: The variables.
        **fields: Other fields of the containers.
    """
    return group(
        pod(container(*LEADER, **{"env": list(env), **fields})),
        pod(container(*WORKER, **{"env": list(env), **fields})),
    )


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (with_env(), "is not given, and neither is NCCL_SOCKET_IFNAME"),
        (with_env({"name": "HF_TOKEN", "value": "$(TOKEN)"}), "is not given"),
        (with_env({"name": "VLLM_HOST_IP", "value": "10.0.0.7"}), "is '10.0.0.7', the same for"),
        (with_env({"name": "VLLM_HOST_IP", "value": "0.0.0.0"}), "the same for all nodes"),  # noqa: S104
        (
            with_env(
                {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
            ),
            "is the address of the machine",
        ),
    ],
)
def test_address(manifest: dict[str, Any], words: str) -> None:
    """An address that is guessed, or is not the pod's, is found in both templates."""
    findings = found([manifest], "M08")

    assert 2 == len(findings)
    for one in findings:
        assert words in one.problem.sentence()
        assert one.fix is not None
        assert "status.podIP" in str(one.fix.edits[0].value)


@pytest.mark.parametrize(
    "manifest",
    [
        two_nodes(),
        with_env({"name": "NCCL_SOCKET_IFNAME", "value": "eth0"}),
        with_env({"name": "GLOO_SOCKET_IFNAME", "value": "eth0"}),
        with_env({"name": "IP", **POD_IP}, {"name": "VLLM_HOST_IP", "value": "$(IP)"}),
        with_env(envFrom=[{"configMapRef": {"name": "elsewhere"}}]),
        one_template("m", "--tensor-parallel-size=8"),
        group(
            pod(script("export VLLM_HOST_IP=$(hostname -i); vllm serve m --nnodes 2", env=[])),
            pod(script("export VLLM_HOST_IP=$(hostname -i); vllm serve m --headless", env=[])),
        ),
        deployment("m", pod(container("m", env=[]))),
    ],
)
def test_good_address(manifest: dict[str, Any]) -> None:
    """Nodes that know their address or interface are no mistake."""
    assert [] == sentences([manifest], "M08")


OWN = {"matchLabels": {"app": "big"}}
BETWEEN = {"from": [{"podSelector": OWN}]}
API = {"ports": [{"port": 8000, "protocol": "TCP"}]}
DENY = policy("deny", {}, policyTypes=["Ingress", "Egress"])


@pytest.mark.parametrize(
    ("policies", "path"),
    [
        ([policy("api", OWN, policyTypes=["Ingress"], ingress=[API])], "spec.ingress"),
        ([policy("deny", {}, policyTypes=["Ingress"])], "spec.ingress"),
        ([policy("old", OWN, ingress=[API])], "spec.ingress"),
        (
            # The ports of a group are more than this one.
            [policy("port", OWN, ingress=[{**BETWEEN, "ports": [{"port": 29501}]}])],
            "spec.ingress",
        ),
        (
            [policy("udp", OWN, ingress=[{**BETWEEN, "ports": [{"protocol": "UDP"}]}])],
            "spec.ingress",
        ),
        ([DENY, policy("in", OWN, ingress=[BETWEEN])], "spec.egress"),
        (
            [
                policy(
                    "leader",
                    OWN,
                    ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "leader"}}}]}],
                )
            ],
            "spec.ingress",
        ),
        (
            [
                policy(
                    "other",
                    OWN,
                    ingress=[
                        {
                            "from": [
                                {
                                    "podSelector": OWN,
                                    "namespaceSelector": {
                                        "matchLabels": {"kubernetes.io/metadata.name": "prod"}
                                    },
                                }
                            ]
                        }
                    ],
                )
            ],
            "spec.ingress",
        ),
    ],
)
def test_separated(policies: list[dict[str, Any]], path: str) -> None:
    """Policies that isolate the nodes of a group from each other are found."""
    findings = found([two_nodes(), *policies], "M11")

    assert [path] == [".".join(map(str, one.path)) for one in findings]
    assert "NetworkPolicy" == findings[0].manifest.kind


@pytest.mark.parametrize(
    "manifests",
    [
        [two_nodes()],
        [two_nodes(), policy("group", OWN, ingress=[BETWEEN, API])],
        [
            two_nodes(),
            DENY,
            policy(
                "all",
                OWN,
                ingress=[BETWEEN],
                egress=[{"to": [{"podSelector": OWN}]}],
                policyTypes=["Ingress", "Egress"],
            ),
        ],
        [
            two_nodes(),
            policy("group", OWN, ingress=[API]),
            policy("set", OWN, ingress=[{"from": [{"podSelector": {"matchLabels": SET}}]}]),
        ],
        [
            two_nodes(),
            policy(
                "key",
                OWN,
                ingress=[
                    {
                        "from": [
                            {
                                "podSelector": {
                                    "matchExpressions": [
                                        {
                                            "key": "leaderworkerset.sigs.k8s.io/group-key",
                                            "operator": "Exists",
                                        }
                                    ]
                                }
                            }
                        ]
                    }
                ],
            ),
        ],
        [two_nodes(), policy("open", OWN, ingress=[{}])],
        [
            two_nodes(),
            policy("range", OWN, ingress=[{**BETWEEN, "ports": [{"port": 1, "endPort": 65535}]}]),
        ],
        [
            two_nodes(),
            policy("block", OWN, ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
        ],
        [
            two_nodes(),
            policy(
                "tenant",
                OWN,
                ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"tenant": "a"}}}]}],
            ),
        ],
        [two_nodes(), policy("api", {"matchLabels": {"app": "other"}}, ingress=[API])],
        [two_nodes(), DENY, {"kind": "CiliumNetworkPolicy", "apiVersion": "cilium.io/v2"}],
        [two_nodes(size=1), DENY],
        [one_template("m", "--tensor-parallel-size=8"), DENY],
        [deployment("m", pod(container("m"))), DENY],
        # The only worker does not connect to itself.
        [
            two_nodes(),
            policy(
                "worker",
                {"matchLabels": {"role": "worker"}},
                ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "leader"}}}]}],
            ),
        ],
    ],
)
def test_good_separated(manifests: list[dict[str, Any]]) -> None:
    """Nodes that reach each other, or may, are no mistake."""
    assert [] == sentences(manifests, "M11")


@pytest.mark.parametrize("value", [None, "x", [], [None], {"a": None}, 3])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    manifests: list[dict[str, Any]] = [two_nodes()]
    manifests += [policy("p", OWN, ingress=[{name: value}]) for name in ("from", "ports")]
    manifests += [policy("p", value), policy("p", OWN, ingress=value, policyTypes=value)]
    for kind in (service("api", SET, 8000), pool({}), monitor({}), DENY):
        for key in kind["spec"]:
            manifests.append({**kind, "spec": {**kind["spec"], key: value}})
    manifests.append({**service("api", SET), "spec": value})

    found(manifests, "M06", "M08", "M11")
