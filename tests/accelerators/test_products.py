"""The products that editors complete."""

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

import pytest

from vllm_constructs.accelerators import amd, google, intel, nvidia, products


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (products.NvidiaProduct, nvidia.catalog()),
        (products.AmdProduct, amd.MEMORY),
        (products.IntelProduct, intel.MEMORY),
        (products.TpuProduct, google.TPUS),
    ],
)
def test_products(kind: Any, known: Iterable[str]) -> None:
    """They are all products that are known, and any other string is allowed."""
    literals, other = get_args(kind)
    assert (Literal, str) == (get_origin(literals), other)
    assert set(known) == set(get_args(literals))
