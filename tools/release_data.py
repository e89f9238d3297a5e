"""Makes `vllm_constructs/data/vllm-<release>.json` from the wheel of a vLLM release.

Usage: python tools/release_data.py 0.33.0 [another release ...]

It fetches the wheel from the package index, unpacks its Python files into a temporary folder and
reads:

- flags, environment variables and parser names by running: the release's own parser is built and
  asked, by `release_reader.py`, with stand-ins for torch and the other packages that it imports
  (`release_standins.py`). A release defines its flags by code over the fields of config classes,
  and the code changes from release to release; read statically, each change would be read wrong
  until somebody notices. Run, five releases over eleven months needed no line of their own.
- metrics statically, from the calls that make them (`release_metrics.py`): they are made when an
  engine starts, which needs an engine.

What a file holds, beside the release and the day on which its wheel was built:

- `flags`: `type` (as the parser takes it: `json` is JSON, `json-or-str` may be), `default` where
  it is a literal (none, where the engine decides), `choices` (closed), `known` (open: a plugin may
  add more; of a field of JSON, members of an enum), `nargs`, `append` (may be repeated),
  `negation` and further `negations`, `aliases`, `optional` (an empty text, or None, is nothing),
  `deprecated` (its help says so), `removal` (from which release it may be gone), `class` and
  `fields` of JSON: each with `type` (alternatives with `|`), `default`, `choices`, `known`, `items`
  (choices of a list's items), its own `fields`, `internal` (refused in JSON). `engine_fields`
  instead of `fields`: the parser takes any JSON, and the engine makes the class of it.
- `metrics`, by exposed name: `type`, `labels`, `deprecated`, `hidden` (only shown with
  `--show-hidden-metrics-for-version`), `more_labels` (some are made at run time).
- `environment`: `type`, `default`, `choices`; `syntax` "0/1" for booleans that refuse words (and
  end the engine after loading), else `on`: which of 0, 1, false, true, no and yes switch it on;
  `service`: the Kubernetes Service whose service link breaks it.
- `tool_call_parsers`, `reasoning_parsers`, `kv_connectors`.
- `removed`, `removed_metrics`, `removed_environment`: what to do instead of names that are gone.

The child runs in an environment of its own beside the wheels, with pydantic, which the config
classes cannot do without, and nothing else of vLLM's dependencies. Both are kept in
`$XDG_CACHE_HOME/vllm-constructs`. What took the place of removed names is written by hand, in
`vllm_constructs/data/replaced.json`. Help texts are not copied.

The result for 0.33.0 is compared with facts from a real installation in
`tests/test_release_data.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from release_metrics import metrics_of

DATA = Path(__file__).parents[1] / "vllm_constructs" / "data"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-constructs"

_RELEASE = re.compile(r"\d+\.\d+\.\d+(\.\d+|\.post\d+)?")
# What the wheel's code cannot run without; pinned so that the result depends on the wheel alone.
_NEEDED = ("packaging==26.3", "pydantic==2.12.5", "typing-extensions==4.16.0")
# Releases were built against different C libraries; the code that is read is the same in all.
_PLATFORMS = tuple(
    f"{one}_x86_64"
    for one in (
        "manylinux1",
        "manylinux2014",
        "manylinux_2_28",
        "manylinux_2_31",
        "manylinux_2_34",
        "manylinux_2_35",
    )
)
_WIDTH = 160


def dumps(value: Any) -> str:
    """JSON with sorted keys, in lines that a diff can be read in: what is short is one line."""

    def lines(value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if len(text) <= _WIDTH or not isinstance(value, (dict, list)):
            return text
        if isinstance(value, list):
            return "[\n" + ",\n".join(map(lines, value)) + "\n]"
        keys = {json.dumps(key, ensure_ascii=False): value[key] for key in sorted(value)}
        return "{\n" + ",\n".join(f"{key}:{lines(item)}" for key, item in keys.items()) + "\n}"

    return lines(value) + "\n"


def wheel_of(release: str) -> Path:
    """The wheel of a release, fetched unless it is in the cache."""
    folder = CACHE / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"vllm-{release}-*.whl")):
        platforms = [part for one in _PLATFORMS for part in ("--platform", one)]
        # An interpreter that the release was made for, whatever runs this script.
        python = ["--python-version", "3.12", "--implementation", "cp", "--abi", "abi3"]
        options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder), "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, *platforms, *python]
        subprocess.run([*command, f"vllm=={release}"], check=True)
    return next(folder.glob(f"vllm-{release}-*.whl"))


def _environment() -> Path:
    return CACHE / "-".join(["release-env", *(one.replace("==", "-") for one in _NEEDED)])


def has_reader() -> bool:
    """Whether the environment that the wheel's code is run in is there."""
    return (_environment() / ".ready").is_file()


