"""Quantities: numbers of Kubernetes, compared as numbers."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import quantity as independent
from vllm_constructs.kube import quantity

UNITS = ("", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**6), st.sampled_from(UNITS), st.booleans())
def test_parse(whole: int, part: int, unit: str, fraction: object) -> None:
    """Every quantity is the number that an independent reader takes it for."""
    text = f"{whole}.{part}{unit}" if fraction else f"{whole}{unit}"

    assert quantity.parse(text) == independent(text)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.+-eEmkKMGTPi ", max_size=6))
def test_grammar(text: str) -> None:
    """What is taken for a quantity is one, also for an independent reader."""
    found = quantity.parse(text)

    if found is not None:
        assert found == independent(text)


def test_equality() -> None:
    """Two ways to write one number are equal."""
    assert quantity.memory("x", "1.5Gi") == quantity.memory("x", "1536Mi")
    assert quantity.cpu("x", "0.5") == quantity.cpu("x", "500m")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**50))
def test_gibibytes(size: int) -> None:
    """Bytes are rounded up, by less than one Gi."""
    found = quantity.memory("x", quantity.gibibytes(size))

    assert 0 <= found - size < quantity.GI


@pytest.mark.parametrize("text", ["1ki", "1Kib", "Gi", "1e", "1E400", "٣Gi", "1" * 33, "1Gi\n"])
def test_no_quantity(text: str) -> None:
    """What Kubernetes would refuse is no quantity."""
    assert quantity.parse(text) is None


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: quantity.memory("memory", "10GB"), ("memory is '10GB'", "'64Gi'", "write '10Gi'")),
    (lambda: quantity.memory("memory", "10gib"), ("'10gib'", "write '10Gi'")),
    (lambda: quantity.memory("memory", "64 Gi"), ("'64 Gi'", "write '64Gi'")),
    (lambda: quantity.memory("memory", " "), ("' '", "a Kubernetes quantity of bytes")),
    (lambda: quantity.memory("memory", "1500m"), ("'1500m'", "bytes")),
    (lambda: quantity.memory("memory", "0.5"), ("'0.5'", "bytes")),
    (lambda: quantity.memory("memory", "0"), ("'0'", "bytes")),
    (lambda: quantity.memory("memory", 64), ("memory is 64", "'64Gi'")),
    (lambda: quantity.memory("size", "1Ki", quantity.MI), ("'1Ki'", "bytes")),
    (lambda: quantity.cpu("cpu", 8), ("cpu is 8", "as a string", "'500m'")),
    (lambda: quantity.cpu("cpu", "0"), ("'0'", "cores")),
    (lambda: quantity.cpu("cpu", "4097"), ("'4097'", "cores")),
    (lambda: quantity.cpu("cpu", "1.0001"), ("'1.0001'", "cores")),
    (lambda: quantity.cpu("cpu", "eight"), ("'eight'", "cores")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What is no quantity is rejected, with the one that was meant where it can be told."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_decimal() -> None:
    """Cores are exact."""
    assert quantity.cpu("cpu", "0.1") == Decimal("0.1")
