"""What the tests of values and manifests share: strategies for what users give, and helpers."""

import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support import ALL_RELEASES
from vllm_constructs import (
    AmdGpu,
    ApiKey,
    Cpu,
    CpuUtilization,
    CronFloor,
    DeviceClaim,
    DiskTier,
    Drain,
    EngineArgs,
    EphemeralCache,
    ExistingClaim,
    Gaudi,
    GpuPodSpec,
    HuggingFaceToken,
    IntelGpu,
    Kubernetes,
    KvCacheUsage,
    KvOffload,
    LmCache,
    MigSlice,
    ModelSeries,
    PodSecurity,
    PrometheusQuery,
    QueueDepth,
    Rollout,
    RunningRequests,
    ScalingPace,
    Startup,
    TimeSlicedGpu,
    TimeToFirstToken,
    Toleration,
    Tpu,
    VirtualGpu,
    VllmConstructsError,
    Volume,
    WholeGpu,
)
from vllm_constructs.accelerators import amd, intel
from vllm_constructs.accelerators.google import TPUS
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.workloads.storage import ACCESS_MODES

Manifest = dict[str, Any]
Call = Callable[[], object]

_FACTS = Path(__file__).parents[2] / "shared" / "facts"

_LOWER = string.ascii_lowercase + string.digits
_PRODUCTS = sorted(catalog())
_SLICES = [(product, profile) for product in _PRODUCTS for profile in catalog()[product]["mig"]]
# The label of its nodes would be too long with the single strategy.
_LONG = "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition"
_IMAGES = (
    "vllm/vllm-openai:v0.33.0",
    "registry.example.com:5000/ml/vllm:0.33.0-cu130",
    f"registry.example.com/vllm@sha256:{'0' * 64}",
)
# Parsers that are not for one family of models.
_TOOL_PARSERS = ("hermes", "llama3_json", "pythonic", "qwen3_coder", "xlam")
_OFFLOADS = (
    None,
    KvOffload(gib=0.5),
    KvOffload(gib=0.5, tiers=[DiskTier(Volume.from_claim("kv"))]),
    LmCache(gib=2),
)
_CRONS = ("0 9 * * *", "30 18 * * 1-5", "*/15 8-20 * * MON,FRI", "0 22 1 * *")


def facts(name: str) -> Any:
    """Return a file of facts that lies beside the repository; without it the test is skipped."""
    path = _FACTS / name
    if not path.is_file():
        pytest.skip(f"the facts are not at hand, so {name} is not compared")
    return json.loads(path.read_text(encoding="utf-8"))


def refusal(call: Call) -> str:
    """Return the sentence with which a call is refused: one line that ends as a sentence does."""
    with pytest.raises(VllmConstructsError) as caught:
        call()
    sentence = str(caught.value)
    assert type(caught.value) is VllmConstructsError
    assert len(sentence.splitlines()) == 1, sentence
    assert sentence.endswith((".", "?")), sentence
    return sentence


def in_namespace(manifest: Manifest, namespace: str = "llm") -> Manifest:
    """Return a manifest as a chart with a namespace writes it."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def covered(kubernetes: Kubernetes) -> tuple[str, ...]:
    """Return the releases that a manifest for this target has to be valid in."""
    return tuple(one for one in ALL_RELEASES if int(one.split(".")[1]) >= kubernetes.minor)


def shuffled(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same mapping in another order."""
    return dict(reversed(list(mapping.items())))


def names(longest: int = 63) -> SearchStrategy[str]:
    """DNS labels that begin with a letter."""
    return st.text(_LOWER + "-", max_size=longest - 2).map("m{}0".format)


def one_line() -> SearchStrategy[str]:
    """Texts of one line that are not blank."""
    inner = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
    return inner.map("x{}".format)


def keys() -> SearchStrategy[str]:
    """Keys of labels and annotations."""
    plain = st.text(string.ascii_letters + string.digits + "-_.", max_size=20).map("k{}9".format)
    prefixed = st.tuples(names(20), plain).map("example.{0[0]}.com/{0[1]}".format)
    return st.one_of(plain, prefixed)


def label_values() -> SearchStrategy[str]:
    """Values of labels."""
    inner = st.text(string.ascii_letters + string.digits + "-_.", max_size=61)
    return st.one_of(st.just(""), inner.map("V{}v".format))


def labels() -> SearchStrategy[dict[str, str]]:
    """Labels."""
    return st.dictionaries(keys(), label_values(), max_size=3)


def annotations() -> SearchStrategy[dict[str, str]]:
    """Annotations."""
    return st.dictionaries(keys(), st.one_of(one_line(), st.just("two\nlines")), max_size=3)


