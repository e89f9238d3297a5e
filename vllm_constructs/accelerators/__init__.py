"""Accelerators: what a pod gets to run its engine on."""
