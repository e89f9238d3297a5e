"""Kubernetes: names, quantities and the target release."""
