"""Rules of the command line: E01 to E08."""

from __future__ import annotations
