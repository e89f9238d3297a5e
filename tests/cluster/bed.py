"""The test bed: a real control plane on loopback, with simulated nodes.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real programs. KWOK
stands for the kubelets; `stages.yaml` says what it does with pods. All of it lives in one
temporary folder and listens on free ports of 127.0.0.1.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
import yaml

from . import binaries
from .api import RefusedError
from .kubectl import Kubectl, wait_for

NEW_NETWORK = 0x40000000
STAGES = Path(__file__).parent / "stages.yaml"
TOKEN = "admin-of-the-test-bed"
"""The bearer token of everybody in the bed; worth nothing outside of it."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@dataclass
class Program:
    """A running program with its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise with the end of its log where it has ended.

        Raises:
            RuntimeError: It has.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def stop(self) -> None:
        """End it, in the end by force."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bed:
    """A control plane: a context manager that leaves nothing behind.

    Args:
        version: Minor release of Kubernetes, such as "1.37".
        simulates_nodes: Whether KWOK runs the pods of nodes that are not there.

    Attributes:
        kubectl: Its client.
        folder: Where its files are while it runs.
        ca: Its certificate authority, for servers that it talks to.
        has_controllers: Whether kube-controller-manager, kube-scheduler and KWOK run too. They
            are not part of KUBEBUILDER_ASSETS.
    """

    def __init__(self, version: str, *, simulates_nodes: bool = True) -> None:
        self.version = version
        self.simulates_nodes = simulates_nodes
        self.folder = Path(tempfile.mkdtemp(prefix="vllm-constructs-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubectl = Kubectl(kubeconfig=self.kubeconfig)
        self.ca = trustme.CA()
        self.programs: list[Program] = []
        self.missing: str | None = None
        """Why there are no controllers."""

    def __enter__(self) -> Self:
        try:
            self._write_files()
            self._start_api()
            self._start_controllers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def has_controllers(self) -> bool:
        """Whether pods are made, scheduled and run."""
        return self.missing is None

    def start(
        self,
        name: str,
        program: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a program that ends with the bed."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [program, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=os.environ | {"KUBECONFIG": str(self.kubeconfig)} | dict(environment or {}),
            )
        found = Program(name, process, log)
        self.programs.append(found)
        return found

    def stop(self) -> None:
        """End all programs, the last one first, and remove the folder."""
        self.kubectl.close()
        while self.programs:
            self.programs.pop().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def certificate(self, name: str) -> Path:
        """A folder with a new `tls.crt` and `tls.key` for 127.0.0.1, and the `ca.crt`."""
        folder = self.folder / name
        folder.mkdir()
        made = self.ca.issue_cert("127.0.0.1", "localhost", common_name=name)
        made.private_key_pem.write_to_path(folder / "tls.key")
        for chained in made.cert_chain_pems:
            chained.write_to_path(folder / "tls.crt", append=True)
        self.ca.cert_pem.write_to_path(folder / "ca.crt")
        return folder

    def _write_files(self) -> None:
        self.ca.cert_pem.write_to_path(self.folder / "ca.crt")
        self.port = free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        (self.folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        cluster = {"server": self.address, "certificate-authority": str(self.folder / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "admin"}}],
            "current-context": "bed",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")

    def _start_api(self) -> None:
        etcd, peers = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self.start(
            "etcd",
            binaries.find("etcd", "etcd"),
            [
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peers}",
                "--unsafe-no-fsync",
            ],
        )
        tls = self.certificate("kube-apiserver")
        accounts = self.certificate("service-accounts")
        proxy = self.certificate("front-proxy")
        api = self.start(
            "kube-apiserver",
            binaries.find(f"kubernetes-{self.version}", "kube-apiserver"),
            [
                f"--etcd-servers={etcd}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self.port}",
                f"--cert-dir={self.folder / 'kube-apiserver'}",
                f"--tls-cert-file={tls / 'tls.crt'}",
                f"--tls-private-key-file={tls / 'tls.key'}",
                # An endpoint on loopback is refused, and nobody here looks one up.
                "--endpoint-reconciler-type=none",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={accounts / 'tls.key'}",
                f"--service-account-signing-key-file={accounts / 'tls.key'}",
                f"--token-auth-file={self.folder / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--kubelet-preferred-address-types=InternalIP",
                # As kubeadm sets it: Pod Security is what refuses.
                "--allow-privileged=true",
                "--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112",
                # How the API server shows other API servers behind it who is asking.
                f"--requestheader-client-ca-file={tls / 'ca.crt'}",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={proxy / 'tls.crt'}",
                f"--proxy-client-key-file={proxy / 'tls.key'}",
            ],
        )

        def is_ready() -> bool:
            api.check()
            try:
                self.kubectl.run("get", "--raw=/readyz")
                self.kubectl.run("get", "namespace", "default")
            except RefusedError:
                return False
            return True

        wait_for("kube-apiserver", is_ready, 90)

    def _start_controllers(self) -> None:
        release = f"kubernetes-{self.version}"
        try:
            manager = binaries.find(release, "kube-controller-manager")
            scheduler = binaries.find(release, "kube-scheduler")
            kwok = binaries.find("kwok", "kwok") if self.simulates_nodes else None
        except binaries.MissingError as missing:
            self.missing = str(missing)
            # Otherwise the controllers' work.
            metadata = {"name": "default", "namespace": "default"}
            self.kubectl.create(
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
            )
            return
        config = f"--kubeconfig={self.kubeconfig}"
        local = ["--bind-address=127.0.0.1", "--leader-elect=false"]
        for name, program, more in (
            (
                "kube-controller-manager",
                manager,
                [
                    f"--root-ca-file={self.folder / 'ca.crt'}",
                    f"--service-account-private-key-file={self.folder}/service-accounts/tls.key",
                    # An HPA looks every second here, and trusts a pod as soon as it is ready.
                    "--horizontal-pod-autoscaler-sync-period=1s",
                    "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
                ],
            ),
            ("kube-scheduler", scheduler, []),
        ):
            files = f"--cert-dir={self.folder / name}"
            port = f"--secure-port={free_port()}"
            self.start(name, program, [config, files, port, *local, *more])
        if kwok is not None:
            self.start(
                "kwok",
                kwok,
                [
                    config,
                    f"--config={STAGES}",
                    "--manage-all-nodes=true",
                    "--node-lease-duration-seconds=40",
                    "--server-address=127.0.0.1:0",
                ],
            )

        def has_account() -> bool:
            for program in self.programs:
                program.check()
            return bool(self.kubectl.items("serviceaccounts", "default"))

        wait_for("kube-controller-manager", has_account)


def is_isolated() -> bool:
    """Whether this is a network of its own, with loopback and nothing else.

    `make test-cluster` makes one. Some programs cannot be told to listen on loopback only.
    """
    return {name for _, name in socket.if_nameindex()} == {"lo"}


def own_network() -> None:
    """Take a network of its own for this process, where it is one of pytest-xdist."""
    if "PYTEST_XDIST_WORKER" in os.environ and is_isolated():
        assert ctypes.CDLL(None).unshare(NEW_NETWORK) == 0
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607  # any will do
