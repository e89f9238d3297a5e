import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart
from constructs import Construct

import vllm_constructs
from tests.cdk.samples import (
    CACHE,
    chart,
    container,
    manifests,
    model,
    named,
    only,
    pod,
    rejected,
)
from tests.cdk.scalers import plus
from tests.support import assert_valid
from vllm_constructs import (
    ApiKey,
    DisruptionBudget,
    ExistingClaim,
    HuggingFaceToken,
    Rollout,
    ServiceOptions,
    StreamingIngress,
    TlsSecret,
    Traefik,
    VllmConstructsError,
    VllmConstructsWarning,
)
from vllm_constructs.workloads import service

HOST = "llm.example.com"


class TestGiven:
    """Objects of cdk8s-plus that a model takes."""

    @pytest.mark.parametrize("made", [True, False])
    def test_secrets(self, made: bool) -> None:  # noqa: FBT001  # a parameter
        """A Secret, made or by name, as token, key, certificate and pull secret."""
        scope = chart()
        secret: kplus.ISecret = (
            kplus.Secret(scope, "secret", string_data={"token": "x"})
            if made
            else kplus.Secret.from_secret_name(scope, "secret", "token-secret")
        )
        qwen = model(
            scope,
            hf_token=HuggingFaceToken.from_secret(secret),
            api_key=ApiKey.from_secret(secret, key="token"),
            image_pull_secrets=[secret, "other"],
        )
        StreamingIngress(
            scope,
            "front",
            target=qwen,
            host=HOST,
            controller=Traefik(),
            tls=TlsSecret.from_secret(secret),
        )
        name = secret.name
        references = [
            item["valueFrom"]["secretKeyRef"]
            for item in container(scope)["env"]
            if "valueFrom" in item
        ]
        assert [{"name": name, "key": "token"}] * 2 == references
        assert [{"name": name}, {"name": "other"}] == pod(scope)["imagePullSecrets"]
        assert name == only(scope, "Ingress")["spec"]["tls"][0]["secretName"]
        assert_valid(*manifests(scope))

    @pytest.mark.parametrize("made", [True, False])
    def test_service_account(self, made: bool) -> None:  # noqa: FBT001  # a parameter
        """A ServiceAccount, made or by name; its token is not mounted in any case."""
        scope = chart()
        account = (
            kplus.ServiceAccount(scope, "account")
            if made
            else kplus.ServiceAccount.from_service_account_name(scope, "account", "vllm")
        )
        model(scope, service_account=account)
        assert account.name == pod(scope)["serviceAccountName"]
        assert pod(scope)["automountServiceAccountToken"] is False

    def test_other_kinds(self) -> None:
        """An object of another kind is rejected, though it has a name as well."""
        scope = chart()
        other = kplus.ConfigMap(scope, "config")
        for options in ({"service_account": other}, {"image_pull_secrets": [other]}):
            with pytest.raises(VllmConstructsError, match=next(iter(options))):
                model(scope, **options)
        for kind in (HuggingFaceToken, ApiKey, TlsSecret):
            with pytest.raises(VllmConstructsError, match="the name of a Secret"):
                kind.from_secret(other)
        assert 1 == len(manifests(scope))


Metadata = ApiObjectMetadata | None
MADE: dict[str, Callable[[Construct, Metadata], Any]] = {
    "hf_token": lambda scope, metadata: HuggingFaceToken.from_secret(
        kplus.Secret(scope, "made", metadata=metadata)
    ),
    "api_key": lambda scope, metadata: ApiKey.from_secret(
        kplus.Secret(scope, "made", metadata=metadata)
    ),
    "image_pull_secrets": lambda scope, metadata: [
        "registry",
        kplus.Secret(scope, "made", metadata=metadata),
    ],
    "service_account": lambda scope, metadata: kplus.ServiceAccount(
        scope, "made", metadata=metadata
    ),
    "cache": lambda scope, metadata: kplus.PersistentVolumeClaim(
        scope, "made", metadata=metadata, storage_class_name="fast"
    ),
}


