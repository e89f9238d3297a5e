"""Runs an app in a separate process, which reports the problem if this library rejects the app.

Usage: python -m vllm_constructs.cli.app_runner APP REPORT
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from traceback import extract_tb

from vllm_constructs import node
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, refuse

_WARNING = re.compile(r".+:\d+: \w*Warning: ")


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Why this library rejects an app.

    Args:
        problem: The problem.
        line: The line of the app; 0 if none of its own lines is to blame.
    """

    problem: Problem
    line: int


def render(app: Path, folder: Path) -> Rejected | None:
    """Render an app into a folder, and show its warnings.

    Args:
        app: The app, such as main.py.
        folder: The folder, which exists and is empty.

    Returns:
        Why this library rejects the app; None if it does not.

    Raises:
        VllmConstructsError: The app ends with another error, or writes nothing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
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
        told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    if "problem" in told:
        return Rejected(problem=Problem(**told["problem"]), line=told["line"])
    name = repr(str(app))
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no reason given"])[-1]
        where = f" at line {told['line']}" if told.get("line") else ""
        refuse(f"{name} ends with an error{where}: {last}")
    sys.stderr.writelines(f"{line}\n" for line in _warnings(process.stderr))
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
    except Exception as error:
        told: dict[str, object] = {"line": _line(error, app)}
        # A class of the user's own may have none.
        if isinstance(error, VllmConstructsError) and isinstance(
            getattr(error, "problem", None), Problem
        ):
            told["problem"] = asdict(error.problem)
        Path(report).write_text(json.dumps(told), encoding="utf-8")
        raise


def _line(error: Exception, app: str) -> int:
    """The last line of the app that led to an error."""
    if isinstance(error, SyntaxError) and error.filename == app:
        return error.lineno or 0
    lines = [one.lineno for one in extract_tb(error.__traceback__) if one.filename == app]
    return next((line for line in reversed(lines) if line), 0)


def _warnings(text: str) -> Iterator[str]:
    """The warnings of Python in what a process wrote."""
    for line in text.splitlines():
        if _WARNING.match(line):
            yield line


if __name__ == "__main__":
    main()
