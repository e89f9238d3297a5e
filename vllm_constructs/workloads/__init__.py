"""Workloads: the pod of an engine, and the objects that run, store and expose it."""
