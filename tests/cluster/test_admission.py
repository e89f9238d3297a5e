"""Everything that this project renders, before a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    ExistingClaim,
    HuggingFaceToken,
    MigSlice,
    ModelDeployment,
    Rollout,
    Startup,
    WholeGpu,
)

from .api import RefusedError
from .bed import Bed
from .conftest import documents, rendered
from .kubectl import Kubectl, make_namespace, wait_for
from .nodes import Manifest

ROOT = Path(__file__).parents[2]
APPS = {"main.py": sorted((ROOT / "dist").glob("*.yaml"))} | {
    folder.parent.name: sorted(folder.glob("*.yaml"))
    for folder in sorted((ROOT / "examples").glob("*/dist"))
}
SNAPSHOTS = sorted((ROOT / "tests/cdk/__snapshots__").glob("*/*everything*.yaml"))
PREVIOUS = Path(__file__).parent / "previous"
# Of vendors that publish no schema which this project has at hand; tests/support/
# provider_schemas.py knows their shape.
WITHOUT_CRD = {"BackendConfig", "GCPBackendPolicy", "HealthCheckPolicy", "ProxySettingsPolicy"}

Files = list[Path]


@pytest.fixture
def app(request: pytest.FixtureRequest) -> str:
    """The name of the app whose objects a test has."""
    files: Files = request.node.callspec.params["objects"]
    return next(name for name, known in APPS.items() if known == files)


@pytest.fixture
def kinds(bed: Bed) -> set[str]:
    """All kinds that the API server serves."""
    return bed.kubectl.api.kinds()


@pytest.fixture
def objects(
    request: pytest.FixtureRequest, kubectl: Kubectl, kinds: set[str]
) -> Iterator[list[Manifest]]:
    """Objects of an app, with their namespaces made, and removed again afterwards."""
    files: Files = request.param
    found = documents(*files)
    unknown = {item["kind"] for item in found} - kinds
    if unknown - WITHOUT_CRD:
        pytest.skip(f"no CRD of {', '.join(sorted(unknown))}: ../shared/crds is not there")
    present = {item["metadata"]["name"] for item in kubectl.items("namespaces")}
    own = {item["metadata"]["name"] for item in found if item["kind"] == "Namespace"}
    needed = {item["metadata"].get("namespace", "default") for item in found}
    for name in sorted(needed - own - present):
        make_namespace(kubectl, name)
    found = [item for item in found if item["kind"] not in unknown]
    yield found
    # Namespaces stay: to remove one takes longer than all the rest.
    kubectl.delete(item for item in found if item["kind"] != "Namespace")


def parametrize(apps: dict[str, Files]) -> pytest.MarkDecorator:
    """One test for each app."""
    return pytest.mark.parametrize("objects", apps.values(), ids=apps.keys(), indirect=True)


@parametrize(APPS | {path.stem: [path] for path in SNAPSHOTS})
def test_apply(kubectl: Kubectl, objects: list[Manifest]) -> None:
    """dist/, examples and snapshots: admitted strictly, no warning, no change by a second apply."""
    assert warnings_of(objects) == kubectl.apply(namespaces_first(objects))

    assert [] == changed(kubectl, objects)


def namespaces_first(objects: list[Manifest]) -> list[Manifest]:
    """The objects in an order in which they can be made."""
    return sorted(objects, key=lambda item: item["kind"] != "Namespace")


def warnings_of(objects: list[Manifest]) -> list[str]:
    """The one warning that is not ours to heed: GKE's controller reads no ingressClassName."""
    text = (
        'Warning: annotation "kubernetes.io/ingress.class" is deprecated, please use '
        "'spec.ingressClassName' instead"
    )
    key = "kubernetes.io/ingress.class"
    found = [item for item in objects if key in item["metadata"].get("annotations", {})]
    return [text] * bool(found)


def changed(kubectl: Kubectl, objects: list[Manifest]) -> list[str]:
    """What a second apply would change; controllers may write in between, so not at once."""
    found: list[str] = []

    def is_same() -> bool:
        try:
            kubectl.diff(objects)
        except RefusedError as difference:
            found[:] = str(difference).splitlines()
            return False
        found.clear()
        return True

    try:
        wait_for("a second apply that changes nothing", is_same, 10)
    except TimeoutError:
        return found
    return []


def test_change_is_seen(kubectl: Kubectl, namespace: str) -> None:
    """Nothing above passes by accident: another value shows, and so does a wrong field."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "qwen", "namespace": namespace},
        "spec": {"ports": [{"port": 8000}]},
    }
    kubectl.apply([service])
    assert [] == changed(kubectl, [service])

    assert changed(kubectl, [service | {"spec": {"ports": [{"port": 8001}]}}])
    with pytest.raises(RefusedError, match=r"unknown field|field not declared in schema"):
        kubectl.apply([service | {"spec": {"portz": []}}])


@pytest.mark.parametrize("release", sorted(path.name for path in PREVIOUS.iterdir()))
@parametrize(APPS)
def test_previous(kubectl: Kubectl, objects: list[Manifest], app: str, release: str) -> None:
    """An app moves on from the YAML of an earlier release, and back: nothing is immutable."""
    path = PREVIOUS / release / f"{app}.yaml"
    if not path.exists():
        pytest.skip(f"{app} is newer than {release}")
    earlier = documents(path)
    known = {item["kind"] for item in objects}
    earlier = [item for item in earlier if item["kind"] in known]

    for step in (earlier, objects, earlier):
        assert [] == kubectl.apply(namespaces_first(step))


def test_options(kubectl: Kubectl, namespace: str) -> None:
    """A model keeps its Deployment whatever else is changed: no option is part of the selector."""
    weights = ExistingClaim("weights")

    def render(**options: Any) -> list[Manifest]:
        chart = Chart(App(), "x", namespace=namespace, **options.pop("chart", {}))
        ModelDeployment(
            chart, "qwen", **{"model": "a/b", "gpu": WholeGpu("NVIDIA-L40S"), **options}
        )
        return rendered(chart)

    kubectl.apply(render())
    changes: list[dict[str, Any]] = [
        {"model": "a/other", "served_name": "other"},
        {"image": "vllm/vllm-openai:v0.32.0"},
        {"gpu": WholeGpu("NVIDIA-H100-80GB-HBM3", count=2)},
        {"gpu": MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe")},
        {"replicas": 3, "cache": weights, "rollout": Rollout(spare_gpus=1)},
        {"cache": ExistingClaim("weights", access="ReadWriteOnce")},
        {"engine": EngineArgs(max_model_len=4096, delivery="config-map")},
        {"labels": {"team": "search"}, "chart": {"labels": {"env": "test"}}},
        {"port": 9000, "startup": Startup(minutes=40), "drain": Drain(seconds=900)},
        {"hf_token": HuggingFaceToken.from_secret("hf-token"), "env": {"NCCL_DEBUG": "WARN"}},
        {},
    ]
    for change in changes:
        assert [] == kubectl.apply(render(**change)), change
