"""Rules of variables: E09, G07 and H06."""

from __future__ import annotations
