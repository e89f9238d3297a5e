"""The rules, on manifests that are bad, and on others that only look so."""
