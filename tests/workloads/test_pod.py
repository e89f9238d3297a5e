"""GpuPodSpec: the pod that follows from its facts."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from tests import strategies
from tests.support import quantity
from vllm_constructs import EngineArgs, GpuPodSpec, Startup, WholeGpu
from vllm_constructs.engine.command_line_writer import file_options
from vllm_constructs.workloads import files

L4 = WholeGpu("NVIDIA-L4")
MI = 2**20


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": L4, **fields})


def variables(spec: strategies.Manifest) -> dict[str, str]:
    """Return the variables of the engine that have a value."""
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"] if "value" in one}


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_shared_memory(given_pod: GpuPodSpec) -> None:
    """`/dev/shm` holds the workers' queues and NCCL's segments, and stays below the limit."""
    spec = strategies.spec_of(given_pod)
    container = spec["containers"][0]
    shm = next(one for one in spec["volumes"] if one["name"] == "shm")["emptyDir"]
    mount = next(one for one in container["volumeMounts"] if one["name"] == "shm")
    size, gpus = quantity(shm["sizeLimit"]), given_pod.gpu.count
    queues = (160 + 240 * gpus + 24) * MI

    assert mount["mountPath"] == "/dev/shm"  # noqa: S108  # not a temporary file
    assert shm["medium"] == "Memory"
    assert size >= queues
    assert gpus == 1 or size > queues
    assert size < quantity(container["resources"]["limits"]["memory"])


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_scheduling(given_pod: GpuPodSpec) -> None:
    """The pod runs where its GPU is and where the user wants, and tolerates the taints."""
    spec = strategies.spec_of(given_pod)

    wanted = given_pod.gpu.node_labels | dict(given_pod.node_selector)
    assert spec.get("nodeSelector", {}) == wanted
    assert ("nodeSelector" in spec) is bool(wanted)
    assert spec["tolerations"][:1] == given_pod.gpu.tolerations
    assert len(spec["tolerations"]) == 1 + len(given_pod.tolerations)
    assert spec.get("priorityClassName") == given_pod.priority_class
    assert spec.get("runtimeClassName") == given_pod.runtime_class
    assert spec.get("serviceAccountName") == given_pod.service_account
    secrets = [{"name": name} for name in given_pod.image_pull_secrets]
    assert spec.get("imagePullSecrets", []) == secrets


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_user(given_pod: GpuPodSpec) -> None:
    """The user of the image's group 0 has a home and a cache to write to, and no token."""
    spec = strategies.spec_of(given_pod)
    container, context = spec["containers"][0], spec["securityContext"]
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    volumes = {one["name"] for one in spec["volumes"]}
    found = variables(spec)

    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert {one["name"] for one in container["volumeMounts"]} == volumes
    cache = mounts[found["HF_HOME"]]
    assert cache.get("readOnly", False) is given_pod.cache.is_read_only
    if given_pod.security.is_root:
        assert context["runAsUser"] == 0
        assert "HOME" not in found
    else:
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (2000, 0, 0)
        assert context["runAsNonRoot"] is True
        assert "readOnly" not in mounts[found["HOME"]]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container["securityContext"]
    assert own == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_config(given_pod: GpuPodSpec) -> None:
    """The file says the same as the arguments would, and its checksum is in the pod's template."""
    changed = replace(given_pod, engine=replace(given_pod.engine, delivery="config-map"))

    (path, config), *others = changed.config_files().items()

    assert (path, others) == ("/etc/vllm/engine.yaml", [])
    found = yaml.safe_load(config)
    assert sorted(found) == list(found)
    assert found == file_options(changed.options(), changed.release)
    checksum = files.checksum({path: config})
    assert changed.annotations()["vllm-constructs.dev/engine-checksum"] == checksum


def test_checksum() -> None:
    """The checksum changes with the flags, and with nothing else."""
    name = "vllm-constructs.dev/engine-checksum"
    engine = EngineArgs(
        max_model_len=4096, delivery="config-map", extra={"max-num-partial-prefills": 1}
    )

    def checksum(**fields: Any) -> str:
        return pod(engine=engine, image="vllm/vllm-openai:v0.20.0", **fields).annotations()[name]

    same = checksum()
    assert same == checksum(cpu="8", env={"A": "b"}, startup=Startup(minutes=40))
    other = replace(engine, max_model_len=4097)
    assert same != pod(engine=other, image="vllm/vllm-openai:v0.20.0").annotations()[name]
    assert same != checksum(served_name="qwen")
    assert name not in pod().annotations()


def test_annotations() -> None:
    """The template says the model and where its metrics are; the user's annotations come last."""
    found = pod(port=9000, pod_annotations={"team": "ml"}).annotations()

    assert found == {
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": "9000",
        "prometheus.io/scrape": "true",
        "team": "ml",
        "vllm-constructs.dev/model": "Qwen/Qwen2.5-7B-Instruct",
    }
    assert pod(pod_annotations={"team": "ml"}).annotations(scrape_hints=False) == {
        "team": "ml",
        "vllm-constructs.dev/model": "Qwen/Qwen2.5-7B-Instruct",
    }


def test_root_path() -> None:
    """Below a path the API is served as it is without, and the engine learns of it last."""
    plain, below = (
        pod().manifest(root_path=path)["containers"][0]["args"] for path in (None, "/qwen")
    )

    assert below == [*plain, "--root-path=/qwen"]


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (
        lambda: pod().manifest(config_map="x"),
        ("config_map is 'x'", "EngineArgs(delivery='config-map')", "leave it out"),
    ),
    (
        lambda: pod(engine=EngineArgs(delivery="config-map")).manifest(),
        ("config_map is missing", "the pod has files", "config_map(name)"),
    ),
    (
        lambda: pod(engine=EngineArgs(delivery="config-map")).manifest(config_map="A_b"),
        ("config_map is 'A_b'", "'a-b'"),
    ),
    (lambda: pod().manifest(kubernetes="1.34"), ("kubernetes is '1.34'", "Kubernetes('1.34')")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
