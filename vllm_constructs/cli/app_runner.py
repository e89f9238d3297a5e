"""Runs an app in a separate process, which reports the problem if this library rejects the app.

Usage: python -m vllm_constructs.cli.app_runner APP REPORT
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import types
from dataclasses import asdict
from pathlib import Path

from vllm_constructs import node
from vllm_constructs.errors import Problem, VllmConstructsError, refuse


def render(app: Path, folder: Path) -> Problem | None:
    """Render an app into a folder.

    Args:
        app: The app, such as main.py.
        folder: The folder, which exists and is empty.

    Returns:
        Why this library rejects the app; None if it does not.

    Raises:
        VllmConstructsError: The app ends with another error, or writes nothing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "problem.json"
        # As `make synth` and cdk8s run it: in its own folder, with the same Python. The app itself
        # may know where this library is; the runner has to be told.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        process = subprocess.run(  # noqa: S603  # the app is the user's own
            [sys.executable, "-m", __name__, str(app.absolute()), str(report)],
            cwd=app.absolute().parent,
            env=os.environ
            | {"CDK8S_OUTDIR": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if report.exists():
            return Problem(**json.loads(report.read_text(encoding="utf-8")))
    name = repr(str(app))
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no reason given"])[-1]
        refuse(f"{name} ends with an error: {last}")
    if not any(folder.iterdir()):
        refuse(
            f"{name} writes nothing into CDK8S_OUTDIR; leave outdir= of its App out, or give the "
            "folder that it writes to."
        )
    return None


def main() -> None:
    """Run the app on the command line."""
    app, report = sys.argv[1:]
    sys.argv = [Path(app).name]
    # As Python does it. `runpy` would put the whole path into `sys.argv` too.
    module = types.ModuleType("__main__")
    module.__file__ = app
    sys.modules["__main__"] = module
    try:
        # Before the app imports cdk8s, which starts it.
        node.check()
        exec(compile(Path(app).read_bytes(), app, "exec"), vars(module))  # noqa: S102  # the user's own
    except VllmConstructsError as error:
        # A class of the user's own may have none.
        if isinstance(getattr(error, "problem", None), Problem):
            Path(report).write_text(json.dumps(asdict(error.problem)), encoding="utf-8")
        raise


if __name__ == "__main__":
    main()
