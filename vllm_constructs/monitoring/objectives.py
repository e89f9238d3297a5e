"""Objectives: the service levels of a model, for its alerts and its dashboard."""

from __future__ import annotations

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Objectives:
    """The service levels of a model; an alert fires if one is missed.

    Args:
        time_to_first_token: Seconds until the first token, for all but the slowest requests.
            Default 2.0: as long as the user of a chat waits without wondering. Below 2560, the
            highest bucket of vLLM's histogram.
        inter_token_latency: Seconds between two tokens, likewise. Default 0.2: five tokens per
            second, the speed of reading. Below 80, the highest bucket of vLLM's histogram.
        quantile: The part of requests and tokens that must meet both latencies. Default 0.95.
        queue_depth: Requests that may wait per replica all the time. Default 5; specify the
            scaler's threshold, as in `QueueDepth(5)`.
        kv_cache_usage: Part of the KV cache in use, averaged over the replicas. Default 0.95.
        preemptions: Preemptions per second, over all replicas. Default 0.1.
        errors: Part of the requests that may end with an error. Default 0.01.
        gpu_utilization: Part of the time that the GPUs of a scaled-out model compute. Default
            0.1.

    Raises:
        VllmConstructsError: A number is out of its range, such as 95 for 95 %.
    """

    time_to_first_token: float = 2.0
    inter_token_latency: float = 0.2
    quantile: float = 0.95
    queue_depth: float = 5
    kv_cache_usage: float = 0.95
    preemptions: float = 0.1
    errors: float = 0.01
    gpu_utilization: float = 0.1

    def __post_init__(self) -> None:
        bounds = {"time_to_first_token": 2560, "inter_token_latency": 80}
        for name, high in bounds.items():
            where, value = f"Objectives.{name}", getattr(self, name)
            if require.number(where, value, 0, high, "seconds") == high:
                require.wrong(where, value, f"a number of seconds above 0 and below {high}")
        for name in ("quantile", "kv_cache_usage", "errors", "gpu_utilization"):
            where, value = f"Objectives.{name}", getattr(self, name)
            if require.ratio(where, value) == 1:
                require.wrong(where, value, "a ratio above 0 and below 1", "1 is never exceeded")
        require.number("Objectives.preemptions", self.preemptions, 0, 1_000_000, "preemptions")
        require.number("Objectives.queue_depth", self.queue_depth, 0, 1_000_000, "requests")
