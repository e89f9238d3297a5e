"""The public surface: which names there are, and what their docstrings promise."""

import ast
import copy
import dataclasses
import importlib
import inspect
import re
import types
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, is_typeddict

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart
from constructs import Construct

import vllm_constructs
from tests.cdk.samples import unwarned
from vllm_constructs import (
    Affinity,
    AmdGpu,
    ApiKey,
    ArgoApplication,
    AwsAlb,
    AzureContainer,
    BucketTier,
    ClusterIssuerRef,
    Container,
    Cpu,
    CpuUtilization,
    CronFloor,
    DeviceClaim,
    DiskTier,
    Dns,
    Drain,
    EgressRule,
    EngineArgs,
    EnvFromSource,
    EnvVarSource,
    EphemeralCache,
    ExistingClaim,
    ExternalMetric,
    F5Nginx,
    FluxHelmRelease,
    GatewayRef,
    Gaudi,
    GcsBucket,
    GkeIngress,
    GpuPodSpec,
    HuggingFaceMirror,
    HuggingFaceToken,
    IngressNginx,
    IntelGpu,
    KedaAuthentication,
    Kubernetes,
    KvCacheUsage,
    KvOffload,
    LmCache,
    LmCacheClient,
    LoraAdapter,
    MemoryPlan,
    Metric,
    MigSlice,
    ModelDeployment,
    ModelScope,
    ModelSeries,
    ModelShape,
    NodeRequirement,
    Nodes,
    Objectives,
    ObjectMetric,
    OciImage,
    PodAffinityTerm,
    PodOptions,
    PodSecurity,
    Probes,
    Problem,
    PrometheusQuery,
    QueueDepth,
    ReplicaRange,
    Rollout,
    RunningRequests,
    S3Bucket,
    ScalingPace,
    ServiceAccountToken,
    ServiceOptions,
    Startup,
    TimeSlicedGpu,
    TimeToFirstToken,
    TlsSecret,
    Toleration,
    TopologySpread,
    Tpu,
    Traefik,
    VirtualGpu,
    VllmConstructsError,
    VllmConstructsWarning,
    VllmRelease,
    Volume,
    WholeGpu,
    parse_args,
)
from vllm_constructs.cdk.base import VllmConstruct
from vllm_constructs.workloads import pod_options

NAMES = vllm_constructs.__all__
CONSTRUCTS: dict[str, str] = vars(vllm_constructs)["_CONSTRUCTS"]
VALUES: dict[str, str] = vars(vllm_constructs)["_VALUES"]
PUBLIC = [getattr(vllm_constructs, name) for name in NAMES]
CLASSES: list[type[Any]] = [one for one in PUBLIC if isinstance(one, type)]
WITH_ARGUMENTS = [
    kind for kind in CLASSES if not issubclass(kind, Exception) and not is_typeddict(kind)
]


