"""The script that makes the release catalog's files: what it reads in a wheel, and how."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "vllm_constructs" / "data"
SHIPPED = sorted(path.stem.removeprefix("vllm-") for path in DATA.glob("vllm-*.json"))

MADE_UP = {
    "utils/argparse_utils.py": "from argparse import ArgumentParser as FlexibleArgumentParser",
    "config/vllm.py": """
import enum

class OptimizationLevel(enum.IntEnum):
    O0 = 0
    O1 = 1
""",
    "distributed/kv_transfer/kv_connector/factory.py": """
class KVConnectorFactory:
    _registry = {"B": None, "A": None}
""",
    "config/__init__.py": """
import dataclasses, enum, torch
from typing import Literal
from pydantic.dataclasses import dataclass

class Mode(enum.IntEnum):
    OFF = 0
    ON = 1

@dataclass
class Inner:
    depth: int = 2

@dataclass(config={"extra": "forbid"})
class OddConfig:
    mode: Mode | None = None
    level: Literal["low", "high"] = "low"
    inner: Inner = dataclasses.field(default_factory=Inner)
    dtype: torch.dtype | None = None
    seen: int = dataclasses.field(default=0, init=False)

@dataclass
class SpecConfig:
    method: str | None = None

@dataclass
class VllmConfig:
    spec: SpecConfig | None = None

class CacheConfig:
    def metrics_info(self):
        return {"block_size": "16"}
""",
    "entrypoints/openai/cli_args.py": """
import argparse, json
import numpy as np
from transformers import AutoConfig
from pydantic import TypeAdapter
from vllm.config import OddConfig

def odd(text, cls=OddConfig):
    return TypeAdapter(cls).validate_json(text)

def number(text):
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)

def make_arg_parser(parser):
    add = parser.add_argument
    add("model_tag", nargs="?")
    add("--odd", "-o", type=odd, default=None)
    add("--spec", type=json.loads, help="Deprecated, to be removed in v1.2.")
    add("--size", type=number, default=5)
    add("--fast", action=argparse.BooleanOptionalAction, default=True)
    add("--names", nargs="+", default=[])
    add("--optimization-level", default=1)
    return parser
""",
    "model_executor/layers/quantization/__init__.py": "raise OSError('no driver')",
    "model_executor/model_loader/__init__.py": "import torch",
    "tool_parsers/__init__.py": """
class ToolParserManager:
    @classmethod
    def list_registered(cls):
        return ["b", "a"]
""",
    "reasoning/__init__.py": """
class ReasoningParserManager:
    @classmethod
    def list_registered(cls):
        return ["r"]
""",
    "envs.py": """
import os
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    VLLM_ON: bool = False
    VLLM_WORD: bool = False
    VLLM_SIDE_PORT: int = 7
environment_variables = {
    "VLLM_ON": lambda: bool(int(os.getenv("VLLM_ON", "0"))),
    "VLLM_WORD": lambda: os.getenv("VLLM_WORD", "no") != "no",
    "VLLM_SIDE_PORT": lambda: int(os.getenv("VLLM_SIDE_PORT", "7")),
    "VLLM_HOME": lambda: os.path.expanduser("~/x"),
    "VLLM_ODD": lambda: os.urandom(4).hex(),
}
""",
    "metrics.py": """
_OLD = "vllm:old_seconds"
class Names:
    HITS = "vllm:hits"
def table():
    return {Names.HITS: CounterMetadata(documentation="x", labelnames=("tier",))}
class Logger:
    def __init__(self, labelnames):
        more = labelnames + ["reason"]
        self._counter_cls(name="vllm:sent", documentation="x", labelnames=more)
        self._gauge_cls(name="vllm:info", documentation="x", labelnames=metrics_info.keys())
        if self.show_hidden_metrics:
            self._histogram_cls(name=_OLD, documentation="DEPRECATED", labelnames=labelnames)
        for name in [("vllm:a_total", 1), ("vllm:b", 2)]:
            self._counter_cls(name=name[0], labelnames=unknown)
