"""Stand-ins for the CUDA libraries that torch is linked against.

PyPI has torch for CUDA only. Its libraries name every CUDA function that they might call, and the
loader wants to find each. On a machine without a GPU none does anything, so that 3 GB of CUDA
can be left out: each stand-in has the names and versions that torch asks for, and every function
returns cudaErrorNoDevice.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

NO_DEVICE = 100
"""cudaErrorNoDevice."""

UNVERSIONED = {
    "cuFile": "libcufile.so",
    "cusparseLt": "libcusparseLt.so",
    "nccl": "libnccl.so",
    "nvshmem": "libnvshmem_host.so",
}
"""What the names of functions without a version of their own begin with, and their library."""

OF_CUDA = re.compile(r"lib(cu|nv|nccl)")
DRIVER = "libcuda.so.1"
"""Loaded only where it is called."""


def make(folder: Path) -> None:
    """Make the libraries that torch's own in a folder need and that are not there.

    Raises:
        FileNotFoundError: gcc or binutils are not on this machine.
    """
    needed: dict[str, dict[str, str]] = {}
    undefined: set[str] = set()
    for file in folder.glob("*.so"):
        for soname in _words("objdump", "-p", file, marker="NEEDED"):
            if OF_CUDA.match(soname) and soname != DRIVER:
                needed.setdefault(soname, {})
        undefined.update(_words("nm", "-D", "-u", "--with-symbol-versions", file, marker=""))
    for symbol in sorted(undefined):
        name, _, version = symbol.partition("@")
        library = _library(name, version.lstrip("@"), needed)
        if library is not None:
            needed[library][name] = version.lstrip("@")
    for soname, functions in needed.items():
        if not (folder / soname).exists():
            _build(folder / soname, functions)


def _words(*command: str | Path, marker: str) -> list[str]:
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split()[-1] for line in shown.splitlines() if line and marker in line]


def _library(name: str, version: str, needed: dict[str, dict[str, str]]) -> str | None:
    if version in needed:
        return version
    for start, library in UNVERSIONED.items():
        if name.startswith(start):
            return next((soname for soname in needed if soname.startswith(library)), None)
    return None


def _build(target: Path, functions: dict[str, str]) -> None:
    code = [
        f'const char *{name}(void) {{ return "no GPU"; }}'
        if "String" in name
        else f"int {name}(void) {{ return {NO_DEVICE}; }}"
        for name in functions
    ]
    scripts = [
        f"{version} {{ global: {' '.join(f'{name};' for name in functions)} }};"
        for version in sorted(set(functions.values()) - {""})
    ]
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = Path(scratch, "source.c"), Path(scratch, "versions")
        source.write_text("\n".join(code), encoding="utf-8")
        versions.write_text("\n".join(scripts), encoding="utf-8")
        command = ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{target.name}"]
        command += [f"-Wl,--version-script={versions}"] if scripts else []
        subprocess.run([*command, "-o", target, source], check=True)
