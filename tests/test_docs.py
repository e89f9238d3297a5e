"""What README and docs show is what happens.

On each page, in order:

- `python` blocks are executed in one namespace. Titled "refused" or "warned", a block has to end
  in the library's error or warning; titled "main.py", it is an excerpt of that file instead.
- An `sh` block that starts `vllm-constructs` is run in the folder of main.py, or in that of the
  files which the page has made, if it names one.
- A `text` block is what the block before it printed, or the sentence that it ended in; with a
  title it is an excerpt of another page's.
- A `yaml` block titled with a path below `dist/` is an excerpt of what the page's last App
  renders (after an excerpt of main.py: of the committed dist/). Titled with another file's name,
  it becomes that file.
"""

import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cdk8s
import pytest
import yaml

import vllm_constructs
from tests.support import load_yaml
from vllm_constructs import VllmConstructsError, VllmConstructsWarning, errors, testing

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]

_FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"^<!-- reference: ([\w.]+)(?: \([\w ]*\))? -->$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found[1], found[2] or "", found[3], line)


def one_line(text: str) -> str:
    """A text without its line breaks, which a page may have elsewhere."""
    return " ".join(text.split())


def is_part(excerpt: Any, whole: Any) -> bool:
    """Whether an excerpt leaves things out, and says nothing else."""
    if isinstance(excerpt, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in excerpt.items())
    if isinstance(excerpt, list) and isinstance(whole, list):
        rest = iter(whole)
        return all(any(is_part(item, other) for other in rest) for item in excerpt)
    return type(excerpt) is type(whole) and bool(excerpt == whole)


