"""Kubernetes: names, quantities, references, peers and the target release."""
