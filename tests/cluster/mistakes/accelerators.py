"""Accelerators and memory (G)."""

from __future__ import annotations

from vllm_constructs import EngineArgs, MigSlice, TimeSlicedGpu, WholeGpu

from .mistake import (
    ARGS,
    DEPLOYMENT,
    ENGINE,
    GPU,
    LEGAL,
    LIMITS,
    ONE,
    PARALLEL,
    POD,
    REQUESTS,
    SHM,
    VARIABLES,
    Mistake,
    Step,
    both,
    drop,
    pod,
    put,
    variable,
)

SHM_SIZE: tuple[Step, ...] = (*POD, "volumes", SHM, "emptyDir", "sizeLimit")

MISTAKES = [
    Mistake(
        "G01",
        "a request that differs from the limit",
        DEPLOYMENT,
        put(*REQUESTS, GPU, to="1"),
        refused="must be equal to nvidia.com/gpu limit",
    ),
    Mistake(
        "G01",
        "a request without a limit",
        DEPLOYMENT,
        drop(*LIMITS, GPU),
        refused="Limit must be set for non overcommitable resources",
    ),
    Mistake(
        "G01",
        "half a GPU",
        DEPLOYMENT,
        both(put(*LIMITS, GPU, to="0.5"), put(*REQUESTS, GPU, to="0.5")),
        refused="must be an integer",
        ours=lambda: WholeGpu("NVIDIA-L40S", count=0.5),  # type: ignore[arg-type]  # the mistake
    ),
    Mistake(
        "G01",
        "no GPU",
        DEPLOYMENT,
        both(drop(*LIMITS, GPU), drop(*REQUESTS, GPU)),
        admitted="the API server does not know that the engine needs one",
    ),
    Mistake(
        "G01",
        "a resource that no node has",
        DEPLOYMENT,
        both(
            *(drop(*where, GPU) for where in (LIMITS, REQUESTS)),
            *(put(*where, "nvidia.com/gpus", to="2") for where in (LIMITS, REQUESTS)),
        ),
        admitted="every name with a domain may be a resource",
    ),
    Mistake(
        "G01",
        "a resource without its domain",
        DEPLOYMENT,
        put(*LIMITS, "gpu", to="2"),
        refused="must be a standard resource for containers",
    ),
    Mistake(
        "G02",
        "tensor parallel over MIG slices",
        DEPLOYMENT,
        both(
            *(drop(*where, GPU) for where in (LIMITS, REQUESTS)),
            *(put(*where, "nvidia.com/mig-1g.10gb", to="2") for where in (LIMITS, REQUESTS)),
        ),
        admitted="to the API server they are resources like others",
        ours=pod(gpu=MigSlice("1g.10gb"), engine=EngineArgs(tensor_parallel_size=2)),
    ),
    Mistake(
        "G02",
        "tensor parallel over shared GPUs",
        DEPLOYMENT,
        put(*POD, "nodeSelector", "nvidia.com/gpu.product", to="NVIDIA-L40S-SHARED"),
        admitted="a label of a node says nothing to the API server",
        ours=pod(
            gpu=TimeSlicedGpu("NVIDIA-L40S", replicas=4), engine=EngineArgs(tensor_parallel_size=2)
        ),
    ),
    Mistake("G03", "no toleration", DEPLOYMENT, drop(*POD, "tolerations"), admitted=ONE),
    Mistake(
        "G03",
        "a toleration of any value and of one",
        DEPLOYMENT,
        put(*POD, "tolerations", 0, "value", to="present"),
        refused="value must be empty when `operator` is 'Exists'",
    ),
    Mistake(
        "G04",
        "no shared memory",
        DEPLOYMENT,
        both(drop(*POD, "volumes", SHM), drop(*ENGINE, "volumeMounts", SHM)),
        admitted=LEGAL,
    ),
    Mistake(
        "G04",
        "shared memory on disk",
        DEPLOYMENT,
        drop(*POD, "volumes", SHM, "emptyDir", "medium"),
        admitted=LEGAL,
    ),
    Mistake(
        "G04",
        "shared memory's medium in lower case",
        DEPLOYMENT,
        put(*POD, "volumes", SHM, "emptyDir", "medium", to="memory"),
        admitted="only kubelet reads it, and mounts no volume of an unknown medium",
    ),
    Mistake(
        "G04",
        "too little shared memory",
        DEPLOYMENT,
        put(*SHM_SIZE, to="64Mi"),
        admitted="the API server does not know what the workers need",
        ours=pod(gpu=WholeGpu("NVIDIA-L40S", count=2), shared_memory="64Mi"),
    ),
    Mistake(
        "G05",
        "shared memory as large as the memory",
        DEPLOYMENT,
        put(*SHM_SIZE, to="64Gi"),
        admitted="it does not compare them, kubelet cuts the size",
        ours=pod(memory="64Gi", shared_memory="64Gi"),
    ),
    Mistake(
        "G05",
        "shared memory of a negative size",
        DEPLOYMENT,
        put(*SHM_SIZE, to="-1Gi"),
        refused="SizeLimit field must be a valid resource quantity",
    ),
    Mistake(
        "G06",
        "the whole memory of a shared GPU",
        DEPLOYMENT,
        both(
            put(*POD, "nodeSelector", "nvidia.com/gpu.product", to="NVIDIA-L40S-SHARED"),
            *(put(*where, GPU, to="1") for where in (LIMITS, REQUESTS)),
            put(*ENGINE, "args", PARALLEL, to="--gpu-memory-utilization=0.9"),
        ),
        admitted=ARGS,
        ours=pod(
            gpu=TimeSlicedGpu("NVIDIA-L40S", replicas=4),
            engine=EngineArgs(gpu_memory_utilization=0.9),
        ),
    ),
    Mistake(
        "G07",
        "GPUs chosen by hand",
        DEPLOYMENT,
        variable("CUDA_VISIBLE_DEVICES", "0"),
        admitted=VARIABLES,
        ours=pod(env={"CUDA_VISIBLE_DEVICES": "0"}),
    ),
    Mistake(
        "G08",
        "a model that does not fit",
        DEPLOYMENT,
        put(*ENGINE, "args", 0, to="meta-llama/Llama-3.1-405B-Instruct"),
        admitted=ARGS,
    ),
]
