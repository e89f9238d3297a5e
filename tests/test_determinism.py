"""The same app gives the same bytes, whoever renders it, wherever, and in whatever order."""

import random
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import cdk8s
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vllm_constructs as vc
from tests.apps.checkout import DIST, ROOT, succeed, texts

T = TypeVar("T")
Shuffle = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"},
        # Without UTF-8 mode Python takes this locale's ASCII for every file that names no encoding.
        {"PYTHONHASHSEED": "4711", "TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONOPTIMIZE": "2", "COLUMNS": "20"},
    ],
    ids=["hash seed", "ASCII", "Turkish"],
)
def test_environment(env: Mapping[str, str], tmp_path: Path) -> None:
    """Neither hash seed, locale, time zone nor working folder changes a byte."""
    place = {"CDK8S_OUTDIR": str(tmp_path / "out"), "PYTHONCOERCECLOCALE": "0"}
    succeed(sys.executable, ROOT / "main.py", cwd=tmp_path, env={**place, **env})
    assert texts(DIST) == texts(tmp_path / "out")


def _as_given(mapping: dict[str, Any]) -> dict[str, Any]:
    return mapping


def _reversed(mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(mapping.items()))


def _everything(shuffle: Shuffle, outdir: Path) -> dict[str, bytes]:
    """Render an app with a dict wherever the library takes one, each through `shuffle`."""
    app = cdk8s.App(outdir=str(outdir))
    platform = cdk8s.Chart(app, "platform", labels=shuffle({"z": "1", "a": "2", "m": "3"}))
    vc.Namespace(platform, "llm", pod_security="restricted")
    values: dict[str, dict[str, Any]] = {
        "driver": {"version": "1", "env": []},
        "cdi": {"enabled": True},
        "a": {"z": 1, "b": 2},
    }
    vc.GpuOperator(
        platform,
        "gpu-operator",
        delivery=vc.FluxHelmRelease(),
        shared_gpus=shuffle(
            {
                "shared-by-4": vc.TimeSlicedGpu("NVIDIA-A10", replicas=4),
                "by-2": vc.TimeSlicedGpu("NVIDIA-A10", replicas=2),
                "many": vc.TimeSlicedGpu("NVIDIA-L40S", replicas=8),
            }
        ),
        values=shuffle({name: shuffle(value) for name, value in values.items()}),
    )
    vc.KedaOperator(
        platform, "keda", delivery=vc.ArgoApplication(), values=shuffle({"z": 1, "a": 2, "m": 3})
    )
    chart = cdk8s.Chart(app, "models", namespace="llm", labels=shuffle({"z": "1", "a": "2"}))
    compilation: Any = shuffle({"mode": 3, "cache_dir": "/model-cache/compiled"})
    attention: Any = shuffle({"flash_attn_version": 3, "backend": "FLASH_ATTN"})
    model = vc.ModelDeployment(
        chart,
        "qwen",
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name="qwen",
        gpu=vc.WholeGpu("NVIDIA-L40S", count=1),
        engine=vc.EngineArgs(
            delivery="config-map",
            hf_overrides=shuffle({"z": 1, "a": shuffle({"y": 1, "b": 2}), "m": 3}),
            compilation_config=compilation,
            max_logprobs=5,
            attention_config=attention,
            block_size=16,
        ),
        env=shuffle({"Z": "1", "A": "2", "M": "3", "TZ": "UTC"}),
        labels=shuffle({"team": "a", "app": "b", "example.com/tier": "c"}),
        annotations=shuffle({"example.com/z": "1", "a": "2", "m": "3"}),
        pod_annotations=shuffle({"example.com/z": "1", "a": "2", "m": "3"}),
        node_selector=shuffle({"zone": "1", "disk": "ssd", "example.com/pool": "gpu"}),
    )
    vc.StreamingIngress(
        chart,
        "ingress",
        target=model,
        host="llm.example.com",
        controller=vc.Traefik(),
        annotations=shuffle({"example.com/z": "1", "a": "2", "m": "3"}),
    )
    vc.ModelMonitor(
        chart, "monitor", target=model, labels=shuffle({"release": "x", "a": "1", "m": "2"})
    )
    app.synth()
    return texts(outdir)


@settings(max_examples=8, deadline=None)
@given(draw=st.randoms())
def test_order_of_dicts(draw: random.Random, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever order a user writes the entries of dicts in, the bytes are the same."""

    def shuffle(mapping: dict[str, T]) -> dict[str, T]:
        return dict(draw.sample(list(mapping.items()), len(mapping)))

    folder = tmp_path_factory.mktemp("order")
    try:
        plain = _everything(_as_given, folder / "plain")
        assert plain == _everything(shuffle, folder / "shuffled")
        assert plain == _everything(_reversed, folder / "reversed")
    finally:
        shutil.rmtree(folder)


def test_second_rendering(tmp_path: Path) -> None:
    """One process renders the same app twice alike: nothing is left over from the first time."""
    assert _everything(_as_given, tmp_path / "1") == _everything(_as_given, tmp_path / "2")
