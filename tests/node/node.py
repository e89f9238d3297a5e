"""A real node beside the control plane of `tests/cluster`: kubelet, containerd, runc.

kube-proxy makes Services reachable, kube-router enforces NetworkPolicies, and a device plugin
offers two GPUs that are not there and mounts vLLM into the containers that get one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.cluster import binaries
from tests.cluster.bed import Bed
from tests.cluster.kubectl import wait_for
from tests.vllm import environment, substitutions

from . import images, programs

HERE = Path(__file__).parent
NAME = "gpu-node"
ADDRESS = "10.77.0.1"
PODS = "10.77.0.0/24"
SERVICES = "10.0.0.0/24"
CONTAINERD = "/run/containerd/containerd.sock"
PRODUCT = "NVIDIA-A100-80GB-PCIe"
COUNT = 2
LABELS = {
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": PRODUCT,
    "nvidia.com/gpu.count": str(COUNT),
}
MIRROR = "registry.example.com:5000/mirror/vllm-openai:v0.33.0"
"""An image of another registry."""

ENGINES = [*(f"docker.io/vllm/vllm-openai:v0.{minor}.0" for minor in (32, 33)), MIRROR]


class Node:
    """A node; a context manager that leaves nothing behind.

    Args:
        bed: The control plane, without simulated nodes.
    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._state = bed.folder / "node"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
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

    def stop(self) -> None:
        """End all programs and containers, and remove what they leave."""
        if self._process is None:
            return
        # unshare ignores SIGTERM; with it ends process 1 of the node, and so all others.
        self._process.kill()
        self._process.wait()
        listed = self._state / "cgroups"
        for line in listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []:
            # Processes with gigabytes take a while to end.
            wait_for("cgroups to be empty", partial(_remove, Path(line)), 30)

    def log(self, name: str) -> str:
        """The end of what a program writes."""
        return (self._state / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    @property
    def _environment(self) -> dict[str, str]:
        root = programs.debian()
        libraries = root / "usr/lib/x86_64-linux-gnu"
        return {
            "PATH": f"{root}/bin:{root}/usr/bin:{root}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": str(libraries),
            "XTABLES_LIBDIR": str(libraries / "xtables"),
        }

    def _write(self, name: str, content: Any) -> Path:
        path = self._state / name
        text = json.dumps(content) if name.endswith(".json") else yaml.safe_dump(content)
        path.write_text(text, encoding="utf-8")
        return path

    def _start(self) -> None:
        self._state.mkdir()
        self._make_bridge()
        root = programs.debian()
        archive = self._state / "images.tar"
        images.write(archive, root / "bin/busybox", ENGINES, substitutions.VARIABLES["PATH"])
        config = f"--kubeconfig={self._bed.kubeconfig}"
        host = f"--hostname-override={NAME}"
        kubelet: list[str | Path] = [
            binaries.find("kubelet", "kubelet", base=programs.TOOLS),
            config,
            host,
        ]
        kubelet += [f"--node-ip={ADDRESS}", "--root-dir=/var/lib/kubelet"]
        kubelet += [f"--config={self._write('kubelet.yaml', self._kubelet())}"]
        kubelet += [f"--node-labels={','.join(f'{key}={value}' for key, value in LABELS.items())}"]
        plugin: list[str | Path] = [binaries.find("kubelet", "device-plugin", base=programs.TOOLS)]
        plugin += [self._write("device-plugin.json", self._device_plugin())]
        proxy: list[str | Path] = [
            binaries.find("kubelet", "kube-proxy", base=programs.TOOLS),
            host,
        ]
        proxy += [f"--config={self._write('kube-proxy.yaml', self._kube_proxy())}"]
        router: list[str | Path] = [
            binaries.find("kube-router", "kube-router", base=programs.TOOLS),
            config,
            host,
        ]
        router += ["--run-router=false", "--run-firewall=true", "--run-service-proxy=false"]
        router += [f"--service-cluster-ip-range={SERVICES}"]
        containerd: list[str | Path] = [
            root / "usr/bin/containerd",
            f"--config={self._containerd()}",
        ]
        told = {
            "name": NAME,
            "state": str(self._state),
            "cgroup": f"vllm-constructs-{os.getpid()}",
            "containerd": CONTAINERD,
            "environment": self._environment | {"NODE_NAME": NAME},
            "import": _words(
                [
                    root / "usr/bin/ctr",
                    *(f"--address={CONTAINERD}", "--namespace=k8s.io", "images", "import"),
                    archive,
                ]
            ),
            "programs": {
                "containerd": _words(containerd),
                "kubelet": _words(kubelet),
                "device-plugin": _words(plugin),
                "kube-proxy": _words(proxy),
                "kube-router": _words(router),
            },
        }
        with (self._state / "node.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, HERE / "inside.py", "start", self._write("node.json", told)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for("the node", self._is_ready, 90)
        # kube-router takes the addresses of pods from here.
        self._bed.kubectl.run(
            *("patch", "node", NAME, "--patch", json.dumps({"spec": {"podCIDR": PODS}}))
        )

    def _is_ready(self) -> bool:
        assert self._process is not None
        ended = self._state / "ended"
        if self._process.poll() is not None or ended.exists():
            logs = "\n".join(self.log(name) for name in ("node", "containerd", "kubelet"))
            raise RuntimeError(f"the node ended: {logs}")
        for node in self._bed.kubectl.items("nodes"):
            told = node["status"]
            ready = any(
                one["type"] == "Ready" and one["status"] == "True"
                for one in told.get("conditions", [])
            )
            return ready and told["allocatable"].get("nvidia.com/gpu") == str(COUNT)
        return False

    def _make_bridge(self) -> None:
        for command in (
            "ip link add cni0 type bridge",
            f"ip address add {ADDRESS}/24 dev cni0",
            "ip link set cni0 up",
            f"ip route add default via {ADDRESS} dev cni0",
        ):
            subprocess.run(command.split(), check=True)

    def _containerd(self) -> Path:
        root = programs.debian()
        networks = self._state / "networks"
        networks.mkdir()
        ipam = {
            "type": "host-local",
            "ranges": [[{"subnet": PODS, "rangeStart": "10.77.0.10", "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/cni",
        }
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True}
        network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge | {"ipam": ipam}]}
        (networks / "10-pods.conflist").write_text(json.dumps(network), encoding="utf-8")
        unused = [f"snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")]
        unused += ["internal.v1.opt", "tracing.processor.v1.otlp"]
        listed = ", ".join(f'"io.containerd.{name}"' for name in unused)
        plugin = 'plugins."io.containerd.grpc.v1.cri"'
        path = self._state / "containerd.toml"
        path.write_text(
            f"""
version = 2
root = "{self._state}/containerd"
state = "/run/containerd"
disabled_plugins = [{listed}]
[grpc]
address = "{CONTAINERD}"
[{plugin}]
sandbox_image = "{images.PAUSE}"
disable_apparmor = true
# A container may not be less likely to be killed than the tests are.
restrict_oom_score_adj = true
[{plugin}.cni]
bin_dir = "{root}/usr/lib/cni"
conf_dir = "{networks}"
[{plugin}.containerd]
default_runtime_name = "runc"
[{plugin}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{plugin}.containerd.runtimes.runc.options]
BinaryName = "{root}/usr/sbin/runc"
""",
            encoding="utf-8",
        )
        return path

    def _kubelet(self) -> dict[str, Any]:
        names = self._state / "resolv.conf"
        names.write_text("nameserver 10.0.0.10\n", encoding="utf-8")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            # From 1.35 on, kubelet refuses version 1 of cgroups by default.
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "enforceNodeAllocatable": ["pods"],
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
            "failSwapOn": False,
            # Otherwise it sets limits of the machine.
            "featureGates": {"KubeletInUserNamespace": True},
            "makeIPTablesUtilChains": False,
            # By default it looks at volumes once a minute.
            "volumeStatsAggPeriod": "10s",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "resolvConf": str(names),
            "clusterDNS": ["10.0.0.10"],
            "clusterDomain": "cluster.local",
            "nodeStatusUpdateFrequency": "5s",
            "registerWithTaints": [
                {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
            ],
            "podLogsDir": "/var/log/pods",
            "volumePluginDir": "/run/volume-plugins",
        }

    def _kube_proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": PODS,
            "bindAddress": ADDRESS,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clientConnection": {"kubeconfig": str(self._bed.kubeconfig)},
            # Those are values of the machine.
            "conntrack": {"maxPerCore": 0, "min": 0}
            | dict.fromkeys(("tcpEstablishedTimeout", "tcpCloseWaitTimeout"), "0s"),
        }

    def _device_plugin(self) -> dict[str, Any]:
        site = Path(substitutions.VARIABLES["PYTHONPATH"])
        shared = {Path("/usr"), Path(sys.base_prefix), environment.folder(), site}
        given = {name: substitutions.VARIABLES[name] for name in substitutions.OF_NODE}
        return {
            "resource": "nvidia.com/gpu",
            "count": COUNT,
            "environment": given
            | substitutions.FORK
            | {"VLLM_CPU_KVCACHE_SPACE": substitutions.KV_CACHE_GIB},
            "mounts": [
                {"host_path": str(path), "container_path": str(path), "read_only": True}
                for path in sorted(shared)
                if path == Path("/usr") or not path.is_relative_to("/usr")
            ],
        }


def _remove(cgroup: Path) -> bool:
    folders = [path for path in cgroup.rglob("*") if path.is_dir()]
    try:
        for folder in [*sorted(folders, reverse=True), cgroup]:
            folder.rmdir()
    except OSError:
        return False
    return True


def _words(command: Sequence[str | Path]) -> list[str]:
    return [str(word) for word in command]


def why_impossible() -> str | None:
    """Why no node can run on this machine, whatever is made for it."""
    if (reason := environment.why_missing()) is not None:
        return reason
    if os.geteuid() != 0:
        return "no node: kubelet and containerd need root"
    if not os.access("/sys/fs/cgroup/memory", os.W_OK) or Path("/sys/fs/cgroup/cpu").is_symlink():
        return "no node: the tests need version 1 of cgroups, each controller mounted by itself"
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "no node: ip or nsenter are not on this machine"
    return None


def why_missing() -> str | None:
    """Why no node can run on this machine as it is, if none can."""
    return why_impossible() or programs.why_missing()