def sections(text: str) -> dict[str, str]:
    """The sections of a Google-style docstring, by their headings."""
    found = re.split(r"^(\w+):\n(?=    )", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def entries(section: str) -> list[str]:
    """The names that a section lists."""
    return re.findall(r"^    (\*{0,2}\w+): ", section, re.MULTILINE)


def arguments(kind: type[Any]) -> list[str]:
    """What a class is made with."""
    # Without the wrapper, whose signature has the options of a pod one by one.
    init = inspect.unwrap(kind.__init__)
    _, *found = inspect.signature(init).parameters.values()
    others = {one.name: one.annotation for one in found if one.kind is one.VAR_KEYWORD}
    # The one takes the options of a pod, and the other nothing: it is there for a sentence.
    assert set(others.values()) <= {"Unpack[PodOptions]", "Never"}
    return [
        f"**{one.name}" if one.name in others else one.name
        for one in found
        if others.get(one.name) != "Never"
    ]


def test_sorted() -> None:
    """The names are sorted, and none stands twice."""
    assert sorted(set(NAMES)) == NAMES


def test_complete() -> None:
    """Every public name that can be reached is promised, and the other way round."""
    here = {
        name
        for name, value in vars(vllm_constructs).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # A plain True of the standard library, which the module needs for its own imports.
    assert set(NAMES) | {"TYPE_CHECKING"} == here | set(CONSTRUCTS) | set(VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_resolves(name: str) -> None:
    """Each name is a class of that name, the same one each time."""
    found = getattr(vllm_constructs, name)
    assert name == found.__name__
    assert found is getattr(vllm_constructs, name)


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_lazy(name: str) -> None:
    """A construct is loaded from its module when it is first asked for."""
    module = importlib.import_module(f"vllm_constructs.cdk.{CONSTRUCTS[name]}")
    found = vllm_constructs.__getattr__(name)
    assert getattr(module, name) is found
    # A function works on constructs of any kind.
    is_class = isinstance(found, type)
    assert issubclass(found, VllmConstruct) if is_class else inspect.isfunction(found)
    assert module.__name__ == found.__module__


@pytest.mark.parametrize("name", VALUES)
def test_lazy_value(name: str) -> None:
    """A value is loaded from its module when it is first asked for."""
    module = importlib.import_module(f"vllm_constructs.{VALUES[name]}")
    found = vllm_constructs.__getattr__(name)
    assert getattr(module, name) is found
    is_class = isinstance(found, type)
    assert not (is_class and issubclass(found, VllmConstruct))
    # A traceback names the public module of an exception.
    is_exception = is_class and issubclass(found, Exception)
    assert ("vllm_constructs" if is_exception else module.__name__) == found.__module__


@pytest.mark.parametrize(
    "name", ["ModelDeploymnet", "_private", "Construct", "base", "__wrapped__"]
)
def test_unknown(name: str) -> None:
    """Another name is missing in the usual way."""
    with pytest.raises(AttributeError, match=f"'vllm_constructs' has no attribute '{name}'"):
        getattr(vllm_constructs, name)


@pytest.mark.parametrize("kind", PUBLIC, ids=NAMES)
def test_docstring(kind: type[Any]) -> None:
    """Each name has a docstring of its own that begins with one sentence."""
    text = inspect.cleandoc(kind.__doc__ or "")
    first, _, _ = text.partition("\n\n")
    assert first.endswith(".")
    assert "\n" not in first
    # What `dataclass` writes by itself is no docstring.
    assert not first.startswith(f"{kind.__name__}(")


@pytest.mark.parametrize("kind", WITH_ARGUMENTS, ids=lambda kind: kind.__name__)
def test_arguments(kind: type[Any]) -> None:
    """The docstring explains every argument, in their order, and no other."""
    text = inspect.cleandoc(kind.__doc__ or "")
    assert arguments(kind) == entries(sections(text).get("Args", ""))


def test_pod_options() -> None:
    """Each option of a pod has its docstring, which gives the default of what may be left out."""
    (found,) = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(pod_options)))
        if isinstance(node, ast.ClassDef) and node.name == "PodOptions"
    ]
    texts: dict[str, str] = {}
    for option, text in zip(found.body[1::2], found.body[2::2], strict=True):
        assert isinstance(option, ast.AnnAssign)
        assert isinstance(option.target, ast.Name)
        assert isinstance(text, ast.Expr)
        assert isinstance(text.value, ast.Constant)
        texts[option.target.id] = str(text.value.value)
    assert [*PodOptions.__annotations__] == [*texts]
    assert {"model", "gpu"} == PodOptions.__required_keys__
    for name, meaning in texts.items():
        assert meaning.endswith(".")
        assert (name in PodOptions.__required_keys__) != ("Default:" in meaning)


def test_pod_fields() -> None:
    """A pod keeps each of its options, in their order."""
    assert [*PodOptions.__annotations__] == [one.name for one in dataclasses.fields(GpuPodSpec)]


@pytest.mark.parametrize("kind", WITH_ARGUMENTS, ids=lambda kind: kind.__name__)
def test_raises(kind: type[Any]) -> None:
    """The docstring says when a class refuses its arguments, if it can."""
    has_checks = hasattr(kind, "__post_init__") or issubclass(kind, GpuPodSpec)
    refuses = issubclass(kind, VllmConstruct) or has_checks
    text = inspect.cleandoc(kind.__doc__ or "")
    assert refuses == ("VllmConstructsError" in entries(sections(text).get("Raises", "")))


@pytest.mark.parametrize("kind", PUBLIC, ids=NAMES)
def test_methods(kind: type[Any]) -> None:
    """Every public method and property has a docstring."""
    missing = [
        name
        for name, value in vars(kind).items()
        if not name.startswith("_")
        and isinstance(value, (property, classmethod, staticmethod, types.FunctionType))
        and not inspect.getdoc(value)
    ]
    assert [] == missing


