"""Parallelism: the sizes with which an engine is split over the GPUs of its pod.

Without `tensor_parallel_size`, each layer is split over all GPUs that the other sizes leave.
"""

from __future__ import annotations

from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.google import Tpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem

from .engine_args import EngineArgs


@dataclass(frozen=True, kw_only=True)
class Parallelism:
    """The tensor, pipeline and data parallel sizes of an engine.

    Args:
        tensor: GPUs that split each layer.
        pipeline: Stages that split the layers.
        data: Replicas of the engine in the pod: those of other pods are not counted.
    """

    tensor: int
    pipeline: int
    data: int

    @classmethod
    def of(cls, engine: EngineArgs, gpus: int) -> Parallelism:
        """The sizes of an engine in a pod, with defaults filled in.

        Args:
            engine: Flags of the engine.
            gpus: GPUs of the pod.
        """
        pipeline = engine.pipeline_parallel_size or 1
        data = engine.data_parallel_size_local or engine.data_parallel_size or 1
        tensor = engine.tensor_parallel_size or max(1, gpus // (pipeline * data))
        return cls(tensor=tensor, pipeline=pipeline, data=data)

    @property
    def gpus(self) -> int:
        """The product of the sizes: the GPUs that the engine needs."""
        return self.tensor * self.pipeline * self.data

    def problem(self, gpu: Gpu) -> Problem | None:
        """Why an engine of these sizes cannot run on the GPUs of a pod; None if it can.

        Args:
            gpu: The GPUs that the pod requests.
        """
        needs = (
            f"needs {self.gpus} {gpu.unit} (tensor {self.tensor} x pipeline {self.pipeline} x data "
            f"{self.data})"
        )
        if self.gpus > 1 and not gpu.parallel:
            return Problem(
                where="EngineArgs",
                text=f"{needs}, but an engine can use only one {{{type(gpu).__name__}}}",
                advice="leave the sizes out, or use {WholeGpu}",
                kind="does not fit",
            )
        if self.gpus != gpu.devices:
            return Problem(
                where="EngineArgs",
                text=f"{needs}, but the pod has {gpu.devices}",
                advice=self._advice(gpu),
                kind="does not fit",
            )
        return None

    def _advice(self, gpu: Gpu) -> str:
        fits = gpu.devices % (self.pipeline * self.data) == 0
        change = "leave {tensor_parallel_size} out to use them all" if fits else "lower the sizes"
        if isinstance(gpu, Tpu):
            return f"{change}; the topology says how many there are"
        if self.gpus > gpu.most:
            return f"{change}; no node has {self.gpus} {gpu.product or gpu.unit}"
        option = "numa_nodes" if isinstance(gpu, Cpu) else "count"
        return f"give {{{type(gpu).__name__}.{option}={self.gpus}}}, or {change}"


def share_problem(utilization: float, sharers: int) -> Problem | None:
    """Why engines on one GPU do not leave each other its memory; None if they do.

    Args:
        utilization: The part of the GPU's memory that each of them takes.
        sharers: Pods that share the GPU.
    """
    if sharers < 2 or utilization < 1 / sharers:
        return None
    return Problem(
        where="EngineArgs.gpu_memory_utilization",
        text=f"is {utilization}, but {sharers} pods share the memory of the GPU",
        value=str(utilization),
        advice=f"give a value below {1 / sharers:.2f}, or leave it out",
        kind="does not fit",
    )
