"""Tests that run vLLM itself."""
