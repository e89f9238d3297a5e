"""How a manifest gets into the tree, and what other constructs and users change of it."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, JsonPatch
from constructs import Construct

from tests.cdk.samples import (
    CACHE,
    PROMETHEUS,
    Manifest,
    chart,
    container,
    manifests,
    model,
    named,
    only,
    pod,
    unwarned,
)
from tests.support import assert_valid, load_yaml
from vllm_constructs import (
    DisruptionBudget,
    GatewayRef,
    HpaScaler,
    KedaScaler,
    ModelCache,
    ModelDeployment,
    ModelFleet,
    ModelMonitor,
    ModelRoute,
    QueueDepth,
    StreamingIngress,
    Traefik,
    VllmConstructsError,
)
from vllm_constructs.cdk.objects import LateObject, add_object
from vllm_constructs.cdk.registry import chart_context

HOST = "llm.example.com"
Make = Callable[[Construct, ModelDeployment], object]


def fleet(scope: Construct, qwen: ModelDeployment) -> ModelFleet:
    """A fleet that gives the model a path."""
    return ModelFleet(scope, "fleet", models=[qwen], host=HOST, controller=Traefik())


def keda(scope: Construct, qwen: ModelDeployment) -> KedaScaler:
    """A scaler that takes the replicas away and lets Prometheus in."""
    return KedaScaler(
        scope,
        "scaler",
        target=qwen,
        max_replicas=3,
        prometheus=PROMETHEUS,
        triggers=[QueueDepth(5)],
    )


def monitor(scope: Construct, qwen: ModelDeployment) -> ModelMonitor:
    """A monitor that takes the scrape annotations away."""
    return ModelMonitor(scope, "monitor", target=qwen, labels={"release": "x"})


CHANGES: dict[str, Make] = {
    "fleet": fleet,
    "keda": keda,
    "monitor": monitor,
    "hpa": lambda scope, qwen: HpaScaler(
        scope, "scaler", target=qwen, max_replicas=3, triggers=[QueueDepth(5)]
    ),
    "budget": lambda scope, qwen: DisruptionBudget(scope, "budget", target=qwen),
    "ingress": lambda scope, qwen: StreamingIngress(
        scope, "ingress", target=qwen, host=HOST, controller=Traefik()
    ),
    "route": lambda scope, qwen: ModelRoute(
        scope, "route", target=qwen, host=HOST, gateway=GatewayRef("edge")
    ),
}


class TestAddObject:
    """An object that is whole when it is made."""

    def test_exact(self) -> None:
        """Every field of a manifest is kept as it is, those that no schema knows too."""
        scope = chart(labels={"team": "search"})
        manifest = {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "metadata": {
                "name": "x",
                "labels": {"a": "b"},
                "annotations": {"example.com/note": ""},
            },
            "spec": {"fieldOfTomorrow": {"a~b/c": [1, None, 0.5]}, "empty": {}, "none": []},
            "data": {"key": "value"},
        }
        made = add_object(scope, "thing", chart_context(scope, "thing"), manifest)
        metadata: dict[str, Any] = {
            **manifest["metadata"],  # type: ignore[dict-item]  # it is a dict
            "labels": {"a": "b", "team": "search"},
            "namespace": "llm",
        }
        assert manifest | {"metadata": metadata} == made.to_json() == manifests(scope)[0]

    def test_namespace(self) -> None:
        """A manifest may name another namespace than the chart, and a Namespace is in none."""
        scope = chart()
        context = chart_context(scope, "x")
        head = {"apiVersion": "v1", "metadata": {"name": "x"}}
        elsewhere = head | {"kind": "Secret", "metadata": {"name": "x", "namespace": "other"}}
        found = add_object(scope, "a", context, elsewhere).to_json()
        assert "other" == found["metadata"]["namespace"]
        found = add_object(scope, "b", context, head | {"kind": "Namespace"}).to_json()
        assert {"name": "x"} == found["metadata"]

    def test_patch(self) -> None:
        """A user's patch of any object is exact: nothing that it says is lost."""
        cache = ModelCache(chart(), "cache", size="1Gi")
        ApiObject.of(cache).add_json_patch(
            JsonPatch.replace("/spec/resources/requests/storage", "2Gi"),
            JsonPatch.add("/spec/fieldOfTomorrow", {"a~b/c": [1, None, 0.5]}),
        )
        spec = cache.claim.to_json()["spec"]
        assert "2Gi" == spec["resources"]["requests"]["storage"]
        assert {"a~b/c": [1, None, 0.5]} == spec["fieldOfTomorrow"]


