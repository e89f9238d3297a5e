"""Scaling (S)."""

from __future__ import annotations

from vllm_constructs import CpuUtilization, KvCacheUsage

from .mistake import (
    ARGS,
    CRON,
    DEPLOYMENT,
    HPA,
    KV,
    LEGAL,
    METADATA,
    ONE,
    QUEUE,
    SCALER,
    Mistake,
    add,
    argue,
    both,
    drop,
    metadata,
    put,
    query,
)

MISTAKES = [
    Mistake(
        "S01",
        "a metric that was renamed",
        SCALER,
        query(KV, "kv_cache_usage_perc", "gpu_cache_usage_perc"),
        admitted=METADATA,
    ),
    Mistake(
        "S01",
        "a metric that nothing exposes",
        HPA,
        put("spec", "metrics", 0, "pods", "metric", "name", to="vllm_requests_waiting"),
        admitted="the metrics API is asked later, by the HPA's controller",
    ),
    Mistake(
        "S01",
        "a metric's name with a slash",
        HPA,
        put("spec", "metrics", 0, "pods", "metric", "name", to="vllm/num_requests_waiting"),
        refused="may not contain '/'",
    ),
    Mistake(
        "S02", "the label model", SCALER, query(QUEUE, "model_name=", "model="), admitted=METADATA
    ),
    Mistake(
        "S02",
        "a model that nobody serves",
        SCALER,
        query(QUEUE, '"qwen-7b"', '"qwen"'),
        admitted=METADATA,
    ),
    Mistake(
        "S03",
        "an average under AverageValue",
        SCALER,
        query(QUEUE, "sum(", "avg("),
        admitted=METADATA,
    ),
    Mistake(
        "S03",
        "a sum under Value",
        SCALER,
        put("spec", "triggers", QUEUE, "metricType", to="Value"),
        admitted=METADATA,
    ),
    Mistake(
        "S03",
        "several series",
        SCALER,
        metadata(QUEUE, "query", "vllm:num_requests_waiting"),
        admitted=METADATA,
    ),
    Mistake(
        "S03",
        "an invalid metric type",
        SCALER,
        put("spec", "triggers", QUEUE, "metricType", to="Average"),
        admitted="KEDA's CRD lists no metric types for triggers",
    ),
    Mistake(
        "S03",
        "a Value of all pods in an HPA",
        HPA,
        put("spec", "metrics", 0, "pods", "target", to={"type": "Value", "value": "5"}),
        refused="must specify a positive target averageValue",
    ),
    Mistake(
        "S04",
        "to zero on the metrics of pods that are gone",
        SCALER,
        both(put("spec", "minReplicaCount", to=0), drop("spec", "triggers", CRON)),
        admitted=METADATA,
    ),
    Mistake(
        "S04",
        "an HPA to zero on the metrics of its pods",
        HPA,
        put("spec", "minReplicas", to=0),
        refused=(
            "minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "must specify at least one Object or External metric",
        ),
    ),
    Mistake(
        "S04",
        "an HPA to zero on an external metric of its pods",
        HPA,
        both(
            put("spec", "minReplicas", to=0),
            add(
                "spec",
                "metrics",
                item={
                    "type": "External",
                    "external": {
                        "metric": {"name": "vllm_num_requests_waiting"},
                        "target": {"type": "AverageValue", "averageValue": "5"},
                    },
                },
            ),
        ),
        refused="minReplicas: Invalid value: 0: must be greater than or equal to 1",
        admitted="newer releases scale to zero, and do not ask what the metric is of",
        admitted_from="1.37",
    ),
    Mistake(
        "S05", "replicas under a scaler", DEPLOYMENT, put("spec", "replicas", to=1), admitted=ONE
    ),
    Mistake(
        "S05",
        "two scalers on one Deployment",
        HPA,
        put("spec", "scaleTargetRef", "name", to="qwen"),
        admitted=f"{ONE}; with KEDA, its webhook refuses it",
    ),
    Mistake(
        "S06",
        "a threshold that is a number",
        SCALER,
        metadata(QUEUE, "threshold", 5),
        refused="spec.triggers[0].metadata.threshold: expected string",
    ),
    Mistake(
        "S06",
        "a minimum above the maximum",
        SCALER,
        put("spec", "minReplicaCount", to=5),
        refused="minReplicaCount must be less than or equal to maxReplicaCount",
    ),
    Mistake("S06", "no minimum", SCALER, drop("spec", "minReplicaCount"), admitted="it is 0 then"),
    Mistake(
        "S06", "no maximum", SCALER, drop("spec", "maxReplicaCount"), admitted="it is 100 then"
    ),
    Mistake(
        "S06",
        "a maximum of 0",
        SCALER,
        both(put("spec", "maxReplicaCount", to=0), put("spec", "minReplicaCount", to=0)),
        refused="should be greater than or equal to 1",
    ),
    Mistake("S06", "metricName", SCALER, metadata(QUEUE, "metricName", "queue"), admitted=METADATA),
    Mistake(
        "S06",
        "a name of 55 characters",
        SCALER,
        put("metadata", "name", to="x" * 55),
        admitted="keda-hpa- comes in front later; KEDA's webhook refuses it",
    ),
    Mistake(
        "S06",
        "a cron window with no replicas",
        SCALER,
        metadata(CRON, "desiredReplicas", "0"),
        admitted=METADATA,
    ),
    Mistake(
        "S06",
        "idle at the minimum",
        SCALER,
        put("spec", "idleReplicaCount", to=2),
        admitted="the CRD does not compare them; KEDA's webhook refuses it",
    ),
    Mistake(
        "S06",
        "no triggers",
        SCALER,
        put("spec", "triggers", to=[]),
        refused="should have at least 1 items",
    ),
    Mistake(
        "S06",
        "an HPA's minimum above its maximum",
        HPA,
        put("spec", "minReplicas", to=5),
        refused="must be greater than or equal to `minReplicas`",
    ),
    Mistake("S07", "CPU alone", HPA, drop("spec", "metrics", 0), admitted=LEGAL),
    Mistake(
        "S08",
        "70 for a ratio",
        SCALER,
        metadata(KV, "threshold", "70"),
        admitted=METADATA,
        ours=lambda: KvCacheUsage(70),
    ),
    Mistake(
        "S08",
        "a percentage as a ratio",
        HPA,
        put("spec", "metrics", 1, "resource", "target", "averageUtilization", to=0.7),
        refused="cannot convert float64 to int32",
        ours=lambda: CpuUtilization(0.7),  # type: ignore[arg-type]  # the mistake
    ),
    Mistake(
        "S09",
        "no statistics under a scaler",
        DEPLOYMENT,
        argue("--disable-log-stats"),
        admitted=ARGS,
    ),
    Mistake(
        "S10",
        "an address of Prometheus without a namespace",
        SCALER,
        metadata(QUEUE, "serverAddress", "http://prometheus:9090"),
        admitted=METADATA,
    ),
]
