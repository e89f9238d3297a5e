"""Rules of LoRA adapters: L01 to L04."""

from __future__ import annotations
