"""Rules of scalers: S04 to S10."""

from __future__ import annotations
