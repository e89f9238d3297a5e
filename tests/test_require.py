"""Checks: garbage anywhere is accepted as it is or rejected in one sentence, never otherwise."""

import dataclasses
import inspect
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vllm_constructs as library
from tests import strategies
from vllm_constructs import (
    EngineArgs,
    GpuPodSpec,
    Kubernetes,
    KvOffload,
    ModelSeries,
    Nodes,
    PodOptions,
    Problem,
    VllmConstructsError,
    VllmConstructsWarning,
    Volume,
    WholeGpu,
    require,
)
from vllm_constructs.cli.spelling import as_command
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.errors import python
from vllm_constructs.platform.delivery import HelmChart
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.scaling import hpa, keda
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.traffic.controllers import ProxySettings
from vllm_constructs.workloads import service
from vllm_constructs.workloads.workload import Workload

L4 = WholeGpu("NVIDIA-L4")
SETTINGS = ProxySettings(response_timeout=300, drain=330, max_body=100, tls=None)
CHART = HelmChart(
    name="x", repository="https://x.example.com", version="1", namespace="x", values={}
)

# A valid call of every value; whatever is missing here is missing from the test below.
VALID: dict[str, dict[str, Any]] = {
    "ApiKey": {"secret_name": "a"},
    "ArgoApplication": {},
    "AwsAlb": {"subnets": ["10.0.0.0/8"]},
    "ClusterIssuerRef": {"issuer_name": "a", "secret": "b"},
    "Affinity": {},
    "AzureContainer": {"url": "az://weights/qwen", "account": "llm"},
    "BucketTier": {"bucket": "kv-cache", "endpoint": "s3.example.com"},
    "Container": {"name": "logs", "image": "fluent/fluent-bit:4.1"},
    "CpuUtilization": {"percent": 70},
    "DiskTier": {"volume": Volume.from_claim("kv")},
    "Dns": {},
    "EgressRule": {"ports": [443]},
    "EnvFromSource": {"source": {"secretRef": {"name": "a"}}},
    "EnvVarSource": {"source": {"fieldRef": {"fieldPath": "status.podIP"}}},
    "NodeRequirement": {"key": "a"},
    "Nodes": {},
    "PodAffinityTerm": {"labels": {"a": "b"}},
    "PodSecurity": {},
    "Probes": {},
    "ServiceAccountToken": {},
    "TopologySpread": {},
    "Volume": {"source": {"emptyDir": {}}},
    "CronFloor": {
        "timezone": "UTC",
        "start": "0 9 * * *",
        "end": "0 18 * * *",
        "replicas": 2,
    },
    "Drain": {"seconds": 90},
    "EngineArgs": {},
    "EphemeralCache": {},
    "ExistingClaim": {"claim_name": "a"},
    "ExternalMetric": {"name": "x", "threshold": 5, "metric_type": "Value"},
    "KedaAuthentication": {"trigger_authentication": "a"},
    "ObjectMetric": {
        "name": "x",
        "kind": "Ingress",
        "object_name": "a",
        "api_version": "networking.k8s.io/v1",
        "threshold": 5,
        "metric_type": "Value",
    },
    "ReplicaRange": {"max_replicas": 2},
    "ServiceOptions": {},
    "F5Nginx": {},
    "FluxHelmRelease": {},
    "GatewayRef": {"gateway_name": "a"},
    "GcsBucket": {"url": "gs://weights/qwen"},
    "GkeIngress": {},
    "GpuPodSpec": {"model": "gpt2", "gpu": L4},
    "HuggingFaceMirror": {"url": "https://hf-mirror.com"},
    "HuggingFaceToken": {"secret_name": "a"},
    "IngressNginx": {},
    "Kubernetes": {},
    "KvCacheUsage": {"threshold": 0.8},
    "KvOffload": {"gib": 8},
    "LmCache": {"gib": 8, "disk": Volume.from_claim("kv"), "disk_gib": 100},
    "LmCacheClient": {"host": "lmcache.llm.svc"},
    "LoraAdapter": {"name": "sql", "source": "org/sql"},
    "Metric": {"name": "gateway:x", "type": "gauge", "unit": "requests"},
    "AmdGpu": {"product": "MI300X"},
    "Cpu": {"cores": 8, "memory_gib": 64},
    "DeviceClaim": {"product": "NVIDIA-A100-80GB-PCIe"},
    "Gaudi": {},
    "IntelGpu": {"product": "Max_1550"},
    "Tpu": {"product": "v6e", "topology": "2x2"},
    "MigSlice": {"profile": "1g.10gb"},
    "ModelScope": {},
    "ModelSeries": {"namespace": "llm", "model_name": "qwen"},
    "OciImage": {"reference": "registry.example.com/qwen:1"},
    "PrometheusQuery": {
        "name": "x",
        "query": "sum(x)",
        "threshold": 5,
        "metric_type": "Value",
    },
    "QueueDepth": {"threshold": 5},
    "Rollout": {},
    "RunningRequests": {"threshold": 5},
    "S3Bucket": {"url": "s3://weights/qwen"},
    "ScalingPace": {},
    "Startup": {},
    "TimeSlicedGpu": {"product": "NVIDIA-L4"},
    "TimeToFirstToken": {"threshold": 5},
    "TlsSecret": {"secret": "a"},
    "Toleration": {"key": "a"},
    "Traefik": {},
    "VirtualGpu": {},
    "VllmRelease": {},
    "WholeGpu": {"product": "NVIDIA-L4"},
}


