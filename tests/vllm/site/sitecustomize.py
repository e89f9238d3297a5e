"""Loaded by every Python of a container in the tests.

vLLM's processes call sched_yield in a loop while they wait for each other. On two cores and a
recent Linux that starves others that have work to do; a short sleep does not.

With `TEST_FORK=1` one process imports vLLM, which takes 10 s, where vLLM does it in three: on CPUs
it spawns its engine, and looks at the class of a model in a process of its own.
"""

import importlib.abc
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from typing import Any

REGISTRY = "vllm.model_executor.models.registry"


def _sleep() -> None:
    time.sleep(0.0005)


class _Registry(importlib.abc.MetaPathFinder):
    """Imports vLLM's registry of models, changed."""

    def find_spec(self, name: str, *_: Any) -> Any:
        """Where the registry is; no other module."""
        if name != REGISTRY:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        assert found is not None
        loader: Any = found.loader
        execute = loader.exec_module

        def execute_changed(module: Any) -> None:
            execute(module)
            module._run_in_subprocess = _call

        loader.exec_module = execute_changed
        return found


def _call(function: Callable[[], Any]) -> Any:
    return function()


def _fork() -> None:
    get_context: Any = multiprocessing.get_context

    def get_other(method: str | None = None) -> Any:
        return get_context("fork" if method == "spawn" else method)

    setattr(multiprocessing, "get_context", get_other)  # noqa: B010  # mypy knows its type
    sys.meta_path.insert(0, _Registry())


os.sched_yield = _sleep
if os.environ.get("TEST_FORK") == "1":
    _fork()
