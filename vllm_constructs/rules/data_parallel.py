"""Rules of data parallelism: D01 to D06."""

from __future__ import annotations
