"""Paths in containers and volumes."""

import pytest

from tests import strategies
from vllm_constructs.workloads.paths import ITEM_PATH, SUB_PATH, check_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/vllm", "/etc/vllm"),
        ("/etc/vllm/", "/etc/vllm"),
        ("/a b/ä.json", "/a b/ä.json"),
        ("/...", "/..."),
        ("/..a", "/..a"),
    ],
)
def test_path(path: str, expected: str) -> None:
    """An absolute path is accepted, without a slash at its end."""
    assert expected == check_path("x", path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a",
        "//",
        "/a//b",
        "/..",
        "/../etc",
        "/a/../b",
        "/a/.",
        "/./a",
        "/a:b",
        "/\ud800",
        3,
    ],
)
def test_wrong(path: object) -> None:
    """What is no path, or leads elsewhere, is rejected."""
    sentence = strategies.refusal(lambda: check_path("x", path))

    assert sentence.startswith("x is ")
    assert "an absolute path such as '/etc/vllm'" in sentence


@pytest.mark.parametrize(
    ("path", "in_volume", "of_item"),
    [
        ("a", True, True),
        ("a/b.c", True, True),
        ("..a", True, False),
        ("..", False, False),
        ("a/../b", False, False),
        ("/a", False, False),
        ("", False, False),
    ],
)
def test_relative(path: str, *, in_volume: bool, of_item: bool) -> None:
    """Paths in a volume stay in it; Kubernetes keeps names of two dots for itself."""
    assert in_volume is bool(SUB_PATH.fullmatch(path))
    assert of_item is bool(ITEM_PATH.fullmatch(path))
