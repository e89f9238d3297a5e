"""Rules of cloud nodes: W01 and W02."""

from __future__ import annotations
