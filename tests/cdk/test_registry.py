"""What must be unique in an app, and what a chart says to all that is in it."""

from types import SimpleNamespace
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart
from constructs import Construct

from tests.cdk.samples import GPU, MODEL, chart, container, manifests, model, only, rejected
from tests.support import assert_valid
from vllm_constructs import (
    Drain,
    EngineArgs,
    ExistingClaim,
    Kubernetes,
    ModelCache,
    ModelDeployment,
    Namespace,
    VllmConstructsError,
)
from vllm_constructs.cdk.registry import AppRegistry, ChartContext, chart_context


class TestScope:
    """Where a construct may stand."""

    def test_chart_missing(self) -> None:
        """A construct outside of a chart is rejected."""
        app = App()
        for scope in (app, Construct(app, "group")):
            with pytest.raises(VllmConstructsError, match="'cache' is not inside of a Chart"):
                ModelCache(scope, "cache", size="1Gi")
        assert ["", "group"] == [node.node.path for node in app.node.find_all()]

    def test_scope_wrong(self) -> None:
        """A scope that is no construct is rejected."""
        for wrong in (None, "x", object(), App):
            with pytest.raises(VllmConstructsError, match=r"scope is .*; expected a Chart"):
                ModelCache(wrong, "cache", size="1Gi")  # type: ignore[arg-type]  # what is tested

    @pytest.mark.parametrize("wrong", ["", None, 5])
    def test_id_wrong(self, wrong: Any) -> None:
        """An id is a string that is not empty."""
        scope = chart()
        with rejected(scope, r"id is .*; expected a non-empty string"):
            ModelCache(scope, wrong, size="1Gi")

    @pytest.mark.parametrize(
        "namespace", ["LLM", "my_models", "a.b", "-llm", "llm-", "", "x" * 64, "llm\n"]
    )
    def test_namespace_illegal(self, namespace: str) -> None:
        """A chart whose namespace Kubernetes rejects is rejected, and nothing is made in it."""
        scope = Chart(App(), "x", namespace=namespace)
        with pytest.raises(VllmConstructsError, match="the namespace of the chart is"):
            model(scope)
        assert [] == scope.node.children


class TestContext:
    """What a chart says to all that is in it."""

    def test_one_per_chart(self) -> None:
        """All constructs of a chart, however deep, have one context; another chart has its own."""
        app = App()
        one, two = Chart(app, "one", namespace="a"), Chart(app, "two", namespace="b")
        group = Construct(one, "group")
        found = chart_context(one, "x")
        assert found is chart_context(group, "x")
        assert found is chart_context(ModelCache(group, "cache", size="1Gi"), "x")
        assert found is chart_context(Chart.of(group), "x")
        assert found is not chart_context(two, "x")

    def test_one_registry_per_app(self) -> None:
        """Charts of one app have one registry; another app has its own."""
        app = App()
        first, second = (chart_context(Chart(app, id), "x") for id in ("a", "b"))
        assert first.app is second.app
        assert first.app is not chart_context(chart(), "x").app

    def test_facts(self) -> None:
        """A context has the namespace, the labels in order and the target release."""
        found = chart_context(chart("1.34", labels={"z": "1", "a": "2"}), "x")
        assert "llm" == found.namespace
        assert [("a", "2"), ("z", "1")] == list(found.labels.items())
        assert Kubernetes("1.34") == found.kubernetes
        plain = chart_context(Chart(App(), "x"), "x")
        assert (None, {}, Kubernetes()) == (plain.namespace, plain.labels, plain.kubernetes)

    def test_target(self) -> None:
        """The target release is inherited from app and chart, the nearest one first."""
        app = App()
        Kubernetes("1.29").set_on(app)
        old = Chart(app, "old", namespace="llm")
        new = Chart(app, "new", namespace="llm")
        Kubernetes("1.34").set_on(new)
        pooling: dict[str, Any] = {
            "engine": EngineArgs(runner="pooling"),
            "drain": Drain(seconds=0),
        }
        model(old, "a", **pooling)
        model(Construct(new, "group"), "b", **pooling)
        exec_, sleep = (container(scope)["lifecycle"]["preStop"] for scope in (old, new))
        assert {"exec": {"command": ["sleep", "15"]}} == exec_
        assert {"sleep": {"seconds": 15}} == sleep

    def test_no_namespace(self) -> None:
        """A model needs no namespace of its chart: then it is the one that is applied to."""
        scope = Chart(App(), "x")
        qwen = ModelDeployment(scope, "qwen", model=MODEL, gpu=GPU)
        assert qwen.namespace is None
        with pytest.raises(VllmConstructsError, match=r"needs the namespace.*; give it: Chart\("):
            _ = qwen.series
        assert all("namespace" not in item["metadata"] for item in manifests(scope))
        assert_valid(*manifests(scope), require_namespace=False)

    def test_need_namespace(self) -> None:
        """Who needs the namespace gets it, or a sentence that names who needs it."""
        assert "llm" == chart_context(chart(), "x").need_namespace("a query")
        with pytest.raises(VllmConstructsError, match=r"^a query needs the namespace"):
            chart_context(Chart(App(), "x"), "x").need_namespace("a query")


