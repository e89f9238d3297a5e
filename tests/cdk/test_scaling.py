from collections.abc import Callable
from pathlib import Path
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import ApiObjectMetadata, App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    CACHE,
    PROMETHEUS,
    chart,
    check_sample,
    manifests,
    model,
    named,
    only,
    rejected,
    variants,
)
from tests.support import assert_valid, parse_promql
from vllm_constructs import (
    CpuUtilization,
    CronFloor,
    DisruptionBudget,
    EngineArgs,
    ExistingClaim,
    HpaScaler,
    KedaScaler,
    KvCacheUsage,
    ModelDeployment,
    QueueDepth,
    Rollout,
    Startup,
    VllmConstructsError,
    VllmConstructsWarning,
)
from vllm_constructs.scaling.triggers import HpaTrigger


@pytest.mark.parametrize(("kind", "variant"), variants("HpaScaler", "KedaScaler"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


METRICS: list[HpaTrigger] = [QueueDepth(5)]
CPU = [kplus.Metric.resource_cpu(kplus.MetricTarget.average_utilization(70))]


def hpa(scope: Chart, id: str, target: ModelDeployment, **more: Any) -> HpaScaler:
    """Scale with our HPA."""
    return HpaScaler(
        scope, id, **{"target": target, "max_replicas": 3, "triggers": METRICS, **more}
    )


def keda(scope: Chart, id: str, target: ModelDeployment, **more: Any) -> KedaScaler:
    """Scale with KEDA."""
    required = {"max_replicas": 3, "prometheus": PROMETHEUS, "triggers": METRICS}
    return KedaScaler(scope, id, **{"target": target, **required, **more})


def plus(
    scope: Chart, id: str, target: ModelDeployment, **more: Any
) -> kplus.HorizontalPodAutoscaler:
    """Scale with the HPA of cdk8s-plus."""
    required = {"max_replicas": 3, "metrics": CPU}
    return kplus.HorizontalPodAutoscaler(scope, id, **{"target": target, **required, **more})


SCALERS = (hpa, keda, plus)


@pytest.mark.parametrize("scale", SCALERS)
def test_replicas(scale: Callable[..., object]) -> None:
    """A scaler owns the number of replicas, so the Deployment says none."""
    scope = chart()
    qwen = model(scope, replicas=2, cache=CACHE)
    assert 2 == only(scope, "Deployment")["spec"]["replicas"]
    assert not qwen.has_autoscaler
    scale(scope, "scaler", qwen)
    assert qwen.has_autoscaler
    assert "replicas" not in only(scope, "Deployment")["spec"]
    assert (1, 3) == qwen.gpus
    assert_valid(*manifests(scope))


@pytest.mark.parametrize("first", SCALERS)
@pytest.mark.parametrize("second", SCALERS)
def test_two_scalers(first: Callable[..., object], second: Callable[..., object]) -> None:
    """A second scaler of one model is rejected, whichever the two are."""
    scope = chart()
    qwen = model(scope, cache=CACHE)
    first(scope, "a", qwen)
    # Through cdk8s-plus a refusal comes back as what jsii makes of it.
    kind = RuntimeError if second is plus else VllmConstructsError
    with pytest.raises(kind, match="two scalers of one Deployment"):
        second(scope, "b", qwen, **({} if second is plus else {"name": "b"}))


@pytest.mark.parametrize("scale", [hpa, keda])
def test_cache_of_one_node(scale: Callable[..., object]) -> None:
    """A scaler is rejected where the cache is one that only one node mounts."""
    scope = chart()
    qwen = model(scope, cache=ExistingClaim("weights", access="ReadWriteOnce"))
    with rejected(scope, "ReadWriteOnce"):
        scale(scope, "scaler", qwen)
    scale(scope, "scaler", qwen, max_replicas=1)
    assert (1, 1) == qwen.gpus


class TestPlus:
    """A cdk8s-plus HPA, whose range and chart are known only when all is synthesised."""

    @staticmethod
    def problems(scope: Chart, monkeypatch: pytest.MonkeyPatch, path: Path) -> str:
        """What synthesis refuses; nothing is written then."""
        monkeypatch.setenv("CDK8S_OUTDIR", str(path))
        app = Chart.of(scope).node.root
        assert isinstance(app, App)
        try:
            app.synth()
        except RuntimeError as error:
            assert not list(path.glob("*.yaml"))
            return str(error)
        assert list(path.glob("*.yaml"))
        return ""

    def test_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A cache of one node is rejected."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        qwen = model(scope, cache=ExistingClaim("weights", access="ReadWriteOnce"))
        plus(scope, "scaler", qwen)
        found = self.problems(scope, monkeypatch, tmp_path)
        assert "Validation failed" in found
        assert "'weights' is ReadWriteOnce" in found

    @pytest.mark.parametrize("order", ["before", "behind"])
    @pytest.mark.parametrize("least", [1, 2])
    def test_budget(
        self, order: str, least: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A budget is compared with its minimum, wherever the budget is made."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        qwen = model(scope, replicas=2, cache=CACHE)
        make: list[Callable[[], object]] = [
            lambda: plus(scope, "scaler", qwen, min_replicas=least),
            lambda: DisruptionBudget(scope, "budget", target=qwen, min_available=1),
        ]
        found = ""
        try:
            for item in make if order == "behind" else reversed(make):
                item()
        except VllmConstructsError as error:
            found = str(error)
        found = found or self.problems(scope, monkeypatch, tmp_path)
        assert (least == 1) == ("the scaler's minimum" in found)

    @pytest.mark.parametrize("namespace", ["other", None])
    @pytest.mark.parametrize("by_chart", [True, False])
    def test_namespace(
        self,
        namespace: str | None,
        by_chart: bool,  # noqa: FBT001  # a parameter
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """One of another namespace finds no Deployment to scale, so it is rejected."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        qwen = model(scope, cache=CACHE)
        if by_chart:
            plus(Chart(app, "y", namespace=namespace), "scaler", qwen)
        else:
            metadata = ApiObjectMetadata(namespace=namespace or "default")
            plus(scope, "scaler", qwen, metadata=metadata)
            namespace = namespace or "default"
        assert (
            f"HorizontalPodAutoscaler is in namespace {namespace!r} and 'qwen' in 'llm'; put both "
            "into charts of one namespace."
        ) in self.problems(scope, monkeypatch, tmp_path)

    def test_other_chart(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """One in another chart of the model's namespace is fine."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        plus(Chart(app, "y", namespace="llm"), "scaler", model(scope, cache=CACHE))
        assert not self.problems(scope, monkeypatch, tmp_path)

    def test_range(self) -> None:
        """The range counts for the GPUs in use."""
        scope = chart()
        qwen = model(scope, cache=CACHE, rollout=Rollout(spare_gpus=1))
        plus(scope, "scaler", qwen, min_replicas=2, max_replicas=5)
        plus(scope, "more", model(scope, "other", cache=CACHE), max_replicas=9)
        assert (2, 5) == qwen.gpus
        assert 6 == qwen.rollout_gpus

    def test_warning(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A warning that is an error becomes a sentence, too."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        plus(scope, "scaler", model(scope))
        assert "downloads the weights again" in self.problems(scope, monkeypatch, tmp_path)


class TestReaders:
    """Scalers that read vLLM's metrics, and those that do not."""

    @pytest.mark.parametrize("scale", [hpa, keda])
    def test_chart_without_namespace(self, scale: Callable[..., object]) -> None:
        """Queries need the namespace; one sentence says where to give it."""
        scope = Chart(App(), "x")
        qwen = model(scope, cache=CACHE)
        if scale is hpa:  # The metrics API has its own: the namespace of the HPA.
            scale(scope, "scaler", qwen)
            return
        with pytest.raises(VllmConstructsError, match=r"the chart has none; give it: Chart\("):
            scale(scope, "scaler", qwen)

    def test_cpu_alone(self) -> None:
        """CPU needs no vLLM metrics, so a model without them can be scaled on it."""
        scope = chart()
        qwen = model(scope, cache=CACHE, engine=EngineArgs(disable_log_stats=True))
        with pytest.warns(VllmConstructsWarning, match="CPU alone"):
            hpa(scope, "scaler", qwen, triggers=[CpuUtilization(70)])
        model(scope, "other")
        assert 7 == len(manifests(scope))

    def test_queries(self) -> None:
        """Every query is one series of this model: its namespace and served name."""
        scope = chart()
        qwen = model(scope, served_name="qwen-7b", cache=CACHE)
        keda(scope, "scaler", qwen, triggers=[QueueDepth(5), KvCacheUsage(0.8)])
        total, mean = (
            parse_promql(trigger["metadata"]["query"])
            for trigger in only(scope, "ScaledObject")["spec"]["triggers"]
        )
        labels = {"namespace": "llm", "model_name": "qwen-7b"}
        for query in (total, mean):
            assert query.is_one_series
            (selector,) = query.selectors
            assert selector.is_scoped(**labels)

    @pytest.mark.parametrize("scale", [hpa, keda])
    def test_target(self, scale: Callable[..., Any]) -> None:
        """The scaler names the Deployment, and keeps its own name."""
        scope = chart()
        scale(scope, "scaler", model(scope, name="vllm-server", cache=CACHE), name="own")
        (found,) = [item for item in manifests(scope) if "scaleTargetRef" in item.get("spec", {})]
        assert "own" == found["metadata"]["name"]
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm-server"}
        assert target == found["spec"]["scaleTargetRef"]

    @pytest.mark.parametrize(
        ("replicas", "least", "most", "expected"),
        [(1, 1, 9, 1), (4, 1, 9, 4), (1, 2, 9, 2), (5, 1, 3, 3)],
    )
    def test_fallback(self, replicas: int, least: int, most: int, expected: int) -> None:
        """While Prometheus does not answer, the model's replicas stay, within the range."""
        scope = chart()
        qwen = model(scope, replicas=replicas, cache=CACHE)
        keda(scope, "scaler", qwen, min_replicas=least, max_replicas=most)
        assert expected == only(scope, "ScaledObject")["spec"]["fallback"]["replicas"]

    def test_startup(self) -> None:
        """The pace of scaling up and KEDA's first rest follow from the model's startup."""
        scope = chart()
        qwen = model(scope, cache=CACHE, startup=Startup(minutes=7))
        floor = CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=1)
        keda(scope, "scaler", qwen, min_replicas=0, triggers=[QueueDepth(5), floor])
        spec = only(scope, "ScaledObject")["spec"]
        assert 430 == spec["initialCooldownPeriod"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert 430 == behavior["scaleUp"]["policies"][0]["periodSeconds"]

    @pytest.mark.parametrize("name", ["polling_interval", "cooldown"])
    def test_sleep(self, name: str) -> None:
        """What matters at 0 replicas only is left out above, and said to have no effect."""
        scope = chart()
        with pytest.warns(VllmConstructsWarning, match=f"{name} is 60, which has no effect"):
            keda(scope, "scaler", model(scope, cache=CACHE), **{name: 60})
        spec = only(scope, "ScaledObject")["spec"]
        assert set() == {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"} & set(spec)


@pytest.mark.parametrize("wrong", [None, "qwen", object()])
@pytest.mark.parametrize("scale", [hpa, keda])
def test_target_wrong(scale: Callable[..., object], wrong: object) -> None:
    """What is scaled is a ModelDeployment."""
    with pytest.raises(VllmConstructsError, match="expected a ModelDeployment"):
        scale(chart(), "scaler", wrong)


def test_name_taken() -> None:
    """A scaler whose name is taken is rejected, and the model keeps its replicas."""
    scope = chart()
    hpa(scope, "a-scaler", named(scope, "a"), name="scaler", max_replicas=1)
    other = named(scope, "b")
    with rejected(scope, "'scaler' in namespace 'llm' is made twice"):
        hpa(scope, "b-scaler", other, name="scaler", max_replicas=1)
    assert not other.has_autoscaler
    hpa(scope, "b-scaler", other, max_replicas=1)