def environments() -> SearchStrategy[dict[str, str]]:
    """Variables of a container."""
    variables = st.text(string.ascii_uppercase + "_", max_size=10).map("X_{}_X".format)
    values = st.one_of(one_line(), st.just("$(HOME)/x"), st.just(""))
    return st.dictionaries(variables, values, max_size=3)


def kubernetes() -> SearchStrategy[Kubernetes]:
    """Targets."""
    return st.sampled_from(ALL_RELEASES).map(Kubernetes)


def startups() -> SearchStrategy[Startup]:
    """Load times, from the shortest to the longest."""
    return st.integers(30, 24 * 3600).map(lambda all_of_it: Startup(minutes=0, seconds=all_of_it))


def drains() -> SearchStrategy[Drain]:
    """Drains that do not abort."""
    return st.builds(Drain, seconds=st.integers(1, 86400), pre_stop=st.integers(1, 3600))


def rollouts() -> SearchStrategy[Rollout]:
    """Few and many spare GPUs."""
    return st.builds(Rollout, spare_gpus=st.one_of(st.integers(0, 20), st.integers(0, 10_000)))


def whole_gpus() -> SearchStrategy[WholeGpu]:
    """Whole GPUs, known and unknown."""

    def known(product: str) -> SearchStrategy[WholeGpu]:
        counts = st.one_of(st.just(1), st.integers(1, WholeGpu(product).most))
        return st.builds(WholeGpu, st.just(product), count=counts)

    counts = st.one_of(st.just(1), st.integers(1, 16))
    memory = st.integers(1024, 2**24)
    other = st.builds(WholeGpu, st.just("Some-New-GPU"), count=counts, memory_mib=memory)
    return st.one_of(st.sampled_from(_PRODUCTS).flatmap(known), other)


@st.composite
def mig_slices(draw: st.DrawFn) -> MigSlice:
    """MIG slices with the product or, in the mixed strategy, without."""
    product, profile = draw(st.sampled_from(_SLICES))
    strategy = draw(st.sampled_from(("mixed", "single")))
    if strategy == "single" and product != _LONG:
        return MigSlice(profile, product=product, strategy="single")
    return MigSlice(profile, product=draw(st.sampled_from((product, None))))


def shared_gpus() -> SearchStrategy[TimeSlicedGpu]:
    """Shared GPUs."""
    return st.builds(
        TimeSlicedGpu,
        st.sampled_from(_PRODUCTS),
        replicas=st.integers(2, 48),
        sharing=st.sampled_from(("time-slicing", "mps")),
        renamed=st.booleans(),
    )


def virtual_gpus() -> SearchStrategy[VirtualGpu]:
    """Virtual GPUs."""
    return st.builds(VirtualGpu, st.sampled_from((None, "GRID-A100D-40C", "NVIDIA-L40S")))


def gpus() -> SearchStrategy[Any]:
    """All kinds that NVIDIA's device plugin has."""
    return st.one_of(whole_gpus(), mig_slices(), shared_gpus(), virtual_gpus())


def device_claims() -> SearchStrategy[DeviceClaim]:
    """Claims of whole GPUs, of slices, and of GPUs that pods share."""
    products = st.sampled_from(_PRODUCTS)
    names_or_none = st.one_of(st.none(), names())
    return st.one_of(
        st.builds(DeviceClaim, products, count=st.integers(1, 4), resource_claim=names_or_none),
        st.builds(
            DeviceClaim, products, shared_by=st.integers(1, 48), resource_claim=names_or_none
        ),
        st.sampled_from(_SLICES).map(lambda one: DeviceClaim(one[0], profile=one[1])),
    )


@st.composite
def cpus(draw: st.DrawFn) -> Cpu:
    """CPUs with room for weights."""
    nodes, cache = draw(st.integers(1, 4)), draw(st.one_of(st.none(), st.integers(1, 64)))
    room = 16 * nodes if cache is None else cache * nodes + 5
    return Cpu(
        cores=draw(st.integers(1, 256)),
        memory_gib=draw(st.integers(room, 2048)) * (nodes if cache is None else 1),
        kv_cache_gib=cache or (1 if nodes > 2 else None),
        numa_nodes=nodes,
        architecture=draw(st.sampled_from(("amd64", "arm64"))),
    )


