import json
import re
from types import SimpleNamespace
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
import yaml
from cdk8s import ApiObject, App, Chart, JsonPatch
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

import vllm_constructs
from tests.cdk.samples import (
    CACHE,
    MODEL,
    SAMPLES,
    Keywords,
    chart,
    check_sample,
    container,
    manifests,
    model,
    only,
    pod,
    rejected,
    unwarned,
    variants,
)
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    ApiKey,
    AwsAlb,
    EngineArgs,
    ExistingClaim,
    ExternalToken,
    GatewayRef,
    GkeIngress,
    HpaScaler,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    ModelFleet,
    ModelMonitor,
    ModelRoute,
    ModelSeries,
    ModelShape,
    PodSecurity,
    QueueDepth,
    ReplicaRange,
    Rollout,
    StreamingIngress,
    TokenSecret,
    Traefik,
    VllmConstructsError,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.kube import peers
from vllm_constructs.workloads import files
from vllm_constructs.workloads.storage import AccessMode


@pytest.mark.parametrize(("kind", "variant"), variants("ModelDeployment"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


class TestObjects:
    """What a model consists of."""

    def test_attributes(self) -> None:
        """The objects are attributes; those that are not made are None."""
        qwen = model(chart())
        assert "Deployment" == qwen.deployment.kind
        assert qwen.config_map is None
        assert qwen.network_policy is not None
        whole = model(chart(), engine=EngineArgs(delivery="config-map"), network_policy=False)
        assert whole.config_map is not None
        assert whole.network_policy is None

    def test_facts(self) -> None:
        """A model says its names, selector and what it looks like in metrics."""
        qwen = model(chart(), name="vllm-server", service_name="vllm-service", served_name="qwen")
        assert ("vllm-server", "vllm-service", "qwen", "llm") == (
            qwen.name,
            qwen.service_name,
            qwen.served_name,
            qwen.namespace,
        )
        assert ModelSeries(namespace="llm", model_name="qwen") == qwen.series
        assert {
            "app.kubernetes.io/name": "vllm",
            "app.kubernetes.io/instance": "vllm-server",
        } == qwen.selector

    def test_served_name_default(self) -> None:
        """A model that is given no other name is served, and measured, under its own."""
        assert MODEL == model(chart()).served_name

    def test_config_checksum(self) -> None:
        """With a ConfigMap a change of a flag changes the pods, so that they roll."""
        found = []
        for length in (4096, 8192, 8192):
            scope = chart()
            engine = EngineArgs(max_model_len=length, delivery="config-map")
            model(scope, engine=engine)
            config = only(scope, "ConfigMap")
            assert length == yaml.safe_load(config["data"]["engine.yaml"])["max-model-len"]
            found.append(only(scope, "Deployment")["spec"]["template"]["metadata"]["annotations"])
        assert found[0] != found[1] == found[2]

    def test_restricted(self) -> None:
        """Pods pass Pod Security "restricted", unless root is asked for."""
        scope = chart()
        model(scope, "a")
        model(scope, "b", security=PodSecurity(user="root"))
        assert [] == pod_security_problems(pod(scope, "a"))
        assert pod_security_problems(pod(scope, "b"))

    def test_labels(self) -> None:
        """Labels reach the Deployment and its pods, the nearest one wins, selectors stay."""
        scope = chart(labels={"team": "platform", "example.com/app": "llm"})
        qwen = model(scope, labels={"team": "search"})
        deployment = only(scope, "Deployment")
        labels = {**qwen.selector, "team": "search", "example.com/app": "llm"}
        assert labels == deployment["metadata"]["labels"]
        assert labels == deployment["spec"]["template"]["metadata"]["labels"]
        assert qwen.selector == deployment["spec"]["selector"]["matchLabels"]

    @pytest.mark.parametrize("key", ["app.kubernetes.io/name", "app.kubernetes.io/instance"])
    def test_labels_of_selector(self, key: str) -> None:
        """Labels that select the pods cannot be given."""
        with pytest.raises(VllmConstructsError, match=key):
            model(chart(), labels={key: "x"})

    def test_chart_label_of_selector(self) -> None:
        """A chart's label of the selector's name does not break the selector."""
        scope = chart(labels={"app.kubernetes.io/name": "shop"})
        qwen = model(scope)
        spec = only(scope, "Deployment")["spec"]
        assert qwen.selector == spec["selector"]["matchLabels"]
        assert qwen.selector.items() <= spec["template"]["metadata"]["labels"].items()
        assert qwen.selector == only(scope, "Service")["spec"]["selector"]


class TestPatches:
    """A user's own JsonPatch on the Deployment."""

    def test_exact(self) -> None:
        """What a patch says stands in the manifest as it was said."""
        scope = chart()
        at = "/spec/template/spec/containers/0"
        ApiObject.of(model(scope)).add_json_patch(
            JsonPatch.replace(f"{at}/resources/limits/nvidia.com~1gpu", "4"),
            JsonPatch.add(f"{at}/resources/claims", [{"name": "gpu", "request": "half"}]),
            JsonPatch.add(f"{at}/lifecycle/preStop", {"sleep": {"seconds": 5}}),
            JsonPatch.add("/spec/template/spec/fieldOfTomorrow", {"a~b/c": [0, 0.5]}),
        )
        found = container(scope)
        assert "4" == found["resources"]["limits"]["nvidia.com/gpu"]
        assert [{"name": "gpu", "request": "half"}] == found["resources"]["claims"]
        assert {"sleep": {"seconds": 5}} == found["lifecycle"]["preStop"]
        assert {"a~b/c": [0, 0.5]} == pod(scope)["fieldOfTomorrow"]

    def test_before_a_scaler(self) -> None:
        """A patch and what other constructs change later stand side by side."""
        scope = chart()
        qwen = model(scope, cache=CACHE)
        qwen.deployment.add_json_patch(JsonPatch.add("/spec/revisionHistoryLimit", 3))
        HpaScaler(scope, "scaler", target=qwen, max_replicas=2, triggers=[QueueDepth(5)])
        spec = only(scope, "Deployment")["spec"]
        assert 3 == spec["revisionHistoryLimit"]
        assert "replicas" not in spec


class TestDerived:
    """What the library derives, which a user cannot say a second time."""

    @pytest.mark.parametrize(
        ("option", "key"),
        [
            ("pod_annotations", "prometheus.io/scrape"),
            ("pod_annotations", "prometheus.io/port"),
            ("pod_annotations", "prometheus.io/path"),
            ("pod_annotations", "vllm-constructs.dev/model"),
            ("pod_annotations", "vllm-constructs.dev/engine-checksum"),
            ("annotations", "vllm-constructs.dev/vllm"),
            ("annotations", "vllm-constructs.dev/model-shape"),
            ("annotations", "vllm-constructs.dev/anything"),
            ("labels", "app.kubernetes.io/name"),
            ("labels", "app.kubernetes.io/instance"),
            ("env", "HF_HOME"),
            ("env", "VLLM_ENGINE_READY_TIMEOUT_S"),
            ("env", "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"),
            ("node_selector", "nvidia.com/gpu.product"),
        ],
    )
    def test_rejected(self, option: str, key: str) -> None:
        """A derived annotation, label or variable is named, and nothing is made."""
        scope = chart()
        options: Keywords = {option: {key: "1", "example.com/a": "b"}}
        with rejected(scope, rf"^{option}\b.*{re.escape(key)}\b.*; leave it out\.$"):
            model(scope, **options)
        assert [] == scope.node.children

    @pytest.mark.parametrize("access", ["ReadOnlyMany", "ReadWriteMany"])
    def test_offline(self, access: AccessMode) -> None:
        """A read-only cache turns downloads off, so only beside another one it can be said."""
        scope = chart()
        options: Keywords = {
            "cache": ExistingClaim("weights", access=access),
            "env": {"HF_HUB_OFFLINE": "1"},
        }
        if access == "ReadOnlyMany":
            with rejected(scope, r"^env\b.*HF_HUB_OFFLINE.* a read-only cache; leave it out\.$"):
                model(scope, **options)
            del options["env"]
        model(scope, **options)
        found = [item for item in container(scope)["env"] if item["name"] == "HF_HUB_OFFLINE"]
        assert [{"name": "HF_HUB_OFFLINE", "value": "1"}] == found

    def test_once(self) -> None:
        """What is derived stands in the manifest once, and agrees with what it comes from."""
        scope = chart()
        model(scope, env={"A": "1"}, engine=EngineArgs(delivery="config-map"), cache=CACHE)
        names = [item["name"] for item in container(scope)["env"]]
        assert sorted(set(names)) == sorted(names)
        annotations = only(scope, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        config = only(scope, "ConfigMap")["data"]["engine.yaml"]
        checksum = files.checksum({"/etc/vllm/engine.yaml": config})
        assert checksum == annotations["vllm-constructs.dev/engine-checksum"]


CPU = kplus.Metric.resource_cpu(kplus.MetricTarget.average_utilization(70))
# Public attributes of a model, and its methods that only answer.
FACTS = sorted(
    name
    for name in {*dir(ModelDeployment), *vars(model(chart()))}
    if not name.startswith("_") and name not in ("is_construct", "mark_has_autoscaler")
)


class TestGetters:
    """Reading a model changes nothing of it."""

    @staticmethod
    def build() -> tuple[Chart, ModelDeployment]:
        """A model with all that knows of it."""
        scope = chart()
        qwen = model(scope, served_name="qwen", replicas=2, cache=CACHE)
        ModelMonitor(scope, "monitor", target=qwen, labels={"release": "x"})
        models = [qwen]
        ModelFleet(scope, "fleet", models=models, host="a.example.com", controller=GkeIngress())
        kplus.HorizontalPodAutoscaler(
            scope, "hpa", target=qwen, min_replicas=1, max_replicas=3, metrics=[CPU]
        )
        return scope, qwen

    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(FACTS), is_late=st.booleans())
    def test_order(self, order: list[str], is_late: bool) -> None:  # noqa: FBT001  # drawn
        """In any order, before and after rendering, the chart stays the same."""
        plain, _ = self.build()
        scope, qwen = self.build()
        expected = manifests(plain)
        if is_late:
            assert expected == manifests(scope)
        for name in order:
            found = getattr(qwen, name)
            if name.startswith("to_"):
                found()
        assert expected == manifests(scope)
        assert [node.node.path for node in plain.node.find_all()] == [
            node.node.path for node in scope.node.find_all()
        ]

    def test_alike(self) -> None:
        """A fact is the same before and after rendering, and each time it is asked."""
        scope, qwen = self.build()
        asked = [name for name in FACTS if not name.startswith("to_")]
        before = {name: getattr(qwen, name) for name in asked if name != "node"}
        manifests(scope)
        assert before == {name: getattr(qwen, name) for name in before}


class TestCache:
    """Where weights are kept."""

    @pytest.mark.parametrize("access", ["ReadWriteOnce", "ReadWriteOncePod"])
    def test_one_node(self, access: AccessMode) -> None:
        """A claim that one node mounts is rejected for two replicas, and recreates for one."""
        scope = chart()
        cache = ModelCache(scope, "cache", size="100Gi", access=access)
        with pytest.raises(VllmConstructsError, match=f"'cache' is {access}"):
            model(scope, replicas=2, cache=cache)
        model(scope, cache=cache, rollout=Rollout(spare_gpus=1))
        assert {"type": "Recreate"} == only(scope, "Deployment")["spec"]["strategy"]

    @pytest.mark.parametrize("access", ["ReadWriteMany", "ReadOnlyMany"])
    def test_many_nodes(self, access: AccessMode) -> None:
        """A claim that many nodes mount takes many replicas; read-only it turns downloads off."""
        scope = chart()
        cache = ModelCache(scope, "cache", size="100Gi", access=access, volume_name="nfs")
        model(scope, replicas=2, cache=cache)
        (volume,) = [item for item in pod(scope)["volumes"] if item["name"] == "model-cache"]
        assert "cache" == volume["persistentVolumeClaim"]["claimName"]
        ports = [
            port["port"]
            for rule in only(scope, "NetworkPolicy")["spec"]["egress"]
            for port in rule["ports"]
        ]
        assert (access == "ReadWriteMany") == (443 in ports)
        names = [item["name"] for item in container(scope)["env"]]
        assert (access == "ReadOnlyMany") == ("HF_HUB_OFFLINE" in names)

    def test_downloads(self) -> None:
        """Replicas that each download the weights are warned about."""
        with pytest.warns(VllmConstructsWarning, match="downloads the weights again"):
            model(chart(), replicas=2)


class TestGpus:
    """How many GPUs a model has in use."""

    @pytest.mark.parametrize(
        ("gpus", "spare", "least", "most", "rollout"),
        [(1, 0, 2, 6, 6), (1, 1, 2, 6, 7), (4, 0, 8, 24, 24), (4, 3, 8, 24, 24), (4, 4, 8, 24, 28)],
    )
    def test_scaled(self, gpus: int, spare: int, least: int, most: int, rollout: int) -> None:
        """With a scaler the range counts, and a rollout adds one pod where GPUs are spare."""
        scope = chart()
        qwen = model(
            scope,
            gpu=WholeGpu("NVIDIA-L40S", count=gpus),
            cache=CACHE,
            rollout=Rollout(spare_gpus=spare),
        )
        assert (gpus, gpus) == qwen.gpus
        HpaScaler(
            scope, "scaler", target=qwen, min_replicas=2, max_replicas=6, triggers=[QueueDepth(5)]
        )
        assert (least, most) == qwen.gpus
        assert rollout == qwen.rollout_gpus

    def test_recreate(self) -> None:
        """Where all pods go first, a rollout needs nothing more."""
        cache = ExistingClaim("weights", access="ReadWriteOnce")
        assert 1 == model(chart(), cache=cache, rollout=Rollout(spare_gpus=9)).rollout_gpus


class TestNames:
    """One served name belongs to one model where metrics are read."""

    def test_alone(self) -> None:
        """Two models of one name are fine while nothing reads their metrics."""
        scope = chart()
        model(scope, "a", served_name="qwen")
        model(scope, "b", served_name="qwen")
        assert 6 == len(manifests(scope))

    @pytest.mark.parametrize("reader", ["HpaScaler", "KedaScaler", "ModelMonitor"])
    def test_readers(self, reader: str) -> None:
        """A second model of the name is rejected once a scaler or monitor reads the first one."""
        scope = chart()
        first = model(scope, "a", served_name="qwen")
        with unwarned():
            read(scope, reader, first)
            with pytest.raises(VllmConstructsError, match="served as 'qwen'"):
                model(scope, "b", served_name="qwen")
            model(scope, "c", served_name="coder")

    def test_told_apart(self) -> None:
        """Workloads of one name are told apart by their pods, in queries, alerts and titles."""
        scope = chart()
        both = [model(scope, name, served_name="qwen", cache=CACHE) for name in ("l20", "l20-b")]
        with unwarned():
            for one in both:
                read(scope, "KedaScaler", one)
                read(scope, "ModelMonitor", one)
        found = manifests(scope)
        for one in both:
            matcher = f'pod=~"{one.workload.pod_names}"'
            scaler = next(
                item
                for item in found
                if item["kind"] == "ScaledObject"
                and item["spec"]["scaleTargetRef"]["name"] == one.name
            )
            queries = [item["metadata"]["query"] for item in scaler["spec"]["triggers"]]
            assert all(matcher in query for query in queries)
            rule = only(scope, "PrometheusRule", f"{one.name}-alerts")
            alerts = [rule for group in rule["spec"]["groups"] for rule in group["rules"]]
            assert {one.name} == {alert["labels"]["workload"] for alert in alerts}
            assert any(matcher in alert["expr"] for alert in alerts)
        boards = [item["data"] for item in found if "grafana_dashboard" in str(item["metadata"])]
        titles = {json.loads(text)["title"] for board in boards for text in board.values()}
        assert {"vLLM qwen (llm/l20)", "vLLM qwen (llm/l20-b)"} == titles
        # No pod of one matches the pattern of the other.
        assert not re.fullmatch(both[0].workload.pod_names, "l20-b-5d9c7b6f4-abcde")

    def test_parked(self) -> None:
        """At 0 replicas a model is parked; a range leaves them to another autoscaler."""
        scope = chart()
        model(scope, "a", replicas=0)
        left = model(scope, "b", replicas=ReplicaRange(max_replicas=4), cache=CACHE)
        assert 0 == only(scope, "Deployment", "a")["spec"]["replicas"]
        assert "replicas" not in only(scope, "Deployment", "b")["spec"]
        assert (0, 4) == left.replica_range
        with pytest.raises(VllmConstructsError, match="has a ReplicaRange already"):
            read(scope, "HpaScaler", left)
        once = ExistingClaim("weights", access="ReadWriteOnce")
        with pytest.raises(VllmConstructsError, match="up to 4 replicas"):
            model(scope, "c", replicas=ReplicaRange(max_replicas=4), cache=once)

    def test_elsewhere(self) -> None:
        """The name is free in another namespace."""
        app = App()
        for namespace in ("a", "b"):
            scope = Chart(app, namespace, namespace=namespace)
            read(scope, "HpaScaler", model(scope, served_name="qwen", cache=CACHE))
            assert 4 == len(manifests(scope))


def read(scope: Chart, reader: str, target: ModelDeployment) -> None:
    """Put a reader of metrics on a model."""
    keywords = SAMPLES[reader]["minimal"](chart()) | {"target": target}
    getattr(vllm_constructs, reader)(scope, f"{target.name}-{reader}", **keywords)


@pytest.mark.parametrize("reader", ["HpaScaler", "KedaScaler", "ModelMonitor"])
def test_no_metrics(reader: str) -> None:
    """A model without metrics cannot be scaled on them or monitored."""
    scope = chart()
    qwen = model(scope, engine=EngineArgs(disable_log_stats=True))
    with unwarned(), rejected(scope, "disable_log_stats"):
        read(scope, reader, qwen)


@pytest.mark.parametrize("option", ["hf_token", "api_key"])
@pytest.mark.parametrize("made", ["external", "secret", "value"])
def test_token_elsewhere(option: str, made: str) -> None:
    """A pod reads only Secrets of its own namespace, wherever the reference comes from."""
    app = App()
    other, scope = (Chart(app, id, namespace=id) for id in ("other", "llm"))
    source: Any
    if made == "external":
        source = ExternalToken(other, "keys", store="vault", remote_key="llm")
    elif made == "secret":
        source = TokenSecret(other, "keys", value="hf_verysecret", in_clear_text=True)
    else:
        source = SimpleNamespace(
            token=HuggingFaceToken("keys", namespace="other"),
            api_key=ApiKey("keys", namespace="other"),
        )
    reference = source.token if option == "hf_token" else source.api_key
    with rejected(
        scope, f"^{option} is in namespace 'other', and this chart is in 'llm'; put both"
    ):
        model(scope, **{option: reference})
    assert [] == scope.node.children
    model(other, **{option: reference})
    assert "keys" in str(only(other, "Deployment"))


class TestNetworkPolicy:
    """Who may reach the API."""

    @staticmethod
    def sources(scope: Chart, name: str = "qwen") -> list[Any]:
        """The peers that may come in, and that they all reach the API's port only."""
        rules = only(scope, "NetworkPolicy", name)["spec"]["ingress"]
        assert {8000} == {port["port"] for rule in rules for port in rule["ports"]}
        return [peer for rule in rules for peer in rule["from"]]

    def test_closed(self) -> None:
        """By default the namespace's own pods may."""
        scope = chart()
        model(scope)
        assert [{"podSelector": {}}] == self.sources(scope)

    def test_grows(self) -> None:
        """Ingress, route, fleet and monitor each add where they come from, once."""
        scope = chart()
        qwen = model(scope, allow_from=["evaluation"])
        front: Keywords = {"target": qwen, "host": "llm.example.com"}
        StreamingIngress(scope, "a", controller=Traefik(), **front)
        StreamingIngress(scope, "b", controller=Traefik(), name="b", path="/v1/models", **front)
        ModelRoute(scope, "c", gateway=GatewayRef("edge", namespace="gateways"), **front)
        ModelFleet(
            scope,
            "d",
            models=[qwen],
            domain="llm.example.com",
            controller=AwsAlb(subnets=["10.0.0.0/16"]),
        )
        ModelMonitor(scope, "e", target=qwen, labels={"release": "x"}, namespace="watch")
        namespaces = ["evaluation", "traefik", "gateways", "watch"]
        own, *some, block, last = self.sources(scope)
        assert {"podSelector": {}} == own
        assert [peers.from_namespace(name) for name in namespaces] == [*some, last]
        assert {"ipBlock": {"cidr": "10.0.0.0/16"}} == block
        assert_valid(*manifests(scope))

    def test_left_out(self) -> None:
        """Without a policy routes and monitors work, and none is made."""
        scope = chart()
        qwen = model(scope, network_policy=False)
        front: Keywords = {"target": qwen, "host": "llm.example.com"}
        StreamingIngress(scope, "a", controller=Traefik(), **front)
        ModelRoute(scope, "b", gateway=GatewayRef("edge", namespace="gateways"), **front)
        ModelMonitor(scope, "c", target=qwen, labels={"release": "x"})
        kinds = [item["kind"] for item in manifests(scope)]
        assert "NetworkPolicy" not in kinds
        assert {"Ingress", "HTTPRoute", "ServiceMonitor"} < set(kinds)


class TestMemory:
    """Whether the model fits."""

    def test_plan(self) -> None:
        """The plan of a model of the catalog is an attribute."""
        qwen = model(chart(), engine=EngineArgs(max_model_len=4096))
        plan = qwen.memory_plan
        assert plan is not None
        assert (ModelShape.named(MODEL), 4096) == (plan.shape, plan.max_model_len)
        assert (qwen.pod.gpu, "fits") == (plan.gpu, plan.verdict)

    def test_shape(self) -> None:
        """A model that the catalog lacks is planned by its shape, else not at all."""
        scope = chart()
        shape = ModelShape.named("Qwen/Qwen3-8B")
        plan = model(scope, "a", model="/model-cache/a", shape=shape).memory_plan
        assert plan is not None
        assert shape == plan.shape
        assert model(scope, "b", model="/model-cache/b").memory_plan is None

    def test_too_large(self) -> None:
        """What cannot fit is rejected with the numbers and what does; nothing is made."""
        scope = chart()
        with pytest.raises(VllmConstructsError) as error:
            model(scope, model="Qwen/Qwen2.5-32B-Instruct")
        assert str(error.value) == (
            "ModelDeployment 'qwen': Qwen/Qwen2.5-32B-Instruct does not fit on 1 x NVIDIA-L40S: "
            "weights take 61.04 GiB of each GPU, but vLLM requests 40.96 GiB; what fits: "
            "2 x NVIDIA-L40S (2.1 requests at once), 1 x NVIDIA-A100-80GB-PCIe (1.3 requests at "
            "once)."
        )
        assert [] == scope.node.children

    def test_tight(self) -> None:
        """What is tight is warned about at the user's line, once."""
        gpu = WholeGpu("NVIDIA-H100-80GB-HBM3")
        with pytest.warns(VllmConstructsWarning, match="probably fits on") as warned:
            found = model(chart(), model="Qwen/Qwen2.5-32B-Instruct", gpu=gpu)
        assert 1 == len(warned)
        assert found.memory_plan is not None
        assert "tight" == found.memory_plan.verdict

    def test_split(self) -> None:
        """Heads that the GPUs cannot split are rejected, as vLLM does it at start."""
        with pytest.raises(VllmConstructsError, match="28 attention heads, which cannot be split"):
            model(chart(), gpu=WholeGpu("NVIDIA-L40S", count=3))

    def test_latest(self) -> None:
        """An image whose tag changes is warned about once, not once more by the plan."""
        with pytest.warns(VllmConstructsWarning, match=":latest', whose tag") as warned:
            model(chart(), image="vllm/vllm-openai:latest")
        assert 1 == len(warned)
