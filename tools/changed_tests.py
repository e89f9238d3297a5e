"""Prints the test modules of what has changed since the last commit of main, for `make quick`.

A module `vllm_constructs/a/b.py` has its tests in `tests/a/test_b.py`. Those of the layers and of
the public names are always among them: most changes can break them.
"""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALWAYS = ("tests/test_layers.py", "tests/test_public.py")
ELSEWHERE = ("tests/cluster", "tests/vllm", "tests/node")
"""What needs real programs."""


def _git(*arguments: str) -> list[str]:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.splitlines()


def changed() -> list[str]:
    """The files that differ from where this branch left main, and those that are new."""
    base = _git("merge-base", "HEAD", "origin/main") or ["HEAD"]
    return [
        *_git("diff", "--name-only", base[0]),
        *_git("ls-files", "--others", "--exclude-standard"),
    ]


def tests_of(file: str) -> str | None:
    """The test module of a file, if it has one."""
    path = Path(file)
    if path.parts[0] == "vllm_constructs" and path.suffix == ".py":
        path = Path("tests", *path.parts[1:-1], f"test_{path.name}")
    is_test = path.name.startswith("test_") and path.suffix == ".py"
    is_here = is_test and (ROOT / path).is_file() and not file.startswith(ELSEWHERE)
    return path.as_posix() if is_here else None


def main() -> None:
    """Print them, with blanks between them."""
    found = {one for file in changed() if (one := tests_of(file)) is not None}
    print(*sorted({*found, *ALWAYS}))


if __name__ == "__main__":
    main()
