"""Units of vLLM's metrics: a table for some names, and rules for all others.

vLLM writes the unit into the name of a metric where Prometheus' naming rules require it
(`_seconds`, `_bytes`), and otherwise into the help text only; the table is for those.
Sources: the calls that create the metrics in vllm/v1/metrics/loggers.py, vllm/v1/metrics/perf.py,
vllm/v1/spec_decode/metrics.py, vllm/v1/kv_offload and vllm/distributed/kv_transfer of 0.33.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias, get_args

from vllm_constructs.errors import Problem, refuse

Unit: TypeAlias = Literal[
    "requests",
    "ratio",
    "seconds",
    "tokens",
    "preemptions",
    "bytes",
    "blocks",
    "transfers",
    "operations",
    "engines",
    "info",
    "allocations",
    "calls",
    "chunks",
    "connections",
    "descriptors",
    "drafts",
    "items",
    "jobs",
    "keys",
    "lookups",
    "notifications",
    "positions",
    "sequences",
    "steps",
    "stores",
]
UNITS: tuple[Unit, ...] = get_args(Unit)

_NAMED: dict[str, Unit] = {
    "admission_rejections": "requests",
    "diffusion_num_canvas_positions": "positions",
    "diffusion_num_denoising_steps": "steps",
    "engine_sleep_state": "engines",
    "estimated_flops_per_gpu": "operations",
    "external_prefix_cache_hits": "tokens",
    "external_prefix_cache_queries": "tokens",
    "hf3fs_num_failed_load": "operations",
    "hf3fs_num_failed_save": "operations",
    "hisparse_cache_hits": "lookups",
    "hisparse_cache_misses": "lookups",
    "kv_offload_allocation_failure": "allocations",
    "kv_offload_cpu_allocation_size": "chunks",
    "kv_offload_stores_skipped": "stores",
    "kv_offload_tiering_backpressure_store_latency_ema": "seconds",
    "kv_offload_tiering_backpressure_stores_dropped": "stores",
    "kv_offload_tiering_chunk_hits": "chunks",
    "kv_offload_tiering_chunk_queries": "chunks",
    "kv_offload_tiering_promotion_allocation_failures": "allocations",
    "mm_cache_hits": "items",
    "mm_cache_queries": "items",
    "mooncake_num_failed_recvs": "transfers",
    "nixl_num_failed_notifications": "notifications",
    "nixl_num_notifications_after_expiry": "notifications",
    "prefix_cache_hits": "tokens",
    "prefix_cache_queries": "tokens",
    "request_params_n": "sequences",
    "request_success": "requests",
    "simple_kv_offload_save_outcomes": "stores",
    "spec_decode_num_drafts": "drafts",
    "tool_call_parser_invocations": "calls",
}

# The first match counts: the name of a histogram of seconds may also contain tokens or blocks.
_RULES: tuple[tuple[re.Pattern[str], Unit], ...] = (
    (re.compile(r".*_info"), "info"),
    (re.compile(r".*_perc"), "ratio"),
    (re.compile(r".*_(seconds|time)"), "seconds"),
    (re.compile(r".*(_bytes(_.*)?|_size)"), "bytes"),
    (re.compile(r"(.*_)?tokens(_.*)?"), "tokens"),
    (re.compile(r".*_preemptions"), "preemptions"),
    (re.compile(r".*_blocks(_.*)?"), "blocks"),
    (re.compile(r".*_keys"), "keys"),
    (re.compile(r".*_(jobs|job_failures)"), "jobs"),
    (re.compile(r".*_descriptors"), "descriptors"),
    (re.compile(r".*_connections(_active)?"), "connections"),
    (re.compile(r".*_(requests|reqs)(_.*)?"), "requests"),
    (re.compile(r".*_transfers?(_.*)?"), "transfers"),
    (re.compile(r".*_operations?(_in_flight)?"), "operations"),
)


def unit_of(name: str) -> Unit:
    """The unit of a vLLM metric.

    Args:
        name: Name as exposed.

    Raises:
        VllmConstructsError: Neither the table nor a rule matches the name.
    """
    short = name.removeprefix("vllm:").removesuffix("_total")
    if short in _NAMED:
        return _NAMED[short]
    for pattern, unit in _RULES:
        if pattern.fullmatch(short):
            return unit
    advice = "specify it with Metric(name=..., unit=...)"
    return refuse(Problem(where=f"the unit of {name!r}", text="is not known", advice=advice))
