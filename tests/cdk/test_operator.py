"""What all operators share: a Helm chart, and the tool that installs it."""

import pytest
import yaml
from cdk8s import App, Chart

from tests.cdk.operators import OPERATORS, operator, values
from tests.cdk.samples import PROMETHEUS, chart, manifests, only
from tests.support import assert_valid
from vllm_constructs import (
    ArgoApplication,
    FluxHelmRelease,
    GpuOperator,
    KedaOperator,
    PrometheusAdapter,
    VllmConstructsError,
)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("namespace", [None, "llm"])
def test_delivery(kind: str, namespace: str | None) -> None:
    """Both tools install the same chart with the same values, from their own namespaces."""
    flux, argo = (Chart(App(), "x", namespace=namespace) for _ in range(2))
    operator(flux, kind, namespace="home", values={"a": {"b": 1}})
    operator(argo, kind, delivery=ArgoApplication(), namespace="home", values={"a": {"b": 1}})
    assert values(flux) == values(argo)
    assert {"b": 1} == values(flux)["a"]
    repository, release, application = (
        only(flux, "HelmRepository"),
        only(flux, "HelmRelease"),
        only(argo, "Application"),
    )
    assert ["flux-system", "flux-system", "argocd"] == [
        item["metadata"]["namespace"] for item in (repository, release, application)
    ]
    source = application["spec"]["source"]
    chart_ = release["spec"]["chart"]["spec"]
    assert source["repoURL"] == repository["spec"]["url"]
    assert (source["chart"], source["targetRevision"]) == (chart_["chart"], chart_["version"])
    assert "home" == release["spec"]["targetNamespace"]
    assert "home" == application["spec"]["destination"]["namespace"]
    assert_valid(*manifests(flux), *manifests(argo))


@pytest.mark.parametrize("delivery", [FluxHelmRelease(), ArgoApplication()])
def test_null(delivery: FluxHelmRelease | ArgoApplication) -> None:
    """A null stays: with it, Helm leaves a default of the chart out."""
    given = {"resources": {"operator": None}, "extraArgs": [None, "a"]}
    app = App()
    operator(Chart(app, "x"), "KedaOperator", delivery=delivery, values=given)
    items = list(yaml.safe_load_all(app.synth_yaml()))
    (spec,) = (item["spec"] for item in items if item["kind"] in ("HelmRelease", "Application"))
    assert given == (spec["values"] if "values" in spec else spec["source"]["helm"]["valuesObject"])
    assert_valid(*items)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("delivery", "flux"),
        ("delivery", FluxHelmRelease),
        ("delivery", None),
        ("version", ""),
        ("version", 26),
        ("namespace", "A"),
        ("values", "a: 1"),
        ("values", {"a": float("nan")}),
        ("values", {"a": {"b": float("inf")}}),
        ("values", {"a": object()}),
        ("values", {1: "a"}),
    ],
)
def test_refusals(kind: str, keyword: str, value: object) -> None:
    """What a chart or Kubernetes would refuse is rejected, and nothing is made."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=f"{kind}.{keyword}"):
        operator(scope, kind, **{keyword: value})
    assert [] == manifests(scope)


def test_classes() -> None:
    """Operators tell what they made."""
    scope = chart()
    found = GpuOperator(scope, "gpu", delivery=FluxHelmRelease())
    assert ["HelmRelease", "HelmRepository"] == [item.kind for item in found.objects]
    assert ["Application"] == [
        item.kind for item in KedaOperator(scope, "keda", delivery=ArgoApplication()).objects
    ]
    adapter = PrometheusAdapter(scope, "adapter", delivery=FluxHelmRelease(), prometheus=PROMETHEUS)
    assert 2 == len(adapter.objects)
