from typing import Any

import pytest
import yaml
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

import vllm_constructs
from tests.cdk.samples import (
    GPU,
    PROMETHEUS,
    chart,
    check_sample,
    manifests,
    only,
    variants,
)
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    ArgoApplication,
    FluxHelmRelease,
    GpuOperator,
    GpuSmokeTest,
    KedaOperator,
    MigSlice,
    Namespace,
    PrometheusAdapter,
    TimeSlicedGpu,
    VirtualGpu,
    VllmConstructsError,
    WholeGpu,
)

OPERATORS = ["GpuOperator", "KedaOperator", "PrometheusAdapter"]


@pytest.mark.parametrize(
    ("kind", "variant"),
    variants("Namespace", "GpuOperator", "KedaOperator", "PrometheusAdapter", "GpuSmokeTest"),
)
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def operator(scope: Chart, kind: str, **more: Any) -> Any:
    """An operator with what it requires."""
    own = {"prometheus": PROMETHEUS} if kind == "PrometheusAdapter" else {}
    required = {"delivery": FluxHelmRelease()} | own
    return getattr(vllm_constructs, kind)(scope, "operator", **(required | more))


def values(scope: Chart) -> dict[str, Any]:
    """The chart's values, whichever tool delivers them."""
    kinds = {item["kind"]: item.get("spec", {}) for item in manifests(scope)}
    found: dict[str, Any]
    if "HelmRelease" in kinds:
        found = kinds["HelmRelease"]["values"]
    else:
        found = kinds["Application"]["source"]["helm"]["valuesObject"]
    return found


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("namespace", [None, "llm"])
def test_delivery(kind: str, namespace: str | None) -> None:
    """Both tools install the same chart with the same values, from their own namespaces."""
    flux, argo = (Chart(App(), "x", namespace=namespace) for _ in range(2))
    operator(flux, kind, namespace="home", values={"a": {"b": 1}})
    operator(argo, kind, delivery=ArgoApplication(), namespace="home", values={"a": {"b": 1}})
    assert values(flux) == values(argo)
    assert {"b": 1} == values(flux)["a"]
    repository, release, application = (
        only(flux, "HelmRepository"),
        only(flux, "HelmRelease"),
        only(argo, "Application"),
    )
    assert ["flux-system", "flux-system", "argocd"] == [
        item["metadata"]["namespace"] for item in (repository, release, application)
    ]
    source = application["spec"]["source"]
    chart_ = release["spec"]["chart"]["spec"]
    assert source["repoURL"] == repository["spec"]["url"]
    assert (source["chart"], source["targetRevision"]) == (chart_["chart"], chart_["version"])
    assert "home" == release["spec"]["targetNamespace"]
    assert "home" == application["spec"]["destination"]["namespace"]
    assert_valid(*manifests(flux), *manifests(argo))


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("delivery", "flux"),
        ("delivery", FluxHelmRelease),
        ("delivery", None),
        ("version", ""),
        ("version", 26),
        ("namespace", "A"),
        ("values", "a: 1"),
        ("values", {"a": float("nan")}),
        ("values", {"a": {"b": float("inf")}}),
        ("values", {"a": object()}),
        ("values", {1: "a"}),
    ],
)
def test_operator_refusals(kind: str, keyword: str, value: object) -> None:
    """What a chart or Kubernetes would refuse is rejected, and nothing is made."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=f"{kind}.{keyword}"):
        operator(scope, kind, **{keyword: value})
    assert [] == manifests(scope)


class TestGpuOperator:
    """The values and objects that GpuOperator derives."""

    def test_namespace(self) -> None:
        """Its namespace is privileged, as drivers need it, and stands first."""
        scope = chart()
        operator(scope, "GpuOperator", namespace="gpus")
        first = manifests(scope)[0]
        assert ("Namespace", "gpus") == (first["kind"], first["metadata"]["name"])
        labels = first["metadata"]["labels"]
        assert "privileged" == labels["pod-security.kubernetes.io/enforce"]

    def test_user_values(self) -> None:
        """The user's values win, key by key."""
        scope = chart()
        more = {"driver": {"version": "580"}, "dcgm": {"enabled": False}}
        operator(scope, "GpuOperator", values=more)
        found = values(scope)
        assert {"enabled": True, "version": "580"} == found["driver"]
        assert {"enabled": False} == found["dcgm"]

    @pytest.mark.parametrize(
        ("given", "mig", "expected"),
        [
            (None, None, "single"),
            ("mixed", None, "mixed"),
            (None, MigSlice("1g.10gb"), "mixed"),
            (
                None,
                MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3", strategy="single"),
                "single",
            ),
        ],
    )
    def test_mig(self, given: Any, mig: MigSlice | None, expected: str) -> None:
        """The strategy is the slice's, where it is not given."""
        scope = chart()
        operator(scope, "GpuOperator", mig_strategy=given, mig=mig)
        assert {"strategy": expected} == values(scope)["mig"]

    @pytest.mark.parametrize(
        "options",
        [
            {"mig_strategy": "both"},
            {"mig_strategy": "single", "mig": MigSlice("1g.10gb")},
            {"mig": "1g.10gb"},
            {"shared_gpus": [TimeSlicedGpu("NVIDIA-A10")]},
            {"shared_gpus": {"a10": WholeGpu("NVIDIA-A10")}},
            {"shared_gpus": {"a 10": TimeSlicedGpu("NVIDIA-A10")}},
            {"driver": "yes"},
            {"dcgm_exporter": 1},
        ],
    )
    def test_refusals(self, options: Any) -> None:
        """A strategy, slice or share that does not fit is rejected."""
        scope = chart()
        with pytest.raises(VllmConstructsError, match=r"GpuOperator\.\w+"):
            operator(scope, "GpuOperator", **options)
        assert [] == manifests(scope)

    def test_sharing(self) -> None:
        """Ways of sharing are files of a ConfigMap in its namespace, which the plugin reads."""
        scope = chart()
        shares = {"a10-by-4": TimeSlicedGpu("NVIDIA-A10", replicas=4)}
        found = operator(scope, "GpuOperator", shared_gpus=shares, namespace="gpus")
        config = only(scope, "ConfigMap")
        assert "gpus" == config["metadata"]["namespace"]
        assert config["metadata"]["name"] == values(scope)["devicePlugin"]["config"]["name"]
        sharing = yaml.safe_load(config["data"]["a10-by-4"])["sharing"]["timeSlicing"]
        assert 4 == sharing["resources"][0]["replicas"]
        assert found.sharing.name == config["metadata"]["name"]