def parameters(name: str) -> list[inspect.Parameter]:
    """Return what a value takes, without the keywords that are there to be rejected."""
    found = inspect.signature(getattr(library, name)).parameters.values()
    return [one for one in found if one.kind is not one.VAR_KEYWORD]


def keywords(name: str) -> list[str]:
    """Return the names of what a value takes; those of a pod are its options."""
    named = [one.name for one in parameters(name)]
    return list(PodOptions.__annotations__) if name == "GpuPodSpec" else named


KEYWORDS = [(name, keyword) for name in VALID for keyword in keywords(name)]


def pod_of(value: Any) -> list[Any]:
    """Return all that a pod makes."""
    name = "flags" if value.config_files() else None
    target = library.Kubernetes("1.37")
    spec = value.manifest(config_map=name, kubernetes=target)
    return [spec, value.config_map("flags"), value.annotations(), value.name_in_metrics]


def pod_with(keyword: str) -> Callable[[Any], list[Any]]:
    """Return what a pod makes of a part."""
    return lambda value: pod_of(GpuPodSpec(**{"model": "gpt2", "gpu": L4, keyword: value}))


def offloading(**options: Any) -> list[Any]:
    """Return what a pod makes of tiers of its KV cache."""
    return pod_with("kv_offload")(KvOffload(gib=1, **options))


def engine_of(value: EngineArgs) -> list[Any]:
    """Return what a pod makes of an engine, by arguments and by a file."""
    found: list[Any] = []
    for delivery in ("args", "config-map"):
        engine: Any = dataclasses.replace(value, delivery=delivery)
        size = (engine.tensor_parallel_size or 1) * (engine.data_parallel_size or 1)
        gpus = min(size * (engine.pipeline_parallel_size or 1), 16)
        gpu = WholeGpu("NVIDIA-L4", count=gpus)
        found += pod_of(GpuPodSpec(model="gpt2", gpu=gpu, engine=engine))
    return found


def scaled_by(value: Any) -> list[Any]:
    """Return what the scalers make of a trigger."""
    options: Any = {
        "name": "qwen",
        "target": Workload(name="qwen"),
        "triggers": [value],
        "pace": library.ScalingPace(),
        "startup": 900,
    }
    found: list[Any] = []
    if value.for_keda:
        found.append(
            keda.manifest(
                **options,
                replicas=Replicas(scaler="KedaScaler", minimum=1, maximum=2),
                series=ModelSeries(namespace="llm", model_name="qwen"),
                prometheus="http://x.y",
                polling_interval=None,
                cooldown=None,
                fallback=1,
            )
        )
    if value.for_hpa:
        replicas = Replicas(scaler="HpaScaler", minimum=1, maximum=2)
        found.append(hpa.manifest(**options, replicas=replicas))
    return found


