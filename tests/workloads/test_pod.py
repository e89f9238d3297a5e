"""GpuPodSpec: what follows from its facts, and what it refuses."""

import hashlib
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from tests import strategies
from tests.support import quantity
from vllm_constructs import (
    Drain,
    EngineArgs,
    ExistingClaim,
    GpuPodSpec,
    MigSlice,
    Startup,
    TimeSlicedGpu,
    Toleration,
    VirtualGpu,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.engine.command_line_writer import file_options

L4 = WholeGpu("NVIDIA-L4")
MI = 2**20
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


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
def test_parallelism(given_pod: GpuPodSpec) -> None:
    """Tensor, pipeline and data parallel sizes multiply to the GPUs of the pod."""
    options = given_pod.options()

    size = 1
    for name in ("tensor", "pipeline", "data"):
        size *= options.get(f"{name}-parallel-size", 1)
    assert size == given_pod.gpu.count


@pytest.mark.parametrize("gpu", [MigSlice("1g.10gb"), TimeSlicedGpu("NVIDIA-L4"), VirtualGpu()])
@pytest.mark.parametrize("kind", ["tensor", "pipeline", "data"])
def test_parallelism_of_parts(gpu: Any, kind: str) -> None:
    """Parts of a GPU cannot work on one engine."""
    engine = EngineArgs(**{f"{kind}_parallel_size": 3})  # type: ignore[arg-type]  # one of three

    sentence = strategies.refusal(lambda: pod(gpu=gpu, engine=engine))

    assert "asks for 3 GPUs" in sentence
    assert f"{kind} 3" in sentence
    assert type(gpu).__name__ in sentence
    assert "use WholeGpu" in sentence


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_scheduling(given_pod: GpuPodSpec) -> None:
    """The pod runs where its GPU is and where the user wants, and tolerates the taints."""
    spec = strategies.spec_of(given_pod)

    wanted = given_pod.gpu.node_labels | dict(given_pod.node_selector)
    assert spec.get("nodeSelector", {}) == wanted
    assert ("nodeSelector" in spec) is bool(wanted)
    assert spec["tolerations"][0] == TAINT
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
    if given_pod.run_as_root:
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

    config = changed.config()

    assert config is not None
    found = yaml.safe_load(config)
    assert sorted(found) == list(found)
    assert found == file_options(changed.options(), changed.release)
    checksum = hashlib.sha256(config.encode()).hexdigest()
    assert changed.annotations()["vllm-constructs/engine-checksum"] == checksum


def test_checksum() -> None:
    """The checksum changes with the flags, and with nothing else."""
    name = "vllm-constructs/engine-checksum"
    engine = EngineArgs(max_model_len=4096, delivery="config-map", extra={"swap-space": 1})

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
        "vllm-constructs/model": "Qwen/Qwen2.5-7B-Instruct",
    }


def test_served_name() -> None:
    """The name in metrics is the served name, else the model, also where downloads are off."""
    offline = pod(cache=ExistingClaim("weights", access="ReadOnlyMany"))

    assert pod().name_in_metrics == "Qwen/Qwen2.5-7B-Instruct"
    assert "served-model-name" not in pod().options()
    assert pod(served_name="qwen").name_in_metrics == "qwen"
    assert pod(served_name="qwen").options()["served-model-name"] == ["qwen"]
    assert offline.options()["served-model-name"] == ["Qwen/Qwen2.5-7B-Instruct"]
    assert variables(offline.manifest())["HF_HUB_OFFLINE"] == "1"


def test_shared_gpu_memory() -> None:
    """An engine on a shared GPU takes its share of the memory only."""
    derived = pod(gpu=TimeSlicedGpu("NVIDIA-L4", replicas=4)).options()
    given_by_user = EngineArgs(gpu_memory_utilization=0.2)

    assert derived["gpu-memory-utilization"] == 0.22
    shared = pod(gpu=TimeSlicedGpu("NVIDIA-L4", replicas=4), engine=given_by_user)
    assert shared.options()["gpu-memory-utilization"] == 0.2
    assert "gpu-memory-utilization" not in pod().options()


def test_pooling() -> None:
    """A model that streams nothing may be stopped at once."""
    found = pod(engine=EngineArgs(runner="pooling"), drain=Drain(seconds=0))

    assert "shutdown-timeout" not in found.options()
    assert found.manifest()["terminationGracePeriodSeconds"] == 30


