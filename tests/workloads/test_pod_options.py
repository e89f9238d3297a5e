"""PodOptions: each option is documented, and known to what takes it."""

import ast
import inspect
from dataclasses import FrozenInstanceError
from itertools import pairwise
from typing import get_type_hints

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import validate
from vllm_constructs import GpuPodSpec, PodOptions, Toleration
from vllm_constructs.workloads import pod_options


def documented() -> dict[str, str]:
    """Return the keys of PodOptions that have a docstring, with it."""
    tree = ast.parse(inspect.getsource(pod_options))
    (body,) = (
        one.body for one in tree.body if isinstance(one, ast.ClassDef) and one.name == "PodOptions"
    )
    found = {}
    for key, text in pairwise(body):
        if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(key.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            found[key.target.id] = str(text.value.value)
    return found


def test_docstrings() -> None:
    """Every key has a docstring, which ends as a sentence does and says the default."""
    found = documented()

    assert list(PodOptions.__annotations__) == list(found)
    for key, text in found.items():
        assert text.endswith("."), key
        assert ("Default" in text) == (key not in PodOptions.__required_keys__), key


def test_keys() -> None:
    """A pod has a field for each key, and only the model and the GPU are required."""
    assert list(PodOptions.__annotations__) == list(GpuPodSpec.__dataclass_fields__)
    assert {"model", "gpu"} == set(PodOptions.__required_keys__)
    assert set(get_type_hints(PodOptions)) == set(PodOptions.__annotations__)


def test_toleration() -> None:
    """A toleration matches any value, or one."""
    any_value = {"key": "team", "operator": "Exists", "effect": "NoSchedule"}
    one_value = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}

    assert Toleration(key="team").manifest() == any_value
    assert Toleration(key="team", value="ml", effect="NoExecute").manifest() == one_value


@settings(max_examples=60, deadline=None)
@given(strategies.tolerations())
def test_toleration_validity(toleration: Toleration) -> None:
    """A toleration is one that Kubernetes takes."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {
            "containers": [{"name": "x", "image": "x:1"}],
            "tolerations": [toleration.manifest()],
        },
    }

    assert [] == validate(pod, releases=["1.27", "1.37"])


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Toleration(key="a b"), ("Toleration.key is 'a b'", "'team'")),
    (lambda: Toleration(key="a", value="b c"), ("'b c'", "63")),
    (lambda: Toleration(key="a", effect="Never"), ("'Never'", "'NoExecute'")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A toleration cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        Toleration(key="a").key = "b"  # type: ignore[misc]  # the point
