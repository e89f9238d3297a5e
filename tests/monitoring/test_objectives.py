"""Objectives: each is a number that can be missed."""

import pytest

from tests import strategies
from vllm_constructs import Objectives


def test_defaults() -> None:
    """The defaults are what users of a chat put up with."""
    found = Objectives()
    assert (found.time_to_first_token, found.inter_token_latency, found.quantile) == (
        2.0,
        0.2,
        0.95,
    )
    assert found.queue_depth == 5


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Objectives(time_to_first_token=0), ("time_to_first_token is 0", "above 0")),
    (lambda: Objectives(time_to_first_token=2560), ("time_to_first_token", "below 2560")),
    (lambda: Objectives(time_to_first_token="2s"), ("time_to_first_token is '2s'", "seconds")),  # type: ignore[arg-type]  # the mistake
    (lambda: Objectives(inter_token_latency=80), ("inter_token_latency is 80", "below 80")),
    (lambda: Objectives(inter_token_latency=200), ("inter_token_latency is 200", "up to 80")),
    (lambda: Objectives(quantile=95), ("quantile is 95", "write 0.95")),
    (lambda: Objectives(kv_cache_usage=1), ("kv_cache_usage is 1", "never exceeded")),
    (lambda: Objectives(errors=0), ("errors is 0", "above 0")),
    (lambda: Objectives(gpu_utilization=10), ("gpu_utilization is 10", "write 0.1")),
    (lambda: Objectives(queue_depth=0), ("queue_depth is 0", "above 0")),
    (lambda: Objectives(preemptions=-1), ("preemptions is -1", "above 0")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """An objective that cannot be missed is rejected."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
