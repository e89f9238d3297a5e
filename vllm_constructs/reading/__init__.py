"""Reading: manifests, whoever wrote them, back to values."""
