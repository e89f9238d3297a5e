"""The spelling of a problem's options on the command line of `vllm-constructs plan`."""

from __future__ import annotations

from vllm_constructs.engine.spelling import as_flags

_OPTIONS = {
    "AmdGpu": "GPUs of AMD",
    "Gaudi": "Gaudi accelerators",
    "IntelGpu": "GPUs of Intel",
    "image": "--image",
    "vllm": "--vllm",
    "MigSlice": "MIG slice",
    "MigSlice.profile": "--mig",
    "TimeSlicedGpu": "share of a GPU",
    "TimeSlicedGpu.renamed": "renameByDefault",
    "WholeGpu": "whole GPUs",
} | {
    f"{kind}.{name}": flag
    for kind in (
        "AmdGpu",
        "Gaudi",
        "IntelGpu",
        "MigSlice",
        "TimeSlicedGpu",
        "VirtualGpu",
        "WholeGpu",
    )
    for name, flag in (
        ("count", "--gpus"),
        ("memory_mib", "--gpu-memory-mib"),
        ("product", "--gpu"),
        ("replicas", "--shared"),
    )
}


def as_command(option: str, value: str | None = None) -> str:
    """An option of `vllm-constructs plan`, or a flag of `vllm serve` after `--`.

    Args:
        option: Its Python name.
        value: Its value as Python code. Default: None, which names the option only.
    """
    if option == "shape":
        return "--config config.json"
    if option in _OPTIONS:
        return _OPTIONS[option] if value is None else f"{_OPTIONS[option]}={value}"
    return as_flags(option, value)
