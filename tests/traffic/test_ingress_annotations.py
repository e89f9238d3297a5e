"""Annotations of ingress controllers: owners, and the values that each accepts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traffic.samples import controllers, made
from vllm_constructs.traffic import ingress_annotations as dialects
from vllm_constructs.traffic.ingress_annotations import (
    _SYNTAX,
    ALB,
    F5,
    INGRESS_NGINX,
    NGINX,
    NGINX_ORG,
    TRAEFIK,
    corrected,
    is_placeholder,
    is_snippet,
    mebibytes,
    refused,
    seconds,
)

VALUES = st.one_of(
    st.text(), st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.text())
)


@pytest.mark.parametrize("controller", controllers(), ids=repr)
def test_own(controller: object) -> None:
    """What this library renders for a controller is accepted by it, and is its own."""
    settings = made()
    annotations: dict[str, str] = controller.annotations(settings)  # type: ignore[attr-defined]
    for key, value in annotations.items():
        assert refused(key, value) is None
        assert dialects.of_key(key) is not None or key.startswith(("kubernetes.io/", "acme."))


def test_owners() -> None:
    """Owners by keys, classes and controllers."""
    assert INGRESS_NGINX == dialects.of_key(f"{NGINX}/whatever")
    assert F5 == dialects.of_key(f"{NGINX_ORG}/whatever")
    assert TRAEFIK == dialects.of_key("traefik.ingress.kubernetes.io/router.tls")
    assert dialects.of_key("cert-manager.io/issuer") is None
    assert (INGRESS_NGINX, F5) == dialects.of_class("nginx")
    assert (ALB,) == dialects.of_class("alb")
    assert () == dialects.of_class("own")
    assert F5 == dialects.of_controller("nginx.org/ingress-controller")
    assert dialects.of_controller("example.com/own") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("600", 600),
        ("600s", 600),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("2d", 172800),
        (600, 600),
        (0.5, 0.5),
        ("", None),
        ("m", None),
        ("10 minutes", None),
        ("-5", None),
        (-5, None),
        (True, None),
        (None, None),
        ([], None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_seconds(value: object, expected: float | None) -> None:
    """Durations as they are written in annotations."""
    assert expected == seconds(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1m", 1),
        ("100M", 100),
        ("1g", 1024),
        ("512k", 0.5),
        ("1048576", 1),
        (1048576, 1),
        ("100MiB", 100),
        ("100Mi", 100),
        ("0", float("inf")),
        ("", None),
        ("x", None),
        (True, None),
        (None, None),
    ],
)
def test_mebibytes(value: object, expected: float | None) -> None:
    """Sizes as they are written in annotations."""
    assert expected == mebibytes(value)


@pytest.mark.parametrize("key", sorted(_SYNTAX))
@given(value=VALUES)
def test_corrected(key: str, value: object) -> None:
    """What a value is corrected to is accepted, and no value makes any of it fail."""
    problem, right = refused(key, value), corrected(key, value)
    if problem is not None:
        assert key == problem.where
        assert problem.sentence()
    if right is not None:
        assert refused(key, right) is None


@pytest.mark.parametrize("key", sorted(_SYNTAX))
def test_long_values(key: str) -> None:
    """Long values take no longer than their length."""
    began = time.monotonic()
    for value in (
        "1" * 20_000 + "x",
        "1 " * 10_000 + "x",
        "1s" * 10_000 + "x",
        "1m1" * 5_000 + "!",
    ):
        refused(key, value)
        corrected(key, value)
    assert time.monotonic() - began < 2


def test_placeholder() -> None:
    """What is filled in later is not judged."""
    for value in ("${TIMEOUT}", "$(TIMEOUT)", "{{ .Values.timeout }}", "$TIMEOUT", "<seconds>"):
        assert is_placeholder(value)
        assert refused(f"{NGINX}/proxy-read-timeout", value) is None
    assert not is_placeholder("600s")
    assert not is_placeholder(600)


def test_snippets() -> None:
    """Snippets of both controllers."""
    assert is_snippet(f"{NGINX}/server-snippet")
    assert is_snippet(f"{NGINX_ORG}/location-snippets")
    assert not is_snippet(f"{NGINX}/proxy-buffering")