GPU = WholeGpu("NVIDIA-L40S")
SHAPE = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
OBJECT: dict[str, Any] = {"name": "a", "threshold": 1.0, "metric_type": "Value"}
QUERY: dict[str, Any] = {"name": "a", "threshold": 1.0, "metric_type": "Value"}
WAITING: dict[str, Any] = {"type": "gauge", "unit": "requests"}

# For each value two that differ, made anew each time.
MADE: dict[str, Callable[[], tuple[object, object]]] = {
    "ApiKey": lambda: (ApiKey("a"), ApiKey("a", namespace="llm")),
    "Affinity": lambda: (Affinity(), Affinity(nodes=[NodeRequirement("a")])),
    "AzureContainer": lambda: (
        AzureContainer("az://a/b", account="llm"),
        AzureContainer("az://a/c", account="llm"),
    ),
    "BucketTier": lambda: (
        BucketTier("kv-a", endpoint="s3.example.com"),
        BucketTier("kv-b", endpoint="s3.example.com"),
    ),
    "Container": lambda: (Container(name="a", image="b:1"), Container(name="a", image="b:2")),
    "DiskTier": lambda: (
        DiskTier(Volume.from_claim("a")),
        DiskTier(Volume.from_claim("a"), path="/kv"),
    ),
    "Dns": lambda: (Dns(), Dns(policy="Default")),
    "EgressRule": lambda: (EgressRule([443]), EgressRule([443, 80])),
    "EnvFromSource": lambda: (
        EnvFromSource.from_secret("a"),
        EnvFromSource.from_config_map("a"),
    ),
    "EnvVarSource": lambda: (
        EnvVarSource.from_secret("a", key="b"),
        EnvVarSource.from_field("status.podIP"),
    ),
    "NodeRequirement": lambda: (NodeRequirement("a", ["b"]), NodeRequirement("a")),
    "Nodes": lambda: (Nodes(), Nodes("gke")),
    "PodAffinityTerm": lambda: (
        PodAffinityTerm(labels={"a": "b"}),
        PodAffinityTerm(labels={"a": "c"}),
    ),
    "PodSecurity": lambda: (PodSecurity(), PodSecurity(user="root")),
    "Probes": lambda: (Probes(), Probes(timeout=3)),
    "ServiceAccountToken": lambda: (ServiceAccountToken(), ServiceAccountToken(audience="a")),
    "TopologySpread": lambda: (TopologySpread(), TopologySpread("a")),
    "Volume": lambda: (Volume.from_secret("a"), Volume.from_config_map("a")),
    "ArgoApplication": lambda: (ArgoApplication(), ArgoApplication(project="llm")),
    "AwsAlb": lambda: (AwsAlb(subnets=["10.0.0.0/16"]), AwsAlb(subnets=["10.1.0.0/16"])),
    "ClusterIssuerRef": lambda: (
        ClusterIssuerRef("a", secret="s"),
        ClusterIssuerRef("b", secret="s"),
    ),
    "CpuUtilization": lambda: (CpuUtilization(70), CpuUtilization(80)),
    "CronFloor": lambda: (
        CronFloor("UTC", "0 9 * * *", "0 22 * * *", replicas=1),
        CronFloor("UTC", "0 9 * * *", "0 22 * * *", replicas=2),
    ),
    "Drain": lambda: (Drain(seconds=60), Drain(seconds=90)),
    "EngineArgs": lambda: (
        EngineArgs(max_model_len=4096, compilation_config={"mode": 3}),
        EngineArgs(max_model_len=4096, compilation_config={"mode": 2}),
    ),
    "EphemeralCache": lambda: (EphemeralCache(), EphemeralCache(size="1Gi")),
    "ExistingClaim": lambda: (ExistingClaim("a"), ExistingClaim("a", access="ReadOnlyMany")),
    "ExternalMetric": lambda: (
        ExternalMetric(name="a", threshold=1, metric_type="Value"),
        ExternalMetric(name="a", threshold=2, metric_type="Value"),
    ),
    "KedaAuthentication": lambda: (
        KedaAuthentication("a"),
        KedaAuthentication.from_secret("a", bearer_token="token"),
    ),
    "ObjectMetric": lambda: (
        ObjectMetric(kind="Ingress", object_name="a", api_version="v1", **OBJECT),
        ObjectMetric(kind="Ingress", object_name="b", api_version="v1", **OBJECT),
    ),
    "ReplicaRange": lambda: (ReplicaRange(max_replicas=1), ReplicaRange(max_replicas=2)),
    "ServiceOptions": lambda: (ServiceOptions(), ServiceOptions(port=80)),
    "F5Nginx": lambda: (F5Nginx(), F5Nginx(namespace="ingress")),
    "FluxHelmRelease": lambda: (FluxHelmRelease(), FluxHelmRelease(interval="30m")),
    "GatewayRef": lambda: (GatewayRef("a"), GatewayRef("a", namespace="gateways")),
    "GcsBucket": lambda: (GcsBucket("gs://a/b"), GcsBucket("gs://a/c")),
    "GkeIngress": lambda: (
        GkeIngress(),
        GkeIngress(class_name="gce-internal", proxy_subnets=["10.129.0.0/23"]),
    ),
    "AmdGpu": lambda: (AmdGpu("MI300X"), AmdGpu("MI300X", count=2)),
    "Cpu": lambda: (Cpu(cores=8, memory_gib=32), Cpu(cores=8, memory_gib=64)),
    "DeviceClaim": lambda: (DeviceClaim("NVIDIA-L40S"), DeviceClaim("NVIDIA-L40S", count=2)),
    "Gaudi": lambda: (Gaudi("Gaudi2"), Gaudi("Gaudi3")),
    "IntelGpu": lambda: (IntelGpu("Max_1100"), IntelGpu("Max_1550")),
    "Tpu": lambda: (Tpu("v6e", topology="2x2"), Tpu("v6e", topology="2x4")),
    "GpuPodSpec": lambda: (
        GpuPodSpec(model="a/b", gpu=GPU),
        GpuPodSpec(model="a/b", gpu=GPU, env={"A": "1"}),
    ),
    "HuggingFaceMirror": lambda: (
        HuggingFaceMirror("https://a.example.com"),
        HuggingFaceMirror("https://b.example.com"),
    ),
    "HuggingFaceToken": lambda: (HuggingFaceToken("a"), HuggingFaceToken("a", "key")),
    "IngressNginx": lambda: (IngressNginx(), IngressNginx(class_name="public")),
    "Kubernetes": lambda: (Kubernetes("1.27"), Kubernetes("1.34")),
    "KvCacheUsage": lambda: (KvCacheUsage(0.8), KvCacheUsage(0.9)),
    "KvOffload": lambda: (KvOffload(gib=8), KvOffload(gib=9)),
    "LmCache": lambda: (LmCache(gib=8), LmCache(gib=9)),
    "LmCacheClient": lambda: (LmCacheClient(host="a"), LmCacheClient(host="b")),
    "LoraAdapter": lambda: (LoraAdapter("a", "org/a"), LoraAdapter("a", "org/b")),
    "MemoryPlan": lambda: (
        MemoryPlan(shape=SHAPE, gpu=GPU),
        MemoryPlan(shape=SHAPE, gpu=GPU, engine=EngineArgs(max_model_len=4096)),
    ),
    "Metric": lambda: (
        Metric(name="a", **WAITING),
        Metric(name="a", labels=("model_name",), **WAITING),
    ),
    "MigSlice": lambda: (MigSlice("1g.10gb"), MigSlice("2g.20gb")),
    "ModelScope": lambda: (
        ModelScope(),
        ModelScope(token=EnvVarSource.from_secret("a", key="b")),
    ),
    "ModelSeries": lambda: (
        ModelSeries(namespace="llm", model_name="a"),
        ModelSeries(namespace="llm", model_name="b"),
    ),
    "ModelShape": lambda: (
        ModelShape.named("Qwen/Qwen2.5-7B-Instruct"),
        ModelShape.named("Qwen/Qwen2.5-32B-Instruct"),
    ),
    "Objectives": lambda: (Objectives(), Objectives(errors=0.1)),
    "OciImage": lambda: (OciImage("a/b:1"), OciImage("a/b:2")),
    "ParsedArgs": lambda: (parse_args(["a/b", "--port=9000"]), parse_args(["a/b"])),
    "Problem": lambda: (Problem(text="a"), Problem(text="a", kind="does not fit")),
    "PrometheusQuery": lambda: (
        PrometheusQuery(query="sum(a)", **QUERY),
        PrometheusQuery(query="sum(b)", **QUERY),
    ),
    "QueueDepth": lambda: (QueueDepth(5), QueueDepth(6)),
    "Rollout": lambda: (Rollout(), Rollout(spare_gpus=1)),
    "RunningRequests": lambda: (RunningRequests(5), RunningRequests(6)),
    "S3Bucket": lambda: (S3Bucket("s3://a/b"), S3Bucket("s3://a/c")),
    "ScalingPace": lambda: (ScalingPace(), ScalingPace(up_pods=2)),
    "Startup": lambda: (Startup(minutes=5), Startup(minutes=6)),
    "TimeSlicedGpu": lambda: (
        TimeSlicedGpu("NVIDIA-A10"),
        TimeSlicedGpu("NVIDIA-A10", sharing="mps"),
    ),
    "TimeToFirstToken": lambda: (TimeToFirstToken(2), TimeToFirstToken(3)),
    "TlsSecret": lambda: (TlsSecret("a"), TlsSecret("a", namespace="llm")),
    "Toleration": lambda: (Toleration(key="a"), Toleration(key="a", value="b")),
    "Traefik": lambda: (Traefik(), Traefik(namespace="ingress")),
    "VirtualGpu": lambda: (VirtualGpu("NVIDIA-A40-24Q"), VirtualGpu("NVIDIA-A40-48Q")),
    "VllmRelease": lambda: (
        VllmRelease("vllm/vllm-openai:v0.33.0"),
        VllmRelease("vllm/vllm-openai:v0.28.0"),
    ),
    "WholeGpu": lambda: (WholeGpu("NVIDIA-L40S"), WholeGpu("NVIDIA-L40S", count=2)),
}


