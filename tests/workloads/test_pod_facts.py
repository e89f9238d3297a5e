"""PodFacts: what follows from the options of a pod, and what is rejected."""

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, dataclass, replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import (
    Drain,
    EngineArgs,
    EphemeralCache,
    ExistingClaim,
    GpuPodSpec,
    MigSlice,
    PodOptions,
    Startup,
    TimeSlicedGpu,
    Toleration,
    VirtualGpu,
    VllmConstructsError,
    VllmConstructsWarning,
    WholeGpu,
)

L4 = WholeGpu("NVIDIA-L4")
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": L4, **fields})


def variables(spec: strategies.Manifest) -> dict[str, str]:
    """Return the variables of the engine that have a value."""
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"] if "value" in one}


def test_defaults() -> None:
    """None is the default of every option, and each default is what its documentation says."""
    others = {name: None for name in PodOptions.__annotations__ if name not in ("model", "gpu")}
    found = pod()

    assert found == pod(**others)
    assert (8000, 300, False) == (found.port, found.response_timeout, found.security.is_root)
    assert (EngineArgs(), EphemeralCache(), Startup()) == (found.engine, found.cache, found.startup)
    assert Drain(seconds=300) == found.drain_time
    assert Drain(seconds=90) == pod(response_timeout=90).drain_time
    assert Drain(seconds=60) == pod(response_timeout=90, drain=Drain(seconds=60)).drain_time


@pytest.mark.parametrize("count", [1, 3])
def test_resources(count: int) -> None:
    """Cores and memory follow from the GPUs, or are one quantity or a request and a limit."""
    gpu = WholeGpu("NVIDIA-L4", count=count)
    default, one = pod(gpu=gpu), pod(gpu=gpu, cpu="8", memory="64Gi")
    both = pod(gpu=gpu, cpu=["4", "8"], memory=["32Gi", "64Gi"])

    assert ((str(4 * count), None), (f"{16 * count}Gi", f"{32 * count}Gi")) == (
        default.cpu_pair,
        default.memory_pair,
    )
    assert (("8", None), ("64Gi", "64Gi")) == (one.cpu_pair, one.memory_pair)
    assert (("4", "8"), ("32Gi", "64Gi")) == (both.cpu_pair, both.memory_pair)


def test_offloaded_weights() -> None:
    """Weights in host memory are added to the default, for every GPU of the pod.

    PyTorch rounds pinned memory up to a power of two, so that twice as much is.
    """
    gpu = WholeGpu("NVIDIA-L40S", count=2)
    engine = EngineArgs(cpu_offload_gb=10.2, max_model_len=4096)
    one = pod(gpu=gpu, engine=engine)

    assert one.memory_pair == ("73Gi", "105Gi")
    said = strategies.refusal(lambda: pod(gpu=gpu, engine=engine, memory="22Gi").shared_memory_size)
    assert (
        "memory has a limit of '22Gi', but cpu_offload_gb keeps 20.4 GiB of weights there" in said
    )
    enough = pod(gpu=gpu, engine=engine, memory="23Gi")
    assert enough.shared_memory_size


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_parallelism(given_pod: GpuPodSpec) -> None:
    """Tensor, pipeline and data parallel sizes multiply to the GPUs of the pod."""
    options = given_pod.options()

    size = 1
    for name in ("tensor", "pipeline", "data"):
        size *= options.get(f"{name}-parallel-size", 1)
    assert size == given_pod.gpu.devices


@pytest.mark.parametrize("gpu", [MigSlice("1g.10gb"), TimeSlicedGpu("NVIDIA-L4"), VirtualGpu()])
@pytest.mark.parametrize("kind", ["tensor", "pipeline", "data"])
def test_parallelism_of_parts(gpu: Any, kind: str) -> None:
    """An engine cannot use several parts of GPUs."""
    engine = EngineArgs(**{f"{kind}_parallel_size": 3})  # type: ignore[arg-type]  # one of three

    sentence = strategies.refusal(lambda: pod(gpu=gpu, engine=engine))

    assert "needs 3 GPUs" in sentence
    assert f"{kind} 3" in sentence
    assert type(gpu).__name__ in sentence
    assert "use WholeGpu" in sentence


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


