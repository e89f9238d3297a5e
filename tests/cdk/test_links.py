"""What constructs say of a model, and what they ask it first."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart

import vllm_constructs
from tests.cdk.samples import (
    CACHE,
    SAMPLES,
    Keywords,
    chart,
    manifests,
    model,
    named,
    only,
    rejected,
    unwarned,
)
from tests.cdk.scalers import SCALERS, hpa, keda, plus
from tests.support import assert_valid
from vllm_constructs import (
    DisruptionBudget,
    EngineArgs,
    ExistingClaim,
    KedaScaler,
    ModelDeployment,
    ModelMonitor,
    VllmConstructsError,
)
from vllm_constructs.cdk import tree
from vllm_constructs.cdk.links import LinkedFacts, ModelLinks, links_of
from vllm_constructs.cdk.registry import chart_context
from vllm_constructs.kube import peers
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads.availability import Budget

# Each construct that refers to a model.
READERS = (
    "DisruptionBudget",
    "HpaScaler",
    "KedaScaler",
    "ModelFleet",
    "ModelMonitor",
    "ModelRoute",
    "StreamingIngress",
)


def read(scope: Chart, kind: str, target: object) -> None:
    """Put a construct on a model."""
    given = SAMPLES[kind]["minimal"](chart())
    name = "models" if "models" in given else "target"
    given[name] = [target] if name == "models" else target
    with unwarned():
        getattr(vllm_constructs, kind)(scope, "reader", **given)


def links(qwen: ModelDeployment) -> ModelLinks:
    """The links of a model."""
    return qwen._links


def change(qwen: ModelDeployment, **facts: Any) -> None:
    """Change facts of a model, as a construct does."""
    made = links(qwen).change(**facts)
    tree.replace(qwen, made.manifests)
    made.apply()


def known(qwen: ModelDeployment) -> LinkedFacts:
    """All that a model knows of the others."""
    return links(qwen).facts


class TestReach:
    """A construct can refer to a model of its own app and namespace."""

    def test_readers(self) -> None:
        """The list is complete."""
        assert set(READERS) == {
            kind
            for kind in SAMPLES
            for given in [SAMPLES[kind]["minimal"](chart())]
            if {"target", "models"} & set(given)
        }

    @pytest.mark.parametrize("kind", READERS)
    def test_same(self, kind: str) -> None:
        """Two charts of one namespace may share a model between them."""
        app = App()
        first, second = (Chart(app, id, namespace="llm") for id in ("a", "b"))
        read(second, kind, model(first, replicas=2, cache=CACHE))
        assert 1 <= len(manifests(second))
        assert 3 == len(manifests(first))

    @pytest.mark.parametrize("kind", READERS)
    @pytest.mark.parametrize("namespace", ["other", None])
    def test_namespace(self, kind: str, namespace: str | None) -> None:
        """A model of another namespace is rejected with one sentence, and nothing is made."""
        app = App()
        qwen = model(Chart(app, "a", namespace="llm"), replicas=2, cache=CACHE)
        scope = Chart(app, "b", namespace=namespace)
        sentence = (
            f"{kind} is in namespace {namespace!r} and 'qwen' in 'llm'; put both into charts of "
            "one namespace."
        )
        if namespace is None:
            sentence = (
                f"{kind} is in a chart without a namespace, and 'qwen' in 'llm'; give it: "
                "Chart(app, id, namespace='llm')."
            )
        before = known(qwen)
        with rejected(scope, f"^{re.escape(sentence)}$"):
            read(scope, kind, qwen)
        assert before == known(qwen)
        assert [] == scope.node.children

    @pytest.mark.parametrize("kind", READERS)
    def test_app(self, kind: str) -> None:
        """A model of another app is rejected, though its namespace is the same."""
        qwen = model(chart(), replicas=2, cache=CACHE)
        scope = chart()
        sentence = f"{kind} is in another app than ModelDeployment 'qwen'; put both into one app."
        with rejected(scope, f"^{re.escape(sentence)}$"):
            read(scope, kind, qwen)
        assert [] == scope.node.children

    @pytest.mark.parametrize("kind", READERS)
    @pytest.mark.parametrize(
        "wrong", [None, "qwen", 5, SimpleNamespace(_links="x"), ModelDeployment, ModelLinks]
    )
    def test_wrong(self, kind: str, wrong: object) -> None:
        """What is no model is rejected by the name of the option."""
        scope = chart()
        with rejected(scope, rf"^{kind}\.(target|models) is .*expected .*ModelDeployment"):
            read(scope, kind, wrong)

    def test_other_constructs(self) -> None:
        """Neither is another construct, of cdk8s-plus or of this library."""
        scope = chart()
        others = [
            kplus.Deployment(scope, "plus"),
            ModelMonitor(scope, "monitor", target=model(scope), labels={"release": "x"}),
            scope,
        ]
        for other in others:
            with pytest.raises(VllmConstructsError, match="expected a ModelDeployment"):
                links_of("KedaScaler.target", other, chart_context(scope, "x"))


class TestFacts:
    """What a model knows of the others."""

    def test_none(self) -> None:
        """A model alone has no scaler, monitor or root path, and no peers."""
        found = links(model(chart()))
        assert LinkedFacts() == found.facts
        assert not found.is_measured

    def test_scaler(self) -> None:
        """A scaler's range, and whether it reads metrics, are known."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        replicas = Replicas(scaler="KedaScaler", minimum=1, maximum=3)
        change(qwen, scaler=replicas, is_measured=False)
        assert (replicas, False) == (links(qwen).facts.scaler, links(qwen).is_measured)
        assert (qwen.has_autoscaler, (1, 3)) == (True, qwen.replica_range)
        assert "replicas" not in only(scope, "Deployment")["spec"]

    @pytest.mark.parametrize(
        ("kind", "job"), [("ServiceMonitor", "vllm-service"), ("PodMonitor", "llm/own")]
    )
    def test_monitor(self, kind: Any, job: str) -> None:
        """The job of a monitor is that of the series that it makes."""
        scope = chart()
        qwen = model(scope, service_name="vllm-service")
        ModelMonitor(scope, "m", target=qwen, kind=kind, name="own", labels={"release": "x"})
        assert (job, True) == (links(qwen).facts.job, links(qwen).is_measured)

    def test_peers(self) -> None:
        """Who may come in is noted once, in the order of coming."""
        qwen = model(chart())
        one, two = peers.from_namespace("one"), peers.from_namespace("two")
        change(qwen, peers=[one])
        change(qwen, peers=[two, one])
        assert (one, two) == links(qwen).facts.peers

    def test_kept(self) -> None:
        """A fact that is None changes nothing, and a model that is measured stays so."""
        qwen = model(chart())
        change(qwen, root_path="/a", is_measured=True, service_annotations={"a": "b"})
        change(qwen, root_path=None, is_measured=False, service_annotations={"c": "d"})
        facts = links(qwen).facts
        assert ("/a", True) == (facts.root_path, facts.is_measured)
        assert {"a": "b", "c": "d"} == facts.service_annotations

    def test_effect(self) -> None:
        """A change takes no effect until the construct that makes it is in the tree."""
        scope = chart()
        qwen = model(scope)
        before = manifests(scope)
        made = links(qwen).change(root_path="/a")
        assert (before, LinkedFacts()) == (manifests(scope), links(qwen).facts)
        assert ["Default"] == list(made.manifests)
        made.apply()
        assert {} == links(qwen).change(root_path="/a").manifests

    @pytest.mark.parametrize("kind", READERS)
    def test_own(self, kind: str) -> None:
        """What is said of one model is not said of another."""
        scope = chart()
        qwen = model(scope, served_name="qwen", replicas=2, cache=CACHE)
        other = named(scope, "other")
        before = known(qwen), known(other)
        read(scope, kind, qwen)
        # The sample's Gateway is in the model's namespace, which may come in anyway.
        assert (before[0] == known(qwen)) == (kind == "ModelRoute")
        assert before[1] == known(other)