def fronted_by(value: Any) -> list[Any]:
    """Return what a controller makes of the settings of a proxy."""
    return [value.annotations(SETTINGS), value.peers()]


def target_of(value: Any) -> list[Any]:
    """Return what a target changes."""
    pod = GpuPodSpec(model="gpt2", gpu=L4)
    return [value.minor, value.has_sleep_action, pod.manifest(kubernetes=value)]


def metric_of(value: Any) -> list[Any]:
    """Return the query that a metric takes."""
    series = ModelSeries(namespace="llm", model_name="qwen")
    name = {"counter": "rate", "gauge": "mean"}.get(value.type)
    query = value.quantile(series, 0.5) if name is None else getattr(value, name)(series)
    return [query, value.adapter_name]


def on(gpu: Any) -> list[Any]:
    """Return the parts of a pod that runs on any accelerator."""
    own = strategies.image_for(gpu)
    pod = GpuPodSpec(model="gpt2", gpu=gpu, nodes=Nodes("any"), **own)
    return [pod.manifest(kubernetes=Kubernetes("1.34"), workload="x")]


MAKES: dict[str, Callable[[Any], list[Any]]] = {
    "ApiKey": pod_with("api_key"),
    "ArgoApplication": lambda value: value.manifests(CHART),
    "AwsAlb": fronted_by,
    "ClusterIssuerRef": lambda value: [value.annotations(), value.secret],
    "Affinity": pod_with("affinity"),
    "AzureContainer": pod_with("weights"),
    "BucketTier": lambda value: offloading(tiers=[value]),
    "Container": lambda value: pod_with("sidecars")([value]),
    "CpuUtilization": scaled_by,
    "DiskTier": lambda value: offloading(tiers=[value]),
    "Dns": pod_with("dns"),
    "EgressRule": lambda value: [value.manifest()],
    "EnvFromSource": lambda value: pod_with("env_from")([value]),
    "EnvVarSource": lambda value: pod_with("env")({"A": value}),
    "NodeRequirement": lambda value: [value.manifest()],
    "Nodes": pod_with("nodes"),
    "PodAffinityTerm": lambda value: [value.manifest()],
    "PodSecurity": pod_with("security"),
    "Probes": pod_with("probes"),
    "ServiceAccountToken": lambda value: [value.source()],
    "TopologySpread": lambda value: [value.manifest({"a": "b"})],
    "Volume": lambda value: pod_with("volumes")({"/data": value}),
    "CronFloor": scaled_by,
    "Drain": lambda value: [value.grace_period],
    "EngineArgs": engine_of,
    "EphemeralCache": pod_with("cache"),
    "ExistingClaim": pod_with("cache"),
    "ExternalMetric": scaled_by,
    "KedaAuthentication": lambda value: [
        value.manifest("a"),
        value.authenticated({"type": "prometheus", "metadata": {}}, "a"),
    ],
    "ObjectMetric": scaled_by,
    "ReplicaRange": lambda value: [value.replicas().maximum],
    "ServiceOptions": lambda value: [
        service.manifest(name="a", selector={"a": "b"}, port=8000, options=value)
    ],
    "F5Nginx": fronted_by,
    "FluxHelmRelease": lambda value: value.manifests(CHART),
    "GatewayRef": lambda value: [value.parent(), value.peers()],
    "GcsBucket": pod_with("weights"),
    "GkeIngress": fronted_by,
    "GpuPodSpec": pod_of,
    "HuggingFaceMirror": pod_with("weights"),
    "HuggingFaceToken": pod_with("hf_token"),
    "IngressNginx": fronted_by,
    "Kubernetes": target_of,
    "KvCacheUsage": scaled_by,
    "KvOffload": pod_with("kv_offload"),
    "LmCache": pod_with("kv_offload"),
    "LmCacheClient": pod_with("kv_offload"),
    "LoraAdapter": lambda value: pod_with("lora_adapters")([value]),
    "Metric": metric_of,
    "AmdGpu": on,
    "Cpu": on,
    "DeviceClaim": on,
    "Gaudi": on,
    "IntelGpu": on,
    "Tpu": on,
    "MigSlice": pod_with("gpu"),
    "ModelScope": pod_with("weights"),
    "ModelSeries": lambda value: [value.matchers()],
    "OciImage": pod_with("weights"),
    "PrometheusQuery": scaled_by,
    "QueueDepth": scaled_by,
    "Rollout": lambda value: [value.strategy(gpus=2, can_share_cache=True)],
    "RunningRequests": scaled_by,
    "S3Bucket": pod_with("weights"),
    "ScalingPace": lambda value: [value.behavior(900)],
    "Startup": pod_with("startup"),
    "TimeSlicedGpu": pod_with("gpu"),
    "TimeToFirstToken": scaled_by,
    "TlsSecret": lambda value: [value.annotations(), value.secret],
    "Toleration": lambda value: [value.manifest()],
    "Traefik": fronted_by,
    "VirtualGpu": pod_with("gpu"),
    "VllmRelease": lambda value: [value.version is None, value.is_open],
    "WholeGpu": pod_with("gpu"),
}


