"""Arguments that a class does not take, each with its sentence and at the user's line."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import vllm_constructs as library
from tests.cdk.samples import CACHE, GPU, chart, model
from vllm_constructs import VllmConstructsError
from vllm_constructs.arguments import explained

# Not by the names that type checkers know: what is wrong here is wrong on purpose.
v: Any = library

CASES: list[tuple[Callable[[], object], str]] = [
    (
        lambda: v.Startup(15),
        "Startup takes keyword arguments only, and 15 is positional; give its keyword",
    ),
    (
        lambda: v.Toleration("x"),
        "Toleration takes keyword arguments only, and a str is positional; give its keyword, one",
    ),
    (
        lambda: v.Rollout(1),
        "Rollout takes keyword arguments only, and 1 is positional; write spare_gpus=1.",
    ),
    (
        lambda: v.EngineArgs(4096),
        "EngineArgs takes keyword arguments only, and 4096 is positional; give its keyword, one",
    ),
    (
        lambda: v.GpuPodSpec("a/b"),
        "GpuPodSpec takes keyword arguments only, and a str is positional; give its keyword.",
    ),
    (
        lambda: v.WholeGpu("NVIDIA-L4", 2),
        "WholeGpu takes keyword arguments only after product, and 2 is",
    ),
    (v.TimeSlicedGpu, "TimeSlicedGpu.product is missing; give TimeSlicedGpu(product=...)."),
    (
        lambda: v.WholeGpu("NVIDIA-L4", product="x"),
        "WholeGpu.product is given twice; give it once.",
    ),
    (lambda: v.Drain(seconds=3, second=4), "Drain has no option 'second'; did you mean 'seconds'?"),
    (lambda: v.Drain(seconds=3, zzz=4), "Drain has no option 'zzz'; it has seconds, pre_stop."),
    (lambda: v.Drain(**{"seconds": 3, "{x}": 4}), "Drain has no option '{x}'; it has seconds"),
    (v.ModelCache, "ModelCache.scope is missing; give ModelCache(scope=...)."),
    (lambda: v.ModelCache(chart(), "c"), "ModelCache.size is missing; give ModelCache(size=...)."),
    (
        lambda: v.ModelCache(chart(), "c", size="1Gi", acces="x"),
        "ModelCache has no option 'acces'; did you mean 'access'?",
    ),
    (
        lambda: v.ModelCache(chart(), "c", "1Gi"),
        "ModelCache takes keyword arguments only after scope and id, and a str is positional",
    ),
    (
        lambda: v.ModelDeployment(chart(), model="a/b", gpu=GPU),
        "ModelDeployment.id is missing; give ModelDeployment(id=...).",
    ),
    (
        lambda: v.EnvVarSource.from_secret("s3"),
        "EnvVarSource.from_secret.key is missing; give EnvVarSource.from_secret(key=...).",
    ),
    (
        lambda: v.KedaAuthentication.from_secret("p", bearerToken="t"),
        "KedaAuthentication.from_secret has no option 'bearerToken'; did you mean 'bearer_token'?",
    ),
    (
        lambda: v.Volume.from_empty_dir("1Gi"),
        "Volume.from_empty_dir takes keyword arguments only, and a str is positional",
    ),
    (
        lambda: v.HpaScaler(
            chart(),
            "h",
            target=model(chart(), cache=CACHE),
            max_replicas=2,
            triggers=[],
            polling_interval=3,
        ),
        "HpaScaler has no option 'polling_interval'; it has scope, id, target, max_replicas",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), CASES)
def test_sentences(call: Callable[[], object], sentence: str) -> None:
    """What is wrong is named, with the nearest name or those that there are."""
    with pytest.raises(VllmConstructsError) as error:
        call()
    assert str(error.value).startswith(sentence)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_secret() -> None:
    """A value without a name may be a token, and is not shown."""
    with pytest.raises(VllmConstructsError) as error:
        v.TokenSecret(chart(), "t", "correct horse battery staple")
    assert "horse" not in str(error.value)


def test_own_errors() -> None:
    """A TypeError that is raised inside is no wrong argument, and stays what it is."""

    class Sample:
        @explained
        def __init__(self, number: int) -> None:
            self.half = number / 2

    assert 2.0 == Sample(4).half
    with pytest.raises(TypeError, match="unsupported operand"):
        Sample("x")
    assert "(number: int) -> None" == str(inspect.signature(Sample))


def test_traceback() -> None:
    """The user's line is the last one that an error shows, and the program fails as ever."""
    code = """
import sys
from cdk8s import App, Chart
from vllm_constructs import EngineArgs, ModelCache, ModelDeployment, Volume, WholeGpu
chart = Chart(App(), "x", namespace="llm")
ModelCache(chart, "cache", size="1Gi")
def wrong():
    {}
wrong()
"""
    for line in (
        'ModelCache(chart, "cache", size="1Gi", name="other")',
        'ModelCache(chart, "other", size=1)',
        'ModelCache(chart, "other", sise="1Gi")',
        'ModelDeployment(App(), "m", model="a/b", gpu=WholeGpu("NVIDIA-L4"))',
        'WholeGpu("L5")',
        'ModelDeployment(chart, "m", model="a/b", gpu=WholeGpu("NVIDIA-L4"), shared_memory="1GB")',
        'ModelDeployment(chart, "m", model="a/b", gpu=WholeGpu("NVIDIA-L4"), image="vllm")',
        'Volume.from_secret("a", mode=1)',
        (
            'ModelDeployment(chart, "m", model="Qwen/Qwen2.5-7B-Instruct",'
            ' gpu=WholeGpu("NVIDIA-L4"), engine=EngineArgs(max_model_len=400000))'
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(line)], capture_output=True, text=True, check=False
        )
        assert 1 == done.returncode
        *trace, sentence = done.stderr.splitlines()
        assert sentence.startswith("vllm_constructs.VllmConstructsError: ")
        assert ["<module>", "wrong"] == [
            one.rpartition(" ")[2] for one in trace if one.startswith("  File")
        ]
        assert "Traceback (most recent call last):" == trace[0]
