"""Rules of names: H08."""

from __future__ import annotations
