"""A pod of ours on the node: what it may do, what it sees, and who reaches it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster.api import RefusedError
from tests.cluster.kubectl import Kubectl, wait_for
from tests.vllm import processes
from tests.vllm.client import speed
from vllm_constructs import Drain, EngineArgs, ModelDeployment, S3Bucket, Startup, WholeGpu

from . import images, model
from .conftest import Deployed
from .node import MIRROR, PRODUCT

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


def test_serves(deployed: Deployed) -> None:
    """The pod is ready by its probes, and its Service answers with its key."""
    (pod,) = deployed.pods()
    assert "docker.io/vllm/vllm-openai" in pod["status"]["containerStatuses"][0]["image"]
    stream = deployed.stream(20)
    stream.join()
    assert stream.is_complete


def test_confined(deployed: Deployed) -> None:
    """The engine runs as user 2000, without capabilities, with seccomp, and cannot gain more."""
    told = dict(
        re.findall(r"^(\w+):\s+(.*)$", deployed.execute("cat", "/proc/1/status"), re.MULTILINE)
    )
    assert ["2000"] * 4 == told["Uid"].split()
    assert "0" * 16 == told["CapEff"] == told["CapBnd"]
    assert ("2", "1") == (told["Seccomp"], told["NoNewPrivs"])


@pytest.mark.parametrize("folder", ["/dev/shm", "/tmp", "$HOME", "$HF_HOME"])  # noqa: S108
def test_writable(folder: str, deployed: Deployed) -> None:
    """What vLLM writes to can be written to."""
    deployed.execute("sh", "-c", f"echo written > {folder}/test && rm {folder}/test")


def test_read_only(deployed: Deployed) -> None:
    """The root of the container is read-only, as the app says."""
    mounts = [line.split() for line in deployed.execute("cat", "/proc/1/mounts").splitlines()]
    (options,) = (words[3].split(",") for words in mounts if words[1] == "/")
    assert "ro" in options


def test_mounted(deployed: Deployed) -> None:
    """The file of --config, the key and the memory are there; no token of the account is."""
    assert "max-model-len: 32768" in deployed.execute("cat", "/etc/vllm/engine.yaml")
    assert model.KEY == deployed.execute("printenv", "VLLM_API_KEY").strip()
    size = deployed.execute("df", "--output=size", "--block-size=1M", "/dev/shm")  # noqa: S108
    assert "1024" == size.split()[-1]
    deployed.execute("sh", "-c", "! test -e /var/run/secrets/kubernetes.io")


def _client(
    kubectl: Kubectl,
    space: str,
    name: str,
    port: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """A pod that waits, or listens on a port; gives its address."""
    listen = f"while true; do echo 'HTTP/1.0 200 OK' | nc -l -p {port}; done"
    kubectl.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": space, "labels": dict(labels or {})},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [
                    {
                        "name": "client",
                        "image": images.BUSYBOX,
                        "command": ["sh", "-c", "sleep 3600" if port is None else listen],
                    }
                ],
            },
        }
    )
    kubectl.run("wait", "--for=condition=Ready", f"pod/{name}", "-n", space, "--timeout=60s")
    address: str = kubectl.get("pod", name, space)["status"]["podIP"]
    return address


def _reaches(kubectl: Kubectl, space: str, address: str, port: int) -> bool:
    ask = f"printf 'GET /health HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} {port}"
    try:
        told = kubectl.run("exec", "-n", space, "client", "--", "sh", "-c", ask).stdout
    except RefusedError:
        return False
    return "200 OK" in told


def test_network_policy_in(deployed: Deployed, kubectl: Kubectl) -> None:
    """A client reaches the model from the namespace that the app names, and from no other."""
    for space in (model.FRIEND, "stranger"):
        kubectl.run("create", "namespace", space)
        _client(kubectl, space, "client")
    wait_for(
        "kube-router to let friends in",
        lambda: _reaches(kubectl, model.FRIEND, deployed.address, model.PORT),
    )
    (pod,) = deployed.pods()
    for address in (deployed.address, pod["status"]["podIP"]):
        assert _reaches(kubectl, model.FRIEND, address, model.PORT)
        assert not _reaches(kubectl, "stranger", address, model.PORT)


def test_network_policy_out(deployed: Deployed, kubectl: Kubectl) -> None:
    """The engine reaches HTTPS and DNS servers, as the app allows, and no other port."""
    kubectl.run("create", "namespace", "outside")
    _client(kubectl, "outside", "client")
    for port in (443, 53, 9999):
        address = _client(kubectl, "outside", f"server-{port}", port)
        wait_for("the server", partial(_reaches, kubectl, "outside", address, port))
        if port != 9999:
            deployed.execute("python3", "-c", CONNECT, address, str(port))
        else:
            with pytest.raises(RefusedError, match=r"timed out|refused"):
                deployed.execute("python3", "-c", CONNECT, address, str(port))
            assert _reaches(kubectl, "outside", address, port)


EGRESS: dict[str, tuple[dict[str, Any], int]] = {
    "proxy": ({"env": {"HTTPS_PROXY": "http://proxy.proxy.svc:3128"}}, 3128),
    "storage": (
        {
            "weights": S3Bucket(
                "s3://models/qwen", endpoint="http://minio.storage.svc:9000", secret="keys"
            ),
        },
        9000,
    ),
    "tracing": (
        {"engine": EngineArgs(otlp_traces_endpoint="http://collector.tracing.svc:4317")},
        4317,
    ),
}
"""By the namespace of a server: what names it in the app, and its port."""


@pytest.mark.parametrize("space", EGRESS)
@pytest.mark.usefixtures("node")
def test_network_policy_derived(space: str, kubectl: Kubectl) -> None:
    """A flag or variable that names a server opens the way to it, and to nothing beside it."""
    options, port = EGRESS[space]
    own = f"uses-{space}"
    chart = Chart(App(), "test", namespace=own)
    ModelDeployment(chart, "caller", model=model.WEIGHTS, gpu=WholeGpu(PRODUCT), **options)
    (policy,) = (one for one in chart.to_json() if one["kind"] == "NetworkPolicy")
    for name in (own, space):
        kubectl.run("create", "namespace", name)
    kubectl.create(policy)
    _client(kubectl, own, "client", labels=policy["spec"]["podSelector"]["matchLabels"])
    served = _client(kubectl, space, "server", port)
    other = _client(kubectl, space, "other", port + 1)

    wait_for("the server", partial(_reaches, kubectl, own, served, port))
    assert not _reaches(kubectl, own, other, port + 1)


@pytest.mark.usefixtures("deployed")
def test_image(kubectl: Kubectl) -> None:
    """An image of another registry runs by its name, with a tag, beside that of Docker Hub."""
    chart = Chart(App(), "test", namespace="mirrored")
    ModelDeployment(
        chart,
        "qwen",
        model=model.WEIGHTS,
        gpu=WholeGpu(PRODUCT),
        image=MIRROR,
        memory="4Gi",
        cpu="1",
    )
    (workload,) = (one for one in chart.to_json() if one["kind"] == "Deployment")
    kubectl.run("create", "namespace", "mirrored")
    kubectl.create(workload)

    def started() -> list[str]:
        """The images of containers that were started; without weights the engine soon ends."""
        return [
            status["image"]
            for pod in kubectl.items("pods", "mirrored")
            for status in pod["status"].get("containerStatuses", [])
            if {"running", "terminated"} & {*status["state"], *status["lastState"]}
        ]

    try:
        assert [MIRROR] == wait_for("the engine", started)
    finally:
        # It has one of the two GPUs.
        kubectl.delete([workload])


def test_deleted(deployed: Deployed, kubectl: Kubectl) -> None:
    """A pod that is deleted ends its streams first, and soon after them; another one comes."""
    rate = speed(model.PORT, model.MODEL, 4, headers=model.HEADERS, host=deployed.address)
    streams = [deployed.stream(int(rate * 12)) for _ in range(4)]
    (pod,) = deployed.pods()
    begun = time.monotonic()
    kubectl.run("delete", "pod", pod["metadata"]["name"], "-n", model.SPACE, "--wait=true")
    ended = time.monotonic()

    for stream in streams:
        stream.join()
        assert stream.is_complete, (stream.error, stream.events[-2:])
    last = max(stream.ended for stream in streams)
    assert last - begun > model.PAUSE
    assert ended - last < 15
    deployed.wait_ready()


def test_killed_engine(deployed: Deployed) -> None:
    """A dead engine restarts its container, though it ends with exit code 0."""
    before = _restarts(deployed)
    find = "grep -l VLLM::EngineCor /proc/[0-9]*/comm | cut -d/ -f3"
    # The command ends with its container.
    with pytest.raises(RefusedError):
        deployed.execute("sh", "-c", f"kill -9 $({find}); sleep 60")

    wait_for("a restart", lambda: _restarts(deployed) > before, 60)
    deployed.wait_ready()


def _restarts(deployed: Deployed) -> int:
    (pod,) = deployed.pods()
    found: int = pod["status"]["containerStatuses"][0]["restartCount"]
    return found


Seen = Callable[[], list[dict[str, Any]]]
"""Gives the changes of pods until now."""

HUNG = "hung"
STARTUP = 30
GRACE = Drain(seconds=model.DRAIN, pre_stop=model.PAUSE)


def _hang(*words: bytes) -> float:
    """Stop the server whose command has these words; gives the time."""
    server = processes.find(
        1, lambda one: {*words} <= {*(one / "cmdline").read_bytes().split(b"\0")}
    )
    os.kill(server, signal.SIGSTOP)
    return time.monotonic()


@pytest.fixture(scope="module")
def loading(
    deployed: Deployed, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    """The states of a pod whose server hangs before it listens, on the second GPU."""
    deployed.wait_ready()
    chart = Chart(App(), "test", namespace=HUNG)
    ModelDeployment(
        chart,
        HUNG,
        model=model.WEIGHTS,
        served_name=HUNG,
        gpu=WholeGpu(PRODUCT),
        memory="4Gi",
        cpu="1",
        startup=Startup(seconds=STARTUP),
        drain=GRACE,
    )
    (workload,) = (one for one in chart.to_json() if one["kind"] == "Deployment")
    kubectl.run("create", "namespace", HUNG)
    kubectl.create(workload)

    def hang() -> float | None:
        with suppress(LookupError):
            return _hang(b"serve", HUNG.encode())
        return None

    watched = tmp_path_factory.mktemp("hung") / "pods"
    try:
        with kubectl.watch("pods", HUNG, watched) as seen:
            wait_for("the server", hang, 60, pause=0.05)
            yield seen
    finally:
        kubectl.delete([workload])
        deployed.wait_ready()


@pytest.mark.usefixtures("loading")  # Both wait at the same time.
def test_hung_server(deployed: Deployed) -> None:
    """A server that hangs is unready within a minute, and restarted without a drain."""
    before = _restarts(deployed)
    begun = _hang(b"serve", b"--config")

    def is_ready() -> bool:
        return bool(deployed.pods()[0]["status"]["containerStatuses"][0]["ready"])

    wait_for("the pod to be unready", lambda: not is_ready(), 90)
    assert time.monotonic() - begun < 60
    wait_for("a restart", lambda: _restarts(deployed) > before, 240)
    # The third probe fails after 30 seconds or later.
    assert GRACE.restart_grace_period < time.monotonic() - begun < 30 + GRACE.grace_period


def test_hung_start(loading: Seen) -> None:
    """A server that hangs while it loads is restarted without a drain after its startup time."""

    def ends() -> list[dict[str, Any]]:
        return [
            status[when]["terminated"]
            for event in loading()
            for status in event["object"]["status"].get("containerStatuses", [])
            for when in ("lastState", "state")
            if "terminated" in status[when]
        ]

    # After it others come: there are no weights.
    end = wait_for("a restart", ends, 240)[0]

    lived = [datetime.fromisoformat(end[name]) for name in ("startedAt", "finishedAt")]
    seconds = (lived[1] - lived[0]).total_seconds()
    assert 128 + signal.SIGKILL == end["exitCode"]
    assert STARTUP + GRACE.restart_grace_period <= seconds < STARTUP + GRACE.grace_period
