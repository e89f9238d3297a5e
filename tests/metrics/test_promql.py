"""PromQL: queries as trees, and what is not parsed."""

import pytest

from vllm_constructs.metrics import promql


def test_selectors() -> None:
    """Selectors are found with names and matchers, wherever they are."""
    tree = promql.read(
        'sum by (le) (rate(vllm:a_bucket{model_name="q", pod=~"x.*"}[5m])) / b{c!="d"} or {"e:f"}'
    )
    assert tree is not None
    first, second, third = tree.selectors()

    assert ["vllm:a_bucket", "b", "e:f"] == [one.name for one in (first, second, third)]
    assert (("model_name", "=", "q"), ("pod", "=~", "x.*")) == first.matchers
    assert first.equal("model_name") == "q"
    assert first.equal("pod") is None
    assert (("c", "!=", "d"),) == second.matchers
    assert first.has_alternative
    assert third.has_alternative


def test_nodes() -> None:
    """Aggregations, operators and numbers keep what decides about their value."""
    tree = promql.read("topk(2, -a) without (pod) > bool -1")
    matched = promql.read("a * on (b) group_left () c")
    assert tree is not None
    assert matched is not None
    left, right = tree.parts

    assert (tree.kind, tree.name, tree.is_bool, tree.is_matched) == ("binary", ">", True, False)
    assert (matched.is_bool, matched.is_matched) == (False, True)
    assert (left.name, left.labels, left.is_without, left.number) == ("topk", ("pod",), True, 2)
    assert (right.kind, right.number) == ("number", -1)
    assert [one.kind for one in left.walk()] == ["aggregate", "call", "selector"]
    assert repr(left) == "<aggregate topk>"


@pytest.mark.parametrize(
    "query",
    [
        "max_over_time(sum(a)[5m:])",
        "((a offset 5m))",
        "rate(a[$__rate_interval])",
        "rate(a[${interval}:1m])",
        "rate(a[[[range]]])",
        "a{b='c'} @ end() # comment",
    ],
)
def test_read(query: str) -> None:
    """Subqueries, offsets, comments and Grafana's variables are no obstacle."""
    tree = promql.read(query)

    assert tree is not None
    assert [one.name for one in tree.selectors()] == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sum(",
        "a default 0",
        "WITH (x = a) x",
        "{{ .Values.query }}",
        "label_values(a, b)",
        "(" * 100 + "a" + ")" * 100,
        "a" + " + a" * 300,
        "a" * 5000,
    ],
)
def test_unread(query: str) -> None:
    """Other dialects, templates and what is too deep are not parsed, and do no harm."""
    assert promql.read(query) is None


def test_names() -> None:
    """Words outside of quotes and comments may be series."""
    query = "label_values(vllm:a{b=\"vllm:c\", d='vllm:e'}, ray_vllm:f) # vllm:g"

    assert ["vllm:a"] == [one for one in promql.names(query) if one.startswith("vllm:")]


def test_patterns() -> None:
    """A pattern matches whole names, as in Prometheus; others match nothing."""
    assert promql.matching("vllm:num.*", ["vllm:num_a", "x_vllm:num_a"]) == ["vllm:num_a"]
    for pattern in ("(", "(a+)+b", "a" * 600):
        assert not promql.is_pattern(pattern)
        assert promql.matching(pattern, ["a"]) == []
