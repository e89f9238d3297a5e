"""Overlay: what a user adds to a Deployment, and what may not contradict it."""

import json
import runpy
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import GpuPodSpec, Kubernetes, Rollout, VllmConstructsError, WholeGpu
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.overlay import merged
from vllm_constructs.workloads.workload import Workload


def made(target: str = "1.27") -> strategies.Manifest:
    """Return a small Deployment."""
    return deployment.manifest(
        workload=Workload(name="qwen"),
        pod=GpuPodSpec(model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L4")),
        replicas=1,
        rollout=Rollout(),
        labels={},
        annotations={},
        kubernetes=Kubernetes(target),
        config_map_name=None,
        scrape_hints=True,
        root_path=None,
    )


def with_pod(pod: dict[str, Any]) -> dict[str, Any]:
    """Return an overlay of the pod."""
    return {"spec": {"template": {"spec": pod}}}


def with_container(container: dict[str, Any]) -> dict[str, Any]:
    """Return an overlay of the engine's container."""
    return with_pod({"containers": [{"name": "vllm", **container}]})


def merge(overlay: Any, target: str = "1.27") -> dict[str, Any]:
    """Return the Deployment with an overlay, which is valid for the target."""
    found = merged(made(target), overlay, Kubernetes(target))
    assert validate(strategies.in_namespace(found), releases=[target]) == []
    assert strategies.is_plain(found)
    return found


def test_added() -> None:
    """Fields, variables, volumes and containers come to those that there are."""
    before = made()["spec"]["template"]["spec"]
    found = merge(
        {
            "metadata": {"annotations": {"example.com/owner": "search"}},
            "spec": {
                "revisionHistoryLimit": 3,
                "template": {
                    "spec": {
                        "setHostnameAsFQDN": True,
                        "containers": [
                            {"name": "vllm", "stdin": True, "env": [{"name": "X", "value": "1"}]},
                            {"name": "side", "image": "busybox:1.37.0"},
                        ],
                        "volumes": [{"name": "extra", "emptyDir": {}}],
                    }
                },
            },
        }
    )
    pod = found["spec"]["template"]["spec"]
    engine, side = pod["containers"]

    assert 3 == found["spec"]["revisionHistoryLimit"]
    assert {"example.com/owner": "search"} == found["metadata"]["annotations"]
    assert [*before["containers"][0]["env"], {"name": "X", "value": "1"}] == engine["env"]
    assert engine["stdin"] is True
    assert before["containers"][0]["args"] == engine["args"]
    assert {"name": "side", "image": "busybox:1.37.0"} == side
    assert [*before["volumes"], {"name": "extra", "emptyDir": {}}] == pod["volumes"]


def test_same() -> None:
    """What the manifest has already changes nothing."""
    pod = made()["spec"]["template"]["spec"]
    overlay = {"metadata": {"name": "qwen"}, "spec": {"template": {"spec": pod}}}

    assert made() == merge(overlay)


def test_unchanged() -> None:
    """The manifest that is given stays as it is."""
    before = made()
    text = json.dumps(before)
    merged(before, with_container({"env": [{"name": "X", "value": "1"}]}), Kubernetes())

    assert text == json.dumps(before)


REFUSED: list[tuple[Any, tuple[str, ...]]] = [
    ({"spec": {"replicas": 3}}, ("spec.replicas", "give replicas")),
    ({"spec": {"selector": {}}}, ("spec.selector", "immutable")),
    ({"metadata": {"name": "x"}}, ("metadata.name is 'x'", "sets 'qwen'")),
    ({"kind": "Job"}, ("overlay is", "'spec' or 'metadata'")),
    ([], ("overlay is []",)),
    ({"spec": {"paused": None}}, ("spec.paused is None",)),
    ({"spec": {"strategy": {"type": "Recreate"}}}, ("strategy.type", "give rollout")),
    (with_pod({"contaners": []}), ("contaners", "a PodSpec", "did you mean 'containers'?")),
    (with_pod({"terminationGracePeriodSeconds": 5}), ("is 5", "sets 330", "give drain")),
    (with_pod({"terminationGracePeriodSeconds": None}), ("is None", "sets 330")),
    (with_pod({"hostIPC": "yes"}), ("hostIPC is 'yes'", "a boolean")),
    (with_pod({"priority": True}), ("priority is True", "an integer")),
    (with_pod({"priority": "1"}), ("priority is '1'", "an integer")),
    (with_pod({"nodeSelector": {"a": 1}}), ("nodeSelector.a is 1", "a string")),
    (with_pod({"nodeSelector": {"nvidia.com/gpu.product": "x"}}), ("sets 'NVIDIA-L4'",)),
    (with_pod({"tolerations": []}), ("tolerations is []", "give tolerations")),
    (with_pod({"containers": {}}), ("containers is {}", "a list")),
    (with_pod({"containers": [{"tty": True}]}), ("a dict with 'name'",)),
    (with_pod({"containers": [{"name": "vlm"}]}), ("in no container", "did you mean 'vllm'?")),
    (with_pod({"hostnameOverride": "x"}), ("since 1.34", "Kubernetes('1.34').set_on(app)")),
    (with_pod({"volumes": [{"name": "shm", "hostPath": {"path": "/x"}}]}), ("[name='shm']",)),
    (with_container({"args": ["x"]}), ("args is ['x']", "give engine")),
    (with_container({"image": "x"}), ("image is 'x'", "give image")),
    (with_container({"env": [{"name": "HOME", "value": "/x"}]}), ("(not shown)", "leave it out")),
    (with_container({"env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}), ("a credential",)),
    (with_container({"env": [{"name": "CUDA_VISIBLE_DEVICES", "value": "0"}]}), ("leave it out",)),
    (with_container({"env": [{"name": "A", "value": ["hunter2"]}]}), ("type list (not shown)",)),
    ({"metadata": {"namespace": "other"}}, ("metadata.namespace",)),
    (
        {"spec": {"template": {"metadata": {"annotations": {"prometheus.io/scrape": "true"}}}}},
        ("prometheus.io/scrape", "is set by this library"),
    ),
    (with_pod({"shareProcessNamespace": True}), ("process 1", "leave it out")),
    (with_pod({"restartPolicy": "Never"}), ("is always 'Always'",)),
    (with_pod({"priority": float("nan")}), ("an integer",)),
    (
        with_container({"resources": {"limits": {"example.com/a": float("nan")}}}),
        ("a number or a quantity",),
    ),
    (
        with_container({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}),
        ("give drain",),
    ),
    (
        with_container({"env": [{"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
        ("env[name='HOME']",),
    ),
    (with_container({"env": [{"name": "A", "value": "hf_abcdefghijklmn"}]}), ("credential",)),
    (with_container({"resources": {"limits": {"nvidia.com/gpu": "2"}}}), ("give gpu",)),
    (with_container({"livenessProbe": {"periodSeconds": 3}}), ("give probes",)),
]


@pytest.mark.parametrize(("overlay", "words"), REFUSED)
def test_refusals(overlay: Any, words: tuple[str, ...]) -> None:
    """What Kubernetes does not have, and what contradicts the manifest, is rejected."""
    sentence = strategies.refusal(lambda: merged(made(), overlay, Kubernetes()))

    assert sentence.startswith("overlay ")
    assert all(word in sentence for word in words), sentence
    assert "hf_abc" not in sentence
    assert "hunter2" not in sentence


def test_newer_target() -> None:
    """A field of the target release is added."""
    found = merge(with_pod({"hostnameOverride": "x"}), "1.34")

    assert "x" == found["spec"]["template"]["spec"]["hostnameOverride"]


@settings(max_examples=100, deadline=None)
@given(strategies.garbage())
def test_garbage(found: Any) -> None:
    """Anything at all is merged into plain values, or rejected."""
    for overlay in (found, {"spec": found}, with_pod(found), with_container({"env": found})):
        with suppress(VllmConstructsError):
            assert strategies.is_plain(merged(made(), overlay, Kubernetes()))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text("xyz", max_size=3)))
def test_order(found: dict[str, str]) -> None:
    """Fields in another order give the same bytes."""
    entries = [{"name": name, "value": value} for name, value in found.items()]
    overlay = with_container({"env": sorted(entries, key=str)})

    assert json.dumps(merge(overlay)) == json.dumps(merge(overlay))


def test_data() -> None:
    """The data file is what the schemas of Kubernetes have."""
    path = Path(__file__).parents[2] / "tools" / "deployment_fields.py"
    rendered = runpy.run_path(str(path))["rendered"]()
    known = json.loads(rendered)

    assert rendered == (files("vllm_constructs") / "data" / "deployment-fields.json").read_text()
    assert {"template", "strategy", "selector", "paused"} <= set(known["DeploymentSpec"])
    assert ["string", 34] == known["PodSpec"]["hostnameOverride"]
    assert "[Container]" == known["PodSpec"]["containers"]
