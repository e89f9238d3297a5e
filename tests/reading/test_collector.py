"""The garbage collector waits."""

import gc

import pytest

from vllm_constructs.reading.collector import without_gc


def test_waits() -> None:
    """It waits inside, and goes on as before, also after an error."""
    with without_gc():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_gc():
        _ = 1 / 0
    assert gc.isenabled()
    gc.disable()
    try:
        with without_gc():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
