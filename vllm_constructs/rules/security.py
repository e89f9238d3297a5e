"""Rules of security: H01 to H05 and H07."""

from __future__ import annotations