def other_accelerators() -> SearchStrategy[Any]:
    """Accelerators of other vendors, whose memory is known."""
    memory = st.integers(1024, 2**24)
    own = st.builds(AmdGpu, st.just("AMD_Instinct_MI999X"), memory_mib=memory)
    topologies = [(product, one) for product, tpu in TPUS.items() for one in tpu["topologies"]]
    return st.one_of(
        own,
        st.builds(AmdGpu, st.sampled_from(sorted(amd.MEMORY)), count=st.integers(1, 16)),
        st.builds(
            IntelGpu,
            st.sampled_from(sorted(intel.MEMORY)),
            count=st.integers(1, 8),
            driver=st.sampled_from(("xe", "i915")),
        ),
        st.builds(
            Gaudi,
            st.sampled_from(("Gaudi2", "Gaudi3")),
            count=st.integers(1, 8),
            lazy_mode=st.booleans(),
        ),
        st.sampled_from(topologies).map(lambda one: Tpu(one[0], topology=one[1])),
        cpus(),
    )


def device_kinds() -> SearchStrategy[Any]:
    """Devices of other vendors whose nodes have labels that are known."""
    products = st.sampled_from((None, "MI300X", "MI325X"))
    return st.one_of(
        st.builds(AmdGpu, products, count=st.integers(1, 8)),
        st.builds(IntelGpu, st.sampled_from(sorted(intel.MEMORY)), count=st.integers(1, 8)),
        st.builds(Gaudi, count=st.integers(1, 8)),
        st.sampled_from((Tpu("v6e", topology="2x4"), Tpu("tpu7x", topology="2x2x1"))),
    )


def image_for(gpu: Any) -> dict[str, Any]:
    """Return the options of an image that an accelerator has none by default for."""
    is_gaudi = isinstance(gpu, Gaudi)
    return {"image": "example.com/vllm-gaudi:7", "vllm": "0.26.0"} if is_gaudi else {}


def caches() -> SearchStrategy[Any]:
    """All caches."""
    existing = st.builds(ExistingClaim, names(), access=st.sampled_from(ACCESS_MODES))
    sizes = st.sampled_from((None, "100Gi", "1.5Ti", "5e10"))
    return st.one_of(existing, st.builds(EphemeralCache, size=sizes))


def tokens() -> SearchStrategy[HuggingFaceToken]:
    """References to a token."""
    return st.builds(HuggingFaceToken, names(), st.sampled_from(("token", "HF_TOKEN", "a.b-c")))


def api_keys() -> SearchStrategy[ApiKey]:
    """References to an API key."""
    return st.builds(ApiKey, names())


def tolerations() -> SearchStrategy[Toleration]:
    """Tolerations."""
    effects = st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute"))
    values = st.one_of(st.none(), label_values())
    return st.builds(Toleration, key=keys(), value=values, effect=effects)


def json_values() -> SearchStrategy[Any]:
    """What JSON can say."""
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(one_line(), inner, max_size=3)
        ),
        max_leaves=5,
    )


def _others() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "additional_config": st.dictionaries(one_line(), json_values(), max_size=2),
            "allowed_origins": st.lists(one_line(), max_size=2),
            "async_scheduling": st.booleans(),
            "attention_backend": st.sampled_from(("FLASHINFER", "flash_attn", "my.own.Backend")),
            "block_size": st.sampled_from((16, 32)),
            "disable_fastapi_docs": st.booleans(),
            "long_prefill_token_threshold": st.integers(0, 9999),
            "middleware": one_line(),
            "mm_processor_cache_gb": st.floats(0, 64),
        },
    )