class TestElsewhere:
    """Objects of another namespace, which a pod or an Ingress cannot refer to."""

    @staticmethod
    def charts() -> tuple[Chart, Chart]:
        """Charts of two namespaces of one app."""
        app = App()
        return Chart(app, "llm", namespace="llm"), Chart(app, "other", namespace="other")

    @pytest.mark.parametrize("option", MADE)
    @pytest.mark.parametrize("by_chart", [True, False])
    def test_model(self, option: str, by_chart: bool) -> None:  # noqa: FBT001  # a parameter
        """An object is of its chart's namespace, or of the one that its metadata name."""
        scope, other = self.charts()
        if by_chart:
            made = MADE[option](other, None)
        else:
            made = MADE[option](scope, ApiObjectMetadata(namespace="other"))
        sentence = (
            f"^{option} is in namespace 'other', and this chart is in 'llm'; put both into charts "
            r"of one namespace\.$"
        )
        with rejected(scope, sentence):
            model(scope, **{option: made})
        model(other, **{option: made})

    @pytest.mark.parametrize("option", MADE)
    def test_same(self, option: str) -> None:
        """An object of another chart of the same namespace is taken."""
        app = App()
        scope, other = (Chart(app, id, namespace="llm") for id in ("a", "b"))
        model(scope, **{option: MADE[option](other, None)})

    @pytest.mark.parametrize("kind", ["StreamingIngress", "ModelFleet"])
    def test_certificate(self, kind: str) -> None:
        """A certificate's Secret is in the namespace of the Ingress."""
        scope, other = self.charts()
        target = model(scope)
        given = {"models": [target]} if kind == "ModelFleet" else {"target": target}
        tls = TlsSecret.from_secret(kplus.Secret(other, "made"))
        options: dict[str, Any] = {**given, "host": HOST, "controller": Traefik()}
        for certificate in (tls, TlsSecret("made", namespace="other")):
            with rejected(scope, "^tls is in namespace 'other', and this chart is in 'llm'; put"):
                getattr(vllm_constructs, kind)(scope, "front", **options, tls=certificate)
        here = TlsSecret.from_secret(kplus.Secret(scope, "made"))
        getattr(vllm_constructs, kind)(scope, "front", **options, tls=here)

    def test_named(self) -> None:
        """An object that is only named is taken for one of the model's namespace."""
        scope, other = self.charts()
        secret = kplus.Secret.from_secret_name(other, "named", "keys")
        model(scope, hf_token=HuggingFaceToken.from_secret(secret))
        (found,) = [item for item in container(scope)["env"] if item["name"] == "HF_TOKEN"]
        assert "keys" == found["valueFrom"]["secretKeyRef"]["name"]


class TestTaken:
    """Objects of cdk8s-plus that take a model."""

    def test_hpa(self) -> None:
        """A HorizontalPodAutoscaler targets the Deployment and owns its replicas."""
        scope = chart()
        qwen = model(scope, name="vllm-server", replicas=2, cache=CACHE)
        kplus.HorizontalPodAutoscaler(
            scope,
            "hpa",
            target=qwen,
            max_replicas=3,
            metrics=[kplus.Metric.resource_cpu(kplus.MetricTarget.average_utilization(70))],
        )
        assert {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "vllm-server",
        } == only(scope, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
        assert "replicas" not in only(scope, "Deployment")["spec"]
        assert_valid(*manifests(scope))

    def test_marking(self) -> None:
        """The interface's own property marks a model as scaled, once."""
        scope = chart()
        qwen = model(scope)
        qwen.has_autoscaler = False
        assert "replicas" in only(scope, "Deployment")["spec"]
        qwen.has_autoscaler = True
        qwen.has_autoscaler = True
        assert qwen.has_autoscaler
        assert "replicas" not in only(scope, "Deployment")["spec"]

    def test_service(self) -> None:
        """A Service of the user's selects the model's pods."""
        scope = chart(labels={"team": "search"})
        qwen = model(scope, labels={"tier": "gold"})
        kplus.Service(
            scope, "own", selector=qwen, ports=[kplus.ServicePort(port=80, target_port=8000)]
        )
        (own,) = [
            item["spec"]["selector"]
            for item in manifests(scope)
            if item["kind"] == "Service" and item["metadata"]["name"] != "qwen"
        ]
        assert qwen.selector == own

    def test_ingress(self) -> None:
        """An Ingress of the user's leads to the model's Service."""
        scope = chart()
        qwen = model(scope, service_name="vllm-service")
        backend = kplus.IngressBackend.from_service(qwen.service)
        kplus.Ingress(
            scope,
            "own",
            rules=[kplus.IngressRule(host=HOST, path="/v1", backend=backend)],
        )
        (rule,) = only(scope, "Ingress")["spec"]["rules"]
        service = rule["http"]["paths"][0]["backend"]["service"]
        assert {"name": "vllm-service", "port": {"number": 8000}} == service
        assert_valid(*manifests(scope))

    def test_connections(self) -> None:
        """A workload of the user's may be connected to the model."""
        scope = chart()
        qwen = model(scope)
        client = kplus.Deployment(
            scope,
            "client",
            containers=[kplus.ContainerProps(image="example.com/client:1", port_number=80)],
        )
        client.connections.allow_to(qwen, isolation=kplus.PodConnectionsIsolation.POD)
        (policy,) = [
            item
            for item in manifests(scope)
            if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] != "qwen"
        ]
        (peer,) = policy["spec"]["egress"][0]["to"]
        assert {"matchLabels": qwen.selector} == peer["podSelector"]

    def test_network_policy(self) -> None:
        """A NetworkPolicy of the user's takes the model as what it guards and as a peer."""
        scope = chart()
        qwen, coder = named(scope, "qwen"), named(scope, "coder")
        policy = kplus.NetworkPolicy(scope, "own", selector=qwen)
        policy.add_ingress_rule(coder)
        (spec,) = [
            item["spec"]
            for item in manifests(scope)
            if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] not in ("qwen", "coder")
        ]
        assert {"matchLabels": qwen.selector} == spec["podSelector"]
        (peer,) = spec["ingress"][0]["from"]
        assert {"matchLabels": coder.selector} == peer["podSelector"]

    def test_scaling_target(self) -> None:
        """What an autoscaler is told: the Deployment, its container and its replicas."""
        qwen = model(chart(), replicas=2, cache=CACHE)
        found = qwen.to_scaling_target()
        assert ("apps/v1", "Deployment", "qwen", 2) == (
            found.api_version,
            found.kind,
            found.name,
            found.replicas,
        )
        assert ["vllm"] == [item.name for item in found.containers]
        assert qwen is qwen.to_pod_selector()


