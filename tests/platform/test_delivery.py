"""Delivery: a Helm chart by Flux or by Argo CD, with the user's values over the derived ones."""

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import ArgoApplication, FluxHelmRelease
from vllm_constructs.platform import delivery


def chart(values: Any = None, **fields: Any) -> delivery.HelmChart:
    """Return the chart of an operator."""
    given_fields = {
        "name": "gpu-operator",
        "repository": "https://helm.example.com",
        "version": "v26.3.0",
        "namespace": "gpu-operator",
        "derived": {"driver": {"enabled": True}, "mig": {"strategy": "mixed"}},
        "values": {} if values is None else values,
        **fields,
    }
    return delivery.helm_chart("GpuOperator", **given_fields)


@pytest.mark.parametrize("tool", [FluxHelmRelease(), ArgoApplication()], ids=repr)
def test_delivery(tool: Any) -> None:
    """Whatever the values, the objects are valid and hold them in a stable order."""

    @settings(max_examples=30, deadline=None)
    @given(st.dictionaries(strategies.one_line(), strategies.json_values(), max_size=3))
    def check(values: dict[str, Any]) -> None:
        found = tool.manifests(chart(values))
        again = tool.manifests(chart(strategies.shuffled(values)))

        assert json.dumps(found) == json.dumps(again)
        assert all(strategies.is_plain(one) for one in found)

    check()
    found = tool.manifests(chart({"driver": {"enabled": False}}))
    assert_valid(*found)
    assert {tool.namespace} == {one["metadata"]["namespace"] for one in found}


def test_flux() -> None:
    """Flux installs into the operator's namespace, which it makes, CRDs included."""
    source, release = FluxHelmRelease(interval="10m").manifests(chart())

    assert {"interval": "10m", "url": "https://helm.example.com"} == source["spec"]
    spec = release["spec"]
    assert "gpu-operator" == spec["targetNamespace"] == spec["storageNamespace"]
    assert {"createNamespace": True, "crds": "CreateReplace"} == spec["install"]
    assert source["metadata"]["name"] == spec["chart"]["spec"]["sourceRef"]["name"]
    assert {"driver": {"enabled": True}, "mig": {"strategy": "mixed"}} == spec["values"]


def test_argo() -> None:
    """Argo CD applies on the server's side, since CRDs are large."""
    (found,) = ArgoApplication(project="platform").manifests(chart())

    spec = found["spec"]
    assert "platform" == spec["project"]
    assert "v26.3.0" == spec["source"]["targetRevision"]
    assert {"strategy": "mixed"} == spec["source"]["helm"]["valuesObject"]["mig"]
    assert "ServerSideApply=true" in spec["syncPolicy"]["syncOptions"]


def test_merged() -> None:
    """The user's values go over the derived ones, key by key."""
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": {"g": 1}}

    found = delivery.merged(base, {"a": {"c": {"d": 3}}, "e": [2], "f": 1, "h": {"i": 1}})

    assert {"a": {"b": 1, "c": {"d": 3}}, "e": [2], "f": 1, "h": {"i": 1}} == found
    assert {"b": 1, "c": {"d": 2}} == base["a"]


def test_chart() -> None:
    """A chart keeps its own copy of the values, put over the derived ones."""
    values: dict[str, Any] = {"driver": {"version": "580"}, "list": [1]}
    found = chart(values)
    values["driver"]["version"] = "570"
    values["list"].append(2)

    (application,) = ArgoApplication().manifests(found)
    expected = {
        "driver": {"enabled": True, "version": "580"},
        "list": [1],
        "mig": {"strategy": "mixed"},
    }
    assert expected == application["spec"]["source"]["helm"]["valuesObject"]
    assert ("gpu-operator", "v26.3.0") == (found.name, found.version)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: FluxHelmRelease(namespace="A"), ("FluxHelmRelease.namespace is 'A'", "'a'")),
    (lambda: FluxHelmRelease(interval="1d"), ("interval is '1d'", "'1h'")),
    (lambda: ArgoApplication(namespace="A"), ("ArgoApplication.namespace is 'A'", "'a'")),
    (lambda: ArgoApplication(project="A"), ("ArgoApplication.project is 'A'", "'a'")),
    (lambda: chart(["a"]), ("GpuOperator.values is ['a']", "a dict of Helm values")),
    (lambda: chart({"a": float("nan")}), ("GpuOperator.values['a']", "nan", "finite")),
    (lambda: chart(version=""), ("GpuOperator.version is ''", "non-empty")),
    (lambda: chart(namespace="A"), ("GpuOperator.namespace is 'A'", "'a'")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What no delivery takes is rejected with what it does."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A delivery cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        FluxHelmRelease().interval = "1d"  # type: ignore[misc]  # the point
