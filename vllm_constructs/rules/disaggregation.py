"""Rules of prefill and decode apart: X01 to X07."""

from __future__ import annotations
