"""The layers: what a part of the library may load, and how large a part may be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vllm_constructs

PACKAGE = Path(vllm_constructs.__file__).parent
TESTS = Path(__file__).parent
CONSTRUCTS: dict[str, str] = vars(vllm_constructs)["_CONSTRUCTS"]

MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = [path for path in MODULES if not path.stem.startswith("_")]
PURE = [
    f"vllm_constructs.{path.stem}" for path in MODULES if path.parent == PACKAGE and path in ROOMS
]
LIBRARIES = ("jsii", "cdk8s", "constructs", "cdk8s_plus_27", "yaml")


def loaded(code: str) -> list[list[str]]:
    """What a fresh interpreter prints, one JSON list a line."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


SEEN = f"print(json.dumps([name for name in {LIBRARIES!r} if name in sys.modules]))"


def test_values() -> None:
    """Neither the package nor any module of values and manifests loads Node's side, or YAML."""
    assert len(PURE) > 20
    code = f"""
import importlib, json, sys
import vllm_constructs
{SEEN}
for name in {PURE!r}:
    importlib.import_module(name)
{SEEN}
print(json.dumps(sorted(name for name in sys.modules if name.startswith("vllm_constructs.cdk"))))
print(json.dumps(sorted(set({sorted(CONSTRUCTS)!r}) - set(dir(vllm_constructs)))))
"""
    assert [[], [], [], []] == loaded(code)


def test_values_used() -> None:
    """A whole pod is made, and a wrong one refused, without Node."""
    code = f"""
import json, sys
from vllm_constructs import EngineArgs, GpuPodSpec, VllmConstructsError, WholeGpu
pod = GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S"), engine=EngineArgs(max_model_len=1))
json.dumps(pod.manifest())
try:
    EngineArgs(dtype="bf16")
except VllmConstructsError:
    {SEEN}
"""
    assert [[]] == loaded(code)


def test_constructs() -> None:
    """Constructs load cdk8s, but cdk8s-plus only where an app asks for it."""
    code = f"""
import json, sys
import vllm_constructs
for name in {sorted(CONSTRUCTS)!r}:
    getattr(vllm_constructs, name)
{SEEN}
from cdk8s import App, Chart
chart = Chart(App(), "x", namespace="llm")
model = vllm_constructs.ModelDeployment(
    chart, "qwen", model="a/b", gpu=vllm_constructs.WholeGpu("NVIDIA-L40S")
)
chart.to_json()
{SEEN}
model.service
{SEEN}
"""
    first, second, third = loaded(code)
    assert {"jsii", "cdk8s", "constructs"} == set(first) - {"yaml"} == set(second) - {"yaml"}
    assert "cdk8s_plus_27" in third


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_size(path: Path) -> None:
    """A module can be read in one sitting."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 520


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tests(path: Path) -> None:
    """A module has a test module of its name."""
    room = path.relative_to(PACKAGE)
    assert (TESTS / room.with_name(f"test_{room.name}")).is_file()


def test_imports() -> None:
    """Only constructs say `cdk8s`, and only the edge to cdk8s-plus loads that."""
    pure = [path for path in MODULES if path.parent == PACKAGE]
    for path in pure:
        assert "import cdk8s" not in path.read_text(encoding="utf-8"), path.name
        assert "from cdk8s" not in path.read_text(encoding="utf-8"), path.name
    for path in (PACKAGE / "cdk").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        own = [line for line in lines if line.startswith(("import cdk8s_plus", "from cdk8s_plus"))]
        assert [] == own, path.name
