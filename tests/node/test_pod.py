"""A pod of ours on the node: what it may do, what it sees, and who reaches it."""

from __future__ import annotations

import re
import time
from functools import partial

import pytest

from tests.cluster.kubectl import Kubectl, RefusedError, wait_for
from tests.vllm.client import speed

from . import images, model
from .conftest import Deployed

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


@pytest.mark.parametrize("path", ["/usr/test", "/etc/vllm/engine.yaml"])
def test_read_only(path: str, deployed: Deployed) -> None:
    """Programs and the file of --config cannot be written to."""
    with pytest.raises(RefusedError):
        deployed.execute("sh", "-c", f"echo written >> {path}")


def test_mounted(deployed: Deployed) -> None:
    """The file of --config, the key and the memory are there; no token of the account is."""
    assert "max-model-len: 32768" in deployed.execute("cat", "/etc/vllm/engine.yaml")
    assert model.KEY == deployed.execute("printenv", "VLLM_API_KEY").strip()
    size = deployed.execute("df", "--output=size", "--block-size=1M", "/dev/shm")  # noqa: S108
    assert "1024" == size.split()[-1]
    with pytest.raises(RefusedError):
        deployed.execute("ls", "/var/run/secrets/kubernetes.io")


def _client(kubectl: Kubectl, space: str, name: str, port: int | None = None) -> str:
    """A pod that waits, or listens on a port; gives its address."""
    listen = f"while true; do echo 'HTTP/1.0 200 OK' | nc -l -p {port}; done"
    kubectl.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": space},
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
    """The engine reaches HTTPS servers, as the app allows, and no other port."""
    kubectl.run("create", "namespace", "outside")
    _client(kubectl, "outside", "client")
    for port in (443, 9999):
        address = _client(kubectl, "outside", f"server-{port}", port)
        wait_for("the server", partial(_reaches, kubectl, "outside", address, port))
        if port == 443:
            deployed.execute("python3", "-c", CONNECT, address, str(port))
        else:
            with pytest.raises(RefusedError, match=r"timed out|refused"):
                deployed.execute("python3", "-c", CONNECT, address, str(port))


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
    find = "grep -l VLLM::EngineCor /proc/[0-9]*/comm | cut -d/ -f3"
    # The command ends with its container.
    with pytest.raises(RefusedError):
        deployed.execute("sh", "-c", f"kill -9 $({find}); sleep 60")

    def has_restarted() -> bool:
        (pod,) = deployed.pods()
        return bool(pod["status"]["containerStatuses"][0]["restartCount"] == 1)

    wait_for("a restart", has_restarted, 60)
    deployed.wait_ready()
