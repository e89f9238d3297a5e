"""Kubernetes: the target, and what depends on it."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from tests import strategies
from tests.support import ALL_RELEASES
from vllm_constructs import Kubernetes
from vllm_constructs.kube.kubernetes import NEWEST, OLDEST


class Node:
    """A construct's node that keeps its context, or refuses it as one with children does."""

    def __init__(self, *, full: bool = False) -> None:
        """Begin without context."""
        self.full = full
        self.context: dict[str, object] = {}

    @property
    def node(self) -> "Node":
        """This node."""
        return self

    def set_context(self, key: str, value: object, /) -> None:
        """Keep a value."""
        if self.full:
            raise RuntimeError("Cannot set context after children have been added")
        self.context[key] = value


@pytest.mark.parametrize("release", ALL_RELEASES)
def test_releases(release: str) -> None:
    """Every release of the harness is one, however it is written."""
    minor = int(release.split(".")[1])

    for text in (release, f"v{release}", f"{release}.4", f"v{release}.12"):
        target = Kubernetes(text)
        assert target.minor == minor
        assert target.has_sleep_action is (minor >= 30)


def test_range() -> None:
    """The library's range is the harness's, and its default the oldest release."""
    assert f"{OLDEST[0]}.{OLDEST[1]}" == ALL_RELEASES[0]
    assert f"{NEWEST[0]}.{NEWEST[1]}" == ALL_RELEASES[-1]
    assert Kubernetes().release == ALL_RELEASES[0]


def test_set_on() -> None:
    """The target is kept as context of the construct."""
    scope = Node()

    Kubernetes("1.34").set_on(scope)

    assert list(scope.context.values()) == ["1.34"]


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Kubernetes("1.26"), ("'1.26'", "from '1.27' to '1.37'")),
    (lambda: Kubernetes("1.38"), ("'1.38'", "from '1.27' to '1.37'")),
    (lambda: Kubernetes("latest"), ("'latest'", "from '1.27'")),
    (lambda: Kubernetes("1.٣٠"), ("from '1.27'",)),
    (lambda: Kubernetes(1.34), ("Kubernetes.release is 1.34", "'1.37'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Kubernetes().set_on(None), ("scope is None", "an App or a Chart")),  # type: ignore[arg-type]  # the mistake
    (lambda: Kubernetes("1.34").set_on(Node(full=True)), ("'1.34'", "directly after App()")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What is no target is rejected with those that are."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A target cannot be changed."""
    target: Any = Kubernetes("1.34")

    with pytest.raises(FrozenInstanceError):
        target.release = "1.35"
