"""Fixtures of the tests that start vLLM."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster.bed import is_isolated, own_network
from vllm_constructs import ModelDeployment, WholeGpu

from . import environment, substitutions
from .container import Container
from .running import Running, Spawner

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a plain word, where vLLM was not asked for or cannot run."""
    if os.environ.get("TEST_ENGINE") != "1":
        reason = environment.why_skipped()
    elif (missing := environment.why_missing()) is not None:
        reason = missing
    elif not is_isolated():
        reason = "no vLLM: this machine gives tests no network of their own"
    else:
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def network() -> None:
    """A network for each process of pytest-xdist: every container listens on port 8000."""
    own_network()


class Spawners:
    """Processes that imported vLLM, by the environment at import; the last two are kept."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._kept: OrderedDict[str, Spawner] = OrderedDict()
        self._number = 0

    def start(self, container: Container, *, fork: bool = True) -> Running:
        """Start a container, with what `substitutions` says.

        Args:
            container: The container.
            fork: Whether it may be a fork of a process that imported vLLM.
        """
        substitutions.substitute(container)
        # A shell has to run as one.
        fork = fork and container.command[0] == "vllm"
        variables = at_import(container.environment)
        key = f"{fork} {sorted(variables.items())}"
        if key not in self._kept:
            if len(self._kept) == 2:
                self._kept.popitem(last=False)[1].stop()
            self._number += 1
            folder = self._scratch / f"spawner-{self._number}"
            self._kept[key] = Spawner(folder, variables, fork=fork)
        self._kept.move_to_end(key)
        return self._kept[key].start(container)

    def stop(self) -> None:
        """End all."""
        for spawner in self._kept.values():
            spawner.stop()


EARLY = re.compile(
    r"(HF_(HOME|HUB_.*|ENDPOINT)|HOME|PATH|(LD|OMP|PYTHON|TORCH)_?.*|VLLM_(CONFIGURE_)?LOGGING.*)"
)
"""Variables that something reads when vLLM is imported; all others are read when needed."""


def at_import(variables: dict[str, str]) -> dict[str, str]:
    """The variables that have to be there when vLLM is imported."""
    return {name: value for name, value in variables.items() if EARLY.fullmatch(name)}


@pytest.fixture(scope="session")
def spawners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawners]:
    """What starts containers."""
    made = Spawners(tmp_path_factory.mktemp("spawners"))
    yield made
    made.stop()


Start = Callable[..., Running]


@pytest.fixture
def start(spawners: Spawners) -> Iterator[Start]:
    """Start containers that end with the test."""
    running: list[Running] = []

    def start(container: Container, *, fork: bool = True) -> Running:
        running.append(spawners.start(container, fork=fork))
        return running[-1]

    yield start
    for one in running:
        one.kill()


class Deploy:
    """Renders a ModelDeployment and reads its container."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._number = 0

    def __call__(self, **options: Any) -> Container:
        """The container of a model with the given options."""
        return self.both(None, **options)[1]

    def both(self, init: str | None, **options: Any) -> tuple[Container, Container]:
        """An init container of a model with the given options, and the container after it."""
        self._number += 1
        chart = Chart(App(), "test", namespace="llm")
        given = {"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": WholeGpu("NVIDIA-L40S")}
        ModelDeployment(chart, "qwen", **(given | options))  # type: ignore[arg-type]
        objects = chart.to_json()
        (workload,) = (item for item in objects if item["kind"] == "Deployment")
        folder = self._scratch / str(self._number)
        first, second = (Container.read(workload, objects, folder, name) for name in (init, None))
        return first, second


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """Make the container of a model."""
    return Deploy(tmp_path)
