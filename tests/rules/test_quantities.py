"""Quantities: units that are none, and amounts that are no amounts of bytes."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.rules.quantities import wrong_quantity


@pytest.mark.parametrize(
    ("value", "name", "right"),
    [
        ("64GB", "memory", "64Gi"),
        ("64 Gi", "memory", "64Gi"),
        ("64g", "memory", "64Gi"),
        ("64000m", "memory", "64000M"),
        ("16m", "sizeLimit", "16M"),
        ("100m", "storage", "100M"),
        ("64", "memory", "64Gi"),
        (64, "memory", "64Gi"),
        ("many", "memory", ""),
        ("2cores", "cpu", ""),
        ("", "cpu", ""),
        (True, "cpu", ""),
        ([], "memory", ""),
    ],
)
def test_wrong(value: Any, name: str, right: str) -> None:
    """A unit that is none, or thousandths of a byte, with what is meant."""
    problem, found = wrong_quantity(f"limits.{name}", value, name)

    assert problem is not None
    assert right == found
    assert problem.sentence().startswith(f"limits.{name} is ")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("64Gi", "memory"),
        ("64G", "memory"),
        ("6.5Gi", "memory"),
        ("128974848", "memory"),
        (68719476736, "memory"),
        ("0", "memory"),
        ("1e9", "memory"),
        ("500m", "cpu"),
        (0.5, "cpu"),
        ("1.", "cpu"),
        ("100n", "averageValue"),
        ("5", "nvidia.com/gpu"),
        ("500m", "averageValue"),
        ("$(MEMORY)", "memory"),
        ("${MEMORY}", "memory"),
        ("<memory>", "memory"),
    ],
)
def test_right(value: Any, name: str) -> None:
    """Quantities as apimachinery parses them, and what is filled in later."""
    assert (None, "") == wrong_quantity("x", value, name)
