"""Which manifests a model has, and which depend on the other constructs of an app."""

import dataclasses
from typing import Any

import pytest

from tests.cdk.samples import GPU, MODEL, Manifest
from vllm_constructs import EngineArgs, GpuPodSpec, Kubernetes, Rollout
from vllm_constructs.cdk.links import LinkedFacts
from vllm_constructs.cdk.model_objects import ModelObjects
from vllm_constructs.kube.peers import from_namespace
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads.service import ServiceOptions
from vllm_constructs.workloads.workload import Workload

SCALER = Replicas(scaler="KedaScaler", minimum=1, maximum=3)
FACTS: dict[str, Any] = {
    "scaler": SCALER,
    "is_plus_scaled": True,
    "is_measured": True,
    "job": "llm/qwen",
    "root_path": "/qwen",
    "peers": (from_namespace("monitoring"),),
    "service_annotations": {"example.com/a": "b"},
    "budget": ("DisruptionBudget 'qwen'", None),
}


def objects(allow_from: tuple[str, ...] | None = (), **engine: Any) -> ModelObjects:
    """The objects of a model."""
    return ModelObjects(
        workload=Workload(name="qwen"),
        service_name="qwen-api",
        service_options=ServiceOptions(),
        pod=GpuPodSpec(model=MODEL, gpu=GPU, engine=EngineArgs(**engine)),
        replicas=2,
        rollout=Rollout(),
        labels={"team": "search"},
        annotations={"example.com/a": "b"},
        kubernetes=Kubernetes(),
        allow_from=None if allow_from is None else [from_namespace(one) for one in allow_from],
        allow_to=[],
        weights=None,
    )


def test_order() -> None:
    """What pods need stands before what needs pods."""
    assert ["engine", "Default", "service", "network-policy"] == list(
        objects(delivery="config-map", max_model_len=4096).all(LinkedFacts())
    )
    assert ["Default", "service"] == list(objects(allow_from=None).all(LinkedFacts()))


def test_names() -> None:
    """Each object has its own name, and the pods find the ConfigMap by its."""
    made = objects(delivery="config-map", max_model_len=4096).all(LinkedFacts())
    assert ["qwen-engine", "qwen", "qwen-api", "qwen"] == [
        item["metadata"]["name"] for item in made.values()
    ]
    volumes = made["Default"]["spec"]["template"]["spec"]["volumes"]
    assert "qwen-engine" in [item.get("configMap", {}).get("name") for item in volumes]


def without(fact: str) -> LinkedFacts:
    """All facts but one, which has its default."""
    return LinkedFacts(**{name: value for name, value in FACTS.items() if name != fact})


def test_facts() -> None:
    """The list of facts is complete."""
    assert set(FACTS) == {field.name for field in dataclasses.fields(LinkedFacts)}


@pytest.mark.parametrize("allow_from", [(), None])
@pytest.mark.parametrize("fact", FACTS)
def test_changed(fact: str, allow_from: tuple[str, ...] | None) -> None:
    """What is made again after a change of a fact is what differs by it, and nothing else."""
    made = objects(allow_from=allow_from)
    before, after = without(fact), LinkedFacts(**FACTS)
    changed = made.changed(after, {fact})
    if fact == "service_annotations":
        assert {"service": {"metadata": {"annotations": {"example.com/a": "b"}}}} == changed
        return
    old: dict[str, Manifest] = made.all(before)
    new: dict[str, Manifest] = made.all(after)
    assert {id: new[id] for id in new if old[id] != new[id]} == changed
