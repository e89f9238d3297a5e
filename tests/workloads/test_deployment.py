"""Deployment: valid for its target and all later releases, and true to the pod's facts."""

import json
from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import pod_security_problems, validate
from vllm_constructs import GpuPodSpec, Kubernetes, Rollout, Startup, WholeGpu
from vllm_constructs.kube import names
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.workload import Workload


def deployed(
    pod: GpuPodSpec,
    *,
    name: str = "qwen",
    replicas: int | None = 1,
    rollout: Rollout | None = None,
    target: Kubernetes | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    scrape_hints: bool = True,
) -> strategies.Manifest:
    """Return the Deployment of a pod."""
    config = pod.config_map(f"{name}-engine")
    return deployment.manifest(
        workload=Workload(name=name),
        pod=pod,
        replicas=replicas,
        rollout=rollout or Rollout(),
        labels=names.label_map("labels", labels or {}),
        annotations=names.annotation_map("annotations", annotations or {}),
        kubernetes=target or Kubernetes(),
        config_map_name=None if config is None else config["metadata"]["name"],
        scrape_hints=scrape_hints,
        root_path=None,
    )


@settings(max_examples=80, deadline=None)
@given(
    pod=strategies.pods(),
    target=strategies.kubernetes(),
    rollout=strategies.rollouts(),
    labels=strategies.labels(),
    annotations=strategies.annotations(),
    replicas=st.one_of(st.none(), st.integers(1, 1000)),
)
def test_validity(
    *,
    pod: GpuPodSpec,
    target: Kubernetes,
    rollout: Rollout,
    labels: dict[str, str],
    annotations: dict[str, str],
    replicas: int | None,
) -> None:
    """A Deployment for a target is valid in it and in every later release."""
    found = deployed(
        pod,
        target=target,
        rollout=rollout,
        labels=labels,
        annotations=annotations,
        replicas=replicas,
    )

    assert strategies.is_plain(found)
    assert validate(strategies.in_namespace(found), releases=strategies.covered(target)) == []
    # A scaler decides about what is left out.
    assert ("replicas" in found["spec"]) is (replicas is not None)
    assert replicas == found["spec"].get("replicas")


@settings(max_examples=50, deadline=None)
@given(strategies.pods(), strategies.kubernetes())
def test_pod_security(pod: GpuPodSpec, target: Kubernetes) -> None:
    """The pod passes Pod Security "restricted", unless root is asked for."""
    found = deployed(pod, target=target)["spec"]["template"]["spec"]

    problems = pod_security_problems(found)

    assert bool(problems) is pod.security.is_root
    if pod.security.is_root:
        assert all("runAs" in problem for problem in problems), problems


@settings(max_examples=80, deadline=None)
@given(strategies.startups())
def test_progress_deadline(startup: Startup) -> None:
    """A rollout is not given up while a pod may still be loading."""
    pod = GpuPodSpec(model="gpt2", gpu=WholeGpu("NVIDIA-L4"), startup=startup)

    spec = deployed(pod)["spec"]

    probe = spec["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) >= startup.total
    assert spec["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]


@settings(max_examples=120, deadline=None)
@given(strategies.whole_gpus(), strategies.caches(), st.integers(0, 20))
def test_strategy(gpu: WholeGpu, cache: Any, spare: int) -> None:
    """The strategy follows from the spare GPUs, the pod's GPUs and whether the cache is shared."""
    pod = GpuPodSpec(model="gpt2", gpu=gpu, cache=cache)

    strategy = deployed(pod, rollout=Rollout(spare_gpus=spare))["spec"]["strategy"]

    if not cache.can_be_shared:
        assert strategy == {"type": "Recreate"}
    elif spare >= gpu.count:
        assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    else:
        assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@settings(max_examples=60, deadline=None)
@given(strategies.labels(), strategies.names())
def test_selector(labels: dict[str, str], name: str) -> None:
    """The user's labels reach object and pods, but never the selector, which cannot change."""
    pod = GpuPodSpec(model="gpt2", gpu=WholeGpu("NVIDIA-L4"))

    found = deployed(pod, name=name, labels=labels)

    selects = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": name}
    spec = found["spec"]
    spread = spec["template"]["spec"]["topologySpreadConstraints"][0]
    assert spec["selector"] == {"matchLabels": selects}
    assert spread["labelSelector"] == {"matchLabels": selects}
    assert found["metadata"]["labels"] == labels | selects
    assert spec["template"]["metadata"]["labels"] == labels | selects


@settings(max_examples=60, deadline=None)
@given(strategies.pods(), strategies.names(40))
def test_config_map(pod: GpuPodSpec, name: str) -> None:
    """Flags in a ConfigMap are mounted where vLLM is told to read them."""
    config = pod.config_map(f"{name}-engine")
    container = deployed(pod, name=name)["spec"]["template"]["spec"]

    assert (config is None) is (pod.engine.delivery == "args")
    if config is not None:
        assert validate(strategies.in_namespace(config)) == []
        volumes = {one["name"]: one for one in container["volumes"]}
        mounts = {one["name"]: one for one in container["containers"][0]["volumeMounts"]}
        assert volumes["engine"]["configMap"]["name"] == config["metadata"]["name"]
        path = mounts["engine"]["mountPath"]
        assert mounts["engine"]["subPath"] == next(iter(config["data"]))
        assert container["containers"][0]["args"] == [pod.model, "--config", path]


@settings(max_examples=60, deadline=None)
@given(strategies.pods(), strategies.labels(), strategies.annotations())
def test_determinism(pod: GpuPodSpec, labels: dict[str, str], annotations: dict[str, str]) -> None:
    """The same facts in another order give the same bytes."""
    given_ = {one.name: getattr(pod, one.name) for one in fields(pod)}
    for name in ("env", "node_selector", "pod_annotations"):
        given_[name] = strategies.shuffled(given_[name])
    engine = {one.name: getattr(pod.engine, one.name) for one in fields(pod.engine)}
    engine["extra"] = strategies.shuffled(engine["extra"])
    if engine["hf_overrides"] is not None:
        engine["hf_overrides"] = strategies.shuffled(engine["hf_overrides"])
    given_["engine"] = type(pod.engine)(**engine)

    one = deployed(pod, labels=labels, annotations=annotations)
    other = deployed(
        GpuPodSpec(**given_),
        labels=strategies.shuffled(labels),
        annotations=strategies.shuffled(annotations),
    )

    assert json.dumps(one) == json.dumps(other)
