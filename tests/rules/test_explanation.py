"""The page of a rule."""

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.rules.explanation import introduction, page


def test_page() -> None:
    """A page is found by the id, whatever its case."""
    assert page("P01") == page("p01")
    assert page("P01").startswith("# P01: ")


@pytest.mark.parametrize("id", ["P0", "", "../P01", "README"])
def test_unknown(id: str) -> None:
    """Another id is rejected, with a near one or the families."""
    with pytest.raises(VllmConstructsError, match="is not known; "):
        page(id)


def test_introduction() -> None:
    """The introduction is what stands before the first section, in one line."""
    assert "Some text, more." == introduction(
        "# P01: title\n\nLevel: error.\n\nSome text,\nmore.\n\n## What happens\n\nMuch.\n"
    )
