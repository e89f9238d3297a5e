"""What all triggers have in common: their thresholds, and how these are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import ModelSeries, PrometheusQuery, QueueDepth
from vllm_constructs.scaling import trigger


@pytest.mark.parametrize(
    ("value", "written"),
    [(5, "5"), (5.0, "5"), (0.85, "0.85"), (1.0000001, "1"), (1e12, "1" + "0" * 12)],
)
def test_threshold(value: float, written: str) -> None:
    """A threshold is a number without exponent, which KEDA and people can read."""
    series = ModelSeries(namespace="llm", model_name="qwen-7b")
    query = PrometheusQuery(name="x", query="sum(x)", threshold=value, metric_type="Value")

    found = query.keda_trigger(series, "http://x", ignore_null=True)

    assert written == found["metadata"]["threshold"]
    assert written == trigger._decimal(value)


@pytest.mark.parametrize(
    ("value", "written"), [(5, "5"), (5.0, "5"), (0.85, "850m"), (2.5, "2500m"), (0.001, "1m")]
)
def test_threshold_for_hpa(value: float, written: str) -> None:
    """A threshold is a quantity in thousandths where it is no integer."""
    target = QueueDepth(value).hpa_metric()["pods"]["target"]

    assert {"type": "AverageValue", "averageValue": written} == target


@given(st.floats(0.001, 1_000_000))
def test_threshold_is_kept(value: float) -> None:
    """Both spellings mean the number that was given, to a thousandth."""
    in_hpa = trigger._milli(value)
    read = float(in_hpa[:-1]) / 1000 if in_hpa.endswith("m") else float(in_hpa)

    assert value == pytest.approx(read, abs=0.0005)
    assert value == pytest.approx(float(trigger._decimal(value)), abs=0.0000005)


@pytest.mark.parametrize("value", [0, 0.0009, -1, 11, float("nan"), True, "5"])
def test_check_threshold(value: object) -> None:
    """A threshold has a range; below a thousandth both scalers would compare with 0."""
    trigger.check_threshold("here", 0.001, 10)
    trigger.check_threshold("here", 10, 10)

    sentence = strategies.refusal(lambda: trigger.check_threshold("here", value, 10))

    assert sentence.startswith(f"here is {value!r}")


def test_base() -> None:
    """A trigger that says nothing else is read by KEDA alone, and wakes nothing."""
    plain = trigger.Trigger()

    assert (False, True, 0, False) == (
        plain.for_hpa,
        plain.reads_prometheus,
        plain.floor,
        plain.wakes,
    )
    assert "Trigger" == plain.key
    with pytest.raises(NotImplementedError):
        plain.hpa_metric()
