"""The generated keywords of EngineArgs: what the script makes of the newest release."""

import importlib.util
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from vllm_constructs import EngineArgs
from vllm_constructs.engine.reserved_flags import RESERVED
from vllm_constructs.releases.release import NEWEST, catalog

ROOT = Path(__file__).parents[2]


def script() -> Any:
    """The script that makes them."""
    spec = importlib.util.spec_from_file_location("flags", ROOT / "tools" / "release_flags.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["engine/engine_args.py", "engine/json_flags.py"])
def test_up_to_date(name: str) -> None:
    """Nobody has changed them by hand, nor the data without making them again."""
    made = script().made(NEWEST)[name]

    assert made == (ROOT / "vllm_constructs" / name).read_text(encoding="utf-8")


def test_newest() -> None:
    """They are made of the newest release."""
    assert script().newest() == NEWEST


def test_complete() -> None:
    """Every flag that a user may give is a keyword, and no other."""
    known = {name.removeprefix("--") for name in catalog()["flags"]} - set(RESERVED)

    keywords = {one.name for one in fields(EngineArgs)} - {"delivery", "extra"}

    assert keywords == {name.replace("-", "_") for name in known}


def test_start_up() -> None:
    """The types of JSON flags cost nothing at start-up."""
    code = (
        "import sys, vllm_constructs\n"
        "print([one for one in sys.modules if one.endswith('json_flags')])"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
