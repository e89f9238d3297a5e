"""The browser of the tests: Chromium, its libraries and fonts, from npm packages with hashes."""

from __future__ import annotations

import platform
import subprocess
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = HERE / "node_modules"
FOLDER = ROOT / "build" / "browser"
"""Where it is unpacked."""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
</fontconfig>
"""


def why_missing() -> str | None:
    """Why there is no browser; None if there is one."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"no browser: its package has none for {platform.machine()}"
    if not PACKAGES.is_dir():
        return "no browser: `make test-site` installs it"
    return None


def environment() -> dict[str, str]:
    """Variables of the browser: its own libraries and fonts, so that all machines draw alike."""
    return {
        "HOME": str(FOLDER),
        "LD_LIBRARY_PATH": str(FOLDER / "lib"),
        "FONTCONFIG_FILE": str(FOLDER / "fonts.conf"),
    }


def unpacked() -> Path:
    """The program, which is unpacked where that was not done yet."""
    program = FOLDER / "chromium"
    if program.exists():
        return program
    FOLDER.mkdir(parents=True, exist_ok=True)
    packed = PACKAGES / "@sparticuz" / "chromium" / "bin"
    libraries = FOLDER / "libraries.tar"
    _unpack(packed / "al2023.tar.br", libraries)
    with tarfile.open(libraries) as archive:
        archive.extractall(FOLDER, filter="data")
    libraries.unlink()
    fonts = PACKAGES / "dejavu-fonts-ttf" / "ttf"
    text = FONTS.format(fonts=fonts, cache=FOLDER / "fonts")
    (FOLDER / "fonts.conf").write_text(text, encoding="utf-8")
    part = FOLDER / "chromium.part"
    _unpack(packed / "chromium.br", part)
    part.chmod(0o755)
    part.rename(program)
    return program


def _unpack(source: Path, target: Path) -> None:
    # The Node.js of the environment, which is first on PATH.
    command = ["node", str(HERE / "unpack.mjs"), str(source), str(target)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    unpacked()
