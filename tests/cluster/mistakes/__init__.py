"""The mistakes of ../shared/rules.md, room by room."""

from . import accelerators, engine, lifecycle, network, rollout, scaling, security
from .mistake import CUSTOM, NAMESPACE, Mistake, all_good, good, has

MISTAKES = [
    *engine.MISTAKES,
    *lifecycle.MISTAKES,
    *rollout.MISTAKES,
    *scaling.MISTAKES,
    *accelerators.MISTAKES,
    *network.MISTAKES,
    *security.MISTAKES,
]

__all__ = ["CUSTOM", "MISTAKES", "NAMESPACE", "Mistake", "all_good", "good", "has"]
