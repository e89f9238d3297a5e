"""Properties that are read once."""

from vllm_constructs.reading.lazy import lazy


class Counted:
    """Counts how often its property is read."""

    count = 0

    @lazy
    def value(self) -> int:
        """How often."""
        self.count += 1
        return self.count


def test_once() -> None:
    """It is read once for each instance, and has its docstring."""
    one, other = Counted(), Counted()
    assert (1, 1, 1) == (one.value, one.value, other.value)
    assert "How often." == Counted.value.__doc__
