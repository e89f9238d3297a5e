"""What holds for all constructs."""

import inspect
import re

import pytest
import yaml
from cdk8s import ApiObject, App, Chart, JsonPatch
from constructs import Construct

import vllm_constructs
from tests.cdk.samples import (
    GPU,
    MODEL,
    SAMPLES,
    build,
    chart,
    container,
    manifests,
    model,
    only,
    options,
    parameters,
    unwarned,
    variants,
)
from tests.support import assert_valid, validate
from vllm_constructs import Kubernetes, ModelCache, ModelDeployment, Namespace, VllmConstructsError
from vllm_constructs.cdk.base import Room

# The object that a construct is about.
MAIN = {
    "DisruptionBudget": {"PodDisruptionBudget"},
    "ExternalToken": {"ExternalSecret"},
    "GpuOperator": {"HelmRelease", "Application"},
    "GpuSmokeTest": {"Job"},
    "HpaScaler": {"HorizontalPodAutoscaler"},
    "KedaOperator": {"HelmRelease", "Application"},
    "KedaScaler": {"ScaledObject"},
    "ModelCache": {"PersistentVolumeClaim"},
    "ModelDeployment": {"Deployment"},
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
    scope, id_, *others = parameters(kind).values()
    assert ["scope", "id"] == [scope.name, id_.name]
    assert {inspect.Parameter.KEYWORD_ONLY} >= {other.kind for other in others}


@pytest.mark.parametrize(("kind", "variant"), variants())
def test_main_object(kind: str, variant: str) -> None:
    """`ApiObject.of` finds the object that a construct is about."""
    assert ApiObject.of(build(chart(), kind, variant)).kind in MAIN[kind]


@pytest.mark.parametrize("kind", SAMPLES)
def test_attributes(kind: str) -> None:
    """What the docstring calls an attribute is there."""
    room = build(chart(), kind, "everything")
    text = inspect.getdoc(type(room)) or ""
    listed = re.search(r"^Attributes:\n((?: .*\n)+)", text, re.MULTILINE)
    assert listed
    names = re.findall(r"^    (\w+):", listed[1], re.MULTILINE)
    assert names
    assert [] == [name for name in names if not hasattr(room, name)]


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


def test_chart_missing() -> None:
    """A construct outside of a chart is refused."""
    app = App()
    for scope in (app, Construct(app, "group")):
        with pytest.raises(VllmConstructsError, match="'cache' is not inside of a Chart"):
            ModelCache(scope, "cache", size="1Gi")
    assert ["", "group"] == [node.node.path for node in app.node.find_all()]


def test_scope_wrong() -> None:
    """A scope that is no construct is refused."""
    for wrong in (None, "x", object(), App):
        with pytest.raises(VllmConstructsError, match=r"scope is .* it takes a Chart"):
            ModelCache(wrong, "cache", size="1Gi")  # type: ignore[arg-type]  # what is tested


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
    """Two constructs of one id are refused, and the first one stays as it is."""
    scope = chart()
    ModelCache(scope, "cache", size="1Gi")
    before = manifests(scope)
    with pytest.raises(VllmConstructsError, match="ModelCache 'cache' cannot be added"):
        ModelCache(scope, "cache", size="1Gi", name="other")
    assert before == manifests(scope)


def test_name_twice() -> None:
    """Two objects of one kind, namespace and name are refused, in two charts of an app too."""
    app = App()
    first = Chart(app, "a", namespace="llm")
    ModelCache(first, "cache", size="1Gi")
    second = Chart(app, "b", namespace="llm")
    for scope in (first, second):
        with pytest.raises(VllmConstructsError, match=r"'cache' in namespace 'llm' is made twice"):
            ModelCache(scope, "other", name="cache", size="1Gi")
    assert [[], ["PersistentVolumeClaim"]] == [
        [item["kind"] for item in manifests(scope)] for scope in (second, first)
    ]


def test_name_elsewhere() -> None:
    """The same name is free for another kind, in another namespace and in another app."""
    app = App()
    for scope in (Chart(app, "a", namespace="a"), Chart(app, "b", namespace="b"), chart()):
        ModelCache(scope, "cache", name="qwen", size="1Gi")
        model(scope)
        assert 4 == len(manifests(scope))


def test_cluster_scoped() -> None:
    """A Namespace is in no namespace, whatever its chart says, and unique in the cluster."""
    app = App()
    Namespace(Chart(app, "a", namespace="a"), "llm")
    with pytest.raises(VllmConstructsError, match="Namespace 'llm' is made twice"):
        Namespace(Chart(app, "b", namespace="b"), "llm")


def test_names() -> None:
    """An id becomes a legal name without a hash; a name that is given stays as it is."""
    scope = chart()
    assert "qwen-qwen2-5-7b" == model(scope, "Qwen/Qwen2.5_7B").name
    assert "vllm-server" == model(scope, "other", name="vllm-server").name
    assert_valid(*manifests(scope))


def test_kubernetes() -> None:
    """The target release is inherited from app, chart or construct, the nearest one first."""
    app = App()
    Kubernetes("1.29").set_on(app)
    old = Chart(app, "old", namespace="llm")
    new = Chart(app, "new", namespace="llm")
    Kubernetes("1.34").set_on(new)
    model(old, "a")
    model(Construct(new, "group"), "b")
    exec_, sleep = (container(scope)["lifecycle"]["preStop"] for scope in (old, new))
    assert {"exec": {"command": ["sleep", "15"]}} == exec_
    assert {"sleep": {"seconds": 15}} == sleep


@pytest.mark.parametrize("release", ["1.27", "1.34"])
def test_target(release: str) -> None:
    """Fields that are newer than the target are left out; the rest of the manifest is equal."""
    scope, plain = chart(release), chart()
    model(scope)
    model(plain)
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


def test_chart_without_namespace() -> None:
    """A model needs no namespace of its chart: then it is the one that is applied to."""
    scope = Chart(App(), "x")
    qwen = ModelDeployment(scope, "qwen", model=MODEL, gpu=GPU)
    assert qwen.namespace is None
    assert all("namespace" not in item["metadata"] for item in manifests(scope))
    assert_valid(*manifests(scope), require_namespace=False)
    with pytest.raises(VllmConstructsError, match=r"needs the namespace.*; give it: Chart\("):
        _ = qwen.metrics_scope


def test_patches() -> None:
    """A user's patch of any object is exact: nothing that it says is lost."""
    cache = ModelCache(chart(), "cache", size="1Gi")
    ApiObject.of(cache).add_json_patch(
        JsonPatch.replace("/spec/resources/requests/storage", "2Gi"),
        JsonPatch.add("/spec/fieldOfTomorrow", {"a~b/c": [1, None, 0.5]}),
    )
    spec = cache.claim.to_json()["spec"]
    assert "2Gi" == spec["resources"]["requests"]["storage"]
    assert {"a~b/c": [1, None, 0.5]} == spec["fieldOfTomorrow"]


def test_room() -> None:
    """Every construct shares one base, which is no public name."""
    assert all(issubclass(getattr(vllm_constructs, kind), Room) for kind in SAMPLES)
    assert "Room" not in vllm_constructs.__all__
