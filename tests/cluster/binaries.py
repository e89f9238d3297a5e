"""The programs that the tests of a control plane start, and where they come from.

Each folder of `tools/` is a Go module that pins one project, with the hashes of all it needs.
`python tests/cluster/binaries.py` builds what is missing, once, into a cache outside of the
checkout; tests only look there. `KUBEBUILDER_ASSETS`, the convention of controller-runtime's
envtest, names a folder whose etcd and kube-apiserver are taken instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
DEBIAN = {
    "nginx": ("nginx", "usr/sbin/nginx"),
    "prometheus": ("prometheus", "usr/bin/prometheus"),
    "promtool": ("prometheus", "usr/bin/promtool"),
}
"""Programs of Debian: the package, and the path in it."""


class MissingError(Exception):
    """A program that is not there, with the reason and what to do."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A Go module.

    Args:
        name: Its folder.
        base: Where that is.
    """

    name: str
    base: Path = TOOLS

    @property
    def module(self) -> Path:
        """Its folder."""
        return self.base / self.name

    @property
    def packages(self) -> list[str]:
        """The commands that it builds: the `tool` lines of its go.mod."""
        text = (self.module / "go.mod").read_text(encoding="utf-8")
        block = re.search(r"^tool \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
        return block[1].split() if block else re.findall(r"^tool (\S+)", text, re.MULTILINE)

    @property
    def ldflags(self) -> str:
        """No symbols; and its version for Kubernetes, which clients ask for."""
        text = (self.module / "go.mod").read_text(encoding="utf-8")
        found = re.search(r"k8s\.io/kubernetes v(1\.(\d+)\.\d+)", text)
        if found is None:
            return "-s -w"
        told = {"gitVersion": f"v{found[1]}", "gitMajor": "1", "gitMinor": found[2]}
        flags = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in told.items()]
        return " ".join(["-s -w", *flags])

    @property
    def folder(self) -> Path:
        """Where its programs are kept: another folder for everything that changes them."""
        seed = hashlib.sha256(self.ldflags.encode())
        for file in ("go.mod", "go.sum"):
            seed.update((self.module / file).read_bytes())
        for path in sorted(self.module.rglob("*.go")):
            seed.update(path.read_bytes())
        return cache() / f"{self.name}-{seed.hexdigest()[:12]}"

    def build(self, go: str) -> None:
        """Build all programs, or none."""
        with tempfile.TemporaryDirectory(dir=cache(), prefix=f"{self.name}-") as scratch:
            folder = Path(scratch) / "bin"
            folder.mkdir()
            command = [go, "build", "-trimpath", "-mod=readonly", f"-ldflags={self.ldflags}"]
            command += ["-o", f"{folder}/", *self.packages]
            subprocess.run(command, cwd=self.module, check=True)
            if self.name == "etcd":
                # Go names a program after its folder.
                (folder / "server").rename(folder / "etcd")
            if self.name == "keda":
                listed = [go, "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2"]
                source = subprocess.run(
                    listed, cwd=self.module, check=True, capture_output=True, text=True
                ).stdout.strip()
                shutil.copytree(Path(source, "config/crd/bases"), folder / "crds")
                for path in [folder / "crds", *(folder / "crds").iterdir()]:
                    path.chmod(0o755)
            shutil.rmtree(self.folder, ignore_errors=True)
            folder.rename(self.folder)


def cache() -> Path:
    """The folder of all built programs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    found = Path(base, "vllm-constructs", "cluster")
    found.mkdir(parents=True, exist_ok=True)
    return found


def versions() -> list[str]:
    """The minor releases of Kubernetes at hand, the newest first."""
    found = [path.name.removeprefix("kubernetes-") for path in TOOLS.glob("kubernetes-*")]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])[::-1]


def tools() -> list[Tool]:
    """All modules, what others build on first."""
    names = sorted(path.name for path in TOOLS.iterdir() if not path.name.startswith("kubernetes"))
    return [Tool(name=name) for name in [*(f"kubernetes-{item}" for item in versions()), *names]]


def find(
    tool: str, program: str, environment: Mapping[str, str] = os.environ, base: Path = TOOLS
) -> Path:
    """The path of a program.

    Raises:
        MissingError: It is not built, or cannot be built here.
    """
    assets = environment.get("KUBEBUILDER_ASSETS")
    if assets and tool in ("etcd", f"kubernetes-{versions()[0]}"):
        given = Path(assets, program)
        if given.is_file():
            return given
    built = Tool(name=tool, base=base).folder / program
    if built.exists():
        return built
    if shutil.which("go") is None:
        raise MissingError(
            f"no {program}: neither Go nor KUBEBUILDER_ASSETS with it is on this machine."
        )
    raise MissingError(f"no {program} yet: `make test-cluster` builds it.")


def find_debian(program: str) -> Path:
    """The path of a program of Debian, installed or from the cache.

    Raises:
        MissingError: It is neither.
    """
    installed = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if installed is not None:
        return Path(installed)
    kept = cache() / "debian" / DEBIAN[program][1]
    if kept.is_file():
        return kept
    raise MissingError(f"no {program}: install it, or run `make test-cluster` on a Debian.")


def fetch_debian(program: str) -> None:
    """Unpack a package without installing it: nothing starts, and nobody needs to be root."""
    try:
        find_debian(program)
    except MissingError:
        pass
    else:
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        print(f"{program}: not fetched, since this is no Debian")
        return
    update_debian()
    with tempfile.TemporaryDirectory() as scratch:
        # apt drops root for its download, and then needs a folder that it may write to.
        Path(scratch).chmod(0o777)
        package = DEBIAN[program][0]
        subprocess.run(["apt-get", "-qq", "download", package], cwd=scratch, check=True)
        (file,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", file, cache() / "debian"], check=True)


def update_debian() -> None:
    """Fetch the list of packages where there is none."""
    if not list(Path("/var/lib/apt/lists").glob("*Packages*")) and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], check=True)


def why_skipped() -> str:
    """Why a run of all other tests leaves these out."""
    if shutil.which("go") is None and "KUBEBUILDER_ASSETS" not in os.environ:
        return "no control plane: neither Go nor KUBEBUILDER_ASSETS is on this machine"
    return "these start a control plane: `make test-cluster` runs them"


def _timed(what: str, done: float) -> None:
    print(f"built {what} in {time.monotonic() - done:.0f} s", flush=True)


def build(wanted: Sequence[Tool]) -> None:
    """Build the modules that are missing, where there is Go."""
    go = shutil.which("go")
    for tool in wanted:
        if tool.folder.is_dir():
            continue
        if go is None:
            print(f"{tool.name}: not built, since there is no Go on this machine")
            continue
        start = time.monotonic()
        tool.build(go)
        _timed(tool.name, start)


def main() -> None:
    """Make everything that is missing and can be made here."""
    build(tools())
    for program in DEBIAN:
        fetch_debian(program)
    print(f"programs are in {cache()}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--before-other-tests"]:
        # Alerts are judged by it, and it is small.
        fetch_debian("promtool")
        print(f"tests/cluster is skipped: {why_skipped()}")
    elif sys.argv[1:] == ["--debian"]:
        for name in DEBIAN:
            fetch_debian(name)
    else:
        main()
