"""Rule S02: labels and models that no series has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences

W = "vllm:num_requests_waiting"


def said(*objects: dict[str, Any]) -> str:
    """All findings of S02 as one text."""
    return "\n".join(sentences(objects, "S02"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f'sum({W}{{model="qwen-7b"}})', "by the label 'model', which vLLM does not set"),
        (f'sum({W}{{namespace="llm", model=~"qwen-7b"}})', "write model_name"),
        (f'sum({W}{{served_model_name="qwen-7b"}})', "write model_name"),
        ('sum(rate(vllm:time_to_first_token_seconds_sum{model="q"}[1m]))', "'model'"),
        ('vllm:lora_requests_info{model_name="qwen-7b"}', "leave it out"),
        ('vllm:lora_requests_info{engine="0"}', "leave it out"),
        ('vllm:num_requests_waitin{model="qwen-7b"}', "write model_name"),
        (f'sum({W}{{model="$model"}})', "write model_name"),
    ],
)
def test_label(query: str, words: str) -> None:
    """A label that vLLM does not set selects nothing."""
    (one,) = found([of.deployment(), of.scaled(of.prometheus(query))], "S02")

    assert (one.level, one.path) == ("error", ("spec", "triggers", 0, "metadata", "query"))
    assert words in one.problem.sentence()


@pytest.mark.parametrize(
    "query",
    [
        of.WAITING,
        f'sum({W}{{job="qwen", pod=~"qwen-.*", deployment="qwen", app="qwen"}})',
        # It also matches series without the label.
        f'sum({W}{{model!="x", model=~".*", model=""}})',
        f'sum({W}{{model_name=~".*"}})',
        f'sum({W}{{model_name!="x"}})',
        f'sum({W}{{model_name=~"qwen-(7|14)b"}})',
        f'sum({W}{{model_name=~"^qwen"}}) or vector(0)'.replace("^qwen", "^qwen.*$"),
        f'sum({W}{{model_name="{{{{ .Values.model }}}}"}})',
        f'sum({W}{{model_name="${{MODEL}}"}})',
        f'sum({W}{{model_name=~"("}})',
        # Metrics of others.
        'sum(vllm:num_incoming_requests_total{model="qwen-7b"})',
        f'sum({W}{{server="http://x", model="qwen-7b"}})',
        'sum(gateway_requests{model="qwen-7b"})',
        'vllm:own:rule{model="x"}',
        # Labels that are known at run time only.
        "sum(",
    ],
)
def test_quiet(query: str) -> None:
    """Labels of scrapers, idle matchers, templates and metrics of others are no mistake."""
    assert said(of.deployment(), of.scaled(of.prometheus(query))) == ""


def test_scrapers() -> None:
    """A label that a monitor copies is there; one of the pods may be copied elsewhere."""
    trigger = of.scaled(of.prometheus(f'sum({W}{{model="qwen-7b"}})'))
    plain, labelled = of.deployment(), of.deployment(labels={"model": "qwen-7b"})

    assert said(plain, trigger, of.monitor(podTargetLabels=["model"])) == ""
    (one,) = found([labelled, trigger], "S02")
    assert one.level == "warning"
    assert "unless Prometheus copies the pods' label 'model'" in one.problem.sentence()
    (one,) = found([labelled, trigger, of.monitor()], "S02")
    assert one.level == "error"


def test_readers() -> None:
    """Alerts and dashboards are judged by their labels, not by the models in them."""
    alert = of.rules(f'{W}{{model="x"}} > 1', f'{W}{{model_name="other"}} > 1')
    board = json.dumps({"panels": [{"expr": f'{W}{{model="$m"}}'}, {"expr": f'{W}{{model="x"}}'}]})
    findings = found([of.deployment(), alert, of.config("x.json", board)], "S02")

    assert [(one.manifest.kind, one.level) for one in findings] == [
        ("PrometheusRule", "error"),
        ("ConfigMap", "warning"),
        ("ConfigMap", "warning"),
    ]
    recorded = of.rules('vllm:own{model="x"} > 1', **{"vllm:own": "sum by (model) (a)"})
    assert said(of.deployment(), recorded) == ""


@pytest.mark.parametrize(
    ("how", "value", "words"),
    [
        ("=", "qwen", "selects the model 'qwen', but its target serves 'qwen-7b'"),
        ("=", "Qwen/Qwen2.5-7B-Instruct", "serves 'qwen-7b'"),
        ("=~", "qwen", "serves 'qwen-7b'"),
        ("=~", "llama.*|qwen", "serves 'qwen-7b'"),
    ],
)
def test_model(how: str, value: str, words: str) -> None:
    """A scaler selects the first served name of its target."""
    query = f'sum({W}{{model_name{how}"{value}"}})'
    (one,) = found([of.deployment(), of.scaled(of.prometheus(query))], "S02")

    assert one.level == "error"
    assert words in one.problem.sentence()
    assert (one.fix is not None) is (how == "=")


def test_second_name() -> None:
    """Further names are no labels."""
    both = of.deployment("alias")
    query = of.prometheus(f'sum({W}{{model_name="alias"}})')

    assert "to its first name, 'qwen-7b'" in said(both, of.scaled(query))
    assert said(both, of.scaled(of.prometheus(of.WAITING))) == ""


def test_other_model() -> None:
    """A scaler that reads another engine of the manifests is a warning."""
    coder = of.deployment(name="coder", model="coder")
    objects = [of.deployment(), coder, of.scaled(of.prometheus(of.WAITING), target="coder")]
    (one,) = found(objects, "S02")

    assert one.level == "warning"
    assert "the model of Deployment llm/qwen, 'qwen-7b', not 'coder'" in one.problem.sentence()


def test_unknown_model() -> None:
    """Where the target or its name is not known, any model may be right."""
    query = of.scaled(of.prometheus(f'sum({W}{{model_name="x"}})'))
    offline = of.deployment()
    container = offline["spec"]["template"]["spec"]["containers"][0]
    container |= {"args": ["a/b"], "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}]}
    variable = of.deployment(model="$(NAME)")
    for objects in ([query], [offline, query], [variable, query], [of.deployment(name="y"), query]):
        assert said(*objects) == ""


def test_fix() -> None:
    """The label, or the name of the model, is replaced in the query."""
    for query in (f'sum({W}{{model="qwen-7b"}})', f'sum({W}{{model_name="qwen"}})'):
        (one,) = found([of.deployment(), of.scaled(of.prometheus(query))], "S02")
        assert one.fix is not None
        assert one.fix.edits[0].value == of.WAITING
        assert not one.fix.is_safe
