"""The level of a pod; a test of the control plane compares the same pods with the API server."""

from typing import Any

import pytest

from tests.support import pod_security_problems
from tests.support.pods import CASES, spec_of
from vllm_constructs.kube.pod_security_standards import LEVELS, need_of


@pytest.mark.parametrize(("pod", "container", "level", "field"), CASES)
def test_cases(pod: dict[str, Any], container: dict[str, Any], level: str, field: str) -> None:
    """A pod needs the level of its weakest field, which is named."""
    spec = spec_of(pod, container)
    found = need_of(spec)

    assert level == found.level
    assert found.field.endswith(field)
    assert bool(found.field) == bool(field)
    assert (level == "restricted") == (pod_security_problems(spec) == [])


def test_weakest() -> None:
    """Of several fields, one of the weakest level is named."""
    pod = {"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "hostPath": {}}]}
    assert "volumes[name=b].hostPath" == need_of(spec_of(pod, {})).field


def test_every_level() -> None:
    """The cases have every level."""
    assert set(LEVELS) == {level for _, _, level, _ in CASES}


def test_user_namespace() -> None:
    """Root in a user namespace of the pod needs no level."""
    root = {"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}}
    assert "baseline" == need_of(spec_of(root, {})).level
    assert "restricted" == need_of(spec_of({**root, "hostUsers": False}, {})).level
