"""Tables of kinds: that they are complete, and what a field has."""

from __future__ import annotations

import runpy
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.crds import crds_available
from vllm_constructs.rules import kind_tables
from vllm_constructs.rules.kind_tables import NEVER, Field, short, tables

TOOLS = Path(__file__).parents[2] / "tools"
CRDS = TOOLS.parents[1] / "shared" / "crds"
PLAIN = {"any", "boolean", "int-or-string", "integer", "number", "quantity", "string"}


def field(owner: str, name: str) -> Field:
    """A field of a type."""
    found = tables().types.get(owner)
    assert found is not None
    return found[0][name]


def test_fields() -> None:
    """Shape, type, first release, gate and values."""
    assert Field("[", "Container", 0, 0, ()) == field("PodSpec", "containers")
    assert Field("{", "quantity", 0, 0, ()) == field("ResourceRequirements", "limits")
    assert Field("", "int-or-string", 0, 0, ()) == field("HTTPGetAction", "port")
    assert Field("", "string", 30, 0, ()) == field("AppArmorProfile", "type")
    assert Field("", "SleepAction", 29, 30, ()) == field("LifecycleHandler", "sleep")
    assert NEVER == field("EmptyDirVolumeSource", "mode").gate
    assert "Always" in field("Container", "imagePullPolicy").values
    assert "FailClose" in field("InferencePool.spec.endpointPickerRef", "failureMode").values
    # Until 1.28 the type had another name.
    assert 0 == field("VolumeResourceRequirements", "requests").first
    assert tables().types.get("Nothing") is None


def test_gates() -> None:
    """Each gate and each list of values is of a field that there is."""
    for owner, name in [*vars(kind_tables)["_GATES"], *vars(kind_tables)["_VALUES"]]:
        prefix = "autoscaling.v2." if owner.startswith(("Metric", "HPAScaling")) else ""
        found = tables().types.get(owner) or tables().types.get(f"{prefix}{owner}")
        assert found is not None, owner
        assert name in found[0], (owner, name)


def test_types() -> None:
    """Each kind has a type, and the fields of all types have types that there are."""
    read = tables()
    waiting, seen = list(read.kinds.values()), set()
    unknown = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name in PLAIN:
            continue
        seen.add(name)
        found = read.types.get(name)
        if found is None:
            unknown.add(name)
        else:
            waiting += [one.kind for one in found[0].values()]
    # Types without fields.
    assert all(one.startswith(("Workload", "RawExtension")) for one in unknown), unknown
    assert len(seen) > 400


def test_short() -> None:
    """Built-in types without their package."""
    assert "Probe" == short("io.k8s.api.core.v1.Probe")
    assert "HorizontalPodAutoscaler" == short("autoscaling.v2.HorizontalPodAutoscaler")
    assert "ScaledObject.spec" == short("ScaledObject.spec")


@pytest.mark.skipif(not crds_available(), reason="a checkout on its own has no CRDs")
def test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data file is what the schemas of Kubernetes and the CRDs have."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.delitem(sys.modules, "deployment_fields", raising=False)
    rendered = runpy.run_path(str(TOOLS / "kind_fields.py"))["rendered"](CRDS)
    sys.modules.pop("deployment_fields", None)

    assert rendered == (files("vllm_constructs") / "data" / "kind-fields.json").read_text("utf-8")
