"""Rules of selectors and ports: R06 and R09."""

from __future__ import annotations
