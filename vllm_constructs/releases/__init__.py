"""Releases: the flags, metrics, variables and behavior of each vLLM release and its image."""