class Page:
    """One page while its blocks are gone through."""

    def __init__(self, path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.dist = ROOT / "dist"
        self.said = ""
        monkeypatch.chdir(folder)
        # Node reads its environment and folder once for all tests, so each App is told here.
        page = self

        class App(cdk8s.App):
            def __init__(self) -> None:
                page.dist = folder / f"dist-{len(list(folder.glob('dist-*')))}"
                page.dist.mkdir()
                super().__init__(outdir=str(page.dist))

        monkeypatch.setattr(cdk8s, "App", App)

    def run(self, block: Block) -> None:
        """Execute a block, or compare it."""
        if block.language == "python" and block.title == "main.py":
            self.quote(block)
        elif block.language == "python":
            self.execute(block)
        elif block.language == "sh" and block.code.startswith("vllm-constructs "):
            self.command(block)
        elif block.language == "text" and not block.title:
            assert one_line(self.said) == one_line(block.code)
        elif block.title.startswith("dist/"):
            self.compare(block)
        elif block.language == "yaml" and block.title.endswith(".yaml"):
            (self.folder / block.title).write_text(block.code, encoding="utf-8")

    def execute(self, block: Block) -> None:
        """Execute a block and keep what it said."""
        # Line breaks in front, so that a traceback names the line of the page.
        code = compile("\n" * block.line + block.code, str(self.path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.title == "refused":
                with pytest.raises(VllmConstructsError) as refused:
                    exec(code, self.namespace)  # noqa: S102 - our own pages
                self.said = str(refused.value)
            elif block.title == "warned":
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    exec(code, self.namespace)  # noqa: S102 - our own pages
                assert [one.category for one in warned] == [VllmConstructsWarning]
                self.said = str(warned[0].message)
            else:
                exec(code, self.namespace)  # noqa: S102 - our own pages
                self.said = printed.getvalue()

    def command(self, block: Block) -> None:
        """Run our command and keep what it said."""
        arguments = shlex.split(block.code)[1:]
        is_here = any((self.folder / word).is_file() for word in arguments)
        done = subprocess.run(
            [sys.executable, "-m", "vllm_constructs", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder if is_here else ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.said = done.stdout + done.stderr
        # A page shows what fails under this title only.
        assert (done.returncode != 0) == (block.title == "refused")

    def quote(self, block: Block) -> None:
        """Compare an excerpt of main.py."""
        source = (ROOT / "main.py").read_text(encoding="utf-8")
        assert block.code in source or textwrap.indent(block.code, "    ") in source
        self.dist = ROOT / "dist"

    def compare(self, block: Block) -> None:
        """Compare an excerpt of rendered YAML."""
        path = self.dist / block.title.removeprefix("dist/")
        if not path.exists():
            self.namespace["app"].synth()
        rendered = {(one["kind"], one["metadata"]["name"]): one for one in load_yaml(path)}
        for excerpt in yaml.safe_load_all(block.code):
            key = (excerpt["kind"], excerpt["metadata"]["name"])
            assert key in rendered
            assert is_part(excerpt, rendered[key]), f"{excerpt}\n\nis no part of\n\n{rendered[key]}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of a page runs, and does what the page shows."""
    page = Page(path, tmp_path, monkeypatch)
    for block in blocks(path):
        try:
            page.run(block)
        except BaseException as error:
            error.add_note(f"in the block at {path.relative_to(ROOT)}:{block.line}")
            raise


# Modules whose public names are part of another concept's page.
_PAGES_OF = {
    "accept_finding": "check",
    "controllers": "ingress",
    "dns": "pod",
    "egress": "network",
    "errors": "mistakes",
    "external_token": "secrets",
    "gateway": "route",
    "gpu_operator": "platform",
    "gpu_smoke_test": "platform",
    "hpa_scaler": "scaling",
    "keda_operator": "platform",
    "keda_scaler": "scaling",
    "model_download": "weights",
    "lmcache": "kv_offload",
    "lmcache_server": "kv_offload",
    "offload_tiers": "kv_offload",
    "namespace": "platform",
    "object_stores": "weights",
    "pod_options": "deployment",
    "probes": "pod",
    "prometheus_adapter": "platform",
    "service_account_token": "volumes",
    "tls": "ingress",
    "token_secret": "secrets",
}


def test_modules() -> None:
    """A public name is on the page that is called like its module or package, or on one listed."""
    for page in PAGES:
        for path in _REFERENCE.findall(page.read_text("utf-8")):
            name = path.rpartition(".")[2]
            if path.startswith(f"{testing.__name__}."):
                assert page.stem == "testing"
                continue
            public = getattr(vllm_constructs, name)
            # Errors have the public module in tracebacks.
            module = "errors" if is_in_errors(public) else public.__module__
            *_, package, own = f".{module}".split(".")
            is_own = own.startswith(page.stem) or page.stem == package
            assert is_own or page.stem == _PAGES_OF.get(own), name


def is_of(module: ModuleType, thing: object) -> bool:
    """Whether a module has a public function of its own."""
    if not inspect.isfunction(thing) or thing.__name__.startswith("_"):
        return False
    return thing.__module__ == module.__name__


def is_in_errors(public: object) -> bool:
    """Whether a name is of `errors.py`."""
    return getattr(errors, getattr(public, "__name__", ""), None) is public


def test_reference() -> None:
    """Each public name is in the reference once, from the module that has it."""
    named = [path for page in PAGES for path in _REFERENCE.findall(page.read_text("utf-8"))]
    found = [
        getattr(import_module(module), name)
        for module, _, name in (path.rpartition(".") for path in named)
    ]
    public = [getattr(vllm_constructs, name) for name in vllm_constructs.__all__]
    helpers = [one for one in vars(testing).values() if is_of(testing, one)]

    assert sorted(map(repr, [*public, *helpers])) == sorted(map(repr, found))


def test_languages() -> None:
    """No page has a fence of a kind that nothing looks at by mistake."""
    # Signatures of the reference are `py`.
    known = {"python", "py", "text", "toml", "yaml", "sh"}

    assert {block.language for page in PAGES for block in blocks(page)} <= known


@pytest.mark.parametrize(
    ("excerpt", "expected"),
    [
        ({"a": 1}, True),
        ({"a": 2}, False),
        ({"a": True}, False),
        ({"c": 1}, False),
        ({"b": [{"x": 1}]}, True),
        ({"b": [{"x": 2}, {"x": 1}]}, False),
        ({"b": [{"x": 1}, {"x": 1}]}, False),
    ],
)
def test_excerpts(excerpt: Any, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """An excerpt may leave out keys and items, but not change, add or reorder any."""
    assert expected == is_part(excerpt, {"a": 1, "b": [{"x": 1}, {"x": 2}]})
