"""A rule is made of its check, and a fix of its edits."""

from collections.abc import Iterator

from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.rule import LEVELS, Edit, Fix, Found, put, remove, rule


def test_rule() -> None:
    """The decorator keeps id, level and title."""

    @rule("A01", "warning", "a mistake")
    def check(graph: Graph) -> Iterator[Found]:
        del graph
        yield from ()

    assert ("A01", "warning", "a mistake") == (check.id, check.level, check.title)
    assert [] == list(check.check(Graph([])))


def test_fixes() -> None:
    """A fix is shown unless it is safe."""
    assert Fix(edits=(Edit(path=("a",), value=1),), is_safe=False) == put(("a",), 1)
    assert Fix(edits=(Edit(path=("a",), value=Removed),), is_safe=True) == remove(
        ("a",), is_safe=True
    )


def test_levels() -> None:
    """The worst level is the first one."""
    assert ("error", "warning") == LEVELS
