"""Whether a model fits on its GPUs: shapes, weights, KV cache, and the plan that adds them up."""
