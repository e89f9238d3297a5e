"""Rules of shared memory: G04 and G05."""

from __future__ import annotations
