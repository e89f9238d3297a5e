"""Makes the pages that follow from something else: catalogs, docstrings, examples, README.md.

Usage: python tools/make_pages.py
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from architecture_picture import packages, subject
from recipes import recipes
from reference import MARK, TYPES, docstring, referenced, types_of
from types_page import nested, types_page

import vllm_constructs
from vllm_constructs import EngineArgs
from vllm_constructs.releases.release import NEWEST, Flag, catalog

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "vllm_constructs"
DATA = PACKAGE / "data"
MADE = "<!-- Made by `make pages`. -->\n\n"


_ABOUT_EXAMPLES = """\
Each example is a folder of `examples/` with a `main.py`, and a `dist/` with the YAML that it
renders. To run one, call `python main.py` in its folder. A test renders all examples and compares
the YAML.
"""
_ABOUT_FLAGS = f"""\
Keywords of [`EngineArgs`](engine.md): the flag of `vllm serve` that each is, its type or values,
and the default of vLLM {NEWEST}. A keyword that is left out is not rendered. For another release:
`vllm-constructs list flags --vllm RELEASE`.
"""


def engine_args() -> str:
    """The page with all keywords of EngineArgs."""
    flags = catalog()["flags"]
    rows = []
    for one in dataclasses.fields(EngineArgs):
        name = f"--{one.name.replace('_', '-')}"
        if name in flags:
            cells = (f"`{one.name}`", f"`{name}`", _type(flags[name], str(one.type)))
            rows.append(f"| {' | '.join((*cells, _default(flags[name])))} |")
    head = f"# Flags of the engine\n\n{_ABOUT_FLAGS}\nThere are {len(rows)}.\n\n"
    columns = "| Keyword | Flag | Type | vLLM's default |\n|---|---|---|---|\n"
    return MADE + head + columns + "\n".join(rows) + "\n"


def _type(flag: Flag, annotation: str) -> str:
    plain = annotation.removesuffix(" | None")
    if choices := flag.get("choices"):
        return ", ".join(f"`{one}`" for one in choices)
    known = re.fullmatch(r"Literal\[(.*)\] \| str", plain)
    if known:
        return f"a string, such as {', '.join(f'`{one}`' for one in ast.literal_eval(known[1]))}"
    # A pipe would end the cell.
    return " or ".join(f"`{one}`" for one in plain.split(" | "))


def _default(flag: Flag) -> str:
    default = flag.get("default")
    return "" if default is None else f"`{default}`"


def references() -> dict[str, str]:
    """The page and the anchor of each public name."""
    pages = {}
    for path in sorted(DOCS.rglob("*.md")):
        for found in MARK.finditer(path.read_text(encoding="utf-8")):
            pages[found[2].rpartition(".")[2]] = f"{path.relative_to(DOCS)}#{found[2]}"
    return pages


def with_reference(path: Path) -> str:
    """A page with the reference of each name that it marks.

    Args:
        path: The page.
    """
    page = path.relative_to(DOCS).as_posix()
    found: str = referenced(path.read_text(encoding="utf-8"), page, references())
    return found


def packaged(path: Path) -> str:
    """A page that is in the package, since the command prints it, too.

    Args:
        path: The page in the package.
    """
    return path.read_text(encoding="utf-8")


def symbols() -> str:
    """The page with all public names."""
    pages = references()
    rows = []
    for name in vllm_constructs.__all__:
        about = (getattr(vllm_constructs, name).__doc__ or "").strip().split("\n\n")[0]
        sentence = " ".join(about.split())
        target = f"[`{name}`]({pages[name]})" if name in pages else f"`{name}`"
        rows.append(f"| {target} | {sentence.replace('|', chr(92) + '|')} |")
    return (
        MADE + "# Symbols\n\nAll public names, each imported from `vllm_constructs`.\n\n"
        "| Name | What it is |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def types() -> str:
    """The page of the types that signatures name and that are no public class."""
    pages = references()
    marked = {
        found[2]
        for path in sorted(DOCS.rglob("*.md"))
        for found in MARK.finditer(path.read_text(encoding="utf-8"))
    }
    paths = {path for name in marked for one in types_of(name) for path in nested(one)}
    names = {path: path.rpartition(".")[2] for path in paths}
    return MADE + types_page(names, pages, {path: docstring(path) for path in paths})


_ABOUT_SOURCES = """\
Where the facts in the catalogs of `vllm_constructs/data/` come from. Measured figures are named on
the [memory plan's page](memory.md).
"""
_SOURCES = (
    (
        "`vllm-RELEASE.json`: flags, variables, metrics, parsers",
        "the wheel of that release (`make release-data`); that of 0.32 equals what a server says",
    ),
    (
        "`replaced.json`: what took the place of what was removed",
        "the release notes and the source of vLLM",
    ),
    (
        "`accelerators.json`: NVIDIA's products",
        "NVIDIA's data sheets, and the labels of GPU feature discovery",
    ),
    (
        "products of AMD, Intel and Google",
        "named in `amd.py`, `intel.py` and `google.py` of `vllm_constructs/accelerators/`",
    ),
    (
        "`deployment-fields.json`, `kind-fields.json`",
        "the OpenAPI schemas of Kubernetes, and the CRDs of each operator",
    ),
)


def sources() -> str:
    """The page with the source of each entry of the catalogs."""
    behaviors = json.loads((DATA / "behavior.json").read_text(encoding="utf-8"))
    nodes = json.loads((DATA / "nodes.json").read_text(encoding="utf-8"))
    models = json.loads((DATA / "models.json").read_text(encoding="utf-8"))
    tables = (
        ("Behavior of releases", "Behavior", {one["what"]: one for one in behaviors.values()}),
        ("Labels of platforms", "Platform", {one["title"]: one for one in nodes.values()}),
        ("Shapes of models", "Model", models),
    )
    rows = [f"| {name} | {source} |" for name, source in _SOURCES]
    listed = "| Catalog | Source |\n|---|---|\n" + "\n".join(rows)
    parts = [f"{MADE}# Sources\n\n{_ABOUT_SOURCES}\n{listed}\n"]
    for title, head, entries in tables:
        rows = [f"| {name} | {one['source']} |" for name, one in entries.items()]
        parts.append(f"## {title}\n\n| {head} | Source |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _about(folder: Path) -> str:
    """What an example says of itself."""
    tree = ast.parse((folder / "main.py").read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def examples() -> str:
    """The page with a line for each example."""
    rows = []
    for folder in EXAMPLES:
        first, *_ = _about(folder).splitlines()
        rows.append(f"| [{_title(folder)}](examples/{folder.name}.md) | {first} |")
    table = "| Example | What it is |\n|---|---|\n" + "\n".join(rows)
    return f"{MADE}# Examples\n\n{_ABOUT_EXAMPLES}\n{table}\n"


def example(folder: Path) -> str:
    """The page of an example: what it is, its files, and what it renders.

    Args:
        folder: The example.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path.name))
        if path.suffix in (".py", ".yaml") and "__pycache__" not in path.parts
    ]
    parts = [MADE + f"# {_title(folder)}\n", f"{_about(folder)}\n"]
    for path in files:
        name = path.relative_to(folder).as_posix()
        # Not a block that the tests of pages execute: the tests of examples do.
        language = "{.python}" if path.suffix == ".py" else "{.yaml}"
        text = path.read_text(encoding="utf-8").rstrip()
        fence = "`" * 4
        parts.append(f"## {name}\n\n{fence} {language}\n{text}\n{fence}\n")
    return "\n".join(parts)


