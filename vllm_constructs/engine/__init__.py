"""The engine: what `vllm serve` is started with."""
