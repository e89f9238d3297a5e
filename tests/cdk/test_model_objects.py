"""Which manifests a model has, and which depend on the other constructs of an app."""

import dataclasses
from typing import Any

import pytest

from tests.cdk.samples import GPU, MODEL, Manifest
from vllm_constructs import EngineArgs, GpuPodSpec, Kubernetes, Rollout, VllmConstructsError
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


def objects(
    allow_from: tuple[str, ...] | None = (),
    *,
    options: ServiceOptions | None = None,
    **engine: Any,
) -> ModelObjects:
    """The objects of a model."""
    return ModelObjects(
        workload=Workload(name="qwen"),
        service_name="qwen-api",
        service_options=ServiceOptions() if options is None else options,
        pod=GpuPodSpec(model=MODEL, gpu=GPU, engine=EngineArgs(**engine)),
        replicas=2,
        rollout=Rollout(),
        labels={"team": "search"},
        annotations={"example.com/wave": "2"},
        plan_annotations={"example.com/plan": "x"},
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


def test_marks() -> None:
    """Labels and annotations are on all objects, and those of the Service are kept."""
    options = ServiceOptions(labels={"team": "web"}, annotations={"example.com/wave": "3"})
    made = objects(options=options, delivery="config-map").all(LinkedFacts())
    assert {"engine", "Default", "service", "network-policy"} == set(made)
    for id, item in made.items():
        metadata = item["metadata"]
        is_service = id == "service"
        assert ("web" if is_service else "search") == metadata["labels"]["team"]
        assert ("3" if is_service else "2") == metadata["annotations"]["example.com/wave"]
        assert (id == "Default") == ("example.com/plan" in metadata["annotations"])


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("example.com/wave", r"annotations\['example.com/wave'\]"),
        ("example.com/lb", r"ServiceOptions\.annotations\['example.com/lb'\]"),
    ],
)
def test_annotation_of_ingress(key: str, where: str) -> None:
    """An annotation that an ingress sets on the Service is not the user's to set."""
    made = objects(options=ServiceOptions(annotations={"example.com/lb": "internal"}))
    facts = LinkedFacts(service_annotations={key: "x"})
    with pytest.raises(VllmConstructsError, match=f"^{where} is set by the ingress of the model"):
        made.changed(facts, {"service_annotations"})


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