class TestChecks:
    """Each check rejects in one sentence, and leaves the model as it was."""

    @pytest.mark.parametrize(
        ("first", "second", "sentence"),
        [
            ("HpaScaler", "KedaScaler", "'qwen' has a HpaScaler already"),
            ("KedaScaler", "HpaScaler", "'qwen' has a KedaScaler already"),
            ("ModelMonitor", "ModelMonitor", "'qwen' has a ModelMonitor already"),
            ("DisruptionBudget", "DisruptionBudget", "'qwen' has a budget already"),
        ],
    )
    def test_twice(self, first: str, second: str, sentence: str) -> None:
        """A second scaler, monitor or budget is rejected."""
        scope = chart()
        qwen = model(scope, replicas=2, cache=CACHE)
        read(scope, first, qwen)
        before = known(qwen)
        given: Keywords = SAMPLES[second]["minimal"](chart()) | {"target": qwen, "name": "second"}
        with unwarned(), rejected(scope, sentence):
            getattr(vllm_constructs, second)(scope, "second", **given)
        assert before == known(qwen)

    def test_metrics(self) -> None:
        """A reader of metrics is named where there are none."""
        found = links(model(chart(), engine=EngineArgs(disable_log_stats=True)))
        with pytest.raises(VllmConstructsError, match="no metrics, which KedaScaler reads"):
            found.need_metrics("KedaScaler")
        replicas = Replicas(scaler="KedaScaler", minimum=1, maximum=1)
        found.check_scaler(replicas, reads_metrics=False)
        with pytest.raises(VllmConstructsError, match="disable_log_stats"):
            found.check_scaler(replicas, reads_metrics=True)

    def test_sharing(self) -> None:
        """A range that the cache cannot bear is rejected with the number of replicas."""
        found = links(model(chart(), cache=ExistingClaim("w", access="ReadWriteOnce")))
        found.check_range(Replicas(scaler="KedaScaler", minimum=1, maximum=1))
        with pytest.raises(VllmConstructsError, match="has up to 3 replicas, but the cache 'w'"):
            found.check_range(Replicas(scaler="KedaScaler", minimum=1, maximum=3))

    def test_budget(self) -> None:
        """A budget is kept, and each range that comes after it is compared with it."""
        found = links(qwen := model(chart(), replicas=3, cache=CACHE))
        budget = Budget(min_available=2)
        found.check_budget("DisruptionBudget 'qwen'", budget, (3, 3))
        change(qwen, budget=("DisruptionBudget 'qwen'", budget))
        found.check_range(Replicas(scaler="KedaScaler", minimum=3, maximum=5))
        with pytest.raises(VllmConstructsError, match=r"KedaScaler\.min_replicas"):
            found.check_range(Replicas(scaler="KedaScaler", minimum=2, maximum=5))

    def test_root_path(self) -> None:
        """One root path may be said several times; a second one is rejected."""
        found = links(qwen := model(chart()))
        found.check_root_path("/qwen")
        change(qwen, root_path="/qwen")
        found.check_root_path("/qwen")
        with pytest.raises(VllmConstructsError, match="served under '/qwen' already"):
            found.check_root_path("/other")

    def test_service_annotations(self) -> None:
        """An annotation that a controller needs is put on the Service."""
        scope = chart()
        change(model(scope), service_annotations={"example.com/a": "b"})
        assert {"example.com/a": "b"} == only(scope, "Service")["metadata"]["annotations"]

    def test_order(self) -> None:
        """A budget before a scaler and one after it are judged alike."""
        for is_first in (True, False):
            scope = chart()
            qwen = model(scope, replicas=3, cache=CACHE)
            steps = [
                lambda s=scope, q=qwen: DisruptionBudget(s, "b", target=q, min_available=2),
                lambda s=scope, q=qwen: KedaScaler(
                    s, "s", **SAMPLES["KedaScaler"]["minimal"](chart()) | {"target": q}
                ),
            ]
            first, second = steps if is_first else reversed(steps)
            first()
            with rejected(scope, "KedaScaler.min_replicas"):
                second()


