"""The programs of a node, and where they come from: Go modules of `tools/`, packages of Debian."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import binaries

TOOLS = Path(__file__).parent / "tools"
PACKAGES = [
    *("busybox-static", "containerd", "containernetworking-plugins", "runc"),
    *("ipset", "iptables", "libip4tc2", "libip6tc2", "libipset13"),
    *("libjansson4", "libmnl0", "libnftables1", "libnftnl11", "libxtables12", "nftables"),
]
TABLES = [
    *("iptables", "iptables-save", "iptables-restore"),
    *("ip6tables", "ip6tables-save", "ip6tables-restore"),
]
"""Names by which kube-router calls one program."""


def debian() -> Path:
    """The folder in which the packages are unpacked: another one for other packages."""
    seed = hashlib.sha256(" ".join([*PACKAGES, *TABLES]).encode())
    return binaries.cache().with_name(f"node-{seed.hexdigest()[:12]}")


def tools() -> list[binaries.Tool]:
    """The Go modules."""
    return [binaries.Tool(name=path.name, base=TOOLS) for path in sorted(TOOLS.iterdir())]


def why_missing() -> str | None:
    """Why a program is not there, if one is not."""
    if (missing := [tool.name for tool in tools() if not tool.folder.is_dir()]) != []:
        reason = "there is no Go" if shutil.which("go") is None else "`make test-node` builds them"
        return f"no node: no {' and '.join(missing)} yet: {reason}"
    if not debian().is_dir():
        is_debian = shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None
        reason = "`make test-node` fetches it" if is_debian else "this is no Debian"
        return f"no node: no containerd yet: {reason}"
    return None


def fetch() -> None:
    """Unpack the packages without installing them: nothing starts."""
    if debian().is_dir() or shutil.which("dpkg-deb") is None or shutil.which("apt-get") is None:
        return
    binaries.update_debian()
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryDirectory(dir=binaries.cache().parent) as made,
    ):
        # apt drops root for its download, and then needs a folder that it may write to.
        Path(scratch).chmod(0o777)
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=scratch, check=True)
        root = Path(made, "root")
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        for name in TABLES:
            (root / "bin" / name).symlink_to("../usr/sbin/xtables-nft-multi")
        root.rename(debian())


def main() -> None:
    """Make everything that is missing, where a node can run at all."""
    from .node import why_impossible

    if (reason := why_impossible()) is not None:
        print(f"tests/node is skipped: {reason}")
        return
    # The control plane of its release, and etcd.
    binaries.build([binaries.Tool(name=name) for name in ("kubernetes-1.34", "etcd")])
    binaries.build(tools())
    fetch()
    binaries.fetch_debian("nginx")


if __name__ == "__main__":
    main()
