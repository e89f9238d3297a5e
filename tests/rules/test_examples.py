"""The manifests of each example: right as they are, and broken in one way for each rule."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support import load_yaml

from .findings import ids, sentences

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "dist", *sorted(ROOT.glob("examples/*/dist"))]
Manifest = dict[str, Any]


@cache
def _loaded(folder: Path) -> list[Manifest]:
    return [one for file in sorted(folder.glob("*.yaml")) for one in load_yaml(file)]


def objects(folder: Path) -> list[Manifest]:
    """The manifests of an example."""
    return deepcopy(_loaded(folder))


def engines(folder: Path) -> list[Manifest]:
    """The Deployments of an example, with all that belongs to them."""
    return [one for one in objects(folder) if one["kind"] == "Deployment"]


class Broken:
    """A Deployment of an example, to be broken."""

    def __init__(self, deployment: Manifest) -> None:
        self.spec = deployment["spec"]
        self.pod = self.spec["template"]["spec"]
        self.engine = next(one for one in self.pod["containers"] if one["name"] == "vllm")
        self.args: list[str] = self.engine["args"]
        self.limits = self.engine["resources"]["limits"]

    @property
    def has_gpus(self) -> bool:
        """Whether it asks for some."""
        return any(name.startswith("nvidia.com/") for name in self.limits)

    def trust(self) -> None:
        """Run code of the model's repository, which is downloaded."""
        self.args.append("--trust-remote-code")
        given = self.engine.get("env", [])
        self.engine["env"] = [one for one in given if one["name"] != "HF_HUB_OFFLINE"]

    def env(self, name: str, value: str) -> None:
        """Add a variable."""
        self.engine.setdefault("env", []).append({"name": name, "value": value})


def _set(place: Any, key: str | int, value: object) -> None:
    place[key] = value


BREAK: dict[str, Callable[[Broken], object]] = {
    "E01": lambda one: one.args.append("--swap-space=4"),
    "E02": lambda one: one.args.append("--dtype=bf16"),
    "E03": lambda one: one.args.append("--disable-cascade-attn"),
    "E06": lambda one: one.args.append("--enable-auto-tool-choice"),
    "E07": Broken.trust,
    "E08": lambda one: one.args.extend(["--seed=1", "--seed=2"]),
    "E09": lambda one: one.env("VLLM_ATTENTION_BACKEND", "FLASH_ATTN"),
    "G01": lambda one: [
        one.limits.pop(name) for name in [*one.limits] if name.startswith("nvidia.com/")
    ],
    "G07": lambda one: one.env("CUDA_VISIBLE_DEVICES", "0"),
    "H01": lambda one: one.args.append("--api-key=sk-Zq3vYt81LmPwX0cRb7"),
    "H02": lambda one: one.engine.pop("securityContext"),
    "H04": lambda one: _set(one.pod, "hostIPC", value=True),
    "H05": lambda one: _set(one.engine, "image", "vllm/vllm-openai:latest"),
    "H06": lambda one: one.env("VLLM_SERVER_DEV_MODE", "1"),
    "H07": lambda one: one.pod.pop("automountServiceAccountToken"),
    "H09": lambda one: _set(one.spec, "replica", 2),
    "N01": lambda one: one.pod.pop("enableServiceLinks"),
    "P01": lambda one: one.engine.pop("startupProbe"),
    "P02": lambda one: _set(one.engine["livenessProbe"], "timeoutSeconds", 1),
    "P03": lambda one: _set(one.engine["readinessProbe"]["httpGet"], "path", "/live"),
    "P04": lambda one: _set(one.spec, "progressDeadlineSeconds", 60),
    "P05": lambda one: _set(one.pod, "terminationGracePeriodSeconds", 5),
    "P06": lambda one: one.engine.pop("lifecycle"),
    "P07": lambda one: _set(one.engine, "readinessProbe", {"exec": {"command": ["true"]}}),
    "R03": lambda one: one.engine.setdefault("volumeMounts", []).append(
        {"name": "not-there", "mountPath": "/not-there"}
    ),
    "R06": lambda one: _set(one.spec["selector"]["matchLabels"], "app.kubernetes.io/name", "x"),
    "R07": lambda one: [
        labels.update({"app.kubernetes.io/version": "0.33.0"})
        for labels in (
            one.spec["selector"]["matchLabels"],
            one.spec["template"]["metadata"]["labels"],
        )
    ],
}


OF_GPUS = ("G01", "G07")
"""Rules of GPUs, which a model on CPUs does not have."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.parent.name)
def test_good(folder: Path) -> None:
    """Nothing is found in what an example renders."""
    assert [] == sentences(objects(folder))


@pytest.mark.parametrize("rule", BREAK)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.parent.name)
def test_broken(folder: Path, rule: str) -> None:
    """Whichever engine is broken, the rule finds it."""
    count = len(engines(folder))
    assert count
    for number in range(count):
        found = objects(folder)
        deployment = [one for one in found if one["kind"] == "Deployment"][number]
        if rule in OF_GPUS and not Broken(deployment).has_gpus:
            continue
        BREAK[rule](Broken(deployment))
        assert [rule] == ids(found, rule), deployment["metadata"]["name"]
