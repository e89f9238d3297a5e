"""What NetworkPolicies allow between the pods of manifests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.several_pods import container, deployment, pod, policy
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.network_policies import PolicyReader

FROM, TO = (
    deployment(name, {**pod(container("m")), "metadata": {"labels": {"app": name}}})
    for name in ("from", "to")
)
SOURCE, TARGET = ({"matchLabels": {"app": name}} for name in ("from", "to"))


def isolating(*policies: dict[str, Any]) -> tuple[str, str] | None:
    """The policy that stops one pod from reaching the other, and its direction."""
    graph = Graph([FROM, TO, *policies])
    source, target = graph.pods
    found = PolicyReader(graph).isolating(source, target)
    return None if found is None else (found[0].name, found[1])


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], None),
        ([policy("a", TARGET)], ("a", "Ingress")),
        ([policy("a", {})], ("a", "Ingress")),
        ([policy("a", SOURCE)], None),
        ([policy("a", SOURCE, policyTypes=["Egress"])], ("a", "Egress")),
        ([policy("a", SOURCE, egress=[{"ports": [{"port": 53}]}])], ("a", "Egress")),
        ([policy("a", TARGET, ingress=[{"from": [{"podSelector": SOURCE}]}])], None),
        ([policy("a", TARGET, ingress=[{"from": [{"podSelector": TARGET}]}])], ("a", "Ingress")),
        ([policy("a", TARGET), policy("b", {}, ingress=[{}])], None),
        ([{**policy("a", TARGET), "apiVersion": "projectcalico.org/v3"}], None),
        ([{**policy("a", TARGET), "metadata": {"name": "a", "namespace": "x"}}], None),
        (
            [
                policy(
                    "a",
                    TARGET,
                    ingress=[
                        {
                            "from": [
                                {
                                    "namespaceSelector": {
                                        "matchLabels": {"kubernetes.io/metadata.name": "llm"}
                                    }
                                }
                            ]
                        }
                    ],
                )
            ],
            None,
        ),
    ],
)
def test_isolating(policies: list[dict[str, Any]], expected: tuple[str, str] | None) -> None:
    """A policy isolates, unless another one allows all ports."""
    assert expected == isolating(*policies)
