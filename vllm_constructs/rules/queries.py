"""Rules of queries: S01 to S03."""

from __future__ import annotations
