"""Monitoring: monitors, objectives, alerts and the dashboard."""
