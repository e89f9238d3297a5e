"""Monitoring: monitors, objectives, alerts and the dashboard of a model."""
