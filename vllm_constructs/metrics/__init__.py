"""Metrics: vLLM's metrics and the cluster's series, as PromQL."""
