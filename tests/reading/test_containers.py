"""Containers that run vLLM: which do, and with which words.

More is in the tests of workloads, whose models come from them.
"""

from typing import Any

import pytest

from vllm_constructs.reading.containers import engine_container

VLLM = "vllm/vllm-openai:v0.33.0"


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"image": VLLM}, True),
        ({"image": "example.com/vllm-openai-cpu"}, True),
        ({"image": "python", "command": ["vllm", "serve", "m"]}, True),
        ({"image": "x", "command": ["sh", "-c"], "args": ["cd /x && vllm serve m"]}, True),
        ({"image": "x", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}, True),
        ({"image": VLLM, "command": ["sleep", "inf"]}, False),
        ({"image": "python"}, False),
        ({}, False),
        ({"image": None, "command": "vllm serve"}, False),
    ],
)
def test_engine_container(container: dict[str, Any], *, expected: bool) -> None:
    """A container is an engine by its command, or by an image that starts vLLM."""
    found = engine_container({"spec": {"containers": [{"image": "x"}, container]}})
    assert expected == (found is not None)
