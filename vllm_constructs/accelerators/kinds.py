"""All kinds of accelerators that a pod can have."""

from __future__ import annotations

from typing import TypeAlias

from . import amd, intel, nvidia
from .amd import AmdGpu
from .cpu import Cpu
from .device_claim import DeviceClaim
from .google import Tpu
from .intel import Gaudi, IntelGpu

Gpu: TypeAlias = nvidia.Gpu | DeviceClaim | AmdGpu | IntelGpu | Gaudi | Tpu | Cpu
KINDS = (*nvidia.KINDS, DeviceClaim, AmdGpu, IntelGpu, Gaudi, Tpu, Cpu)
EXPECTED = (
    "a WholeGpu, MigSlice, TimeSlicedGpu, VirtualGpu, DeviceClaim, AmdGpu, IntelGpu, Gaudi, Tpu or "
    "Cpu"
)


def advice_for(given: object) -> str:
    """What to write instead of a name of a product; empty for anything else.

    Args:
        given: What stands where an accelerator is expected.
    """
    if not isinstance(given, str):
        return ""
    kinds = (
        ("WholeGpu", nvidia.catalog()),
        ("AmdGpu", amd.MEMORY),
        ("IntelGpu", intel.MEMORY),
        ("Gaudi", intel.GAUDI_MEMORY),
    )
    for kind, products in kinds:
        if given in products:
            return f"write {kind}({given!r})"
    return "write WholeGpu(...) with the label nvidia.com/gpu.product of its nodes"
