"""Rules of Ingresses and routes: N02 to N05."""

from __future__ import annotations
