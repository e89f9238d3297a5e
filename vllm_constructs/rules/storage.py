"""Rules of volumes and claims: R02 to R05."""

from __future__ import annotations
