"""Rules: the mistakes that `check` finds in manifests of any origin."""
