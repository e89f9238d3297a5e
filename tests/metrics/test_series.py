"""Series: what selects those of one model, whatever its name holds."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import ModelSeries


def test_matchers() -> None:
    """The namespace comes first, then the model's name, then other labels."""
    series = ModelSeries(namespace="llm", model_name="qwen-7b")

    assert 'namespace="llm",model_name="qwen-7b"' == series.matchers()
    assert 'namespace="llm",model_name="qwen-7b",pod="a"' == series.matchers(pod="a")


def test_escapes() -> None:
    """Quotes and backslashes are escaped, in the name and in other labels."""
    series = ModelSeries(namespace="llm", model_name='a"b\\c')

    expected = r'namespace="llm",model_name="a\"b\\c",pod="\"\\"'

    assert expected == series.matchers(pod='"\\')


@settings(max_examples=60, deadline=None)
@given(strategies.series(), strategies.one_line())
def test_selection(series: ModelSeries, value: str) -> None:
    """PromQL reads the matchers as the namespace, the name and the label that they were made of."""
    (selector,) = parse_promql(f"up{{{series.matchers(pod=value)}}}").selectors

    expected = {
        "namespace": ("=", series.namespace),
        "model_name": ("=", series.model_name),
        "pod": ("=", value),
    }
    assert expected == selector.matchers


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ModelSeries(namespace="A", model_name="b"), ("ModelSeries.namespace is 'A'", "'a'")),
    (lambda: ModelSeries(namespace="", model_name="b"), ("ModelSeries.namespace is ''",)),
    (lambda: ModelSeries(namespace="a", model_name=""), ("ModelSeries.model_name is ''",)),
    (
        lambda: ModelSeries(namespace="a", model_name="b\n"),
        ("ModelSeries.model_name is 'b\\n'", "a non-empty string"),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A namespace or a name that no series has is rejected."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """The series of a model cannot be changed after they were checked."""
    with pytest.raises(FrozenInstanceError):
        ModelSeries(namespace="a", model_name="b").namespace = "B"  # type: ignore[misc]  # the point