def proxy_in_front(qwen: ModelDeployment) -> None:
    """Put a container in front of the engine, as a user does it."""
    sidecar = {"name": "proxy", "image": "envoyproxy/envoy:v1.36.0"}
    qwen.deployment.add_json_patch(JsonPatch.add("/spec/template/spec/containers/0", sidecar))


class TestPatches:
    """Users' patches of an object that other constructs change as well."""

    @pytest.mark.parametrize("at", range(4))
    def test_container_in_front(self, at: int) -> None:
        """A container before the engine's moves nothing that a fleet, scaler or monitor says."""
        scope = chart()
        qwen = model(scope, served_name="qwen", cache=CACHE)
        steps: list[Make] = [fleet, keda, monitor]
        steps.insert(at, lambda _, target: proxy_in_front(target))
        for step in steps:
            step(scope, qwen)
        deployment = only(scope, "Deployment")
        template = deployment["spec"]["template"]
        proxy, engine = template["spec"]["containers"]
        assert {"name": "proxy", "image": "envoyproxy/envoy:v1.36.0"} == proxy
        assert ("vllm", "--root-path=/qwen") == (engine["name"], engine["args"][-1])
        assert "replicas" not in deployment["spec"]
        assert {"vllm-constructs.dev/model"} == set(template["metadata"]["annotations"])
        peers = str(only(scope, "NetworkPolicy")["spec"]["ingress"])
        assert all(name in peers for name in ("traefik", "monitoring"))
        assert_valid(*manifests(scope))

    @pytest.mark.parametrize("order", [*itertools.permutations(["fleet", "keda", "monitor"])])
    def test_any_order(self, order: tuple[str, ...]) -> None:
        """In whatever order constructs and a patch come, the Deployment is the same."""
        found = []
        for names in (order, ("fleet", "keda", "monitor")):
            scope = chart()
            qwen = model(scope, served_name="qwen", cache=CACHE)
            CHANGES[names[0]](scope, qwen)
            proxy_in_front(qwen)
            for name in names[1:]:
                CHANGES[name](scope, qwen)
            found.append(only(scope, "Deployment"))
        assert found[0] == found[1]

    def test_order(self) -> None:
        """Patches apply in their order, whether other constructs come before, between or after."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        qwen.deployment.add_json_patch(
            JsonPatch.add("/spec/list", ["a"]), JsonPatch.add("/spec/list/-", "b")
        )
        keda(scope, qwen)
        qwen.deployment.add_json_patch(
            JsonPatch.test("/spec/list", ["a", "b"]),
            JsonPatch.add("/spec/list/0", "c"),
            JsonPatch.move("/spec/list", "/spec/moved"),
        )
        monitor(scope, qwen)
        qwen.deployment.add_json_patch(
            JsonPatch.copy("/spec/moved/2", "/spec/copied"),
            JsonPatch.remove("/spec/moved/2"),
            JsonPatch.replace("/spec/moved/0", {"a~b/c": [None, 0, 0.5]}),
        )
        spec = only(scope, "Deployment")["spec"]
        assert ([{"a~b/c": [None, 0, 0.5]}, "a"], "b") == (spec["moved"], spec["copied"])
        assert "list" not in spec

    def test_last_word(self) -> None:
        """A user's patch comes after all that the library says, so it has the last word."""
        scope = chart()
        qwen = model(scope, served_name="qwen", cache=CACHE)
        at = "/spec/template/spec/containers/0/args"
        qwen.deployment.add_json_patch(
            JsonPatch.add("/spec/replicas", 7), JsonPatch.add(f"{at}/-", "--root-path=/own")
        )
        keda(scope, qwen)
        fleet(scope, qwen)
        assert 7 == only(scope, "Deployment")["spec"]["replicas"]
        assert ["--root-path=/qwen", "--root-path=/own"] == container(scope)["args"][-2:]

    def test_default_child(self) -> None:
        """`ApiObject.of(model)` is the Deployment, and takes patches as the attribute does."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        found = ApiObject.of(qwen)
        assert found is qwen.deployment
        found.add_json_patch(JsonPatch.add("/spec/revisionHistoryLimit", 3))
        keda(scope, qwen)
        assert 3 == only(scope, "Deployment")["spec"]["revisionHistoryLimit"]

    def test_network_policy(self) -> None:
        """A patch of the NetworkPolicy and the peers that come later stand side by side."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        assert qwen.network_policy is not None
        rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
        qwen.network_policy.add_json_patch(JsonPatch.add("/spec/ingress/0", rule))
        monitor(scope, qwen)
        first, own, prometheus = only(scope, "NetworkPolicy")["spec"]["ingress"]
        assert (rule, [{"podSelector": {}}]) == (first, own["from"])
        assert "monitoring" in str(prometheus["from"])

    def test_metadata(self) -> None:
        """Labels and annotations are added to the object as to any other."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        qwen.deployment.metadata.add_label("team", "search")
        qwen.deployment.metadata.add_annotation("example.com/owner", "search")
        keda(scope, qwen)
        metadata = only(scope, "Deployment")["metadata"]
        assert "search" == metadata["labels"]["team"]
        assert "search" == metadata["annotations"]["example.com/owner"]


def app_of(path: Path) -> tuple[App, Chart, ModelDeployment]:
    """An app with a model that other constructs and a patch change."""
    app = App(outdir=str(path))
    scope = Chart(app, "x", namespace="llm")
    qwen = model(scope, served_name="qwen", cache=CACHE)
    proxy_in_front(qwen)
    for change in (fleet, keda, monitor):
        change(scope, qwen)
    return app, scope, qwen


class TestRendering:
    """When the body of an object is made."""

    def test_ways(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`to_json` of object and chart, `synth` and `synth_yaml` give the same."""
        monkeypatch.delenv("CDK8S_OUTDIR", raising=False)
        _, scope, _ = app_of(tmp_path)
        expected = manifests(scope)
        _, _, qwen = app_of(tmp_path)
        assert qwen.network_policy is not None
        for item in (qwen.deployment, qwen.network_policy):
            assert item.to_json() in expected
        app, _, _ = app_of(tmp_path)
        app.synth()
        assert expected == load_yaml(tmp_path / "x.k8s.yaml")
        app, _, _ = app_of(tmp_path)
        (tmp_path / "text.yaml").write_text(app.synth_yaml(), encoding="utf-8")
        assert expected == load_yaml(tmp_path / "text.yaml")

    def test_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is rendered again is the same, in whatever way."""
        monkeypatch.delenv("CDK8S_OUTDIR", raising=False)
        app, scope, qwen = app_of(tmp_path)
        first = qwen.deployment.to_json()
        assert first == qwen.deployment.to_json()
        expected = manifests(scope)
        assert first in expected
        assert expected == manifests(scope)
        for _ in range(2):
            app.synth()
            assert expected == load_yaml(tmp_path / "x.k8s.yaml")
        assert expected == manifests(scope)

    def test_patch_afterwards(self) -> None:
        """A patch that comes after rendering is in the next one."""
        scope = chart()
        qwen = model(scope)
        assert 1 == len(pod(scope)["containers"])
        proxy_in_front(qwen)
        assert ["proxy", "vllm"] == [item["name"] for item in pod(scope)["containers"]]

    def test_body(self) -> None:
        """The body is made with what is known then, and again where a change is noted."""
        scope = chart()
        facts = {"n": 1}

        def make() -> Manifest:
            head = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
            return {**head, "spec": dict(facts)}

        made = LateObject(scope, "thing", chart_context(scope, "thing"), make(), make)
        facts["n"] = 2
        made.change()
        assert not made.is_rendered
        made.render()
        assert (True, False) == (made.is_rendered, made.is_final)
        facts["n"] = 3
        made.render()
        assert {"n": 2} == made.to_json()["spec"] == only(scope, "Thing")["spec"]
        made.change()
        assert not made.is_rendered
        assert {"n": 3} == only(scope, "Thing")["spec"] == made.to_json()["spec"]
        made.add_json_patch(JsonPatch.add("/spec/more", 0))
        assert made.is_final
        assert {"n": 3, "more": 0} == only(scope, "Thing")["spec"]

    def test_patch_of_a_change(self) -> None:
        """A patch between a change and the next rendering is applied to what is known by then."""
        scope = chart()
        qwen = model(scope, replicas=2, cache=CACHE)
        manifests(scope)
        keda(scope, qwen)
        proxy_in_front(qwen)
        spec = only(scope, "Deployment")["spec"]
        assert "replicas" not in spec
        names = [item["name"] for item in spec["template"]["spec"]["containers"]]
        assert ["proxy", "vllm"] == names

    def test_other_chart(self) -> None:
        """Rendering one chart renders the app: cdk8s validates it as a whole."""
        app = App()
        first, second = (Chart(app, id, namespace="llm") for id in ("a", "b"))
        qwen = model(first, cache=CACHE)
        assert isinstance(qwen.deployment, LateObject)
        manifests(second)
        assert qwen.deployment.is_rendered


PLUS = "cdk8s-plus"
LATE: dict[str, Make] = {
    **CHANGES,
    PLUS: lambda scope, qwen: kplus.HorizontalPodAutoscaler(
        scope,
        "scaler",
        target=qwen,
        max_replicas=3,
        metadata=ApiObjectMetadata(name="qwen"),
        metrics=[kplus.Metric.resource_cpu(kplus.MetricTarget.average_utilization(70))],
    ),
}


class TestAfterRendering:
    """What comes after a model was rendered is in the next rendering, or is rejected."""

    @staticmethod
    def ways(path: Path) -> tuple[Chart, ModelDeployment, dict[str, Callable[[], object]]]:
        """A model, and all ways to render it."""
        app = App(outdir=str(path))
        scope = Chart(app, "x", namespace="llm")
        qwen = model(scope, replicas=2, cache=CACHE)
        assert qwen.network_policy is not None
        return (
            scope,
            qwen,
            {
                "chart": scope.to_json,
                "deployment": qwen.deployment.to_json,
                "network policy": qwen.network_policy.to_json,
                "synth": app.synth,
            },
        )

    @pytest.mark.parametrize("change", LATE)
    @pytest.mark.parametrize("way", ["chart", "deployment", "network policy", "synth"])
    def test_again(
        self, change: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A construct that comes later is as good as one that was there before."""
        monkeypatch.delenv("CDK8S_OUTDIR", raising=False)
        expected, target, _ = self.ways(tmp_path)
        LATE[change](expected, target)
        scope, qwen, ways = self.ways(tmp_path)
        ways[way]()
        LATE[change](scope, qwen)
        assert manifests(expected) == manifests(scope)
        assert manifests(expected) == manifests(scope)

    def test_each(self) -> None:
        """So are several, with a rendering between each and the next."""
        expected, scope = chart(), chart()
        target, qwen = (model(one, served_name="qwen", cache=CACHE) for one in (expected, scope))
        for name in ("monitor", "fleet", "keda"):
            CHANGES[name](expected, target)
            manifests(scope)
            CHANGES[name](scope, qwen)
        for one in (target, qwen):
            proxy_in_front(one)
        assert manifests(expected) == manifests(scope)

    @pytest.mark.parametrize("change", [name for name in LATE if name != "budget"])
    @pytest.mark.parametrize("way", ["chart", "deployment", "synth"])
    @pytest.mark.parametrize("patched", ["before", "behind"])
    def test_patched(
        self,
        change: str,
        way: str,
        patched: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A patch cannot be applied again, so nothing may change the Deployment after it."""
        monkeypatch.delenv("CDK8S_OUTDIR", raising=False)
        scope, qwen, ways = self.ways(tmp_path)
        if patched == "before":
            proxy_in_front(qwen)
        ways[way]()
        if patched == "behind":
            proxy_in_front(qwen)
        before = manifests(scope)
        # Through cdk8s-plus an error comes back as what jsii makes of it.
        kind = RuntimeError if change == PLUS else VllmConstructsError
        with unwarned(), pytest.raises(kind) as error:
            LATE[change](scope, qwen)
        assert str(error.value).endswith(
            " comes after ModelDeployment 'qwen' was patched and rendered, and would change it; "
            "make it before to_json() and synth()."
        )
        if change == PLUS:  # It adds itself before it asks the model.
            scope.node.try_remove_child("scaler")
        assert ["qwen"] == [child.node.id for child in scope.node.children]
        assert before == manifests(scope)
        assert ["proxy", "vllm"] == [item["name"] for item in pod(scope)["containers"]]
        assert not qwen.has_autoscaler

    def test_budget(self) -> None:
        """A budget changes nothing of a model, so it may come at any time."""
        scope = chart()
        qwen = model(scope, replicas=2, cache=CACHE)
        proxy_in_front(qwen)
        before = manifests(scope)
        DisruptionBudget(scope, "budget", target=qwen)
        assert before == [
            item for item in manifests(scope) if item["kind"] != "PodDisruptionBudget"
        ]

    def test_other_models(self) -> None:
        """One model's patch is no other's."""
        scope = chart()
        qwen, other = named(scope, "qwen"), model(scope, "other", cache=CACHE)
        proxy_in_front(qwen)
        manifests(scope)
        keda(scope, other)
        assert "replicas" not in only(scope, "Deployment", "other")["spec"]
        assert 1 == only(scope, "Deployment", "qwen")["spec"]["replicas"]


def test_wrong_patch() -> None:
    """What is not a patch is rejected at the user's line, not when the app is rendered."""
    qwen = model(chart())
    wrong: Any = {"op": "add", "path": "/spec/x", "value": 1}

    with pytest.raises(VllmConstructsError, match=r"expected JsonPatch\.add"):
        qwen.deployment.add_json_patch(wrong)


def test_failed_rendering() -> None:
    """An object that could not be rendered is rendered by the next synth."""
    scope = chart()
    qwen = model(scope, cache=CACHE)
    spec = only(scope, "Deployment")["spec"]
    keda(scope, qwen)
    made = cast("LateObject", qwen.deployment)

    def broken() -> Manifest:
        raise LookupError("missing")

    make, made._make = made._make, broken
    with pytest.raises(Exception, match="missing"):
        scope.to_json()
    made._make = make

    assert set(spec) - {"replicas"} == set(only(scope, "Deployment")["spec"])


def test_attributes() -> None:
    """What somebody assigns to a model's attributes changes nothing that is rendered."""
    scope = chart()
    qwen = model(scope, replicas=2, cache=CACHE)
    before = only(scope, "Deployment")
    qwen.replicas, qwen.name = 7, "other"
    keda(scope, qwen)
    after = only(scope, "Deployment")

    assert 2 == before["spec"].pop("replicas")
    assert before == after
