"""HPA: valid everywhere, paced by the load time, for a workload of any kind."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, quantity
from vllm_constructs import CpuUtilization, QueueDepth, ScalingPace
from vllm_constructs.scaling import hpa
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads.workload import Workload, WorkloadKind

STATEFUL_SET = WorkloadKind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    pod_template=("spec", "template"),
    replicas=("spec", "replicas"),
    replicas_series="kube_statefulset_replicas",
    series_label="statefulset",
    pod_names="{}-[0-9]+".format,
)


@st.composite
def ranges(draw: st.DrawFn) -> Replicas:
    """Ranges of replicas."""
    low = draw(st.integers(1, 20))
    return Replicas(scaler="HpaScaler", minimum=low, maximum=draw(st.integers(low, 1000)))


def autoscaler(**fields: Any) -> strategies.Manifest:
    """Return a HorizontalPodAutoscaler with these fields."""
    given_fields = {
        "name": "qwen",
        "target": Workload(name="qwen"),
        "replicas": Replicas(scaler="HpaScaler", minimum=1, maximum=2),
        "triggers": [QueueDepth(5)],
        "pace": ScalingPace(),
        "startup": 900,
        **fields,
    }
    return strategies.in_namespace(hpa.manifest(**given_fields))


@settings(max_examples=60, deadline=None)
@given(
    name=strategies.names(),
    replicas=ranges(),
    triggers=strategies.hpa_triggers(),
    pace=strategies.paces(),
    startup=strategies.startups(),
)
def test_hpa(
    *, name: str, replicas: Replicas, triggers: list[Any], pace: ScalingPace, startup: Any
) -> None:
    """An HPA is valid in all releases and reads each metric by the adapter's name."""
    found = autoscaler(
        name=name,
        target=Workload(name=name),
        replicas=replicas,
        triggers=triggers,
        pace=pace,
        startup=startup.budget,
    )

    assert_valid(found)
    assert strategies.is_plain(found)
    spec = found["spec"]
    assert (replicas.minimum, replicas.maximum) == (spec["minReplicas"], spec["maxReplicas"])
    assert {"apiVersion": "apps/v1", "kind": "Deployment", "name": name} == spec["scaleTargetRef"]
    assert pace.behavior(startup.budget) == spec["behavior"]
    assert len(triggers) == len(spec["metrics"])
    for entry, trigger in zip(spec["metrics"], triggers, strict=True):
        if isinstance(trigger, CpuUtilization):
            target = {"type": "Utilization", "averageUtilization": trigger.percent}
            assert {"type": "Resource", "resource": {"name": "cpu", "target": target}} == entry
        else:
            target = entry["pods"]["target"]
            assert "Pods" == entry["type"]
            assert {"name": trigger.metric.adapter_name} == entry["pods"]["metric"]
            assert "AverageValue" == target["type"]
            assert float(quantity(target["averageValue"])) == pytest.approx(
                trigger.threshold, rel=0.5 if trigger.threshold < 0.01 else 0.05
            )


def test_kind_of_workload() -> None:
    """An HPA scales whatever kind of workload runs the pods."""
    found = autoscaler(target=Workload(name="qwen", kind=STATEFUL_SET))

    expected = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "qwen"}
    assert expected == found["spec"]["scaleTargetRef"]
    assert_valid(found)
    # Nothing else is of the kind.
    found["spec"]["scaleTargetRef"]["kind"] = "Deployment"
    assert autoscaler() == found


def test_name() -> None:
    """A name that Kubernetes does not take is rejected with one that it does."""
    sentence = strategies.refusal(lambda: autoscaler(name="A"))

    assert "HpaScaler.name is 'A'" in sentence
    assert "'a'" in sentence
