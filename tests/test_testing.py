"""Helpers for tests of users' apps."""

import pytest
from cdk8s import ApiObject, App, Chart, JsonPatch

from vllm_constructs import ModelDeployment, VllmConstructsError, WholeGpu
from vllm_constructs.testing import findings, key, manifests, snapshot


def make_app(*, is_reversed: bool = False) -> App:
    """An app with a chart with a model and one with an object of the user's own."""
    app = App()
    makers = [_model, _own]
    for make in reversed(makers) if is_reversed else makers:
        make(app)
    return app


def _model(app: App) -> None:
    chart = Chart(app, "llm", namespace="llm")
    gpu = WholeGpu("NVIDIA-L40S")
    ModelDeployment(chart, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=gpu)


def _own(app: App) -> None:
    ApiObject(Chart(app, "own"), "a", api_version="v1", kind="Namespace", metadata={"name": "llm"})


def test_manifests() -> None:
    """Objects of all charts, by kind, namespace and name; those of a chart alone, too."""
    app = make_app()
    expected = [
        "Deployment/llm/qwen",
        "Namespace/llm",
        "NetworkPolicy/llm/qwen",
        "Service/llm/qwen",
    ]
    found = manifests(app)
    assert expected == list(found)
    assert all(name == key(item) for name, item in found.items())
    (own,) = (chart for chart in app.charts if chart.node.id == "own")
    assert ["Namespace/llm"] == list(manifests(own))


def test_snapshot() -> None:
    """The text does not depend on the order in which objects are made."""
    one, other = (snapshot(manifests(make_app(is_reversed=way))) for way in (False, True))
    assert one == other
    assert 4 == one.count("apiVersion: ")


def test_checked() -> None:
    """An app is checked as at synth."""
    app = make_app()
    model = next(chart for chart in app.charts if chart.node.id == "llm").node.find_child("qwen")
    command = "/spec/template/spec/containers/0/args/0"
    ApiObject.of(model).add_json_patch(JsonPatch.replace(command, "--no-such-flag"))
    with pytest.raises(VllmConstructsError, match="no-such-flag"):
        manifests(app)


def test_findings() -> None:
    """A line for each finding, with the rule; none for what this library renders."""
    found = manifests(make_app())
    assert [] == findings(found.values())
    pod = found["Deployment/llm/qwen"]["spec"]["template"]["spec"]
    del pod["containers"][0]["startupProbe"]
    (line,) = findings(found.values(), kubernetes="1.34")
    assert line.startswith("error P01: Deployment llm/qwen: ")
    with pytest.raises(VllmConstructsError, match="expected a release"):
        findings(found.values(), kubernetes="3.0")
