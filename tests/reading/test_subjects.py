"""Subjects: which engines a query is about, and what else sets labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules import scaled as of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.queries import queries
from vllm_constructs.reading.settings import Settings
from vllm_constructs.reading.subjects import Subjects, model_name


def engine_name(*args: str, env: dict[str, str] | None = None, model: str = "a/b") -> str | None:
    """The name of the model of an engine with some arguments."""
    body = of.deployment()
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["args"] = [model, *args]
    container["env"] = [{"name": key, "value": value} for key, value in (env or {}).items()]
    (engine,) = Graph([body]).engines
    return model_name(engine)


def test_model_name() -> None:
    """It is the first name; not known where vLLM or somebody else replaces it."""
    assert engine_name() == "a/b"
    assert engine_name("--served-model-name", "x", "y") == "x"
    assert engine_name("--served-model-name", "x", env={"HF_HUB_OFFLINE": "1"}) == "x"
    assert engine_name(env={"HF_HUB_OFFLINE": "0"}) == "a/b"
    for unknown in (
        engine_name(env={"HF_HUB_OFFLINE": "1"}),
        engine_name(env={"VLLM_USE_MODELSCOPE": "True"}),
        engine_name(model="s3://bucket/model"),
        engine_name("--served-model-name", "$(NAME)"),
        engine_name("--served-model-name", "{{.Name}}"),
    ):
        assert unknown is None


def test_engines() -> None:
    """A trigger is about its target; other queries about the models that they name."""
    old = of.deployment(name="old", model="old", image="vllm/vllm-openai:v0.20.2")
    graph = Graph([of.deployment(), old, of.scaled(of.prometheus("a")), of.rules("b", "c")])
    subjects = Subjects(graph)
    trigger, rule, _ = queries(graph)

    assert [one.manifest.name for one in subjects.engines(trigger)] == ["qwen"]
    assert [one.manifest.name for one in subjects.engines(rule)] == ["qwen", "old"]
    assert [one.manifest.name for one in subjects.engines(rule, ["old"])] == ["old"]
    assert subjects.engines(rule, ["other"]) == []
    assert subjects.scaler(rule) is None
    assert subjects.model_names == {"qwen-7b", "old"}
    assert (subjects.workloads, subjects.workloads_of("old"), subjects.workloads_of("x")) == (
        2,
        1,
        0,
    )


def test_assumed() -> None:
    """Without an engine, the release is that of the settings."""
    assert Subjects(Graph([])).assumed.version is None
    assert Subjects(Graph([], Settings(vllm="0.20.2"))).assumed.version == (0, 20, 2)
    assert Subjects(Graph([], Settings(vllm="x"))).assumed.version is None


RELABEL = {"targetLabel": "model"}


@pytest.mark.parametrize(
    "scraper",
    [
        of.monitor("ServiceMonitor", targetLabels=["model"]),
        of.monitor(podTargetLabels=["model"]),
        of.monitor(podMetricsEndpoints=[{"relabelings": [RELABEL]}]),
        of.monitor("ServiceMonitor", endpoints=[{"metricRelabelings": [RELABEL]}]),
        of.monitor(podMetricsEndpoints=[{"relabelings": [{"action": "labelmap"}]}]),
        of.monitor("PodMonitoring", targetLabels={"fromPod": [{"from": "x", "to": "model"}]}),
        of.config("p.yml", "scrape_configs:\n- relabel_configs:\n  - target_label: model"),
        of.config("p.yml", "scrape_configs:\n- relabel_configs:\n  - action: labelmap"),
    ],
)
def test_copied(scraper: dict[str, Any]) -> None:
    """A scraper may add labels."""
    subjects = Subjects(Graph([scraper]))

    assert subjects.copies("model")
    assert not Subjects(Graph([of.monitor()])).copies("model")


def test_may_be_copied() -> None:
    """A scraper that is not in the manifests may copy the pods' labels."""
    objects = [of.deployment(labels={"model": "x"}), of.rules("a")]
    for more, expected in (([], True), ([of.monitor()], False)):
        graph = Graph([*objects, *more])
        assert Subjects(graph).may_be_copied("model", queries(graph)[0]) is expected


def test_recorded() -> None:
    """Recording rules make series of any name."""
    assert Subjects(Graph([of.rules("a", **{"vllm:x": "b"})])).records == {"vllm:x": "b"}