class TestScaler:
    """A cdk8s-plus HPA, whose range and chart are known only when all is synthesised."""

    @staticmethod
    def problems(scope: Chart, monkeypatch: pytest.MonkeyPatch, path: Path) -> str:
        """What synthesis refuses; nothing is written then."""
        monkeypatch.setenv("CDK8S_OUTDIR", str(path))
        app = Chart.of(scope).node.root
        assert isinstance(app, App)
        try:
            app.synth()
        except (RuntimeError, VllmConstructsError, VllmConstructsWarning) as error:
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
        # Before the cluster's objects are there, the check at synth compares them.
        assert (least == 1) == ("of at least 1 pods" in found)

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
        expected = (
            f"HorizontalPodAutoscaler is in namespace {namespace!r} and 'qwen' in 'llm'; put both "
            "into charts of one namespace."
        )
        if namespace is None:
            expected = "HorizontalPodAutoscaler is in a chart without a namespace, and 'qwen'"
        assert expected in self.problems(scope, monkeypatch, tmp_path)

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


class TestService:
    """The model's Service as an object of cdk8s-plus."""

    def test_not_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where cdk8s-plus was not loaded before the model was made, a sentence says so."""
        scope = chart()
        with monkeypatch.context() as without:
            without.delitem(sys.modules, "cdk8s_plus_27")
            qwen = model(scope)
        plain = chart()
        model(plain)
        with pytest.raises(VllmConstructsError, match="put `import cdk8s_plus_27` before it"):
            _ = qwen.service
        assert manifests(plain) == manifests(scope)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"service_name": "vllm-service", "port": 9000},
            {"labels": {"tier": "gold"}},
        ],
    )
    def test_manifest(self, options: dict[str, Any]) -> None:
        """Its manifest is the same, whether it is touched or not, and so are all others."""
        touched, untouched = chart(labels={"team": "a"}), chart(labels={"team": "a"})
        qwen = model(touched, **options)
        model(untouched, **options)
        service = qwen.service
        assert isinstance(service, kplus.Service)
        assert service is qwen.service
        assert only(untouched, "Service") == only(touched, "Service")

        def by_kind(item: dict[str, Any]) -> str:
            return str(item["kind"])

        assert sorted(manifests(untouched), key=by_kind) == sorted(manifests(touched), key=by_kind)

    def test_facts(self) -> None:
        """Name and port are the model's; the user can change it as any other."""
        scope = chart()
        service = model(scope, service_name="vllm-service", port=9000).service
        assert ("vllm-service", 9000) == (service.name, service.port)
        service.metadata.add_label("team", "search")
        ApiObject.of(service).metadata.add_annotation("example.com/a", "b")
        found = only(scope, "Service")["metadata"]
        assert "search" == found["labels"]["team"]
        assert {"example.com/a": "b"} == found["annotations"]


LATE = """
from cdk8s import App, Chart
from tests.cdk.samples import model
qwen = model(Chart(App(), "x", namespace="llm"))
import cdk8s_plus_27 as kplus
{}
"""


@pytest.mark.parametrize(
    "use",
    [
        "kplus.HorizontalPodAutoscaler(qwen, 'hpa', target=qwen, max_replicas=3)",
        "kplus.Service(qwen, 'also', ports=[kplus.ServicePort(port=80)]).select(qwen)",
        "kplus.NetworkPolicy(qwen, 'net', selector=qwen)",
    ],
)
def test_loaded_late(use: str) -> None:
    """A model that was made before cdk8s-plus was loaded says so, in whatever way it is used."""
    done = subprocess.run(
        [sys.executable, "-c", LATE.format(use)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert 1 == done.returncode
    assert "x/qwen was made before cdk8s-plus was loaded" in done.stderr
    assert "import cdk8s_plus_27 before you make a model." in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"headless": True},
        {"type": "NodePort", "node_port": 30080, "port": 80},
        {"type": "LoadBalancer", "load_balancer_class": "a/b", "annotations": {"a": "b"}},
    ],
)
def test_service_options(options: dict[str, Any]) -> None:
    """As an object of cdk8s-plus, the Service is the same as without it."""
    scope = chart()
    found = ServiceOptions(**options)
    qwen = model(scope, service_options=found, ip_families=["IPv6"], allow_from=["fd00::/8"])
    expected = service.manifest(
        name="qwen", selector=qwen.selector, port=8000, options=found, families=["IPv6"]
    )
    (made,) = (one for one in manifests(scope) if one["kind"] == "Service")
    assert expected["spec"] == made["spec"]
    assert expected["metadata"].items() <= made["metadata"].items()
