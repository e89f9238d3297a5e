"""Reading: models and their options from manifests of any origin."""
