"""Releases: what each vLLM release and its image has."""