class TestUnique:
    """Two objects of one kind, namespace and name overwrite each other."""

    def test_name_twice(self) -> None:
        """Two objects of one kind and name are rejected, in two charts of an app too."""
        app = App()
        first = Chart(app, "a", namespace="llm")
        ModelCache(first, "cache", size="1Gi")
        second = Chart(app, "b", namespace="llm")
        sentence = r"'cache' in namespace 'llm' is made twice, first by <ModelCache 'cache'>"
        for scope in (first, second):
            with rejected(scope, sentence):
                ModelCache(scope, "other", name="cache", size="1Gi")
        assert [[], ["PersistentVolumeClaim"]] == [
            [item["kind"] for item in manifests(scope)] for scope in (second, first)
        ]

    def test_service_twice(self) -> None:
        """For two Services of one name, the option that names them is advised, and helps."""
        scope = chart()
        model(scope, "a", service_name="api")
        with rejected(scope, "is made twice.*give one of them another service_name="):
            model(scope, "b", service_name="api", served_name="b")
        model(scope, "b", service_name="other", served_name="b")

    def test_elsewhere(self) -> None:
        """The same name is free for another kind, in another namespace and in another app."""
        app = App()
        for scope in (Chart(app, "a", namespace="a"), Chart(app, "b", namespace="b"), chart()):
            ModelCache(scope, "cache", name="qwen", size="1Gi")
            model(scope)
            assert 4 == len(manifests(scope))

    def test_after_a_rejection(self) -> None:
        """A name that a rejected construct would have had stays free."""
        scope = chart()
        with rejected(scope, "pod_security"):
            Namespace(scope, "a", name="llm", pod_security="strict")  # type: ignore[arg-type]  # what is tested
        Namespace(scope, "b", name="llm")
        assert "llm" == only(scope, "Namespace")["metadata"]["name"]

    def test_cluster_scoped(self) -> None:
        """A Namespace is in no namespace, whatever its chart says, and unique in the cluster."""
        app = App()
        scope = Chart(app, "a", namespace="a")
        Namespace(scope, "llm")
        with pytest.raises(VllmConstructsError, match="Namespace 'llm' is made twice"):
            Namespace(Chart(app, "b", namespace="b"), "llm")
        assert "namespace" not in only(scope, "Namespace")["metadata"]

    def test_key(self) -> None:
        """What is unique: kind, name and namespace, which is the chart's unless one is given."""
        context = chart_context(chart(), "x")
        metadata = {"name": "qwen"}
        assert ("Job", "llm", "qwen") == context.key({"kind": "Job", "metadata": metadata})
        elsewhere = {"kind": "Job", "metadata": {**metadata, "namespace": "other"}}
        assert ("Job", "other", "qwen") == context.key(elsewhere)
        assert ("Namespace", None, "qwen") == context.key(
            {"kind": "Namespace", "metadata": metadata}
        )


def context(namespace: str | None, app: AppRegistry | None = None) -> ChartContext:
    """A context without a chart."""
    return ChartContext(
        namespace=namespace, labels={}, kubernetes=Kubernetes(), app=app or AppRegistry()
    )


class TestReferences:
    """Objects that pods and routes refer to by name are in their namespace."""

    @pytest.mark.parametrize("own", ["a", None])
    def test_values(self, own: str | None) -> None:
        """A reference that says its namespace is compared; one that does not is believed."""
        app = context(own)
        app.check_reference("cache", ExistingClaim("weights"))
        app.check_reference("cache", "weights")
        app.check_reference("cache", None)
        with pytest.raises(VllmConstructsError) as error:
            app.check_reference("cache", ExistingClaim("weights", namespace="b"))
        advice = (
            "this chart has none; give it: Chart(app, id, namespace='b')."
            if own is None
            else "this chart is in 'a'; put both into charts of one namespace."
        )
        assert str(error.value) == f"cache is in namespace 'b', and {advice}"

    @pytest.mark.parametrize(("own", "other"), [("a", "b"), ("a", None), (None, "b")])
    def test_constructs(self, own: str | None, other: str | None) -> None:
        """A construct is of its chart's namespace, also where that has none."""
        app = AppRegistry()
        found = SimpleNamespace(_context=context(other, app))
        context(other, app).check_reference("cache", found)
        match = "this chart has none" if own is None else "put both into charts of one namespace"
        with pytest.raises(VllmConstructsError, match=match):
            context(own, app).check_reference("cache", found)

    def test_apps(self) -> None:
        """A construct of another app is rejected, though its namespace is the same."""
        found = SimpleNamespace(_context=context("a"))
        with pytest.raises(VllmConstructsError, match=r"^cache is in another app; put both"):
            context("a").check_reference("cache", found)

    def test_plus(self) -> None:
        """An object of cdk8s-plus is of its chart's namespace; one that is only named is not."""
        scope = chart()
        made = kplus.Secret(scope, "made")
        named = kplus.Secret.from_secret_name(scope, "named", "keys")
        context("llm").check_reference("tls", made)
        context("other").check_reference("tls", named)
        with pytest.raises(VllmConstructsError, match="tls is in namespace 'llm'"):
            context("other").check_reference("tls", made)
