"""Fixtures of the tests on a real control plane, and the table of what they prove."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.support import load_yaml

from . import binaries
from .bed import Bed, own_network
from .kubectl import Kubectl, make_namespace, remove_namespace, wait_for
from .nodes import Manifest

HERE = Path(__file__).parent
CRDS = HERE.parents[2] / "shared" / "crds"
NEWEST = binaries.versions()[0]

_numbers = itertools.count(1)
PROVEN = "proven"
"""The property of a report that says what its test proves."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a plain word, where no control plane was asked for; else groups for workers."""
    asked = os.environ.get("TEST_CLUSTER") == "1"
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        if not asked:
            item.add_marker(pytest.mark.skip(reason=binaries.why_skipped()))
        elif isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            release = item.callspec.params.get("bed")
            if release is not None:
                # What is tried with one release waits for pods most of the time.
                alone = any(
                    mark.name == "parametrize" and mark.args == ("bed", [release])
                    for mark in item.iter_markers()
                )
                group = f"kubernetes-{release}{'-alone' if alone else ''}"
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def network() -> None:
    """A network for each process of pytest-xdist: some programs have a port that is theirs."""
    own_network()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep what each test proves, for the table."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what the wrapped hook gives
    if item.path.is_relative_to(HERE) and (report.when == "call" or report.skipped):
        function = getattr(item, "function", None)
        claim = (getattr(function, "__doc__", None) or item.name).splitlines()[0]
        report.user_properties.append((PROVEN, (item.path.stem.removeprefix("test_"), claim)))
    return report  # type: ignore[return-value]  # as above


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each claim: how often it was tried, and how it went."""
    ran: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == PROVEN:
                    ran.setdefault(tuple(value), []).append((outcome, report.duration))
    if not any(outcome == "passed" for tries in ran.values() for outcome, _ in tries):
        return
    terminalreporter.section("what was proven")
    for (room, claim), tries in sorted(ran.items()):
        counts = {name: sum(one == name for one, _ in tries) for name in ("passed", "failed")}
        skipped = len(tries) - sum(counts.values())
        found = [f"{counts['passed']} passed"]
        found += [f"{counts['failed']} FAILED"] if counts["failed"] else []
        found += [f"{skipped} skipped"] if skipped else []
        spent = sum(seconds for _, seconds in tries)
        terminalreporter.write_line(f"| {room} | {claim} | {', '.join(found)} | {spent:.0f} s |")


@pytest.fixture(scope="session", params=binaries.versions())
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """A control plane of each Kubernetes release at hand, with the CRDs where they are there."""
    try:
        made = Bed(request.param)
        made.__enter__()
    except binaries.MissingError as missing:
        pytest.skip(str(missing))
    try:
        if CRDS.is_dir():
            assert [] == made.kubectl.apply(CRDS)
            made.kubectl.run("wait", "--for=condition=Established", "crd", "--all")
        yield made
    finally:
        made.stop()


@pytest.fixture
def cluster(bed: Bed) -> Bed:
    """A control plane with controllers."""
    if bed.missing is not None:
        pytest.skip(bed.missing)
    return bed


@pytest.fixture
def kubectl(bed: Bed) -> Kubectl:
    """The client."""
    return bed.kubectl


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of a test's own that enforces Pod Security "restricted"."""
    name = f"test-{next(_numbers)}"
    make_namespace(kubectl, name)
    yield name
    remove_namespace(kubectl, name)


@pytest.fixture
def nodes(kubectl: Kubectl, namespace: str) -> Iterator[Callable[..., None]]:
    """Make nodes that go with the test, after its pods."""
    made: list[Manifest] = []

    def make(*manifests: Manifest) -> None:
        made.extend(manifests)
        kubectl.create(*manifests)
        names = {item["metadata"]["name"] for item in manifests}

        def is_open() -> bool:
            found = [item for item in kubectl.items("nodes") if item["metadata"]["name"] in names]
            taints = [taint for item in found for taint in item["spec"].get("taints", [])]
            return not any(taint["key"].startswith("node.kubernetes.io/") for taint in taints)

        wait_for("nodes", is_open)

    yield make
    kubectl.delete_all("deployments", namespace)
    kubectl.delete_all("hpa", namespace)
    wait_for("pods to go", lambda: not kubectl.items("pods", namespace))
    kubectl.delete(made)


@pytest.fixture
def chart(namespace: str) -> Chart:
    """A chart for the test's namespace."""
    return Chart(App(), "test", namespace=namespace)


def rendered(chart: Chart) -> list[Manifest]:
    """What a chart renders."""
    found: list[Manifest] = chart.to_json()
    return found


def documents(*paths: Path) -> list[Manifest]:
    """The objects of YAML files."""
    return [found for path in paths for found in load_yaml(path)]
