"""Rules of device claims: C01 and C02."""

from __future__ import annotations
