"""Rules of accelerators: G01 to G03, G06 and G08."""

from __future__ import annotations
