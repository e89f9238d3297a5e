"""Engines that compute prompts and answers apart, and which belong together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.several_pods import deployment, pool
from tests.rules.sides import BOTH, disaggregated_set, engine, side, sides, template
from vllm_constructs.reading.disaggregated import connectors, pairs, side_of
from vllm_constructs.reading.graph import Graph


def titles(*manifests: dict[str, Any]) -> list[tuple[str, str]]:
    """The names of the objects of each pair."""
    found = pairs(Graph(manifests))
    return [(one.prefill.manifest.name, one.decode.manifest.name) for one in found]


def test_connectors() -> None:
    """A connector may have others in it, with the role of the outer one."""
    inner = {"connectors": [BOTH, {"kv_connector": "OffloadingConnector"}, None]}
    config = {
        "kv_connector": "MultiConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": inner,
    }
    (one,) = Graph([side("prefill", engine(config=config))]).engines

    assert [
        ("MultiConnector", "kv_both"),
        ("NixlConnector", "kv_both"),
        ("OffloadingConnector", "kv_both"),
    ] == [(found.name, found.role) for found in connectors(one)]
    assert "prefill" == side_of(one)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (deployment("m", template("prefill", engine())), "prefill"),
        (deployment("m", template("both", engine())), ""),
        (deployment("m-decode", template("x", engine())), "decode"),
        (
            deployment("m", template("x", engine(config={**BOTH, "kv_role": "kv_consumer"}))),
            "decode",
        ),
        (deployment("m-decode", template("x", engine(config=None))), ""),
        (side("decode", engine(config={**BOTH, "kv_connector": "OffloadingConnector"})), ""),
    ],
)
def test_side(manifest: dict[str, Any], expected: str) -> None:
    """A side follows from the role, a label or the name; offloading is none."""
    assert expected == side_of(Graph([manifest]).engines[0])


def test_kserve() -> None:
    """The sides of KServe are in one object."""
    pods = {"containers": [engine()]}
    manifest = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "m"},
        "spec": {"template": pods, "prefill": {"template": pods}},
    }

    assert [("m", "m")] == titles(manifest)


def test_pairs() -> None:
    """Sides meet by their set, pool, name or labels."""
    assert [("m-prefill", "m-decode")] == titles(*sides())
    assert [("pd", "pd")] == titles(disaggregated_set())
    first = deployment("a", template("prefill", engine(), app="a"))
    second = deployment("b", template("decode", engine(), app="b"))
    assert [] == titles(first, second)
    assert [("a", "b")] == titles(
        first,
        second,
        pool({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}),
    )
    assert [("a", "b")] == titles(
        deployment("a", template("prefill", engine())),
        deployment("b", template("decode", engine())),
    )


def test_many() -> None:
    """Engines with the same name but for the side belong together."""
    manifests = [
        deployment(f"{role}-{i}", template(role, engine()))
        for role in ("prefill", "decode")
        for i in range(20)
    ]

    assert 20 == len(titles(*manifests))