def throw(name: str, keyword: str, value: object) -> None:
    """Give one keyword of a valid call another value, and use what comes out."""
    kind = getattr(library, name)
    refused: VllmConstructsError | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        try:
            found = MAKES[name](kind(**{**VALID[name], keyword: value}))
        except VllmConstructsError as error:
            refused = error
    if refused is not None:
        assert type(refused) is VllmConstructsError
        sentence = str(refused)
        assert len(sentence.splitlines()) == 1, sentence
        assert sentence.endswith((".", "?")), sentence
        return
    assert strategies.is_plain(found), found
    json.dumps(found, allow_nan=False).encode()


def test_completeness() -> None:
    """Every public value is tried."""
    # These have the garbage of their own test modules, or are made by the library alone.
    others = {"MemoryPlan", "ModelShape", "Objectives", "ParsedArgs", "Problem"}
    values = {
        name
        for name in library.__all__
        if name not in {*vars(library)["_CONSTRUCTS"], *others}
        and dataclasses.is_dataclass(getattr(library, name))
    }

    assert values == set(VALID) == set(MAKES)


@pytest.mark.parametrize("name", VALID)
def test_valid(name: str) -> None:
    """The call that garbage is thrown at is a valid one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        MAKES[name](getattr(library, name)(**VALID[name]))


@pytest.mark.parametrize(("name", "keyword"), KEYWORDS)
def test_odd_values(name: str, keyword: str) -> None:
    """What has broken something before is accepted and usable, or rejected in one sentence."""
    for value in strategies.odd_values():
        throw(name, keyword, value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_garbage(data: st.DataObject) -> None:
    """Anything at all is accepted and usable, or rejected in one sentence."""
    name, keyword = data.draw(st.sampled_from(KEYWORDS))

    for value in data.draw(st.lists(strategies.garbage(), min_size=5, max_size=5)):
        throw(name, keyword, value)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["swap-space", "x", "num-lookahead-slots"]), strategies.garbage()
    )
)
def test_garbage_in_flags(extra: dict[str, Any]) -> None:
    """Any value of an untyped flag is one that vLLM could read, or rejected."""
    throw("EngineArgs", "extra", extra)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.one_of(strategies.keys(), st.text(), st.floats()), strategies.garbage()))
def test_garbage_in_maps(found: dict[Any, Any]) -> None:
    """Maps with any keys and values are maps of legal strings, or rejected."""
    maps = (
        "env",
        "files",
        "host_aliases",
        "node_selector",
        "pod_annotations",
        "ports",
        "resources",
    )
    for keyword in (*maps, "volumes"):
        throw("GpuPodSpec", keyword, found)


@pytest.mark.parametrize("name", VALID)
def test_frozen(name: str) -> None:
    """No value can be changed after it was checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        made = getattr(library, name)(**VALID[name])

    for one in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, one.name, None)