def reader_python() -> Path:
    """The interpreter of the environment that the wheel's code is run in."""
    folder = _environment()
    python = folder / "bin" / "python"
    if not has_reader():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *_NEEDED], check=True)
        (folder / ".ready").touch()
    return python


def unpack(wheel: Path, folder: Path) -> str:
    """Unpack the Python files of a wheel, and return the day on which it was built."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        archive.extractall(folder, [metadata, *(name for name in names if name.endswith(".py"))])
        year, month, day = archive.getinfo(metadata).date_time[:3]
    return f"{year:04}-{month:02}-{day:02}"


def read(folder: Path, python: Path) -> dict[str, Any]:
    """What the parser of an unpacked wheel says."""
    reader = Path(__file__).with_name("release_reader.py")
    # No variable of the caller may reach vLLM, which reads about three hundred of them.
    clean = {"PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-s", "-W", "ignore", str(reader), str(folder)]
    found = subprocess.run(command, check=False, env=clean, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"{found.stderr}\n{reader.name} cannot read this release; see above.")
    for line in found.stderr.splitlines():
        # The rest is what vLLM logs about missing GPUs.
        if line.startswith("stand-in for "):
            print(line, file=sys.stderr)
    return dict(json.loads(found.stdout))


def order(release: str) -> tuple[int, ...]:
    """What releases are sorted by."""
    return tuple(map(int, re.findall(r"\d+", release)))


def removed(
    release: str,
    replaced: Mapping[str, Mapping[str, Any]],
    known: Iterable[str],
    has: Callable[[str], bool],
) -> dict[str, str]:
    """What to do instead of the names that a release does not know any more.

    An entry counts only where the release has what took the name's place (`by`), and after the
    last release that had the name, where older ones did not have it yet (`after`).
    """
    names = set(known)
    return {
        name: str(one["say"])
        for name, one in replaced.items()
        if name not in names
        and all(has(by) for by in one.get("by", ()))
        and order(release) > order(one.get("after", "0"))
    }


def catalog(
    release: str, date: str, found: Mapping[str, Any], metrics: dict[str, Any]
) -> dict[str, Any]:
    """The data file of a release."""
    replaced = json.loads((DATA / "replaced.json").read_text(encoding="utf-8"))
    flags = found["flags"]
    spellings = set(flags)
    for one in flags.values():
        spellings |= {one.get("negation"), *one.get("negations", ()), *one.get("aliases", ())}

    def has(name: str) -> bool:
        flag, _, field = name.partition(".")
        if field:
            return field in flags.get(flag, {}).get("fields", {})
        return name in spellings or name in metrics or name in found["environment"]

    return {
        "release": release,
        "date": date,
        "flags": flags,
        "removed": removed(release, replaced["flags"], spellings, has),
        "metrics": metrics,
        "removed_metrics": removed(release, replaced["metrics"], metrics, has),
        "environment": found["environment"],
        "removed_environment": removed(release, replaced["environment"], found["environment"], has),
        "tool_call_parsers": found["tool_call_parsers"],
        "reasoning_parsers": found["reasoning_parsers"],
        "kv_connectors": found["kv_connectors"],
    }


def make(release: str) -> str:
    """The text of the data file of a release."""
    with tempfile.TemporaryDirectory() as folder:
        date = unpack(wheel_of(release), Path(folder))
        found = read(Path(folder), reader_python())
        metrics = metrics_of(Path(folder), found["info_labels"])
    return dumps(catalog(release, date, found, metrics))


def main() -> None:
    """Write the data files of the releases that the command line names."""
    releases = sys.argv[1:]
    wrong = [one for one in releases if not _RELEASE.fullmatch(one)]
    if wrong or not releases:
        named = f"{wrong[0]!r} is no release of vLLM" if wrong else "no release is named"
        sys.exit(f"{named}; name one or more, such as 0.33.0.")
    for release in releases:
        path = DATA / f"vllm-{release}.json"
        path.write_text(make(release), encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size:,} bytes; look at the difference.")


if __name__ == "__main__":
    main()
