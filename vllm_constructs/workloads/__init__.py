"""Workloads: the pod of an engine and what runs it."""