POSITIONAL = {
    "ApiKey": ["secret_name", "key"],
    "AzureContainer": ["url"],
    "BucketTier": ["bucket"],
    "ClusterIssuerRef": ["issuer_name"],
    "CpuUtilization": ["percent"],
    "CronFloor": ["timezone", "start", "end"],
    "DiskTier": ["volume"],
    "EgressRule": ["ports"],
    "EnvFromSource": ["source"],
    "EnvVarSource": ["source"],
    "ExistingClaim": ["claim_name"],
    "KedaAuthentication": ["trigger_authentication"],
    "NodeRequirement": ["key", "values"],
    "Nodes": ["platform"],
    "TopologySpread": ["topology_key"],
    "Volume": ["source"],
    "GatewayRef": ["gateway_name"],
    "GcsBucket": ["url"],
    "HuggingFaceMirror": ["url"],
    "HuggingFaceToken": ["secret_name", "key"],
    "Kubernetes": ["release"],
    "KvCacheUsage": ["threshold"],
    "LoraAdapter": ["name", "source"],
    "AmdGpu": ["product"],
    "DeviceClaim": ["product"],
    "Gaudi": ["product"],
    "IntelGpu": ["product"],
    "Tpu": ["product"],
    "MigSlice": ["profile"],
    "OciImage": ["reference"],
    "QueueDepth": ["threshold"],
    "RunningRequests": ["threshold"],
    "S3Bucket": ["url"],
    "TimeSlicedGpu": ["product"],
    "TimeToFirstToken": ["threshold"],
    "TlsSecret": ["secret"],
    "VirtualGpu": ["product"],
    "VllmRelease": ["image"],
    "WholeGpu": ["product"],
}


@pytest.mark.parametrize("name", VALID)
def test_keyword_only(name: str) -> None:
    """Only what names a value comes without its keyword."""
    positional = [one.name for one in parameters(name) if one.kind is not one.KEYWORD_ONLY]

    assert positional == POSITIONAL.get(name, [])


def test_shown() -> None:
    """A value in a sentence is one short line, whatever it is."""
    assert require.shown("a\nb") == "'a\\nb'"
    assert require.shown("x" * 200) == "'" + "x" * 76 + "..."
    for value in strategies.odd_values():
        text = require.shown(value)
        assert len(text) <= 80
        assert len(text.splitlines()) <= 1
        assert text.isprintable()


def test_nearest() -> None:
    """The nearest option is named where there is one."""
    options = ("NVIDIA-L4", "NVIDIA-L40S", "Tesla-T4")

    assert require.nearest("nvidia-l40", options) == "did you mean 'NVIDIA-L40S'?"
    assert require.nearest("T4", options) == "did you mean 'Tesla-T4'?"
    assert require.nearest("zzz", options) == ""
    assert require.nearest("N", options) == ""
    assert require.nearest(4, options) == ""
    assert require.nearest("NVIDIA-L4", ()) == ""


def test_one_of() -> None:
    """Of many options only the first ones are listed."""
    assert require.one_of(["a", 1]) == "one of 'a', 1"
    assert require.one_of(range(20)).endswith("11 and 8 more")


