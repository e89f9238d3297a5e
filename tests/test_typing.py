"""Users' mistakes that a type checker finds before anything runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((Path(__file__).parent / "typing").glob("*.py"))

Found = dict[str, set[int]]


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The lines of the samples that mypy's strict mode refuses."""
    cache = tmp_path_factory.mktemp("mypy")
    # Not the repository's own cache, which another run may be writing.
    options = ["--config-file=", "--strict", f"--cache-dir={cache}", "--no-error-summary"]
    out, err, _ = api.run([*options, "--no-pretty", *map(str, SAMPLES)])
    assert not err
    found: Found = {}
    for name, line in re.findall(r"(\w+\.py):(\d+): error:", out):
        found.setdefault(name, set()).add(int(line))
    return found


@pytest.fixture(scope="module")
def pyright() -> Found:
    """The lines of the samples that pyright refuses, as this repository is set up."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *map(str, SAMPLES)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    report = json.loads(done.stdout)
    assert len(SAMPLES) == report["summary"]["filesAnalyzed"]
    found: Found = {}
    for item in report["generalDiagnostics"]:
        if item["severity"] == "error":
            line = item["range"]["start"]["line"] + 1
            found.setdefault(Path(item["file"]).name, set()).add(line)
    return found


def marked(path: Path) -> set[int]:
    """The lines that say that they are wrong."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if "# wrong: " in line}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_samples(checker: str, sample: Path, request: pytest.FixtureRequest) -> None:
    """What is right passes, and each line that is wrong is found, and no other."""
    found: Found = request.getfixturevalue(checker)
    assert (sample.stem == "right") == (not marked(sample))
    assert marked(sample) == found.get(sample.name, set())
