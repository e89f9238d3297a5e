"""The names of models that editors complete."""

from typing import Literal, get_args, get_origin

from vllm_constructs.engine.model_names import ModelName
from vllm_constructs.memory.shapes import catalog


def test_names() -> None:
    """They are all names of the catalog, and any other string is allowed."""
    literals, other = get_args(ModelName)
    assert (Literal, str) == (get_origin(literals), other)
    names = {name for entry, one in catalog().items() for name in (entry, *one["also"])}
    assert names == set(get_args(literals))
