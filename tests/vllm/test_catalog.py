"""The catalog of a release, made from its wheel, against what the running vLLM says of itself."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import vllm_constructs
from vllm_constructs import EngineArgs, LoraAdapter

from . import environment
from .client import Stream
from .conftest import Deploy, Start

NAME = "Qwen/Qwen2.5-7B-Instruct"
TYPE = re.compile(r"^# TYPE (vllm:\S+) (\w+)$", re.MULTILINE)
SERIES = re.compile(r"^(vllm:\w+)\{(.*)\} ", re.MULTILINE)
LABEL = re.compile(r'(\w+)="')


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    """What `make release-data` made of the wheel."""
    folder = Path(vllm_constructs.__file__).parent / "data"
    text = (folder / f"vllm-{environment.version()}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What vLLM says."""
    script = Path(__file__).with_name("describe.py")
    shown = subprocess.run(
        [environment.python(), script], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, Any] = json.loads(shown.splitlines()[-1])
    return found


def test_flags(catalog: dict[str, Any], told: dict[str, Any]) -> None:
    """The flags and their plain defaults are those of the parser."""
    negated = {f"--no-{name.removeprefix('--')}" for name in told["flags"]}
    known = set(catalog["flags"])
    aliases = (alias for flag in catalog["flags"].values() for alias in flag.get("aliases", []))
    known.update(alias for alias in aliases if alias.startswith("--"))
    assert known == set(told["flags"]) - negated - {"--help"}
    different = {
        name: (flag["default"], told["flags"][name])
        for name, flag in catalog["flags"].items()
        if isinstance(flag.get("default"), (bool, int, float, str))
        and told["flags"][name] is not None
        and flag["default"] != told["flags"][name]
    }
    assert {} == different


def test_environment(catalog: dict[str, Any], told: dict[str, Any]) -> None:
    """The variables are those that vLLM knows."""
    assert set(catalog["environment"]) == set(told["environment"])


@pytest.mark.parametrize("kind", ["reasoning_parsers", "tool_call_parsers"])
def test_parsers(kind: str, catalog: dict[str, Any], told: dict[str, Any]) -> None:
    """The parsers are those that vLLM has registered."""
    assert set(catalog[kind]) == set(told[kind])


def test_metrics(start: Start, deploy: Deploy, catalog: dict[str, Any]) -> None:
    """Each series of a running server has the type and labels of the catalog."""
    adapter = LoraAdapter("sql", "example-org/sql", rank=8)
    running = start(deploy(lora_adapters=[adapter], engine=EngineArgs(enable_mfu_metrics=True)))
    running.wait_ready()
    stream = Stream.begun(running.container.port, "sql", 20)
    stream.join()
    assert stream.is_complete
    text = running.request("/metrics")[1]

    kinds = dict(TYPE.findall(text))
    labels: dict[str, set[str]] = {}
    for name, found in SERIES.findall(text):
        labels.setdefault(name, set()).update(LABEL.findall(found))
    known = catalog["metrics"]
    suffixes = ("_bucket", "_count", "_sum", "")
    strange = []
    for name, found in labels.items():
        # The client library adds when each series was made.
        if name.endswith("_created"):
            continue
        base = next(name.removesuffix(end) for end in suffixes if name.endswith(end))
        entry = known.get(name) or known.get(base)
        kind = kinds.get(name, kinds.get(base))
        expected = entry and (entry["type"], set(entry["labels"]))
        if expected != (kind, found - {"le"}):
            strange.append((name, kind, sorted(found), entry))
    assert [] == strange
    assert len(labels) > 50
