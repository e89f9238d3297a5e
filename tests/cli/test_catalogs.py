"""The rows of the catalogs."""

from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs.cli.catalogs import CATALOGS, found
from vllm_constructs.releases.release import NEWEST

ROWS = [row for rows in CATALOGS.values() for row in rows(NEWEST)]


@given(st.lists(st.text("abc-_ 123", min_size=1, max_size=4), max_size=3))
def test_found(words: list[str]) -> None:
    """More words find fewer rows, among them, in the same order, whatever their case."""
    rows = found(ROWS, words)
    assert rows == [row for row in ROWS if row in rows]
    assert rows == found(ROWS, [word.upper().replace("-", "_") for word in words])
    assert all(row in rows for row in found(ROWS, [*words, "a"]))
    assert ROWS == found(ROWS, [])
