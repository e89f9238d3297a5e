"""Scaling: triggers, pace and the two scalers."""
