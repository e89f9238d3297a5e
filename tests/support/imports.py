"""Who imports whom in the library, by its source: imports for type checkers and late ones too."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import vllm_constructs

PACKAGE = Path(vllm_constructs.__file__).parent
NAME = "vllm_constructs"


def modules() -> dict[str, Path]:
    """All modules below the package by their names without the package's own, but its root."""
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    return {
        name.removesuffix(".__init__"): path for name, path in found.items() if name != "__init__"
    }


def imports_of(name: str, path: Path, known: Mapping[str, Path]) -> set[str]:
    """The modules of the library that a module imports, wherever the import stands."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module.split(".") if node.module else [])]
            if not node.level and parts[:1] != [NAME]:
                continue
            whole = ".".join(parts).removeprefix(f"{NAME}.").removeprefix(NAME)
            for alias in node.names:
                inner = f"{whole}.{alias.name}".removeprefix(".")
                found.add(inner if inner in known else whole)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {one.removeprefix(f"{NAME}.") for one in names if one.startswith(f"{NAME}.")}
    return found - {name}


@cache
def module_graph() -> dict[str, set[str]]:
    """What each module imports of the library."""
    known = modules()
    return {name: imports_of(name, path, known) for name, path in known.items()}


def package_of(module: str) -> str:
    """The package that a module is in; a module of the root is one by itself."""
    return module.partition(".")[0]


@cache
def package_graph() -> dict[str, set[str]]:
    """What each package imports of the others."""
    found: dict[str, set[str]] = {}
    for name, targets in module_graph().items():
        own = package_of(name)
        found.setdefault(own, set()).update({package_of(one) for one in targets} - {own})
    return found


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Each way that leads back to where it began, once for each module that closes one."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> Iterator[list[str]]:
        if node in way:
            yield [*way[way.index(node) :], node]
        elif node not in done:
            for other in sorted(graph.get(node, ())):
                yield from walk(other, [*way, node])
            done.add(node)

    for node in sorted(graph):
        yield from walk(node, [])


def floors(graph: Mapping[str, set[str]]) -> int:
    """How many imports stand on each other at the most, in a graph without circles."""
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max(map(height, graph.get(node, ())), default=0)
        return heights[node]

    return max(map(height, graph))
