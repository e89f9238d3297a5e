"""Query value: totals and averages, series, units and comparisons."""

import pytest

from vllm_constructs.metrics import promql
from vllm_constructs.metrics import query_value as values
from vllm_constructs.metrics.promql import Node

W = "vllm:num_requests_waiting"
KV = "vllm:kv_cache_usage_perc"
HITS = "vllm:prefix_cache_hits_total"
QUERIES = "vllm:prefix_cache_queries_total"
TTFT = "vllm:time_to_first_token_seconds"


def tree(query: str) -> Node:
    """The tree of a query."""
    found = promql.read(query)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("query", "amount"),
    [
        (f"sum({W})", "total"),
        (f"sum({W}) or vector(0)", "total"),
        (f"ceil(sum({W})) + 1", "total"),
        (f"sum({W}) > 5", "total"),
        (f"5 < sum({W})", "total"),
        (f"sum({W}) and sum({W}) > 1", "total"),
        (f"sum({W} + {W})", "total"),
        (f"sum({W}) + sum({W})", "total"),
        (f"sum({W}) / 2", "total"),
        (f"sum by (model_name) ({W})", "total"),
        (f"max(sum by (model_name) ({W}))", "total"),
        (f"max_over_time(sum({W})[5m:])", "total"),
        (f"sum(rate({TTFT}_count[5m]))", "total"),
        (f"avg({W})", "each"),
        (f"avg(sum by (pod) ({W}))", "each"),
        (f"quantile(0.9, {W})", "each"),
        (f"{KV} * 100", "each"),
        (f"sum({W}) / count({W})", "each"),
        (f"sum(rate({TTFT}_sum[5m])) / sum(rate({TTFT}_count[5m]))", "each"),
        (f"histogram_quantile(0.9, sum by (le) (rate({TTFT}_bucket[5m]))) or 0 * sum({W})", "each"),
        (f"avg({W}) * count({W})", ""),
        (f"sum({W}) > bool 5", ""),
        (f"sum without (pod) ({W})", ""),
        (f"sum({W}) ^ 2", ""),
        (f"absent({W})", ""),
        (f'{W}{{pod="qwen-0"}}', ""),
        (f"sum({W}) or avg({W})", ""),
        ("avg(vector(1))", ""),
        ("1", "constant"),
        ("vector(1)", "constant"),
    ],
)
def test_amount(query: str, amount: str) -> None:
    """A total grows with the replicas; an average does not."""
    assert amount == values.amount(tree(query))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (f"sum({W})", "one"),
        (f"sum({W}) or vector(0)", "one"),
        (f"topk(1, {W})", "one"),
        (f"scalar({W})", "one"),
        (f'sum by (model_name) ({W}{{model_name="q"}})', "one"),
        (f"histogram_quantile(0.9, sum by (le) (rate({TTFT}_bucket[5m])))", "one"),
        (f"sum({W}) / sum({W})", "one"),
        ("1", "one"),
        (W, "many"),
        (f"{W} * 100", "many"),
        (f"100 * {W}", "many"),
        (f"{W} or vector(0)", "many"),
        (f"{W} and {W} > 1", "many"),
        (f"topk(3, {W})", "many"),
        (f"sum by (pod) ({W})", "many"),
        (f"sum without (engine) ({W})", "many"),
        (f"rate({TTFT}_sum[5m]) / rate({TTFT}_count[5m])", "many"),
        (f"histogram_quantile(0.9, rate({TTFT}_bucket[5m]))", "many"),
        (f"histogram_quantile(0.9, sum by (le, pod) (rate({TTFT}_bucket[5m])))", "many"),
        (f'{W}{{pod="qwen-0"}}', ""),
        (f"sum by (model_name) ({W})", ""),
        (f"sum without (pod, instance) ({W})", ""),
        (f"{W} / on (pod) {W}", ""),
    ],
)
def test_series(query: str, count: str) -> None:
    """Several pods have several series, unless they are aggregated."""
    assert count == values.series(tree(query))


def test_groups() -> None:
    """Labels that keep series apart are those whose value is not selected."""
    bucket = f"rate({TTFT}_bucket[5m])"
    quantile = f"histogram_quantile(0.9, sum by (le, model_name) ({bucket}))"

    assert values.groups(tree(quantile)) == ["model_name"]
    assert values.groups(tree(f'sum by (a, b) ({W}{{a="x"}})')) == ["b"]
    assert values.groups(tree(f"sum without (a) ({W})")) == []
    assert values.groups(tree(W)) == []


@pytest.mark.parametrize(
    ("query", "unit"),
    [
        (f"avg({KV})", ("ratio", 1)),
        (f"100 * max({KV})", ("ratio", 100)),
        (f"avg({KV}) * 100 or vector(0)", ("ratio", 100)),
        (f"avg({KV}) / 2", ("ratio", 0.5)),
        (f"1 - avg({KV})", ("ratio", 1)),
        (f"avg_over_time(avg({KV})[5m:])", ("ratio", 1)),
        (f"sum(rate({HITS}[5m])) / sum(rate({QUERIES}[5m]))", ("ratio", 1)),
        ("avg(DCGM_FI_DEV_GPU_UTIL)", ("ratio", 100)),
        ("avg(DCGM_FI_PROF_SM_ACTIVE)", ("ratio", 1)),
        (f"histogram_quantile(0.9, sum by (le) (rate({TTFT}_bucket[5m])))", ("seconds", 1)),
        (f"sum(rate({TTFT}_sum[5m])) / sum(rate({TTFT}_count[5m])) * 1000", ("seconds", 1000)),
        (f"sum({W})", ("requests", 1)),
        (f"count({KV})", None),
        (f"2 - avg({KV})", None),
        (f"avg({KV}) > bool 1", None),
        (f"rate({TTFT}_sum[5m])", None),
        (f"sum({W}) / sum({KV})", None),
        (f"histogram_quantile(0.9, {W})", None),
        ("gateway_requests", None),
        ("vllm:own:rule", None),
        ("vllm:own_thing", None),
        ("1", None),
    ],
)
def test_unit(query: str, unit: tuple[str, float] | None) -> None:
    """A unit stays the same where the value does, and is multiplied with it."""
    assert unit == values.unit(tree(query))


def test_comparisons() -> None:
    """Numbers on either side are compared with what is on the other."""
    query = f"avg({KV}) > 90 and 0.5 < avg({KV}) and sum({W}) > 3 and {W} > {W}"

    assert [("ratio", 1, 90), ("ratio", 1, 0.5), ("requests", 1, 3)] == list(
        values.comparisons(tree(query))
    )


def test_of_pods() -> None:
    """Engines and GPUs have series for each pod; routers and recording rules do not."""
    assert values.is_of_pods(W)
    assert values.is_of_pods("DCGM_FI_DEV_GPU_UTIL")
    for name in ("vllm:current_qps", "vllm:own:rule", "gateway_requests"):
        assert not values.is_of_pods(name)
