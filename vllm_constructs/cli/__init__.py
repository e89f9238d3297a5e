"""The command `vllm-constructs`."""
