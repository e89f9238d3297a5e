"""Process 1 of a node: makes its mounts, starts its programs, and waits. `node.py` starts it.

It has namespaces of its own for processes, mounts, cgroups, IPC and host name, and shares the
network with the control plane. Nothing that kubelet writes reaches the machine: of the values of
the kernel only those of the network can be changed, and those belong to that network.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
SETTINGS = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""Values of the kernel that kubelet sets: it finds them set in files of its own."""


def mount(*words: str | Path) -> None:
    """Call mount."""
    subprocess.run(["mount", *words], check=True)


def make_mounts(told: dict[str, Any]) -> None:
    """Mount what the programs need."""
    state = Path(told["state"])
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("-t", "tmpfs", "-o", "mode=755", "cgroup", "/sys/fs/cgroup")
    for name in CONTROLLERS:
        Path("/sys/fs/cgroup", name).mkdir()
        mount("-t", "cgroup", "-o", name, "cgroup", f"/sys/fs/cgroup/{name}")
    Path("/sys/fs/cgroup/systemd").mkdir()
    mount("-t", "cgroup", "-o", "none,name=systemd", "cgroup", "/sys/fs/cgroup/systemd")
    for folder in ("/run", "/var/lib", "/var/log"):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    mount("--bind", "/proc/sys", "/proc/sys")
    mount("--bind", "/proc/sys/net", "/proc/sys/net")
    mount("-o", "remount,bind,ro", "/proc/sys")
    for name, value in SETTINGS.items():
        file = Path("/run", name.replace("/", "."))
        file.write_text(value)
        mount("--bind", file, f"/proc/sys/{name}")
    for name, target in (("kubelet", "/var/lib/kubelet"), ("pods", "/var/log/pods")):
        (state / name).mkdir()
        Path(target).mkdir()
        mount("--bind", state / name, target)
    mount("--make-rshared", "/")


def start(told: dict[str, Any], name: str) -> "subprocess.Popen[bytes]":
    """Start a program of the node."""
    with Path(told["state"], f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            told["programs"][name],
            env=os.environ | told["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for(path: str) -> None:
    """Wait for a socket.

    Raises:
        TimeoutError: It takes longer than a minute.
    """
    until = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > until:
            raise TimeoutError(path)
        time.sleep(0.05)


def run(told: dict[str, Any]) -> None:
    """Make the node."""
    make_mounts(told)
    subprocess.run(["hostname", told["name"]], check=True)
    programs = [start(told, "containerd")]
    wait_for(told["containerd"])
    subprocess.run(told["import"], check=True, env=os.environ | told["environment"])
    programs.append(start(told, "kubelet"))
    # Kubelet empties the folder of plugins as it starts.
    wait_for("/var/lib/kubelet/device-plugins/kubelet.sock")
    programs += [start(told, name) for name in ("device-plugin", "kube-proxy", "kube-router")]
    while True:
        # Process 1 waits for everybody's children, its own programs among them.
        ended, _ = os.wait()
        for program in programs:
            if program.pid == ended:
                Path(told["state"], "ended").write_text(f"{program.args!r}", encoding="utf-8")


def join_cgroups(name: str, listed: Path) -> None:
    """Make a cgroup in each hierarchy, list it, and go there."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        base = Path("/sys/fs/cgroup", controllers.removeprefix("name=") or "unified")
        if not base.is_dir():
            continue
        own = base / path.strip("/") / name
        own.mkdir(exist_ok=True)
        with listed.open("a", encoding="utf-8") as text:
            text.write(f"{own}\n")
        if controllers == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (own / file).write_text((own.parent / file).read_text())
        (own / "cgroup.procs").write_text(str(os.getpid()))


def main() -> None:
    """Go into namespaces of its own, and run there."""
    action, file = sys.argv[1:]
    told = json.loads(Path(file).read_text(encoding="utf-8"))
    if action == "run":
        run(told)
        return
    join_cgroups(told["cgroup"], Path(told["state"], "cgroups"))
    namespaces = ["--pid", "--mount", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child"]
    command = ["unshare", *namespaces, sys.executable, __file__, "run", file]
    os.execvp("unshare", command)  # noqa: S606  # that is what it is for


if __name__ == "__main__":
    main()