@pytest.mark.parametrize(
    "kind",
    [kind for kind in WITH_ARGUMENTS if not issubclass(kind, VllmConstruct)],
    ids=lambda kind: kind.__name__,
)
def test_values(kind: type[Any]) -> None:
    """What is no construct is a frozen value, compared by what it says."""
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # private to dataclasses
    with unwarned():
        (made, other), (same, _) = MADE[kind.__name__](), MADE[kind.__name__]()
    assert made is not same
    assert made == same
    assert made != other
    assert made == copy.deepcopy(made)
    assert made != vars(made)
    with suppress(TypeError):  # What holds a dict has no hash.
        assert hash(made) == hash(same)
    for name in [one.name for one in dataclasses.fields(kind)]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, None)
    assert made == same


@pytest.mark.parametrize("kind", [VllmConstructsError, VllmConstructsWarning])
def test_errors(kind: type[Exception]) -> None:
    """A traceback names the public module, under which a user finds the class."""
    assert "vllm_constructs" == kind.__module__
    assert kind("One sentence.").args == ("One sentence.",)


def test_star() -> None:
    """A star import gives all names."""
    found: dict[str, object] = {}
    exec("from vllm_constructs import *", found)  # noqa: S102  # there is no other way to say it
    assert set(NAMES) == set(found) - {"__builtins__"}