def test_toleration() -> None:
    """A toleration matches any value, or one."""
    any_value = {"key": "team", "operator": "Exists", "effect": "NoSchedule"}
    one_value = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}

    assert Toleration(key="team").manifest() == any_value
    assert Toleration(key="team", value="ml", effect="NoExecute").manifest() == one_value


SHARED = TimeSlicedGpu("NVIDIA-L4", replicas=4)
TWO = WholeGpu("NVIDIA-L4", count=2)

REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: pod(model="a b"), ("model is 'a b'", "Qwen/Qwen2.5-7B-Instruct")),
    (lambda: pod(model="-x"), ("'-x'", "Hugging Face id")),
    (lambda: pod(served_name=""), ("served_name is ''", "253 letters")),
    (lambda: pod(served_name="a" * 254), ("253 letters",)),
    (lambda: pod(served_name='a"b'), ('a"b', "253 letters")),
    (lambda: pod(gpu="NVIDIA-L4"), ("gpu is 'NVIDIA-L4'", "a WholeGpu, MigSlice")),
    (lambda: pod(engine={}), ("engine is {}", "EngineArgs(...)")),
    (lambda: pod(cache="weights"), ("cache is 'weights'", "ExistingClaim")),
    (lambda: pod(startup=15), ("startup is 15", "Startup(minutes=...)")),
    (lambda: pod(drain=90), ("drain is 90", "Drain(seconds=...)")),
    (lambda: pod(image="vllm/vllm-openai"), ("'vllm/vllm-openai'", "tag or digest", "v0.33.0")),
    (lambda: pod(port=80), ("port is 80", "from 1024 to 65535")),
    (lambda: pod(port="http"), ("port is 'http'", "whole number")),
    (lambda: pod(longest_answer="300s"), ("'300s'", "seconds", "leave the unit out")),
    (lambda: pod(run_as_root=1), ("run_as_root is 1", "True or False")),
    (lambda: pod(drain=Drain(seconds=0)), ("Drain.seconds is 0", "streamed", "pooling")),
    (lambda: pod(memory="10GB"), ("memory is '10GB'", "'64Gi'", "write '10Gi'")),
    (lambda: pod(memory="64 Gi"), ("'64 Gi'", "write '64Gi'")),
    (lambda: pod(memory=("8Gi", "4Gi")), ("'8Gi'", "limit of '4Gi'", "not be above")),
    (lambda: pod(memory=("8Gi",)), ("('8Gi',)", "(request, limit)")),
    (lambda: pod(memory=64), ("memory is 64", "(request, limit)")),
    (lambda: pod(cpu=("8", "4000m")), ("'8'", "limit of '4000m'")),
    (lambda: pod(cpu="0.1m"), ("cpu is '0.1m'", "'500m'")),
    (lambda: pod(cpu=(1, 2)), ("cpu is 1", "cores as a text")),
    (lambda: pod(shared_memory="32Gi"), ("'32Gi'", "memory limit '32Gi'", "raise memory")),
    (lambda: pod(memory="512Mi"), ("shared_memory is '1Gi'", "memory limit '512Mi'")),
    (lambda: pod(shared_memory="64Mi"), ("'64Mi'", "1 GPU", "at least '424Mi'")),
    (lambda: pod(gpu=TWO, shared_memory="1Gi"), ("'1Gi'", "2 GPU", "at least '1176Mi'")),
    (lambda: pod(shared_memory="16GB"), ("'16GB'", "write '16Gi'")),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(tensor_parallel_size=4)),
        ("asks for 4 GPUs (tensor 4 x pipeline 1 x data 1)", "has 2", "count=4"),
    ),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(tensor_parallel_size=1)),
        ("asks for 1 GPUs (tensor 1 x pipeline 1 x data 1)", "has 2", "use them all"),
    ),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(pipeline_parallel_size=3)),
        ("asks for 3", "has 2", "leave"),
    ),
    (
        lambda: pod(gpu=SHARED, engine=EngineArgs(gpu_memory_utilization=0.25)),
        ("gpu_memory_utilization is 0.25", "4 pods", "below 0.25"),
    ),
    (lambda: pod(env={"A-B": "c"}), ("'A-B'", "a variable of letters")),
    (lambda: pod(env={"A": 1}), ("env['A'] is 1", "quote numbers")),
    (lambda: pod(env=["A=b"]), ("env is ['A=b']", "a dict of texts")),
    (lambda: pod(env={"VLLM_PORT": "1"}), ("VLLM_PORT", "port= is that", "leave it out")),
    (lambda: pod(env={"HOME": "/x"}), ("HOME", "leave it out")),
    (lambda: pod(env={"VLLM_USE_DEEP_GEMM": "true"}), ("='true'", "boolean", "'1' or '0'")),
    (lambda: pod(memory="64"), ("memory is '64'", "write '64Gi'")),
    (lambda: pod(image="vllm/vllm-openai:0.33.0"), ("begin with 'v'", "'v0.33.0'")),
    (
        lambda: pod(node_selector={"nvidia.com/gpu.product": "NVIDIA-L4"}),
        ("'nvidia.com/gpu.product'", "gpu= derives", "leave it out"),
    ),
    (lambda: pod(node_selector={"a b": "c"}), ("'a b'", "a key such as 'team'")),
    (lambda: pod(node_selector={"a": "c d"}), ("node_selector['a'] is 'c d'", "at most 63")),
    (lambda: pod(tolerations="nvidia"), ("'nvidia'", "a list of Toleration(...)")),
    (lambda: pod(tolerations=[TAINT]), ("nvidia.com/gpu", "a list of Toleration(...)")),
    (lambda: pod(priority_class="High"), ("priority_class is 'High'", "'high'")),
    (lambda: pod(runtime_class=""), ("runtime_class is ''", "lower-case")),
    (lambda: pod(service_account="a" * 254), ("253",)),
    (lambda: pod(image_pull_secrets="registry"), ("'registry'", "a list of names of Secrets")),
    (lambda: pod(image_pull_secrets=["A"]), ("'A'", "lower-case")),
    (lambda: pod(pod_annotations={"a/b/c": ""}), ("'a/b/c'", "a key such as 'team'")),
    (lambda: pod(pod_annotations={"a": True}), ("pod_annotations['a'] is True", "quote")),
    (lambda: pod().manifest(config_map="x"), ("config_map is 'x'", "delivery='args'")),
    (
        lambda: pod(engine=EngineArgs(delivery="config-map")).manifest(),
        ("config_map is None", "delivery='config-map'"),
    ),
    (
        lambda: pod(engine=EngineArgs(delivery="config-map")).manifest(config_map="A_b"),
        ("config_map is 'A_b'", "'a-b'"),
    ),
    (lambda: pod().manifest(kubernetes="1.34"), ("kubernetes is '1.34'", "Kubernetes('1.34')")),  # type: ignore[arg-type]  # the mistake
    (lambda: Toleration(key="a b"), ("Toleration.key is 'a b'", "'team'")),
    (lambda: Toleration(key="a", value="b c"), ("'b c'", "63")),
    (lambda: Toleration(key="a", effect="Never"), ("'Never'", "'NoExecute'")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is refused with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    "fields",
    [
        {"hf_token": "hf_abcdefghijklmnopqrstuvwxyz"},
        {"api_key": "sk-Secret-0123456789"},
        {"env": {"HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz"}},
        {"env": {"VLLM_API_KEY": "sk-Secret-0123456789"}},
    ],
)
def test_secrets(fields: dict[str, Any]) -> None:
    """A secret that is given in clear is refused and never repeated."""
    sentence = strategies.refusal(lambda: pod(**fields))

    assert "hf_abc" not in sentence
    assert "sk-" not in sentence


def test_frozen() -> None:
    """A pod cannot be changed after it was checked, and takes its facts by name."""
    with pytest.raises(FrozenInstanceError):
        pod().port = 1  # type: ignore[misc]  # the point
    with pytest.raises(TypeError):
        GpuPodSpec("gpt2", L4)  # type: ignore[call-arg]  # the point


def test_no_drain() -> None:
    """A release that cannot drain is warned about, and is not given a flag that it lacks."""
    image = "vllm/vllm-openai:v0.16.0"
    with pytest.warns(VllmConstructsWarning, match="no --shutdown-timeout"):
        pod = GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S"), image=image)

    assert "shutdown-timeout" not in pod.options()
