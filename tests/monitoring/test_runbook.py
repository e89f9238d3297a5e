"""The runbook, section by section."""

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.monitoring.runbook import section, sections


@pytest.mark.parametrize("alert", sections())
def test_section(alert: str) -> None:
    """A section says three things, and nothing of the next one."""
    text = section(alert)
    assert text.startswith(f"# {alert}\n")
    assert (1, 1, 1) == tuple(text.count(f"**{one}.**") for one in ("Means", "Look at", "Do"))
    assert "\n## " not in text


def test_unknown() -> None:
    """An alert that is not known is rejected with the nearest one."""
    with pytest.raises(VllmConstructsError, match="did you mean 'VllmEngineDown'"):
        section("VllmEnginesDown")