def test_typed() -> None:
    """Type checkers are told that the package has types."""
    assert files("vllm_constructs").joinpath("py.typed").is_file()


def public(names: object) -> set[str]:
    """The names that do not begin with an underscore."""
    return {name for name in dir(names) if not name.startswith("_")}


def test_model_deployment() -> None:
    """A model has what its docstring and cdk8s-plus name, and what others say of it is hidden."""
    chart = Chart(App(), "x", namespace="llm")
    made = ModelDeployment(chart, "qwen", model="a/b", gpu=GPU)
    text = inspect.cleandoc(ModelDeployment.__doc__ or "")
    attributes = entries(sections(text)["Attributes"])
    # Fetched where somebody asks for them.
    objects = {"config_map", "deployment", "network_policy"}
    assert objects | {name for name in vars(made) if not name.startswith("_")} == set(attributes)
    # These have docstrings of their own.
    facts = {
        "gpus",
        "namespace",
        "pod_security_level",
        "replica_range",
        "rollout_gpus",
        "selector",
        "series",
        "served_name",
        "service",
    }
    assert all(isinstance(vars(ModelDeployment)[name], property) for name in facts | objects)
    interfaces = (kplus.IScalable, kplus.IPodSelector, kplus.INetworkPolicyPeer)
    asked = {name for one in interfaces for name in public(one)} | public(Construct)
    assert facts | objects | asked == public(ModelDeployment)
    assert facts | asked | set(attributes) == public(made)
