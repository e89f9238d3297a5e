"""All kinds of accelerators that a pod can have."""

from __future__ import annotations

from typing import TypeAlias

from . import nvidia
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
