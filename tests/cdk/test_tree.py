"""How a manifest gets into the tree, and what other constructs and users change of it."""

import importlib.util
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, JsonPatch
from constructs import Construct

import vllm_constructs
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
)
from tests.cdk.scalers import WAITING
from tests.support import assert_valid, load_yaml
from vllm_constructs import (
    DisruptionBudget,
    FluxHelmRelease,
    GatewayRef,
    HpaScaler,
    KedaOperator,
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
from vllm_constructs.cdk import tree

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "vllm_constructs" / "cdk" / "_jsii"
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


def things(scope: Construct, **manifests: Manifest) -> tree.Manifests:
    """A construct with objects; what they all have in common need not be said."""
    head = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    return tree.Manifests(scope, "things", {id: head | body for id, body in manifests.items()})


# In a Python of its own, since this one has loaded cdk8s-plus.
CALLS = """
import json
from constructs import Construct
from jsii._kernel.providers.process import _NodeProcess
from tests.cdk.samples import CACHE, PROMETHEUS, chart, model
from vllm_constructs import (
    DisruptionBudget, KedaScaler, ModelCache, ModelFleet, ModelMonitor, QueueDepth, Traefik
)
scope = chart()
model(scope, "warm-up")
calls, send = [], _NodeProcess.send
def count(process, request, kind):
    calls.append(type(request).__name__)
    return send(process, request, kind)
_NodeProcess.send = count
found = {}
def note(name):
    found[name], calls[:] = [*calls], []
qwen = model(scope, served_name="qwen", cache=CACHE)
note("model")
triggers = [QueueDepth(5)]
KedaScaler(scope, "k", target=qwen, max_replicas=3, prometheus=PROMETHEUS, triggers=triggers)
note("keda")
ModelMonitor(scope, "m", target=qwen, labels={"release": "x"})
note("monitor")
ModelFleet(scope, "f", models=[qwen], host="llm.example.com", controller=Traefik())
note("fleet")
DisruptionBudget(scope, "b", target=qwen)
note("budget")
ModelCache(Construct(scope, "group"), "cache", size="1Gi")
note("nested")
assert qwen.deployment is qwen.deployment
note("fetch")
print(json.dumps(found))
"""


class TestManifests:
    """A construct whose objects one call makes."""

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
        made = tree.child(tree.Manifests(scope, "things", {"thing": manifest}), "thing")
        metadata: dict[str, Any] = {
            **manifest["metadata"],  # type: ignore[dict-item]  # it is a dict
            "labels": {"a": "b", "team": "search"},
            "namespace": "llm",
        }
        assert manifest | {"metadata": metadata} == made.to_json() == manifests(scope)[0]

    def test_text(self) -> None:
        """Text of any kind comes through two JSON strings and the YAML unchanged."""
        texts = ['"', "\\", "\n", "\u2028", "ü", "🦙", "\x7f", "$jsii.map", "", " x ", "${{ x }}"]
        spec = {"texts": texts, "keys": dict.fromkeys(texts, 1)}
        scope = chart()
        made = things(scope, Default={"spec": spec})
        assert spec == ApiObject.of(made).to_json()["spec"] == only(scope, "Thing")["spec"]

    @pytest.mark.parametrize("key", ["__proto__", "constructor", "toString", "toJSON", "1"])
    def test_names_of_javascript(self, key: str, tmp_path: Path) -> None:
        """A key that means something in JavaScript is a key."""
        app = App(outdir=str(tmp_path))
        things(Chart(app, "x"), Default={"spec": {key: {"a": 1}}})
        app.synth()
        (found,) = load_yaml(tmp_path / "x.k8s.yaml")
        assert {key: {"a": 1}} == found["spec"]

    def test_null(self, tmp_path: Path) -> None:
        """A field that is null stays: in the values of a Helm chart it takes a default away."""
        app = App(outdir=str(tmp_path))
        values = {"a": None, "b": [None]}
        KedaOperator(Chart(app, "x"), "keda", delivery=FluxHelmRelease(), values=values)
        app.synth()
        release, _ = load_yaml(tmp_path / "x.k8s.yaml")
        assert {"a": None, "b": [None]} == release["spec"]["values"]

    def test_namespace(self) -> None:
        """A manifest may name another namespace than the chart, or none with null."""
        for namespace, expected in (("other", "other"), (None, None)):
            for scope in (chart(), Chart(App(), "x")):
                made = things(scope, Default={"metadata": {"name": "x", "namespace": namespace}})
                found = ApiObject.of(made).to_json()["metadata"]
                assert {"name": "x"} | ({"namespace": expected} if expected else {}) == found

    def test_order(self) -> None:
        """Objects are in the order of the manifests, and fields in that of the manifest."""
        scope = chart()
        made = things(scope, b={"spec": {"z": 1, "a": 2}}, a={"data": {}, "binaryData": {}})
        tree.add(made, {"last": {"apiVersion": "v1", "kind": "Last", "metadata": {"name": "y"}}})
        assert ["b", "a", "last"] == [child.node.id for child in made.node.children]
        first, second, last = manifests(scope)
        assert (["z", "a"], "Last") == (list(first["spec"]), last["kind"])
        assert ["data", "binaryData"] == list(second)[3:]

    def test_one_call(self) -> None:
        """A construct is one call into Node, whatever it makes and changes."""
        done = subprocess.run(
            [sys.executable, "-c", CALLS],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        created = ["CreateRequest"]
        assert {
            "model": created,
            "keda": created,
            "monitor": created,
            "fleet": created,
            "budget": created,
            "nested": ["CreateRequest", "StaticInvokeRequest", "CreateRequest"],
            "fetch": ["StaticInvokeRequest"],
        } == json.loads(done.stdout)

    def test_id_twice(self) -> None:
        """An id that the scope has already is jsii's error, and nothing is made."""
        scope = chart()
        things(scope, Default={"spec": {}})
        before = manifests(scope)
        with pytest.raises(RuntimeError, match="There is already a Construct with name"):
            things(scope, Default={"spec": {"a": 1}})
        assert before == manifests(scope)


class TestReplace:
    """New bodies of objects that are in the tree."""

    def test_body(self) -> None:
        """A field is replaced as a whole, in its place, and others stay."""
        scope = chart()
        made = things(scope, Default={"spec": {"z": 1, "a": 2}, "data": {"b": "c"}})
        tree.replace(made, {"Default": {"spec": {"y": 3, "a": {"b": []}}}})
        found = only(scope, "Thing")
        assert {"y": 3, "a": {"b": []}} == found["spec"]
        assert ({"b": "c"}, ["spec", "data"]) == (found["data"], list(found)[3:])

    def test_patches(self) -> None:
        """Patches stay in their order, and apply to each new body."""
        scope = chart()
        made = things(scope, Default={"spec": {"n": 1}})
        ApiObject.of(made).add_json_patch(JsonPatch.add("/spec/list", ["a"]))
        for n in (2, 3):
            tree.replace(made, {"Default": {"spec": {"n": n}}})
            assert {"n": n, "list": ["a"]} == only(scope, "Thing")["spec"]
        ApiObject.of(made).add_json_patch(JsonPatch.add("/spec/list/-", "b"))
        tree.replace(made, {"Default": {"spec": {}}})
        assert {"list": ["a", "b"]} == only(scope, "Thing")["spec"]

    def test_annotations(self) -> None:
        """Annotations are added, to an object of cdk8s-plus as well."""
        scope = chart()
        plus = kplus.ConfigMap(scope, "plus", data={"a": "b"})
        for made, kind in ((things(scope, Default={}), "Thing"), (scope, "ConfigMap")):
            changed = {"metadata": {"annotations": {"example.com/a": "b"}, "labels": {"c": "d"}}}
            tree.replace(made, {"Default" if kind == "Thing" else "plus": changed})
            assert {"example.com/a": "b"} == only(scope, kind)["metadata"]["annotations"]
        assert "labels" not in only(scope, "Thing")["metadata"]
        assert {"a": "b"} == ApiObject.of(plus).to_json()["data"]

    def test_with_another(self) -> None:
        """A construct changes objects of others when it is made, and only if it can be made."""
        scope = chart()
        first = things(scope, Default={"spec": {"n": 1}})
        changes = [(first, {"Default": {"spec": {"n": 2}}})]
        with pytest.raises(RuntimeError):
            tree.Manifests(scope, "things", {}, changes)
        assert {"n": 1} == only(scope, "Thing")["spec"]
        tree.Manifests(scope, "other", {}, changes)
        assert {"n": 2} == only(scope, "Thing")["spec"]


class TestChild:
    """An object that is fetched."""

    def test_same(self) -> None:
        """It is one Python object, however somebody comes to it."""
        ways: dict[str, Callable[[tree.Manifests], object]] = {
            "child": lambda made: tree.child(made, "Default"),
            "of": ApiObject.of,
            "default child": lambda made: made.node.default_child,
            "find_child": lambda made: made.node.find_child("Default"),
            "find_all": lambda made: made.node.find_all()[-1],
        }
        for first, second in itertools.permutations(ways.values(), 2):
            made = things(chart(), Default={"spec": {}})
            assert first(made) is second(made)
            assert isinstance(first(made), ApiObject)

    def test_missing(self) -> None:
        """There is no other."""
        with pytest.raises(RuntimeError, match="No child with id: 'other'"):
            tree.child(things(chart()), "other")

    def test_dependency(self, tmp_path: Path) -> None:
        """A dependency orders objects, and an object of ours may have one."""
        app = App(outdir=str(tmp_path))
        scope = Chart(app, "x", namespace="llm")
        qwen = model(scope)
        last = ApiObject(scope, "last", api_version="v1", kind="ConfigMap")
        qwen.deployment.add_dependency(last)
        assert ["ConfigMap", "Deployment"] == [
            item["kind"] for item in manifests(scope) if item["kind"] in ("ConfigMap", "Deployment")
        ]


class TestChart:
    """What the chart of a construct says."""

    def test_numbers(self) -> None:
        """A chart and an app have one number each, from wherever somebody asks."""
        app = App()
        one, two = Chart(app, "one", namespace="a", labels={"b": "c"}), Chart(app, "two")
        found = tree.chart(Construct(one, "group"), "key")
        assert tree.chart(one, "key") == found
        assert (found["namespace"], found["labels"]) == ("a", {"b": "c"})
        other = tree.chart(two, "key")
        assert other["app"] == found["app"]
        assert other["number"] != found["number"]
        assert "namespace" not in other
        assert tree.chart(chart(), "key")["app"] != found["app"]

    def test_context(self) -> None:
        """A context is that of the nearest scope that has it."""
        app = App()
        app.node.set_context("key", "1")
        scope = Chart(app, "x")
        assert "1" == tree.chart(scope, "key")["context"]
        assert "context" not in tree.chart(scope, "other")

    def test_none(self) -> None:
        """A construct outside of a chart is an error."""
        with pytest.raises(RuntimeError, match="chart"):
            tree.chart(App(), "key")


class TestArchive:
    """The compiled form of the module."""

    def test_version(self) -> None:
        """It has the version of the library."""
        assert vllm_constructs.__version__ == tree.VERSION
        package = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))
        assert (tree.ASSEMBLY, tree.VERSION) == (package["name"], package["version"])

    def test_current(self) -> None:
        """It holds what the compiler makes of the source (`make tree`)."""
        if not (ROOT / "node_modules/.bin/jsii").exists():
            pytest.skip("node_modules is not there: make test installs it")
        spec = importlib.util.spec_from_file_location("make_tree", ROOT / "tools/make_tree.py")
        assert spec
        assert spec.loader
        make_tree = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(make_tree)
        archive = (SOURCE / "tree.jsii.tgz").read_bytes()
        assert make_tree.archive(make_tree.compiled()) == archive


