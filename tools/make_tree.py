"""Compile the jsii module in vllm_constructs/cdk/_jsii, as `make tree` does.

The archive holds what the jsii compiler makes of `index.ts`. It is written without a date, an owner
and compression, so that the same source gives the same bytes everywhere.
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "vllm_constructs" / "cdk" / "_jsii"
BUILD = ROOT / "build" / "tree"
# The warnings are about publishing it: a README for PyPI, and the versions that npm is to install.
SILENCED = ("--silence-warnings=JSII3", "--silence-warnings=JSII6")


def compiled() -> dict[str, bytes]:
    """The files of the package, by name."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    for name in ("index.ts", "package.json"):
        shutil.copy(SOURCE / name, BUILD)
    (BUILD / "node_modules").symlink_to(ROOT / "node_modules")
    command = [ROOT / "node_modules/.bin/jsii", "--fail-on-warnings", *SILENCED]
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    lines = (BUILD / "index.js").read_text(encoding="utf-8").splitlines(keepends=True)
    script = "".join(line for line in lines if not line.startswith("//# sourceMappingURL="))
    return {
        ".jsii": (BUILD / ".jsii").read_bytes(),
        "index.js": script.encode(),
        "package.json": (BUILD / "package.json").read_bytes(),
    }


def archive(files: dict[str, bytes]) -> bytes:
    """The archive of a package: a folder `package` with its files, as npm packs it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=0, mtime=0) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


if __name__ == "__main__":
    (SOURCE / "tree.jsii.tgz").write_bytes(archive(compiled()))