def test_options() -> None:
    """Options are given by name; those that are missing or unknown are rejected."""
    given_by_place: Any = GpuPodSpec
    with pytest.raises(VllmConstructsError):
        given_by_place("gpt2", L4)
    assert "model is missing; give GpuPodSpec(model=...)." == (
        strategies.refusal(lambda: GpuPodSpec(gpu=L4))  # type: ignore[call-arg]  # the mistake
    )
    assert "gpu is missing; give GpuPodSpec(gpu=...)." == (
        strategies.refusal(lambda: GpuPodSpec(model="gpt2", gpu=None))  # type: ignore[arg-type]  # the mistake
    )
    assert "GpuPodSpec has no option 'modle'; did you mean 'model'?" == (
        strategies.refusal(lambda: pod(modle="gpt2"))
    )


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
    (lambda: pod(port="http"), ("port is 'http'", "an integer")),
    (lambda: pod(response_timeout="300s"), ("'300s'", "seconds", "leave the unit out")),
    (lambda: pod(security="root"), ("security is 'root'", "PodSecurity(...)")),
    (lambda: pod(drain=Drain(seconds=0)), ("Drain.seconds is 0", "streamed", "pooling")),
    (lambda: pod(memory="10GB"), ("memory is '10GB'", "'64Gi'", "write '10Gi'")),
    (lambda: pod(memory="64 Gi"), ("'64 Gi'", "write '64Gi'")),
    (
        lambda: pod(memory=("8Gi", "4Gi")),
        ("request of '8Gi' above its limit of '4Gi'", "lower the request"),
    ),
    (lambda: pod(memory=("8Gi",)), ("('8Gi',)", "(request, limit)")),
    (lambda: pod(memory=64), ("memory is 64", "(request, limit)")),
    (lambda: pod(cpu=("8", "4000m")), ("'8'", "limit of '4000m'")),
    (lambda: pod(cpu="0.1m"), ("cpu is '0.1m'", "'500m'")),
    (lambda: pod(cpu=(1, 2)), ("cpu is 1", "cores as a")),
    (lambda: pod(shared_memory="32Gi"), ("'32Gi'", "memory limit '32Gi'", "raise memory")),
    (lambda: pod(memory="512Mi"), ("shared_memory is '1Gi'", "memory limit '512Mi'")),
    (lambda: pod(shared_memory="64Mi"), ("'64Mi'", "1 GPU", "at least '424Mi'")),
    (lambda: pod(gpu=TWO, shared_memory="1Gi"), ("'1Gi'", "2 GPU", "at least '1176Mi'")),
    (lambda: pod(shared_memory="16GB"), ("'16GB'", "write '16Gi'")),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(tensor_parallel_size=4)),
        ("needs 4 GPUs (tensor 4 x pipeline 1 x data 1)", "has 2", "count=4"),
    ),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(tensor_parallel_size=1)),
        ("needs 1 GPUs (tensor 1 x pipeline 1 x data 1)", "has 2", "use them all"),
    ),
    (
        lambda: pod(gpu=TWO, engine=EngineArgs(pipeline_parallel_size=3)),
        ("needs 3", "has 2", "count=3"),
    ),
    (
        lambda: pod(gpu=SHARED, engine=EngineArgs(gpu_memory_utilization=0.25)),
        ("gpu_memory_utilization is 0.25", "4 pods", "below 0.25"),
    ),
    (lambda: pod(env={"A-B": "c"}), ("'A-B'", "a variable of letters")),
    (lambda: pod(env={"A": 1}), ("env['A'] is 1", "quote numbers")),
    (lambda: pod(env=["A=b"]), ("env is a list (not shown)", "a dict of variables")),
    (
        lambda: pod(env={"VLLM_PORT": "1"}),
        ("env['VLLM_PORT'] is vLLM's internal port", "leave it out, or give port"),
    ),
    (lambda: pod(env={"HOME": "/x"}), ("HOME", "leave it out")),
    (
        lambda: pod(env={"VLLM_USE_DEEP_GEMM": "true"}),
        ("env['VLLM_USE_DEEP_GEMM'] is 'true'", "Boolean", "'1' or '0'"),
    ),
    (lambda: pod(memory="64"), ("memory is '64'", "write '64Gi'")),
    (lambda: pod(image="vllm/vllm-openai:0.33.0"), ("begins with 'v'", "'v0.33.0'")),
    (
        lambda: pod(node_selector={"nvidia.com/gpu.product": "NVIDIA-L4"}),
        ("node_selector['nvidia.com/gpu.product'] is set by gpu", "leave it out"),
    ),
    (lambda: pod(node_selector={"a b": "c"}), ("'a b'", "a key such as 'team'")),
    (lambda: pod(node_selector={"a": "c d"}), ("node_selector['a'] is 'c d'", "at most 63")),
    (lambda: pod(tolerations="nvidia"), ("'nvidia'", "a list of Toleration(...)")),
    (lambda: pod(tolerations=[TAINT]), ("tolerations[0] is", "nvidia.com/gpu", "Toleration(...)")),
    (lambda: pod(priority_class="High"), ("priority_class is 'High'", "'high'")),
    (lambda: pod(runtime_class=""), ("runtime_class is ''", "lower-case")),
    (lambda: pod(service_account="a" * 254), ("253",)),
    (lambda: pod(image_pull_secrets="registry"), ("'registry'", "a list of names of Secrets")),
    (lambda: pod(image_pull_secrets=["A"]), ("'A'", "lower-case")),
    (lambda: pod(pod_annotations={"a/b/c": ""}), ("'a/b/c'", "a key such as 'team'")),
    (lambda: pod(pod_annotations={"a": True}), ("pod_annotations['a'] is True", "quote")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
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
    """A secret that is given in clear is rejected and never repeated."""
    sentence = strategies.refusal(lambda: pod(**fields))

    assert "hf_abc" not in sentence
    assert "sk-" not in sentence


def test_frozen() -> None:
    """A pod cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        pod().port = 1  # type: ignore[misc]  # the point


def test_copies() -> None:
    """A pod keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "env": {"A": "b"},
        "node_selector": {"team": "ml"},
        "pod_annotations": {"team": "ml"},
        "tolerations": [Toleration(key="team")],
        "image_pull_secrets": ["registry"],
        "cpu": ["4", "8"],
        "memory": ["32Gi", "64Gi"],
    }
    found = pod(**given_)
    before = deepcopy(found)
    manifest = found.manifest()

    for value in given_.values():
        if isinstance(value, dict):
            value["B"] = "changed"
        else:
            value[0] = "changed"
            value.append("changed")

    assert before == found
    assert manifest == found.manifest()
    assert {"A": "b"} == found.env
    assert (Toleration(key="team"),) == found.tolerations
    assert ("registry",) == found.image_pull_secrets


