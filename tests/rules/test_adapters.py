"""Adapters: the metrics that they make of vLLM's series."""

from tests.rules import scaled as of
from vllm_constructs.metrics import query_value
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.adapters import Adapters, adapted


def test_made() -> None:
    """Names follow from the rules, for series by name and by pattern."""
    adapters = Adapters(Graph([of.config("config.yaml", of.ADAPTER)]))

    assert sorted(adapters.made("Pods")) == ["kv_usage_perc", "vllm_num_requests_waiting"]
    assert sorted(adapters.made("External")) == ["vllm_running"]
    assert Adapters(Graph([])).made("Pods") == {}


def test_adapted() -> None:
    """The template of a query has the series, its labels and the group in it."""
    rule, series = Adapters(Graph([of.config("config.yaml", of.ADAPTER)])).made("Pods")[
        "vllm_num_requests_waiting"
    ]
    tree = adapted(rule, series, group="namespace")

    assert tree is not None
    assert tree.labels == ("namespace",)
    assert tree.selectors()[0].equal("namespace") == "x"
    assert query_value.amount(tree) == "total"
