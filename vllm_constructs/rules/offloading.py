"""Rules of KV offloading: K01 to K03."""

from __future__ import annotations
