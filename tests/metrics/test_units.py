"""What the value of each metric counts."""

from typing import Any, cast

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.metrics.units import UNITS, unit_of
from vllm_constructs.releases.release import NEWEST, catalog


def test_units() -> None:
    """Units that names do not tell are those of the calls that make the metrics; all are used."""
    expected = {
        "vllm:prefix_cache_hits_total": "tokens",
        "vllm:mm_cache_hits_total": "items",
        "vllm:kv_offload_size": "bytes",
        "vllm:kv_offload_load_time_total": "seconds",
        "vllm:kv_offload_tiering_backpressure_store_latency_ema": "seconds",
        "vllm:iteration_tokens_total": "tokens",
        "vllm:request_time_per_output_token_seconds": "seconds",
        "vllm:mooncake_store_operation_keys_total": "keys",
        "vllm:mooncake_store_operation_total": "operations",
        "vllm:umbp_transfer_failed_total": "transfers",
        "vllm:nixl_num_kv_expired_reqs_total": "requests",
        "vllm:request_params_n": "sequences",
        "vllm:websocket_connections_active": "connections",
        "vllm:simple_kv_offload_used_blocks": "blocks",
        "vllm:kv_offload_tiering_active_cascade_jobs": "jobs",
    }

    assert expected == {name: unit_of(name) for name in expected}
    assert set(UNITS) == {
        unit_of(name) for name in cast("dict[str, Any]", catalog(NEWEST))["metrics"]
    }


def test_unknown() -> None:
    """A name that no rule knows is rejected, with the way to make the metric."""
    with pytest.raises(VllmConstructsError, match=r"the unit of 'vllm:new'.*Metric\(name="):
        unit_of("vllm:new")