class TestPrometheusAdapter:
    """The address and the rules that an HPA needs."""

    @pytest.mark.parametrize(
        ("address", "url", "port"),
        [
            ("http://prometheus.monitoring.svc:9090", "http://prometheus.monitoring.svc", 9090),
            ("https://prometheus.example.com", "https://prometheus.example.com", 443),
            ("http://prometheus.monitoring.svc/", "http://prometheus.monitoring.svc", 80),
        ],
    )
    def test_address(self, address: str, url: str, port: int) -> None:
        """The chart takes address and port apart."""
        scope = chart()
        operator(scope, "PrometheusAdapter", prometheus=address)
        assert {"url": url, "port": port} == values(scope)["prometheus"]

    @pytest.mark.parametrize("address", ["prometheus:9090", "", None, 9090, "http://"])
    def test_refusals(self, address: object) -> None:
        """An address that is none is rejected."""
        with pytest.raises(VllmConstructsError, match=r"PrometheusAdapter\.prometheus"):
            operator(chart(), "PrometheusAdapter", prometheus=address)

    def test_rules(self) -> None:
        """Each metric that HpaScaler uses gets its name by a rule."""
        scope = chart()
        operator(scope, "PrometheusAdapter")
        rules = values(scope)["rules"]
        assert rules["default"] is False
        names = {rule["name"]["as"] for rule in rules["custom"]}
        assert {
            "vllm_kv_cache_usage_perc",
            "vllm_num_requests_running",
            "vllm_num_requests_waiting",
        } == names


class TestGpuSmokeTest:
    """A Job that uses one GPU as the models do."""

    @pytest.mark.parametrize(
        ("gpu", "resource"),
        [
            (WholeGpu("NVIDIA-L40S", count=4), "nvidia.com/gpu"),
            (MigSlice("1g.10gb"), "nvidia.com/mig-1g.10gb"),
            (TimeSlicedGpu("NVIDIA-A10", renamed=True), "nvidia.com/gpu.shared"),
            (VirtualGpu(), "nvidia.com/gpu"),
        ],
    )
    def test_gpu(self, gpu: Any, resource: str) -> None:
        """It asks for one GPU of the kind, on the nodes that have it."""
        scope = chart()
        GpuSmokeTest(scope, "test", gpu=gpu)
        pod = only(scope, "Job")["spec"]["template"]["spec"]
        resources = pod["containers"][0]["resources"]
        assert "1" == resources["limits"][resource] == resources["requests"][resource]
        assert gpu.node_labels == pod.get("nodeSelector", {})
        assert [] == pod_security_problems(pod)
        assert_valid(*manifests(scope))

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("gpu", "NVIDIA-L40S"),
            ("gpu", None),
            ("image", "nvidia/cuda"),
            ("image", 5),
            ("tolerations", "all"),
            ("tolerations", ["all"]),
            ("name", "Test"),
        ],
    )
    def test_refusals(self, keyword: str, value: object) -> None:
        """What could not run is rejected."""
        scope = chart()
        options: Any = {"gpu": GPU, keyword: value}
        with pytest.raises(VllmConstructsError, match=keyword):
            GpuSmokeTest(scope, "test", **options)
        assert [] == manifests(scope)


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_pod_security(level: Any) -> None:
    """A namespace enforces its level, and warns and audits by it."""
    scope = Chart(App(), "x")
    Namespace(scope, "llm", pod_security=level)
    labels = only(scope, "Namespace")["metadata"]["labels"]
    assert {level} == {
        labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")
    }


@pytest.mark.parametrize(
    "options", [{"name": "a.b"}, {"name": "x" * 64}, {"name": 5}, {"pod_security": "strict"}]
)
def test_namespace_refusals(options: Any) -> None:
    """A name or level that Kubernetes lacks is rejected."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=f"Namespace.{next(iter(options))}"):
        Namespace(scope, "llm", **options)
    assert [] == manifests(scope)


def test_classes() -> None:
    """Operators tell what they made."""
    scope = chart()
    found = GpuOperator(scope, "gpu", delivery=FluxHelmRelease())
    assert ["HelmRelease", "HelmRepository"] == [item.kind for item in found.objects]
    assert ["Application"] == [
        item.kind for item in KedaOperator(scope, "keda", delivery=ArgoApplication()).objects
    ]
    adapter = PrometheusAdapter(scope, "adapter", delivery=FluxHelmRelease(), prometheus=PROMETHEUS)
    assert 2 == len(adapter.objects)