def _title(folder: Path) -> str:
    words = folder.name.replace("_", " ")
    return words[0].upper() + words[1:]


def home() -> str:
    """The home page, with the parts of README.md between its marks."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("example", "derived"):
        part = readme.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]
        text = _filled(text, name, part)
    return text


def architecture() -> str:
    """The page of the packages, with a line for each."""
    rows = "".join(f"| `{name}` | {subject(name)} |\n" for name in packages())
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return _filled(text, "packages", "| Package | Subject |\n|---|---|\n" + rows)


def _filled(text: str, name: str, part: str) -> str:
    """A page with another part between the marks of a name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    return head + begin + part + end + rest.partition(end)[2]


EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/main.py"))
PACKAGED = {
    "fields.md": PACKAGE / "rules" / "fields.md",
    "runbook.md": PACKAGE / "monitoring" / "runbook.md",
    **{f"rules/{path.name}": path for path in sorted(PACKAGE.glob("rules/pages/*.md"))},
}
PAGES: dict[str, Callable[[], str]] = {
    "architecture.md": architecture,
    "index.md": home,
    "recipes.md": lambda: MADE + recipes(),
    "engine_args.md": engine_args,
    "symbols.md": symbols,
    TYPES: types,
    "sources.md": sources,
    "examples.md": examples,
    **{f"examples/{folder.name}.md": partial(example, folder) for folder in EXAMPLES},
    **{name: partial(packaged, path) for name, path in PACKAGED.items()},
    **{
        path.relative_to(DOCS).as_posix(): partial(with_reference, path)
        for path in sorted(DOCS.rglob("*.md"))
        if MARK.search(path.read_text(encoding="utf-8"))
    },
}


def main() -> None:
    """Write all of them."""
    for name, make in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
