"""What holds for all constructs."""

import inspect
import pydoc
import re
from typing import Any

import pytest
import yaml
from cdk8s import ApiObject, Chart
from constructs import Construct

import vllm_constructs
from tests.cdk.samples import (
    CACHE,
    SAMPLES,
    build,
    chart,
    container,
    manifests,
    model,
    named,
    only,
    options,
    parameters,
    rejected,
    unwarned,
    variants,
)
from tests.cdk.scalers import keda
from tests.support import assert_valid, validate
from vllm_constructs import (
    Drain,
    EngineArgs,
    GkeIngress,
    ModelCache,
    ModelMonitor,
    StreamingIngress,
    Traefik,
    VllmConstructsError,
)
from vllm_constructs.cdk.base import VllmConstruct
from vllm_constructs.cdk.registry import chart_context

HOST = "llm.example.com"

# The object that a construct is about.
MAIN = {
    "DisruptionBudget": {"PodDisruptionBudget"},
    "ExternalToken": {"ExternalSecret"},
    "Gateway": {"Gateway"},
    "GpuOperator": {"HelmRelease", "Application"},
    "GpuSmokeTest": {"Job"},
    "HpaScaler": {"HorizontalPodAutoscaler"},
    "KedaOperator": {"HelmRelease", "Application"},
    "KedaScaler": {"ScaledObject"},
    "LmCacheServer": {"DaemonSet"},
    "ModelCache": {"PersistentVolumeClaim"},
    "ModelDeployment": {"Deployment"},
    "ModelDownload": {"Job"},
    "ModelFleet": {"Ingress", "HTTPRoute"},
    "ModelMonitor": {"ServiceMonitor", "PodMonitor"},
    "ModelRoute": {"HTTPRoute"},
    "ModelStack": {"Deployment"},
    "Namespace": {"Namespace"},
    "PrometheusAdapter": {"HelmRelease", "Application"},
    "StreamingIngress": {"Ingress"},
    "TokenSecret": {"Secret"},
}


def test_samples() -> None:
    """Every public construct has samples."""
    constructs = {
        name
        for name in vllm_constructs.__all__
        if isinstance(found := getattr(vllm_constructs, name), type)
        and issubclass(found, Construct)
    }
    assert constructs == set(SAMPLES) == set(MAIN)


@pytest.mark.parametrize("kind", SAMPLES)
def test_minimal_keywords(kind: str) -> None:
    """The minimal sample says what is required and no more."""
    required = {
        n for n, option in options(kind).items() if option.default is inspect.Parameter.empty
    }
    given = set(SAMPLES[kind]["minimal"](chart()))
    if kind == "ModelFleet":
        required |= {"host", "controller"}  # one of two in each case
    assert required == given


@pytest.mark.parametrize("kind", SAMPLES)
def test_all_keywords(kind: str) -> None:
    """The other samples name every keyword, so a new one has to be added to them."""
    with unwarned():
        given = {
            keyword
            for variant, make in SAMPLES[kind].items()
            if variant != "minimal"
            for keyword in make(chart())
        }
    assert set(options(kind)) == given


@pytest.mark.parametrize("kind", SAMPLES)
def test_signature(kind: str) -> None:
    """Constructs take scope and id, then keywords only."""
    assert ["scope", "id"] == [*parameters(kind)][:2]
    assert {inspect.Parameter.KEYWORD_ONLY} >= {option.kind for option in options(kind).values()}
    help_text = pydoc.plain(pydoc.render_doc(getattr(vllm_constructs, kind)))
    assert f"{kind}(scope: 'Construct', id: 'str'" in help_text


@pytest.mark.parametrize(("kind", "variant"), variants())
def test_main_object(kind: str, variant: str) -> None:
    """`ApiObject.of` finds the object that a construct is about."""
    assert ApiObject.of(build(chart(), kind, variant)).kind in MAIN[kind]


@pytest.mark.parametrize("kind", SAMPLES)
def test_attributes(kind: str) -> None:
    """What the docstring calls an attribute is there."""
    made = build(chart(), kind, "everything")
    text = inspect.getdoc(type(made)) or ""
    listed = re.search(r"^Attributes:\n((?: .*\n)+)", text, re.MULTILINE)
    assert listed
    names = re.findall(r"^    (\w+):", listed[1], re.MULTILINE)
    assert names
    assert [] == [name for name in names if not hasattr(made, name)]


@pytest.mark.parametrize("kind", SAMPLES)
def test_repr(kind: str) -> None:
    """A construct shows its class and id."""
    assert f"<{kind} 'sample'>" == repr(build(chart(), kind, "minimal"))


@pytest.mark.parametrize("kind", SAMPLES)
def test_stability(kind: str) -> None:
    """The same arguments give the same YAML each time."""
    first, second = chart(), chart()
    build(first, kind, "everything")
    build(second, kind, "everything")
    assert yaml.safe_dump_all(manifests(first)) == yaml.safe_dump_all(manifests(second))


