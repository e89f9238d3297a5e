"""PodResources: CPU, memory and shared memory of a pod, as its other options need them."""

from __future__ import annotations

import math
from functools import cached_property

from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.kv_offloading import PINNED, HostCache, host_cache, problem
from vllm_constructs.errors import refuse
from vllm_constructs.kube import quantity
from vllm_constructs.releases.release import VllmRelease

from . import storage
from .kv_offload import KvOffload
from .lmcache import LmCache, LmCacheClient
from .parts import PodParts


class PodResources(PodParts):
    """What follows from the resources of a pod; `PodFacts` has the fields."""

    engine: EngineArgs
    cpu: str | tuple[str, str] | None
    memory: str | tuple[str, str] | None
    shared_memory: str | None
    kv_offload: KvOffload | LmCache | LmCacheClient | None

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        raise NotImplementedError

    @property
    def cpu_pair(self) -> tuple[str, str | None]:
        """CPU cores as request and limit; the limit may be None."""
        if isinstance(self.gpu, Cpu):
            return str(self.gpu.cores), str(self.gpu.cores)
        if self.cpu is None:
            return str(4 * self.gpu.count), None
        return (self.cpu, None) if isinstance(self.cpu, str) else self.cpu

    @cached_property
    def host_cache(self) -> HostCache | None:
        """The KV cache that the pod keeps in the memory of its host; None if it keeps none.

        Raises:
            VllmConstructsError: Flags with a size that vLLM does not use.
        """
        found = problem(self.engine, self.release)
        if found is not None:
            refuse(found)
        return host_cache(
            self.engine,
            self.release,
            self.plain_env,
            gpus=self.gpu.devices,
            is_hybrid=bool(getattr(self.kv_offload, "hybrid", False)),
        )

    @property
    def _offloaded_weights(self) -> int:
        """Bytes of weights that vLLM keeps in the pod's memory, for all GPUs."""
        return math.ceil((self.engine.cpu_offload_gb or 0) * self.gpu.devices * quantity.GI)

    @property
    def memory_pair(self) -> tuple[str, str]:
        """Memory as request and limit; by default with room for what is offloaded."""
        if isinstance(self.gpu, Cpu):
            return f"{self.gpu.memory_gib}Gi", f"{self.gpu.memory_gib}Gi"
        if self.memory is None:
            cache = 0 if self.host_cache is None else self.host_cache.size
            more = math.ceil((PINNED * self._offloaded_weights + cache) / quantity.GI)
            request, limit = (size * self.gpu.count + more for size in (16, 32))
            return f"{request}Gi", f"{limit}Gi"
        return (self.memory, self.memory) if isinstance(self.memory, str) else self.memory

    @property
    def _given_shared_memory(self) -> str | None:
        """The given size of `/dev/shm`; for CPUs at least what vLLM's documentation recommends."""
        is_enough = storage.shared_memory_needed(self.gpu.devices) <= 4 * quantity.GI
        is_default = self.shared_memory is None and isinstance(self.gpu, Cpu)
        return "4Gi" if is_default and is_enough else self.shared_memory

    @cached_property
    def shared_memory_size(self) -> str:
        """Size of `/dev/shm`: the given one, otherwise what the workers need."""
        return storage.shared_memory(
            self.gpu.devices,
            self._given_shared_memory,
            self.memory_pair[1],
            weights=self._offloaded_weights,
            cache=self.host_cache,
        )
