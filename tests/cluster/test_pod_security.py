"""The Pod Security level that a pod needs, against what the API server admits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pods import CASES, spec_of
from vllm_constructs.kube.pod_security_standards import LEVELS, need_of

from .api import RefusedError
from .conftest import NEWEST
from .kubectl import Kubectl

pytestmark = pytest.mark.parametrize("bed", [NEWEST], indirect=True)

USERS = {
    "securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}},
    "hostUsers": False,
}


@pytest.fixture
def namespaces(kubectl: Kubectl) -> dict[str, str]:
    """A namespace for each level."""
    found: dict[str, str] = {level: f"level-{level}" for level in LEVELS}
    for level, name in found.items():
        labels = {"pod-security.kubernetes.io/enforce": level}
        space = {"name": name, "labels": labels}
        account = {"name": "default", "namespace": name}
        kubectl.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": space})
        kubectl.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    return found


def is_admitted(kubectl: Kubectl, pod: dict[str, Any]) -> bool:
    """Whether the API server admits a pod; it refuses it for its level only."""
    try:
        kubectl.dry_run(pod)
    except RefusedError as error:
        if "PodSecurity" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize(
    ("pod", "container"), [(pod, container) for pod, container, _, _ in CASES] + [(USERS, {})]
)
def test_levels(
    kubectl: Kubectl,
    namespaces: dict[str, str],
    pod: dict[str, Any],
    container: dict[str, Any],
) -> None:
    """The API server admits a pod at the level that it needs and at weaker ones, no stricter."""
    spec = spec_of(pod, container)
    needed = LEVELS.index(need_of(spec).level)
    admitted = []
    for level, namespace in namespaces.items():
        metadata = {"name": "a", "namespace": namespace}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        admitted += [level] if is_admitted(kubectl, item) else []
    assert admitted == list(LEVELS[needed:])
