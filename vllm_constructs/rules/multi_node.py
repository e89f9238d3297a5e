"""Rules of groups of pods: M01 to M11."""

from __future__ import annotations