@pytest.mark.parametrize("name", ["env", "node_selector", "pod_annotations"])
def test_own_dicts(name: str) -> None:
    """The dicts of a pod cannot be changed."""
    for found in (pod(), pod(**{name: {"a": "b"}})):
        kept: Any = getattr(found, name)
        before = dict(kept)
        with pytest.raises(TypeError, match="cannot be changed"):
            kept["c"] = "d"
        with pytest.raises(TypeError, match="cannot be changed"):
            kept.update(c="d")
        assert before == kept


def test_manifest_is_new() -> None:
    """A manifest may be changed: it is made anew each time."""
    found = pod(env={"A": "b"}, node_selector={"a": "b"}, image_pull_secrets=["registry"])
    one = found.manifest()

    one["nodeSelector"].clear()
    one["containers"][0]["env"].clear()
    one["imagePullSecrets"].clear()
    one["tolerations"][0].clear()

    assert (
        one
        != found.manifest()
        == pod(env={"A": "b"}, node_selector={"a": "b"}, image_pull_secrets=["registry"]).manifest()
    )


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_round_trips(given_pod: GpuPodSpec) -> None:
    """A pod can be copied, pickled and replaced."""
    assert given_pod == deepcopy(given_pod)
    assert given_pod == pickle.loads(pickle.dumps(given_pod))  # noqa: S301  # its own bytes
    assert given_pod == replace(given_pod)
    assert list(PodOptions.__annotations__) == list(asdict(given_pod))


def test_string_enum() -> None:
    """A member of an enum of strings stands for its value, not for its name."""

    class Zone(str, Enum):  # noqa: UP042  # a StrEnum's text is its value anyway
        A = "zone-a"

    pod = GpuPodSpec(
        model="a/b",
        gpu=WholeGpu("NVIDIA-L40S"),
        env={"ZONE": Zone.A},
        node_selector={"zone": Zone.A},
        priority_class=Zone.A,
    ).manifest()

    assert "zone-a" == pod["nodeSelector"]["zone"]
    assert "'zone-a'" == repr(pod["priorityClassName"])
    assert {"name": "ZONE", "value": "zone-a"} in pod["containers"][0]["env"]


def test_dataclass_subclass() -> None:
    """A dataclass that inherits from a pod has its defaults, its checks and a field of its own."""

    @dataclass(frozen=True, kw_only=True)
    class Own(GpuPodSpec):
        team: str = "search"

    gpu = WholeGpu("NVIDIA-L40S")

    assert "search" == Own(model="a/b", gpu=gpu).team
    assert GpuPodSpec(model="a/b", gpu=gpu).manifest() == Own(model="a/b", gpu=gpu).manifest()
    assert "port is 1;" in strategies.refusal(lambda: Own(model="a/b", gpu=gpu, port=1))


@pytest.mark.parametrize(
    "model", ["openai/gpt-oss-20b", "/model-cache/gpt-oss-120b", "me/GPT-OSS-mine"]
)
def test_vocabulary(model: str) -> None:
    """A model that downloads a vocabulary is warned about where downloads are off."""
    offline = ExistingClaim("weights", access="ReadOnlyMany")
    with pytest.warns(VllmConstructsWarning, match="give env={'TIKTOKEN_ENCODINGS_BASE': '/model-"):
        pod(model=model, cache=offline)
    pod(model=model, cache=offline, env={"TIKTOKEN_ENCODINGS_BASE": "/model-cache/encodings"})
    pod(model=model, cache=ExistingClaim("weights"))
    pod(model="Qwen/Qwen3-8B", cache=offline)


@pytest.mark.parametrize(
    ("option", "number", "advice"),
    [
        ("memory", 64, "'64Gi'"),
        ("memory", 256, "'256Mi' or '256Gi'"),
        ("shared_memory", 16, "'16Gi'"),
        ("cpu", 4, "'4'"),
        ("memory", 10**30, None),
        ("cpu", True, None),
    ],
)
def test_number_of_resources(option: str, number: int, advice: str | None) -> None:
    """A number where a quantity is meant is told how to write it."""
    sentence = strategies.refusal(lambda: pod(**{option: number}))
    assert f"{option} is " in sentence
    assert ("; write" in sentence) == (advice is not None)
    assert advice is None or sentence.endswith(f"write {advice}.")
