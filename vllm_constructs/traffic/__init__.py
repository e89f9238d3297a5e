"""Traffic: how clients outside of the cluster reach a model."""
