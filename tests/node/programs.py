"""The programs of a node, and where they come from: Go modules of `tools/`, packages of Debian."""

from __future__ import annotations

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
    """The folder in which the packages are unpacked."""
    return binaries.cache().with_name("node")


def tools() -> list[binaries.Tool]:
    """The Go modules."""
    return [binaries.Tool(name=path.name, base=TOOLS) for path in sorted(TOOLS.iterdir())]


def why_missing() -> str | None:
    """Why a program is not there, if one is not."""
    missing = [tool.name for tool in tools() if not tool.folder.is_dir()]
    missing += [] if debian().is_dir() else ["Debian's containerd and others"]
    if missing:
        return f"no node: {' and '.join(missing)} are not there yet: `make test-node` makes them"
    return None


def fetch() -> None:
    """Unpack the packages without installing them: nothing starts."""
    if debian().is_dir() or shutil.which("dpkg-deb") is None or shutil.which("apt-get") is None:
        return
    binaries.update_debian()
    with tempfile.TemporaryDirectory() as scratch:
        # apt drops root for its download, and then needs a folder that it may write to.
        Path(scratch).chmod(0o777)
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=scratch, check=True)
        root = Path(scratch, "root")
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        for name in TABLES:
            (root / "bin" / name).symlink_to("../usr/sbin/xtables-nft-multi")
        shutil.move(root, debian())


def main() -> None:
    """Make everything that is missing and can be made here."""
    # The control plane of its release, and etcd.
    binaries.build([binaries.Tool(name=name) for name in ("kubernetes-1.34", "etcd")])
    binaries.build(tools())
    fetch()
    binaries.fetch_debian("nginx")


if __name__ == "__main__":
    main()
