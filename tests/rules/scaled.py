"""Manifests of scalers and of what they scale, for tests."""

from __future__ import annotations

from typing import Any

SERVER = "http://prometheus-operated.monitoring.svc:9090"
WAITING = 'sum(vllm:num_requests_waiting{model_name="qwen-7b"})'
USAGE = 'avg(vllm:kv_cache_usage_perc{model_name="qwen-7b"})'

Object = dict[str, Any]


def deployment(
    *args: str,
    name: str = "qwen",
    model: str = "qwen-7b",
    image: str = "vllm/vllm-openai:v0.33.0",
    labels: dict[str, str] | None = None,
    kind: str = "Deployment",
    **spec: Any,
) -> Object:
    """An engine that serves a model on one GPU."""
    words = ["Qwen/Qwen2.5-7B-Instruct", "--served-model-name", model, *args]
    container = {
        "name": "vllm",
        "image": image,
        "args": words,
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    own = {"app": name} if labels is None else {"app": name, **labels}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": own}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def prometheus(query: str, threshold: Any = "5", kind: str | None = None, **more: Any) -> Object:
    """A prometheus trigger."""
    metadata = {"serverAddress": SERVER, "query": query, "threshold": threshold, **more}
    trigger: Object = {"type": "prometheus", "metadata": metadata}
    return trigger if kind is None else trigger | {"metricType": kind}


def cron(replicas: Any = "1", **more: Any) -> Object:
    """A cron trigger."""
    times = {"timezone": "Asia/Shanghai", "start": "0 9 * * *", "end": "0 22 * * *"}
    return {"type": "cron", "metadata": times | {"desiredReplicas": replicas, **more}}


def scaled(
    *triggers: Object,
    name: str = "qwen",
    target: str = "qwen",
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A ScaledObject for 1 to 4 replicas; a field of None is left out."""
    given = {"minReplicaCount": 1, "maxReplicaCount": 4, "triggers": [*triggers], **spec}
    metadata: Object = {"name": name, "namespace": "llm"}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"name": target},
            **{key: value for key, value in given.items() if value is not None},
        },
    }


def pods(name: str, value: Any = "5", kind: str = "AverageValue") -> Object:
    """A metric of pods in an HPA."""
    field = f"{kind[0].lower()}{kind[1:]}"
    return {
        "type": "Pods",
        "pods": {"metric": {"name": name}, "target": {"type": kind, field: value}},
    }


def external(name: str, value: Any = "5", kind: str = "AverageValue") -> Object:
    """An external metric in an HPA."""
    metric = pods(name, value, kind)["pods"]
    return {"type": "External", "external": metric}


def of_namespace(name: str, value: Any = "5", kind: str = "Value") -> Object:
    """A metric of a namespace in an HPA."""
    described = {"apiVersion": "v1", "kind": "Namespace", "name": "llm"}
    return {
        "type": "Object",
        "object": {**pods(name, value, kind)["pods"], "describedObject": described},
    }


def cpu(percent: Any = 70) -> Object:
    """The CPU in an HPA."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def hpa(*metrics: Object, name: str = "qwen", target: str = "qwen", **spec: Any) -> Object:
    """An HPA for 1 to 4 replicas."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {
            "scaleTargetRef": reference,
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [*metrics],
            **spec,
        },
    }


def kserve(query: str, kind: str = "Value", value: Any = "2", **predictor: Any) -> Object:
    """An InferenceService that is scaled by a query."""
    metric = {"backend": "prometheus", "serverAddress": SERVER, "query": query}
    field = f"{kind[0].lower()}{kind[1:]}"
    target = {"type": kind, field: value}
    scaling = {"metrics": [{"type": "External", "external": {"metric": metric, "target": target}}]}
    given = {"minReplicas": 1, "maxReplicas": 5, "autoScaling": scaling, **predictor}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"predictor": given},
    }


def rules(*expressions: str, **records: str) -> Object:
    """A PrometheusRule with alerts, and with recording rules by name."""
    found = [{"alert": f"Alert{i}", "expr": text} for i, text in enumerate(expressions)]
    found += [{"record": name, "expr": text} for name, text in records.items()]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"groups": [{"name": "qwen", "rules": found}]},
    }


def config(key: str, text: str, **labels: str) -> Object:
    """A ConfigMap with one file."""
    metadata = {"name": "config", "namespace": "llm", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: text}}


def monitor(kind: str = "PodMonitor", **spec: Any) -> Object:
    """A monitor of the engine."""
    field = "podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"selector": {"matchLabels": {"app": "qwen"}}, field: [{"port": "http"}], **spec},
    }


ADAPTER = """\
rules:
- seriesQuery: 'vllm:num_requests_waiting{namespace!="",pod!=""}'
  name: {matches: "^vllm:(.*)$", as: "vllm_${1}"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: '{__name__=~"^vllm:kv_cache.*"}'
  name: {matches: "", as: kv_usage_perc}
  metricsQuery: 'avg(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>) * 100'
externalRules:
- seriesQuery: 'vllm:num_requests_running'
  name: {matches: "vllm:", as: vllm_running}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
"""