def test_nesting() -> None:
    """Constructs may stand in a user's own construct, and in one of ours."""
    scope = chart()
    group = Construct(scope, "group")
    inner = ModelCache(model(group), "cache", size="1Gi")
    assert "x/group/qwen/cache" == inner.node.path
    assert {"Deployment", "Service", "NetworkPolicy", "PersistentVolumeClaim"} == {
        item["kind"] for item in manifests(scope)
    }


def test_id_twice() -> None:
    """Two constructs of one id are rejected, and the first one stays as it is."""
    scope = chart()
    ModelCache(scope, "cache", size="1Gi")
    with rejected(scope, "ModelCache 'cache' cannot be added"):
        ModelCache(scope, "cache", size="1Gi", name="other")


def test_names() -> None:
    """An id becomes a legal name without a hash; a name that is given stays as it is."""
    scope = chart()
    assert "qwen-qwen2-5-7b" == model(scope, "Qwen/Qwen2.5_7B").name
    assert "vllm-server" == model(scope, "other", name="vllm-server").name
    assert_valid(*manifests(scope))


@pytest.mark.parametrize("release", ["1.27", "1.34"])
def test_target(release: str) -> None:
    """Fields that are newer than the target are left out; the rest of the manifest is equal."""
    scope, plain = chart(release), chart()
    pooling: dict[str, Any] = {"engine": EngineArgs(runner="pooling"), "drain": Drain(seconds=0)}
    model(scope, **pooling)
    model(plain, **pooling)
    deployment = only(scope, "Deployment")
    hook = container(scope)["lifecycle"]["preStop"]
    older = [item for item in validate(deployment, releases=["1.28"]) if "sleep" in item]
    assert (release == "1.34") == ("sleep" in hook) == bool(older)
    assert_valid(*manifests(scope), releases=[release, "1.37"])
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"] = container(
        plain
    )["lifecycle"]["preStop"]
    assert only(plain, "Deployment") == deployment


def test_chart_labels() -> None:
    """A chart's labels reach objects and pods, but no selector."""
    scope = chart(labels={"team": "search"})
    build(scope, "ModelMonitor", "everything")
    for item in manifests(scope):
        assert "search" == item["metadata"]["labels"]["team"]
    spec = only(scope, "Deployment")["spec"]
    assert "search" == spec["template"]["metadata"]["labels"]["team"]
    selector = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "qwen"}
    assert selector == spec["selector"]["matchLabels"]
    assert selector == only(scope, "Service")["spec"]["selector"]


def test_base() -> None:
    """Every construct shares one base, which is no public name."""
    assert all(issubclass(getattr(vllm_constructs, kind), VllmConstruct) for kind in SAMPLES)
    assert "VllmConstruct" not in vllm_constructs.__all__


def test_all_or_nothing() -> None:
    """A construct that fails half-way is taken out again, with all that its parts have noted."""

    class Pair(VllmConstruct):
        def __init__(self, scope: Chart, id: str, name: str) -> None:
            super().__init__(scope, id, chart_context(scope, id))
            with self._all_or_nothing(scope):
                made = named(self, "qwen")
                StreamingIngress(self, "in", target=made, host=HOST, controller=Traefik())
                ModelCache(self, "cache", size="1Gi", name=name)

    scope = chart()
    ModelCache(scope, "cache", size="1Gi")
    with rejected(scope, "made twice"):
        Pair(scope, "pair", "cache")
    assert ["cache"] == [child.node.id for child in scope.node.children]
    Pair(scope, "pair", "other")
    assert 6 == len(manifests(scope))


def test_removed_object() -> None:
    """Objects that a user removes stay away, and all that changes the model still works."""
    scope = chart()
    qwen = model(scope, replicas=2, cache=CACHE)
    kept = qwen.deployment
    for id in ("network-policy", "Default", "service"):
        assert qwen.node.try_remove_child(id)
    ModelMonitor(scope, "monitor", target=qwen, labels={"release": "x"})
    with rejected(scope, "has a ModelMonitor already"):
        ModelMonitor(scope, "again", name="again", target=qwen, labels={"release": "x"})
    StreamingIngress(scope, "in", target=qwen, host=HOST, controller=GkeIngress())
    keda(scope, "scaler", qwen)
    assert qwen.has_autoscaler
    assert {"Deployment", "Service", "NetworkPolicy"}.isdisjoint(
        item["kind"] for item in manifests(scope)
    )
    assert kept is qwen.deployment
    with pytest.raises(VllmConstructsError, match="'qwen' has no object 'network-policy' any more"):
        _ = qwen.network_policy


def test_locked() -> None:
    """A construct that cannot be added for another reason says that reason."""
    scope = chart()
    scope.node.lock()
    with pytest.raises(
        VllmConstructsError, match=r"'cache' cannot be added: .* during synthesis\."
    ):
        ModelCache(scope, "cache", size="1Gi")
