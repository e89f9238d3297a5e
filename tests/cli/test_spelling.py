"""How the command spells options."""

import re
from collections.abc import Callable

import pytest

from vllm_constructs import (
    EngineArgs,
    MemoryPlan,
    MigSlice,
    ModelShape,
    TimeSlicedGpu,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.cli.spelling import as_command
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.errors import VllmConstructsError
from vllm_constructs.memory.suggestions import Suggestion

QWEN = "Qwen/Qwen2.5-7B-Instruct"
L40S = WholeGpu("NVIDIA-L40S")
KINDS = ("AmdGpu", "Gaudi", "IntelGpu", "MigSlice", "TimeSlicedGpu", "VirtualGpu", "WholeGpu")
# `memory_mib=`, but neither `--gpu-memory-mib=` nor `--kv-cache-dtype=`.
PYTHON = re.compile(rf"(?<![-\w])\w+_\w+=|{'|'.join(KINDS)}|EngineArgs|ModelShape")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        *((f"{kind}.count", "--gpus") for kind in KINDS),
        *((f"{kind}.memory_mib", "--gpu-memory-mib") for kind in KINDS),
        *((f"{kind}.product", "--gpu") for kind in KINDS),
        ("TimeSlicedGpu.replicas", "--shared"),
        ("MigSlice.profile", "--mig"),
        ("image", "--image"),
        ("vllm", "--vllm"),
        ("shape", "--config config.json"),
        ("max_model_len", "--max-model-len"),
        ("EngineArgs.max_num_seqs", "--max-num-seqs"),
        ("Drain.seconds", "Drain.seconds"),
    ],
)
def test_names(option: str, expected: str) -> None:
    """An option is the command's own, or a flag of vLLM."""
    assert expected == as_command(option)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("WholeGpu.count", "8", "--gpus=8"),
        ("WholeGpu.memory_mib", "24576", "--gpu-memory-mib=24576"),
        ("image", "vllm:1", "--image=vllm:1"),
        ("shape", "ModelShape.from_config('config.json')", "--config config.json"),
        ("max_model_len", "16384", "--max-model-len=16384"),
        ("kv_cache_dtype", "'fp8'", "--kv-cache-dtype=fp8"),
        ("enable_lora", "True", "--enable-lora"),
    ],
)
def test_values(option: str, value: str, expected: str) -> None:
    """A value stands behind `=`, without Python's quotes."""
    assert expected == as_command(option, value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: WholeGpu("New-GPU"), ("--gpu is 'New-GPU'", "give --gpu-memory-mib too")),
        (lambda: WholeGpu("NVIDIA-L4", count=17), ("--gpus is 17",)),
        (lambda: WholeGpu("X", memory_mib=1), ("--gpu-memory-mib is 1",)),
        (lambda: VllmRelease("vllm"), ("--image is 'vllm'",)),
        (lambda: VllmRelease("me/vllm:1", vllm="x"), ("--vllm is 'x'",)),
        (lambda: EngineArgs(max_num_seqs=0), ("--max-num-seqs is 0",)),
        (lambda: EngineArgs(enable_log_outputs=True), ("add --enable-log-requests.",)),
        (lambda: ModelShape.named("no/such"), ("or --config config.json.",)),
        (lambda: MigSlice("1g.10gb", product="NVIDIA-L4"), ("--gpu is", "use whole GPUs.")),
        (lambda: TimeSlicedGpu("X" * 60, memory_mib=2048), ("--gpu is", "renameByDefault=True.")),
    ],
)
def test_sentences(call: Callable[[], object], words: tuple[str, ...]) -> None:
    """A problem of a value names the option of the command that gave it."""
    with pytest.raises(VllmConstructsError) as caught:
        call()
    sentence = caught.value.problem.sentence(as_command)
    assert [] == [word for word in words if word not in sentence], sentence
    assert not PYTHON.search(sentence), sentence


def test_split() -> None:
    """So does a split that is too large for the pod."""
    problem = Parallelism(tensor=8, pipeline=1, data=1).problem(L40S)
    assert problem is not None
    sentence = problem.sentence(as_command)
    assert "give --gpus=8, or leave --tensor-parallel-size out" in sentence
    assert not PYTHON.search(sentence)


@pytest.mark.parametrize(
    ("gpu", "words"),
    [(MigSlice("1g.10gb"), "one MIG slice;"), (TimeSlicedGpu("NVIDIA-L4"), "one share of a GPU;")],
)
def test_parts(gpu: MigSlice | TimeSlicedGpu, words: str) -> None:
    """So does a split over slices or shares."""
    problem = Parallelism(tensor=2, pipeline=1, data=1).problem(gpu)
    assert problem is not None
    sentence = problem.sentence(as_command)
    assert words in sentence
    assert sentence.endswith("or use whole GPUs.")
    assert not PYTHON.search(sentence)


def test_suggestions() -> None:
    """So do the changes with which a model fits."""
    engine = EngineArgs(gpu_memory_utilization=0.4)
    plan = MemoryPlan(shape=ModelShape.named(QWEN), gpu=L40S, engine=engine)
    spare = MemoryPlan(shape=ModelShape.named("Qwen/Qwen2.5-32B-Instruct"), gpu=L40S)
    found: list[Suggestion] = [*plan.suggestions, *spare.suggestions]
    assert found
    for one in (plan, spare):
        assert one.problem is not None
        for text in (one.problem.sentence(as_command), one.explain(as_command)):
            assert not PYTHON.search(text), text
