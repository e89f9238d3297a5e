"""Formats of a report: what `check` finds, for people, for programs and for forges."""
