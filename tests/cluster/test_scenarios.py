"""The scenarios, before a real API server whose namespaces enforce a Pod Security level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scenarios import scenario

from .api import RefusedError
from .conftest import NEWEST
from .kubectl import Kubectl, make_namespace, wait_for
from .nodes import Manifest

pytestmark = pytest.mark.parametrize("bed", [NEWEST], indirect=True)

ENFORCE = "pod-security.kubernetes.io/enforce"


@pytest.fixture
def objects(
    name: str, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Manifest]]:
    """What a scenario renders, in namespaces of its own."""
    found = scenario.render(name, tmp_path, monkeypatch)
    suffix = name.replace("_", "-")
    for item in found:
        metadata = item["metadata"]
        key = "name" if item["kind"] == "Namespace" else "namespace"
        if key in metadata:
            metadata[key] = f"{metadata[key]}-{suffix}"
    own = {item["metadata"]["name"] for item in found if item["kind"] == "Namespace"}
    for namespace in {item["metadata"].get("namespace") for item in found} - own - {None}:
        make_namespace(kubectl, namespace)
    served = kubectl.api.kinds()
    made = [item for item in found if item["kind"] in served]
    yield sorted(made, key=lambda item: item["kind"] != "Namespace")
    kubectl.delete(item for item in made if item["kind"] != "Namespace")


@pytest.mark.parametrize("name", scenario.NAMES)
def test_admitted(kubectl: Kubectl, objects: list[Manifest]) -> None:
    """Each object is admitted without a warning, each pod by the level of its namespace."""
    assert [] == kubectl.apply(objects)
    workloads = [item for item in objects if item["kind"] == "Deployment"]
    for workload in workloads:
        assert [] == kubectl.dry_run(trial(kubectl, workload))
    assert workloads


def trial(kubectl: Kubectl, workload: Manifest) -> Manifest:
    """A pod of a workload: the level that is enforced judges pods, not what makes them."""
    namespace = workload["metadata"]["namespace"]
    assert ENFORCE in kubectl.get("namespace", namespace)["metadata"]["labels"]
    spec = dict(workload["spec"]["template"]["spec"])
    account = spec.get("serviceAccountName", "default")
    if account != "default":
        with suppress(RefusedError):
            kubectl.run("create", "serviceaccount", account, "-n", namespace)
    for name in ("priorityClassName", "runtimeClassName"):
        # Objects of the cluster, which the user of the scenario has.
        spec.pop(name, None)

    def has_account() -> bool:
        found = kubectl.items("serviceaccounts", namespace)
        return account in [item["metadata"]["name"] for item in found]

    wait_for("the ServiceAccount", has_account)
    metadata = {"name": "trial", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
