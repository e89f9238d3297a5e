"""Groups of pods, and engines that have several."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.several_pods import (
    LEADER,
    container,
    deployment,
    one_template,
    pod,
    pool,
    script,
    two_nodes,
)
from tests.rules.sides import disaggregated_set
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import (
    Group,
    groups,
    has_given,
    has_other_nodes,
    is_plain,
    lists_flags,
    pods_of_pool,
    serves_ranks,
)


def only(manifest: dict[str, Any]) -> Group:
    """The only group of an object."""
    (found,) = groups(Graph([manifest]))
    return found


def test_group() -> None:
    """A set has one group of its two templates."""
    found = only(two_nodes())

    assert (2, True, True, False) == (
        found.size,
        found.has_several,
        found.is_one_engine,
        found.uses_ray,
    )
    assert ["leader", "worker"] == [one.pod.role for one in found.engines]
    leader = found.engine("leader")
    assert leader is not None
    assert 2 == leader.flag("nnodes")
    assert 0 == leader.flag("node-rank")
    worker = found.engine("worker")
    assert worker is not None
    assert "node-rank" in worker.line.unread


def test_roles() -> None:
    """Each role of a set of several has a group."""
    found = list(groups(Graph([disaggregated_set()])))

    assert [("spec", "roles", i, "spec") for i in (0, 1)] == [one.path for one in found]
    assert [1, 1] == [one.size for one in found]


@pytest.mark.parametrize(
    ("size", "expected"), [(2, 2), (1, 1), ("2", None), (None, None), (True, None), ([], None)]
)
def test_size(size: Any, expected: int | None) -> None:
    """A size that is no number is not known."""
    assert expected == only(two_nodes(size=size)).size


def engine(manifest: dict[str, Any]) -> Any:
    """The first engine of an object."""
    return Graph([manifest]).engines[0]


def alone(*args: str) -> Any:
    """An engine with arguments."""
    return engine(deployment("m", pod(container("m", *args))))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), True),
        (("--port=$(PORT)",), True),
        (("$(MORE)",), False),
        (("--config=/etc/vllm.yaml",), False),
        (("--config", "$(FILE)"), False),
    ],
)
def test_lists_flags(args: tuple[str, ...], *, expected: bool) -> None:
    """Flags may be in a variable that stands alone, or in a file."""
    assert expected is lists_flags(alone(*args))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vllm serve m --port 8000", True),
        ("cd /x && exec vllm serve m", True),
        ("if [ $A ]; then vllm serve m; fi", False),
        ("vllm serve m & vllm serve n", False),
    ],
)
def test_is_plain(text: str, *, expected: bool) -> None:
    """A script that chooses, or starts several, has no one command line."""
    assert expected is is_plain(engine(deployment("m", pod(script(text)))))


def test_flags() -> None:
    """What is given in a variable is given."""
    one = alone("--data-parallel-rank", "$(RANK)")

    assert has_given(one, "data-parallel-rank")
    assert has_other_nodes(one)
    assert serves_ranks(one)
    assert not has_other_nodes(alone("--tensor-parallel-size=8"))
    assert not serves_ranks(alone("--headless", "--data-parallel-start-rank=8"))


def test_ray() -> None:
    """Scripts that start Ray are known by their words."""
    assert only(one_template(*LEADER)).uses_ray is False
    ray = script("ray start --head; vllm serve m")
    assert only(
        {**two_nodes(), "spec": {"leaderWorkerTemplate": {"size": 2, "workerTemplate": pod(ray)}}}
    ).uses_ray


def test_pool() -> None:
    """Older pools select by a map of labels, and one without a selector selects nothing."""
    graph = Graph(
        [
            deployment("m", pod(container("m"))),
            pool({"matchLabels": {"app": "big"}}),
            pool({"app": "big"}),
            pool({}),
        ]
    )

    assert [1, 1, 0] == [len(pods_of_pool(graph, one)) for one in graph.of("InferencePool")]