class TestScalers:
    """What each scaler asks and says of a model, ours and that of cdk8s-plus."""

    @pytest.mark.parametrize("scale", SCALERS)
    def test_replicas(self, scale: Callable[..., object]) -> None:
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
    def test_two_scalers(self, first: Callable[..., object], second: Callable[..., object]) -> None:
        """A second scaler of one model is rejected, whichever the two are."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        first(scope, "a", qwen)
        # Through cdk8s-plus a refusal comes back as what jsii makes of it.
        kind = RuntimeError if second is plus else VllmConstructsError
        with pytest.raises(kind, match="two scalers of one Deployment"):
            second(scope, "b", qwen, **({} if second is plus else {"name": "b"}))

    @pytest.mark.parametrize("scale", [hpa, keda])
    def test_cache_of_one_node(self, scale: Callable[..., object]) -> None:
        """A scaler is rejected where the cache is one that only one node mounts."""
        scope = chart()
        qwen = model(scope, cache=ExistingClaim("weights", access="ReadWriteOnce"))
        with rejected(scope, "ReadWriteOnce"):
            scale(scope, "scaler", qwen)
        scale(scope, "scaler", qwen, max_replicas=1)
        assert (1, 1) == qwen.gpus

    @pytest.mark.parametrize("scale", [hpa, keda])
    def test_target(self, scale: Callable[..., Any]) -> None:
        """The scaler names the Deployment, and keeps its own name."""
        scope = chart()
        scale(scope, "scaler", model(scope, name="vllm-server", cache=CACHE), name="own")
        (found,) = [item for item in manifests(scope) if "scaleTargetRef" in item.get("spec", {})]
        assert "own" == found["metadata"]["name"]
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm-server"}
        assert target == found["spec"]["scaleTargetRef"]

    @pytest.mark.parametrize("wrong", [None, "qwen", object()])
    @pytest.mark.parametrize("scale", [hpa, keda])
    def test_target_wrong(self, scale: Callable[..., object], wrong: object) -> None:
        """What is scaled is a ModelDeployment."""
        with pytest.raises(VllmConstructsError, match="expected a ModelDeployment"):
            scale(chart(), "scaler", wrong)