def test_duration() -> None:
    """A duration is a number of seconds, minutes or hours."""
    assert [require.seconds(require.duration("x", one)) for one in ("15s", "2m", "1h")] == [
        15,
        120,
        3600,
    ]


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (
        lambda: require.integer("x", "5", 1, 9),
        ("x is '5'", "an integer from 1 to 9", "write 5 without quotes"),
    ),
    (lambda: require.integer("x", "5m", 1, 9, "minutes"), ("of minutes", "leave the unit out")),
    (lambda: require.integer("x", value=True, low=0, high=9), ("x is True", "an integer")),
    (lambda: require.number("x", 0, 0, 9, "seconds"), ("x is 0", "seconds above 0 and up to 9")),
    (lambda: require.number("x", float("nan"), 0, 9), ("x is nan", "a number")),
    (lambda: require.ratio("x", 70), ("x is 70", "write 0.7 for 70 %")),
    (lambda: require.ratio("x", 1.5), ("x is 1.5", "above 0 and up to 1")),
    (lambda: require.boolean("x", "true"), ("x is 'true'", "True or False")),
    (lambda: require.text("x", " "), ("x is ' '", "a non-empty string")),
    (lambda: require.text("x", "a\x07"), ("a non-empty string",)),
    (lambda: require.choice("x", "b", ["abc"]), ("x is 'b'", "one of 'abc'")),
    (lambda: require.choice("x", [], ["abc"]), ("x is []", "one of 'abc'")),
    (lambda: require.texts("x", "abc"), ("x is 'abc'", "a list of strings")),
    (lambda: require.texts("x", ["a", 1]), ("x is 1", "a list of strings")),
    (lambda: require.text_map("x", {1: "a"}), ("a key of x is 1", "a non-empty string")),
    (lambda: require.text_map("x", {"a": 1}), ("x['a'] is 1", "quote numbers")),
    (lambda: require.duration("x", "1d"), ("x is '1d'", "'15s', '10m' or '1h'")),
    (lambda: require.duration("x", "٣s"), ("'10m'",)),
    (lambda: require.instance("x", 1, str, "a string"), ("x is 1; expected a string.",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """Each check says the value and what is expected."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_texts() -> None:
    """A list of strings is given back as it is."""
    assert require.texts("x", ["a", "b"]) == ("a", "b")


def test_wrong() -> None:
    """All checks make the same sentence: the value, what is expected and what to do."""
    assert "x is 1; expected a string; quote it." == (
        strategies.refusal(lambda: require.wrong("x", 1, "a string", "quote it"))
    )
    assert "x is 1; expected a string; did you mean '1'?" == (
        strategies.refusal(lambda: require.wrong("x", 1, "a string", "did you mean '1'?"))
    )
    with pytest.raises(VllmConstructsError) as caught:
        require.wrong("x", [1], "a string")
    assert Problem(where="x", value="[1]", allowed="a string") == caught.value.problem


@pytest.mark.parametrize("text", ["{x}", "{{x}}", "{x=1}", "{", "}", "a{max_num_seqs=8}b"])
def test_braces(text: str) -> None:
    """Braces of a user are shown as they are, by every check and for every reader."""
    calls: list[strategies.Call] = [
        lambda: require.integer("x", text, 1, 9),
        lambda: require.choice("x", text, ["a"]),
        lambda: require.matching("x", text, re.compile("y"), "a 'y'"),
        lambda: require.text_map("x", {text: 1}),
        lambda: require.text_map("x", {"a": {text: 1}}),
        lambda: require.items("x", text, "a list"),
        lambda: EngineArgs(dtype=text),  # type: ignore[arg-type]  # the mistake
        lambda: EngineArgs(hf_overrides={text: float("nan")}),
        lambda: EngineArgs(extra={text: 1}),
        lambda: WholeGpu(text),
        lambda: GpuPodSpec(model=text, gpu=L4),
        lambda: GpuPodSpec(model="gpt2", gpu=L4, env={text: "x"}),
        lambda: GpuPodSpec(model="gpt2", gpu=L4, image=text),
    ]
    for call in calls:
        with pytest.raises(VllmConstructsError) as caught:
            call()
        for spelling in (python, as_flags, as_command, as_fields):
            sentence = caught.value.problem.sentence(spelling)
            assert text in sentence
        assert text in str(caught.value)
