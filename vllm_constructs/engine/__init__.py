"""The engine: the flags of `vllm serve`, and its command line."""
