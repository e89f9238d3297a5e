"""Rules of deadline, grace period and drain."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.rules.lifecycle import pre_stop

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

HTTP = {"httpGet": {"path": "/health", "port": 8000}}
STARTUP = {**HTTP, "periodSeconds": 10, "failureThreshold": 90}


def hook(**handler: Any) -> dict[str, Any]:
    """A container with a preStop hook."""
    return {"lifecycle": {"preStop": handler}}


def execute(*command: str) -> dict[str, Any]:
    """A container with a preStop hook that executes a command."""
    return hook(exec={"command": [*command]})


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, None),
        (hook(sleep={"seconds": 15}), (15, 0)),
        (execute("sleep", "30"), (30, 0)),
        (execute("/bin/sh", "-c", "sleep 2m"), (120, 0)),
        (execute("sh", "-c", "curl -X POST x && sleep 5"), (5, 0)),
        (execute("python3", "-c", "... end_engine() ...", "8000", "15", "300"), (15, 300)),
        (execute("python3", "-c", "... end_engine() ...", "8000", "x", "y"), None),
        (execute("/drain.sh"), None),
        (execute("sh", "-c", "while curl -s :8000/metrics | grep -q x; do sleep 5; done"), None),
        (execute("sh", "-c", "until test -e /tmp/idle\ndo\n  sleep 1\ndone"), None),
        (hook(httpGet={"path": "/", "port": 1}), None),
    ],
)
def test_pre_stop(container: dict[str, Any], expected: tuple[int, int] | None) -> None:
    """The time of a hook is read where it is written."""
    assert expected == pre_stop(container)


class TestDeadline:
    """P04."""

    @pytest.mark.parametrize(
        ("startup", "fields"),
        [
            (STARTUP, {}),
            (STARTUP, {"progressDeadlineSeconds": 600}),
            ({**STARTUP, "initialDelaySeconds": 900}, {"progressDeadlineSeconds": 1200}),
            ({}, {"progressDeadlineSeconds": 600, "minReadySeconds": 900}),
        ],
    )
    def test_bad(self, startup: dict[str, Any], fields: dict[str, Any]) -> None:
        """A deadline below what the startup probe allows, given or by default."""
        made = deployment(pod_spec(container={"startupProbe": startup}), **fields)
        (one,) = found([made], "P04")
        assert ("spec", "progressDeadlineSeconds") == one.path

    @pytest.mark.parametrize(
        ("startup", "fields"),
        [
            ({}, {}),
            ({**STARTUP, "failureThreshold": 60}, {}),
            (STARTUP, {"progressDeadlineSeconds": 900}),
            (STARTUP, {"progressDeadlineSeconds": 3600}),
        ],
    )
    def test_good(self, startup: dict[str, Any], fields: dict[str, Any]) -> None:
        """A deadline that is long enough."""
        made = deployment(pod_spec(container={"startupProbe": startup}), **fields)
        assert [] == sentences([made], "P04")

    def test_kinds(self) -> None:
        """Only a Deployment has a deadline."""
        spec = pod_spec(container={"startupProbe": STARTUP})
        made = deployment(spec) | {"kind": "StatefulSet"}
        assert [] == ids([made, group(None, spec)], "P04")

    def test_patch(self) -> None:
        """A patch may leave the deadline to what it patches, and may not give a wrong one."""
        spec = pod_spec(container={"startupProbe": STARTUP})
        patches = [deployment(spec), deployment(spec, progressDeadlineSeconds=300)]
        for one in patches:
            del one["spec"]["selector"]
        assert [] == sentences(patches[:1], "P04")
        assert ["P04"] == ids(patches[1:], "P04")


class TestGrace:
    """P05."""

    @pytest.mark.parametrize(
        ("args", "container", "fields"),
        [
            (("a/b", "--shutdown-timeout=60"), {}, {}),
            (("a/b", "--shutdown-timeout", "20"), hook(sleep={"seconds": 15}), {}),
            ((), hook(sleep={"seconds": 30}), {}),
            ((), execute("sleep", "60"), {"terminationGracePeriodSeconds": 60}),
            (
                ("a/b", "--shutdown-timeout=300"),
                hook(sleep={"seconds": 15}),
                {"terminationGracePeriodSeconds": 315},
            ),
        ],
    )
    def test_bad(
        self, args: tuple[str, ...], container: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        """A grace period that ends before the drain, given or by default."""
        made = deployment(pod_spec(*args, container=container, **fields))
        (one,) = found([made], "P05")
        assert "terminationGracePeriodSeconds" == one.path[-1]
        assert one.fix is not None
        assert one.fix.is_safe

    @pytest.mark.parametrize(
        ("args", "container", "fields"),
        [
            ((), {}, {}),
            ((), hook(sleep={"seconds": 15}), {}),
            (("a/b", "--shutdown-timeout=25"), {}, {}),
            ((), execute("/drain.sh"), {"terminationGracePeriodSeconds": 1}),
            (
                ("a/b", "--shutdown-timeout=300"),
                hook(sleep={"seconds": 15}),
                {"terminationGracePeriodSeconds": 330},
            ),
            (("a/b", "--shutdown-timeout=$(T)"), {}, {}),
        ],
    )
    def test_good(
        self, args: tuple[str, ...], container: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        """A grace period that suffices, or a hook that nobody here can read."""
        assert [] == sentences([deployment(pod_spec(*args, container=container, **fields))], "P05")


class TestDrain:
    """P06."""

    @pytest.mark.parametrize(
        ("args", "container"),
        [
            ((), {}),
            (("a/b", "--shutdown-timeout=60"), {}),
            (("a/b", "--shutdown-timeout=0"), hook(sleep={"seconds": 15})),
            ((), hook(sleep={"seconds": 15})),
            ((), execute("sleep", "5")),
            ((), hook()),
        ],
    )
    def test_bad(self, args: tuple[str, ...], container: dict[str, Any]) -> None:
        """No hook, or nothing that waits for requests."""
        assert ["P06"] == ids([deployment(pod_spec(*args, container=container))], "P06")

    @pytest.mark.parametrize(
        ("args", "container"),
        [
            (("a/b", "--shutdown-timeout=60"), hook(sleep={"seconds": 15})),
            ((), execute("sh", "-c", "sleep 120")),
            ((), execute("/drain.sh")),
            ((), execute("sh", "-c", "while grep -q . /tmp/running; do sleep 5; done")),
            (("a/b", "--shutdown-timeout=$(T)"), hook(sleep={"seconds": 15})),
            (("a/b", "--headless"), {}),
        ],
    )
    def test_good(self, args: tuple[str, ...], container: dict[str, Any]) -> None:
        """A drain, a hook that nobody here can read, and workers that get no requests."""
        assert [] == sentences([deployment(pod_spec(*args, container=container))], "P06")

    @pytest.mark.parametrize(("release", "has_flag"), [("v0.8.5", False), ("v0.20.2", True)])
    def test_releases(self, release: str, *, has_flag: bool) -> None:
        """A flag that the release does not have is not advised."""
        container = {"image": f"vllm/vllm-openai:{release}"}
        (line,) = sentences([deployment(pod_spec(container=container))], "P06")
        assert has_flag == ("--shutdown-timeout for the longest" in line)
        assert has_flag != ("has no --shutdown-timeout" in line)

    def test_workers(self) -> None:
        """A script of a worker may start one that gets no requests."""
        text = "if [ $I = 0 ]; then vllm serve a/b; else vllm serve a/b --headless; fi"
        started = {"command": ["sh", "-c"], "args": [text]}
        pods = pod_spec(container=started)
        (one,) = found([group(pods, pods)], "P06")
        assert "leaderTemplate" in one.path

    def test_jobs(self) -> None:
        """A Job serves nobody."""
        made = deployment(pod_spec()) | {"apiVersion": "batch/v1", "kind": "Job"}
        assert [] == ids([made], "P06")
