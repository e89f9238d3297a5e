"""The app as a user has it: a folder with the app's files, and the commands that run there."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import load_yaml

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"

_COPIED = ("Makefile", "cdk8s.yaml", "dist", "imports", "main.py", "vllm_constructs")
# As large as they are, and only read: what was installed for the tests is used again.
_LINKED = (".venv", "node_modules", "requirements", "tools")
# `make test` exports these; a make that a test starts must not take them for its own.
_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")


def copy_of_app(folder: Path) -> Path:
    """Copy the app with all that `make synth` and the cdk8s command need, and give its folder."""
    app = folder / "my-app"
    app.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, app / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, app / name)
    for name in _LINKED:
        (app / name).symlink_to(ROOT / name)
    return app


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, whether it succeeds or not; `env` is added to the environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    inherited.pop("PYTHONPATH", None)
    inherited["CDK8S_CHECK_UPGRADE"] = "false"
    return subprocess.run(
        command,
        cwd=cwd,
        env=inherited | dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def succeed(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, may_talk: bool = False
) -> str:
    """Run a command that has to succeed, and give its output.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        env: What is added to the environment.
        may_talk: Whether it may write to stderr: where the command is ours, that is a warning.
    """
    done = run(*command, cwd=cwd, env=env)
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    assert may_talk or not done.stderr, done.stderr
    return done.stdout


def texts(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def key(manifest: dict[str, Any]) -> str:
    """What names an object in a cluster, in the spelling of kubectl."""
    metadata = manifest["metadata"]
    return "/".join([metadata.get("namespace", ""), manifest["kind"], metadata["name"]]).strip("/")


def objects(*paths: Path) -> dict[str, dict[str, Any]]:
    """The objects of some files, or of all files of a folder, by `key`."""
    files = [
        file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    found = [manifest for file in files for manifest in load_yaml(file)]
    by_key = {key(manifest): manifest for manifest in found}
    assert len(found) == len(by_key), "an object stands there twice"
    return by_key
