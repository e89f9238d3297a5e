"""Accelerators: the GPUs, or parts of GPUs, that a pod requests."""
