"""Positions of fields in a text."""

from vllm_constructs.reading.positions import Position, Text

TEXT = """\
a: {b: [1, 22]}
base: &base
  x: 1
other:
  <<: *base
  list:
  - name: n
    long: |
      text
"""


def place(*path: str | int) -> tuple[int, int, int]:
    """Line, column and end column of a path."""
    found = Text(TEXT, 10).position(path)
    assert found is not None
    return found.line, found.column, found.end_column


def test_key_and_value() -> None:
    """A short field is a key with its value, an item is a value."""
    assert (11, 1, 16) == place("a")
    assert (11, 5, 15) == place("a", "b")
    assert (11, 12, 14) == place("a", "b", 1)


def test_block() -> None:
    """Of a field with lines of its own, the key is shown; of an item, its first line."""
    assert (14, 1, 6) == place("other")
    assert (17, 5, 12) == place("other", "list", 0)
    assert (18, 5, 9) == place("other", "list", 0, "long")


def test_merged() -> None:
    """A field that an alias merges is where it is written."""
    assert (13, 3, 7) == place("other", "x")


def test_missing() -> None:
    """Of a field that is not there, the nearest one is."""
    assert place("other", "list", 0) == place("other", "list", 0, "spec", "x")
    assert place("a", "b") == place("a", "b", 7)
    assert (11, 1) == place()[:2]


def test_last_key() -> None:
    """Of a key that is there twice, the last one counts."""
    assert Position(line=2, column=1, end_line=2, end_column=5) == Text("a: 1\na: 2\n", 0).position(
        ("a",)
    )


def test_unreadable() -> None:
    """A text that is no YAML has no positions."""
    assert Text("a: [", 0).position(("a",)) is None
    assert Text("", 0).position(()) is None