@st.composite
def engines(draw: st.DrawFn, gpu: Any = None) -> EngineArgs:
    """Engines for a pod with this accelerator."""
    gpu = WholeGpu("NVIDIA-L4") if gpu is None else gpu
    pipeline = draw(st.sampled_from([n for n in (1, 2, 3) if gpu.devices % n == 0]))
    data = draw(st.sampled_from([n for n in (1, 2) if gpu.devices // pipeline % n == 0]))
    tensor = gpu.devices // pipeline // data
    highest = 0.95 if gpu.share == 1 else gpu.share * 0.9
    seqs = draw(st.one_of(st.none(), st.integers(1, 512)))
    parser = draw(st.one_of(st.none(), st.sampled_from(_TOOL_PARSERS)))
    found: dict[str, Any] = {
        "chat_template": draw(st.sampled_from((None, "{{ x }}", "{{ x }}\n$(HOME)"))),
        "data_parallel_size": draw(st.sampled_from((None, 1))) if data == 1 else data,
        "delivery": draw(st.sampled_from(("args", "config-map"))),
        "dtype": draw(st.sampled_from((None, "auto", "half"))),
        "enable_auto_tool_choice": None if parser is None else draw(st.booleans()),
        "enable_prefix_caching": draw(st.sampled_from((None, True, False))),
        "enforce_eager": draw(st.sampled_from((None, True, False))),
        "gpu_memory_utilization": draw(st.one_of(st.none(), st.floats(0.001, highest))),
        "hf_overrides": draw(
            st.one_of(st.none(), st.dictionaries(one_line(), json_values(), max_size=2))
        ),
        "kv_cache_memory_bytes": draw(st.sampled_from((None, 2**33, "8G"))),
        "max_model_len": draw(st.one_of(st.none(), st.just("auto"), st.integers(1, 10**6))),
        "max_num_batched_tokens": draw(st.sampled_from((None, 512, 8192))),
        "max_num_seqs": seqs,
        "pipeline_parallel_size": draw(st.sampled_from((None, 1))) if pipeline == 1 else pipeline,
        "reasoning_parser": draw(st.sampled_from((None, "deepseek_r1", "hf"))),
        "revision": draw(st.sampled_from((None, "main", "1e5", "true"))),
        "tensor_parallel_size": draw(st.sampled_from((None, tensor))),
        "tool_call_parser": parser,
        **draw(_others()),
    }
    if draw(st.booleans()):
        found |= {
            "enable_lora": True,
            "lora_modules": ["a=org/x", "b=/model-cache/y"],
            "max_lora_rank": 16,
        }
    return EngineArgs(**found)


def _places() -> SearchStrategy[dict[str, Any]]:
    """Where a pod runs, and what stands beside its container."""
    return st.fixed_dictionaries(
        {
            "env": environments(),
            "node_selector": labels(),
            "tolerations": st.lists(tolerations(), max_size=2),
            "priority_class": st.one_of(st.none(), names()),
            "runtime_class": st.sampled_from((None, "nvidia")),
            "service_account": st.one_of(st.none(), names()),
            "image_pull_secrets": st.lists(names(), max_size=2, unique=True),
            "pod_annotations": annotations(),
        }
    )


@st.composite
def pods(draw: st.DrawFn, gpu: Any = None) -> GpuPodSpec:
    """Pods, each made of parts that belong together."""
    gpu = draw(st.one_of(gpus(), gpus(), device_kinds())) if gpu is None else gpu
    is_cuda = gpu.platform == "CUDA"
    memory = draw(st.sampled_from((None, "256Gi", ("32Gi", "64Gi"), ("1e9", "99999Mi"))))
    # Half of the pods leave out what most properties do not look at: drawing it takes long.
    engine = draw(engines(gpu)) if draw(st.booleans()) else EngineArgs()
    more = draw(_places()) if draw(st.booleans()) else {}
    image = draw(st.sampled_from(_IMAGES)) if is_cuda else image_for(gpu).get("image")
    vllm = "0.33.0" if isinstance(gpu, Gaudi) else None
    if is_cuda and ":" not in str(image).partition("@")[0]:
        # Without it, an image that does not say its release is warned about.
        vllm = "0.33.0"
    return GpuPodSpec(
        model=draw(st.sampled_from(("Qwen/Qwen2.5-7B-Instruct", "/model-cache/qwen", "gpt2"))),
        gpu=gpu,
        served_name=draw(st.sampled_from((None, "qwen-7b", "Qwen/Qwen2.5:7B@x+y"))),
        image=image,
        vllm=vllm,
        engine=engine,
        port=draw(st.sampled_from((8000, 1024, 65535))),
        cpu=draw(st.sampled_from((None, "500m", ("4", "8"), ("1", "1500m")))),
        memory=memory,
        shared_memory=draw(st.sampled_from((None, "16Gi"))),
        kv_offload=draw(st.sampled_from(_OFFLOADS)) if is_cuda else None,
        cache=draw(caches()),
        hf_token=draw(st.one_of(st.none(), tokens())),
        api_key=draw(st.one_of(st.none(), api_keys())),
        startup=draw(startups()),
        drain=draw(st.one_of(st.none(), drains())),
        response_timeout=draw(st.integers(1, 86400)),
        security=draw(st.sampled_from((None, PodSecurity(user="root")))),
        **more,
    )


def spec_of(pod: GpuPodSpec, target: Kubernetes | None = None) -> Manifest:
    """Return the pod's `spec`, with a ConfigMap where the pod needs one."""
    name = "flags" if pod.config_files() else None
    return pod.manifest(kubernetes=target, config_map=name)


def series() -> SearchStrategy[ModelSeries]:
    """Series of models, with names that PromQL has to escape."""
    odd = st.sampled_from(("qwen-7b", "Qwen/Qwen2.5-7B-Instruct", 'a"b', "a\\b", "a}b"))
    return st.builds(ModelSeries, namespace=names(), model_name=odd)


def thresholds(high: float) -> SearchStrategy[float]:
    """Thresholds, whole and broken."""
    return st.one_of(st.floats(0.001, high), st.integers(1, int(high)))


def model_triggers() -> list[SearchStrategy[Any]]:
    """One strategy for each trigger that reads the model's own metrics."""
    first = st.builds(
        TimeToFirstToken,
        thresholds(2560),
        quantile=st.floats(0.01, 1),
        window=st.sampled_from(("30s", "2m", "1h")),
    )
    return [
        st.builds(QueueDepth, thresholds(1e6)),
        st.builds(RunningRequests, thresholds(1e6)),
        st.builds(KvCacheUsage, thresholds(1)),
        first,
    ]


def cpu_triggers() -> SearchStrategy[CpuUtilization]:
    """CPU."""
    return st.builds(CpuUtilization, st.integers(1, 1000))


@st.composite
def cron_floors(draw: st.DrawFn) -> CronFloor:
    """Floors with two different times."""
    start, end = draw(st.permutations(_CRONS))[:2]
    zone = draw(st.sampled_from(("Asia/Shanghai", "UTC", "Etc/GMT+5")))
    return CronFloor(zone, start, end, replicas=draw(st.integers(1, 10)))


def own_queries() -> SearchStrategy[PrometheusQuery]:
    """Queries of a gateway's metric."""
    return st.builds(
        PrometheusQuery,
        name=names(40),
        query=st.just('sum(gateway_requests_waiting{model="qwen"})'),
        threshold=thresholds(1e12),
        metric_type=st.sampled_from(("AverageValue", "Value")),
    )


def hpa_triggers() -> SearchStrategy[list[Any]]:
    """What an HPA is scaled on: always more than CPU."""
    queue, running, usage, _ = model_triggers()
    rest = st.tuples(*(st.one_of(st.none(), one) for one in (running, usage, cpu_triggers())))
    return st.builds(lambda one, more: [one, *filter(None, more)], queue, rest)


def keda_triggers() -> SearchStrategy[list[Any]]:
    """What KEDA scales on: always something that wakes a model without pods."""
    wakers = st.one_of(cron_floors(), own_queries())
    rest = st.tuples(*(st.one_of(st.none(), one) for one in [*model_triggers(), cpu_triggers()]))
    return st.builds(lambda one, more: [*filter(None, more), one], wakers, rest)


def paces() -> SearchStrategy[ScalingPace]:
    """Paces."""
    return st.builds(
        ScalingPace,
        up_pods=st.none() | st.integers(1, 1000),
        up_percent=st.none() | st.integers(1, 1000),
        up_seconds=st.one_of(st.none(), st.integers(1, 1800)),
        up_window=st.integers(0, 3600),
        down_pods=st.integers(1, 1000),
        down_seconds=st.integers(1, 1800),
        down_window=st.integers(0, 3600),
    )


class _Silent:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class _Text(str):
    """A text of another class, whose own text is another one."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


_ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.0,
    10**5000,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e-300,
    "",
    " ",
    "\0",
    "\ud800",
    "a\nb",
    "\u2028",
    "٣Gi",
    "-x",
    "{{ x }}",
    "$(x)",
    "A_b/" * 100,
    b"bytes",
    b"",
    [],
    {},
    (),
    set(),
    [[]],
    {"a": {"b": [float("nan")]}},
    {1: 2},
    {"": ""},
    {None: None},
    {"a": None},
    {"a\nb": "\0"},
    {("a",): {"b"}},
    [None],
    ["-x"],
    [float("inf")],
    [{"a"}],
    object,
    object(),
    len,
    _Silent(),
    _Text("auto"),
    _Text("1g.10gb"),
    MappingProxyType({"a": "b"}),
    1j,
    range(3),
    Kubernetes(),
    Startup(),
    WholeGpu("NVIDIA-L4"),
    EngineArgs(),
]


def garbage() -> SearchStrategy[Any]:
    """Anything at all."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.text(st.characters(categories=("Cc", "Cs", "Zl", "Nd")), max_size=4),
        st.binary(max_size=4),
        st.complex_numbers(),
    )
    nested = st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(leaves, inner, max_size=3),
            st.tuples(inner),
        ),
        max_leaves=5,
    )
    return st.one_of(st.sampled_from(_ODD), nested)


def odd_values() -> list[Any]:
    """Values that have broken something before: small enough to try each everywhere."""
    return list(_ODD)


def is_plain(value: Any) -> bool:
    """Tell whether a value consists of JSON's own types only."""
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, (str, int, float, bool))
