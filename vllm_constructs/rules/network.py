"""Rules of Services, policies and monitors: N01, N06 and N07."""

from __future__ import annotations
