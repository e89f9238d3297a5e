"""Rules of schemas: H09."""

from __future__ import annotations
