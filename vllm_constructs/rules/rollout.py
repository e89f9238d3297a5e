"""Rules of rollouts and disruption: R01, R07 and R08."""

from __future__ import annotations
