"""Every container of vLLM that `main.py`, the examples and the scenarios render starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scenarios import scenario
from tests.support import load_yaml

from .conftest import Deploy, Start
from .container import Container
from .running import Running

ROOT = Path(__file__).parents[2]
RENDERED = ["dist", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/dist"))]
DEFAULTS = {"dtype": ("auto",), "tensor_parallel_size": ("1",), "enable_prefix_caching": ("",)}
"""Values that vLLM does not repeat, since it would take them anyway."""

UNKNOWN = re.compile(r"Unknown vLLM environment variable detected: (\S+)")

Manifest = dict[str, Any]


def _engines(objects: list[Manifest]) -> list[Manifest]:
    found = []
    for item in objects:
        pod = item.get("spec", {}).get("template", {}).get("spec")
        if item["kind"] in {"Deployment", "StatefulSet"} and pod is not None:
            words = pod["containers"][0].get("command", [])
            if "serve" in words:
                found.append(item)
    return found


def _given(container: Container) -> dict[str, str]:
    """The flags of a container, those of its `--config` file too, as vLLM names its options."""
    found = {}
    words = container.command[container.command.index("serve") + 1 :]
    for word in words:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            found[name] = value if equals else ""
    if "--config" in found:
        path = words[words.index("--config") + 1]
        (mount,) = (mount for mount in container.mounts if mount.path == path)
        assert mount.source is not None
        settings = yaml.safe_load(mount.source.read_text(encoding="utf-8"))
        found |= {f"--{name}": str(value) for name, value in settings.items()}
        del found["--config"]
    return {name.removeprefix("--").replace("-", "_"): value for name, value in found.items()}


def _names(container: Container) -> str:
    """The names under which vLLM serves, as it tells them; empty if the manifest gives none."""
    words = container.command
    if "--served-model-name" not in words:
        return ""
    after = words[words.index("--served-model-name") + 1 :]
    end = next((at for at, word in enumerate(after) if word.startswith("--")), len(after))
    return f"'served_model_name': {after[:end]}"


def _taken(running: Running) -> str:
    """The options that vLLM says it was given: those that differ from its defaults."""
    found = re.search(r"non-default args: (\{.*)", running.text())
    assert found is not None
    return found[1]


def _start_all(objects: list[Manifest], start: Start, scratch: Path) -> None:
    engines = _engines(objects)
    assert engines
    for number, workload in enumerate(engines):
        container = Container.read(workload, objects, scratch / str(number))
        running = start(container)
        with running:
            running.wait_ready()
            assert (200, 200) == (running.probe("readinessProbe"), running.probe("livenessProbe"))
            assert [] == UNKNOWN.findall(running.text())
            taken = _taken(running)
            assert _names(container) in taken
            for name, value in _given(container).items():
                found = re.search(rf"'{name}': '?([^,'}}\]]+)", taken)
                is_default = found is None and value in DEFAULTS.get(name, ())
                is_same = found is not None and (value in {"", found[1]} or found[1][0] in "[{")
                assert is_default or is_same, (name, value, taken)


def test_unknown_variable(start: Start, deploy: Deploy) -> None:
    """The control: vLLM names a variable that it does not know."""
    container = deploy()
    container.environment["VLLM_NO_SUCH"] = "1"
    running = start(container)
    running.wait_ready()
    assert ["VLLM_NO_SUCH"] == UNKNOWN.findall(running.text())


@pytest.mark.parametrize("folder", RENDERED)
def test_rendered(folder: str, start: Start, tmp_path: Path) -> None:
    """A container of `main.py` and the examples starts as rendered; vLLM knows every variable."""
    objects = [one for file in sorted((ROOT / folder).glob("*.yaml")) for one in load_yaml(file)]
    _start_all(objects, start, tmp_path)


@pytest.mark.parametrize("name", scenario.NAMES)
def test_scenario(name: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of a scenario starts as rendered; vLLM knows every variable."""
    rendered = tmp_path / "rendered"
    rendered.mkdir()
    objects = scenario.render(name, rendered, monkeypatch)
    _start_all(objects, start, tmp_path)