class TestPatch:
    """A patch of any object."""

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


PROXY = {
    "name": "proxy",
    "image": "envoyproxy/envoy:v1.36.0",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    },
}


def proxy_in_front(qwen: ModelDeployment) -> None:
    """Put a container in front of the engine, as a user does it."""
    sidecar = PROXY
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
        assert proxy == PROXY
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


PLUS = "cdk8s-plus"
LATE: dict[str, Make] = {
    **CHANGES,
    PLUS: lambda scope, qwen: kplus.HorizontalPodAutoscaler(
        scope,
        "scaler",
        target=qwen,
        max_replicas=3,
        metadata=ApiObjectMetadata(name="qwen"),
        metrics=WAITING,
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

    @pytest.mark.parametrize("change", LATE)
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
        """A patch stays, whatever comes after it and after a rendering."""
        monkeypatch.delenv("CDK8S_OUTDIR", raising=False)
        expected, target, _ = self.ways(tmp_path)
        LATE[change](expected, target)
        proxy_in_front(target)
        scope, qwen, ways = self.ways(tmp_path)
        if patched == "before":
            proxy_in_front(qwen)
        ways[way]()
        if patched == "behind":
            proxy_in_front(qwen)
        LATE[change](scope, qwen)
        assert ["proxy", "vllm"] == [item["name"] for item in pod(scope)["containers"]]
        assert manifests(expected) == manifests(scope)

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