""",
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script itself."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("release_data")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return an unpacked wheel of a vLLM that never was."""
    for name, text in MADE_UP.items():
        path = tmp_path / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_reader(wheel: Path) -> None:
    """The parser of a release is read by running it, whatever its imports."""
    pytest.importorskip("pydantic", reason="pydantic is not installed")
    reader = ROOT / "tools" / "release_reader.py"
    command = [sys.executable, "-W", "ignore", str(reader), str(wheel)]

    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (
        0,
        "stand-in for vllm.model_executor.layers.quantization: no driver\n",
    )
    assert json.loads(done.stdout) == {
        "flags": {
            "--odd": {
                "type": "json",
                "class": "OddConfig",
                "aliases": ["-o"],
                "fields": {
                    "mode": {"type": "int|null", "known": [0, 1]},
                    "level": {"type": "str", "choices": ["high", "low"], "default": "low"},
                    "inner": {"type": "dict", "fields": {"depth": {"type": "int", "default": 2}}},
                    "dtype": {"type": "any"},
                    "seen": {"type": "int", "internal": True},
                },
            },
            "--spec": {
                "type": "json",
                "class": "SpecConfig",
                "engine_fields": {"method": {"type": "str|null"}},
                "deprecated": True,
                "removal": "1.2",
            },
            "--size": {"type": "human-readable-int", "default": 5},
            "--fast": {"type": "bool", "default": True, "negation": "--no-fast"},
            "--names": {"type": "str", "nargs": "+", "default": []},
            "--optimization-level": {"type": "str", "default": 1, "known": ["0", "1"]},
        },
        "environment": {
            "VLLM_ON": {"type": "bool", "syntax": "0/1", "default": False},
            "VLLM_WORD": {
                "type": "bool",
                "on": ["0", "1", "false", "true", "yes"],
                "default": False,
            },
            "VLLM_SIDE_PORT": {"type": "int", "default": 7, "service": "vllm-side"},
            "VLLM_HOME": {"type": "str", "default": "~/x"},
            "VLLM_ODD": {"type": "str"},
        },
        "tool_call_parsers": ["a", "b"],
        "reasoning_parsers": ["r"],
        "kv_connectors": ["A", "B"],
        "info_labels": ["block_size", "engine"],
    }


def test_metrics_reader(wheel: Path, script: ModuleType) -> None:
    """Metrics are read from the calls and tables that make them."""
    both = ["engine", "model_name"]

    assert script.metrics_of(wheel, ["block_size", "engine"]) == {
        "vllm:a_total": {"type": "counter", "labels": [], "more_labels": True},
        "vllm:b_total": {"type": "counter", "labels": [], "more_labels": True},
        "vllm:hits_total": {"type": "counter", "labels": [*both, "tier"]},
        "vllm:info": {"type": "gauge", "labels": ["block_size", "engine"]},
        "vllm:old_seconds": {
            "type": "histogram",
            "labels": both,
            "deprecated": True,
            "hidden": True,
        },
        "vllm:sent_total": {"type": "counter", "labels": [*both, "reason"]},
    }


def test_removed(script: ModuleType) -> None:
    """A hint counts where its replacement is, after the last release that had the name."""
    replaced = {
        "--kept": {"say": "a"},
        "--gone": {"say": "b", "by": ["--new"]},
        "--going": {"say": "c", "by": ["--newer"]},
        "--late": {"say": "d", "after": "0.10.0"},
    }

    def removed(release: str) -> object:
        return script.removed(release, replaced, ["--kept"], lambda name: name == "--new")

    assert removed("0.9.2") == {"--gone": "b"}
    assert removed("0.10.1") == {"--gone": "b", "--late": "d"}


@pytest.mark.parametrize("release", ["", "0.33", "latest", "0.33.0; rm"])
def test_refused_releases(release: str, script: ModuleType, monkeypatch: Any) -> None:
    """What is no release is refused in a sentence, before anything is fetched."""
    monkeypatch.setattr(sys, "argv", ["release_data.py", release])

    with pytest.raises(SystemExit) as caught:
        script.main()

    assert str(caught.value) == (
        f"{release!r} is no release of vLLM; name one or more, such as 0.33.0."
    )


@pytest.mark.slow
@pytest.mark.parametrize("release", SHIPPED)
def test_remade(release: str, script: ModuleType) -> None:
    """The script makes the shipped file from the wheel, byte for byte."""
    if not list((script.CACHE / "wheels").glob(f"vllm-{release}-*.whl")):
        pytest.skip(f"the wheel of {release} is not in the cache, so its file is not made again")
    if not script.has_reader():
        pytest.skip("the environment of the reader is not in the cache")

    assert script.make(release) == (DATA / f"vllm-{release}.json").read_text(encoding="utf-8")
