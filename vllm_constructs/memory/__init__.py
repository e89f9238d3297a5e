"""Memory: shapes of models, their weights and KV cache, and the plan that adds these up."""
