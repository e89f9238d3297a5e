"""The layers: what a part of the library may load, and how large a part may be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vllm_constructs
from tests.support.imports import PACKAGE, circles, module_graph, package_graph

TESTS = Path(__file__).parent
CONSTRUCTS: dict[str, str] = vars(vllm_constructs)["_CONSTRUCTS"]
VALUES: dict[str, str] = vars(vllm_constructs)["_VALUES"]

MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = [path for path in MODULES if not path.stem.startswith("_")]
PURE = [path for path in MODULES if path.parent != PACKAGE / "cdk"]
PURE_ROOMS = [
    ".".join(("vllm_constructs", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PURE
    if path in ROOMS
]
# What each package may import of the others. A new line needs a reason in the commit.
TABLE = {
    "_version": "",
    "errors": "",
    "frozen": "",
    "require": "errors",
    "node": "errors",
    "arguments": "errors require",
    "dataclass": "arguments",
    "kube": "dataclass errors frozen require",
    "releases": "dataclass errors require",
    "accelerators": "dataclass errors frozen kube releases require",
    "engine": "accelerators dataclass errors frozen releases require",
    "metrics": "dataclass errors kube releases require",
    "memory": "accelerators dataclass engine errors frozen releases require",
    "workloads": "accelerators dataclass engine errors frozen kube releases require",
    "traffic": "dataclass errors frozen kube require",
    "platform": "accelerators dataclass engine frozen kube releases require workloads",
    "scaling": "dataclass errors frozen kube metrics releases require workloads",
    "monitoring": "dataclass errors kube metrics releases require workloads",
    "reading": "accelerators dataclass engine errors kube memory releases require workloads",
    "rules": (
        "accelerators dataclass engine errors kube memory metrics reading releases require "
        "scaling traffic workloads"
    ),
    "formats": "_version dataclass errors reading rules",
    "upgrade": "dataclass errors kube reading require rules workloads",
    "testing": "kube reading require rules",
    "importers": "dataclass errors kube require",
    "cdk": (
        "accelerators arguments dataclass engine errors formats frozen importers kube memory "
        "metrics monitoring platform reading require rules scaling traffic workloads"
    ),
    "cli": (
        "_version accelerators dataclass engine errors formats kube memory monitoring node reading "
        "releases require rules upgrade"
    ),
    "__main__": "cli",
}
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
    assert len(PURE_ROOMS) > 20
    code = f"""
import importlib, json, sys
import vllm_constructs
{SEEN}
for name in {PURE_ROOMS!r}:
    importlib.import_module(name)
{SEEN}
print(json.dumps(sorted(name for name in sys.modules if name.startswith("vllm_constructs.cdk"))))
print(json.dumps(sorted(set({sorted(CONSTRUCTS | VALUES)!r}) - set(dir(vllm_constructs)))))
"""
    assert [[], [], [], []] == loaded(code)


def test_lazy_values() -> None:
    """A value that is asked for loads its own room, which the package alone does not."""
    code = f"""
import json, sys
import vllm_constructs
rooms = ["vllm_constructs." + room for room in {sorted(VALUES.values())!r}]
print(json.dumps([room for room in rooms if room in sys.modules]))
for name in {sorted(VALUES)!r}:
    getattr(vllm_constructs, name)
print(json.dumps([room for room in rooms if room not in sys.modules]))
{SEEN}
"""
    assert [[], [], []] == loaded(code)


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
"""
    first, second = loaded(code)
    assert {"jsii", "cdk8s", "constructs"} == set(first) - {"yaml"} == set(second) - {"yaml"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_size(path: Path) -> None:
    """A module can be read in one sitting, unless a script has written it."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 520 or "\nGenerated by `make release-data`" in text


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tests(path: Path) -> None:
    """A module has a test module of its name."""
    room = path.relative_to(PACKAGE)
    if "\nGenerated by `make release-data`" in path.read_text(encoding="utf-8"):
        return
    assert (TESTS / room.with_name(f"test_{room.name}")).is_file()


@pytest.mark.parametrize("package", sorted(TABLE))
def test_table(package: str) -> None:
    """A package imports the packages that the table allows it, all of them and no other."""
    assert TABLE[package].split() == sorted(package_graph()[package])


def test_packages() -> None:
    """Every package, and every module of the root, is in the table."""
    assert set(TABLE) == set(package_graph())


def test_circles() -> None:
    """No module imports itself by way of others, for type checkers or late neither."""
    assert [] == list(circles(module_graph()))


def test_circle_found() -> None:
    """A circle would be found, a short one and one that stands on other modules."""
    assert [["a", "b", "a"]] == list(circles({"a": {"b"}, "b": {"a"}}))
    assert [["b", "c", "b"]] == list(circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}))
    assert [] == list(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}))


def test_wall() -> None:
    """Only `cdk/` imports cdk8s, and only its edge loads cdk8s-plus, late."""
    for path in PURE:
        assert "import cdk8s" not in path.read_text(encoding="utf-8"), path.name
        assert "from cdk8s" not in path.read_text(encoding="utf-8"), path.name
    for path in (PACKAGE / "cdk").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        own = [line for line in lines if line.startswith(("import cdk8s_plus", "from cdk8s_plus"))]
        assert [] == own, path.name
