"""Rule of names and labels: what is rejected, and what only looks so."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

LONG = "x" * 64
VERSIONS = {
    "ConfigMap": "v1",
    "CronJob": "batch/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
    "Job": "batch/v1",
    "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
    "Namespace": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "Secret": "v1",
    "Service": "v1",
    "StatefulSet": "apps/v1",
}


def named(kind: str, name: Any, **fields: Any) -> dict[str, Any]:
    """An object of a kind."""
    return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": {"name": name}, **fields}


def level(manifest: dict[str, Any], kubernetes: str | None = None) -> str | None:
    """The level of the one finding; None without one."""
    settings = Settings(kubernetes=Kubernetes(kubernetes)) if kubernetes else None
    findings = found([manifest], "H08", settings=settings)
    assert len(findings) < 2
    return findings[0].level if findings else None


class TestNames:
    """Names of objects."""

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("Deployment", "Qwen2.5-7B-Instruct"),
            ("Deployment", "qwen/7b"),
            ("Deployment", "qwen-"),
            ("ConfigMap", "my_config"),
            ("ScaledObject", "Qwen"),
            ("Ingress", "x" * 254),
            ("Service", "qwen_7b"),
            ("Service", "qwen.7b"),
            ("Service", LONG),
            ("Namespace", "llm.prod"),
            ("LeaderWorkerSet", "7b-qwen"),
            ("LeaderWorkerSet", "x" * 53),
            ("StatefulSet", "x" * 53),
            ("CronJob", "x" * 53),
            ("Job", LONG),
            ("Role", "a/b"),
        ],
    )
    def test_bad(self, kind: str, name: str) -> None:
        """Capitals, underscores, slashes and lengths that a kind does not take."""
        (one,) = found([named(kind, name)], "H08")
        assert ("metadata", "name") == one.path
        assert "error" == one.level

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("Deployment", "qwen2.5-7b-instruct"),
            ("Deployment", "7b-qwen"),
            ("Deployment", "x" * 63),
            ("ConfigMap", LONG),
            ("Secret", "sh.helm.release.v1.qwen.v1"),
            ("Role", "system:qwen:Reader"),
            ("StatefulSet", "x" * 52),
            ("Ingress", "x" * 253),
            # Filled in later.
            ("Deployment", "${NAME}"),
            ("Deployment", "<release>-vllm"),
            ("Deployment", "REPLACE_ME"),
            ("Deployment", "{{ .Release.Name }}"),
            # Of another type, which H09 says.
            ("Deployment", 7),
        ],
    )
    def test_good(self, kind: str, name: Any) -> None:
        """What the kind takes, and what a tool fills in."""
        assert [] == sentences([named(kind, name)], "H08")

    def test_cut(self) -> None:
        """A name of which host names are cut works."""
        assert "warning" == level(named("Deployment", LONG))
        assert "warning" == level(named("DaemonSet", LONG))

    def test_digit(self) -> None:
        """A Service may begin with a digit since 1.37."""
        assert "warning" == level(named("Service", "7b-qwen"))
        assert "error" == level(named("Service", "7b-qwen"), "1.36")
        assert level(named("Service", "7b-qwen"), "1.37") is None
        knative = named("Service", "7b") | {"apiVersion": "serving.knative.dev/v1"}
        assert level(knative) is None

    def test_missing(self) -> None:
        """An object needs a name, or the beginning of one."""
        assert "error" == level(named("Job", ""))
        generated = named("Job", None) | {"metadata": {"generateName": "fetch-"}}
        assert level(generated) is None
        unknown = {"apiVersion": "example.com/v1", "kind": "Thing", "spec": {}}
        assert level(unknown) is None

    def test_files(self) -> None:
        """Files of tools are no objects."""
        kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        user = {"apiVersion": "user.openshift.io/v1", "kind": "User"}
        for one in (kustomization, user):
            assert [] == sentences([one | {"metadata": {"name": "A:b"}}], "H08")

    def test_namespace(self) -> None:
        """A namespace is a label."""
        (one,) = found(
            [named("Secret", "x") | {"metadata": {"name": "x", "namespace": "A"}}], "H08"
        )
        assert ("metadata", "namespace") == one.path


class TestLabels:
    """Labels and annotations."""

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            ({"model": "Qwen/Qwen2.5-7B-Instruct"}, ".model is 'Qwen/Qwen2.5-7B-Instruct'"),
            ({"model": LONG}, "at most 63"),
            ({"model": "-x"}, "first and last"),
            ({"a/b/c": "x"}, "a key of"),
            ({"Example.com/x": "x"}, "a key of"),
            ({"x" * 64: "x"}, "a key of"),
        ],
    )
    def test_labels(self, labels: dict[str, str], words: str) -> None:
        """The same everywhere: of objects, pods, selectors and nodes."""
        own = named("Secret", "x")
        own["metadata"]["labels"] = labels
        pods = deployment(pod_spec())
        pods["spec"]["template"]["metadata"]["labels"] = labels
        selecting = deployment(pod_spec(), selector={"matchLabels": labels})
        nodes = deployment(pod_spec(nodeSelector=labels))
        service = named("Service", "x", spec={"selector": labels, "ports": [{"port": 80}]})
        for manifest in (own, pods, selecting, nodes, service):
            (sentence,) = sentences([manifest], "H08")
            assert words in sentence

    def test_good_labels(self) -> None:
        """Valid ones, and values of other types, which H09 says."""
        labels = {"app.kubernetes.io/name": "vLLM_0.33", "empty": "", "number": 7, "none": None}
        manifest = named("Secret", "x")
        manifest["metadata"]["labels"] = labels
        assert [] == sentences([manifest], "H08")

    def test_annotations(self) -> None:
        """Values are free, keys are not; capitals are accepted in them."""
        good = {"model": "Qwen/Qwen2.5-7B-Instruct", "Example.com/Key": LONG * 9}
        manifest = named("Ingress", "x")
        manifest["metadata"]["annotations"] = good
        assert [] == sentences([manifest], "H08")
        manifest["metadata"]["annotations"] = {"nginx.org/proxy/buffering": "false"}
        (one,) = found([manifest], "H08")
        assert ("metadata", "annotations", "nginx.org/proxy/buffering") == one.path


class TestPods:
    """Containers, ports, volumes and variables."""

    @pytest.mark.parametrize(
        ("container", "path"),
        [
            ({"name": "vLLM"}, ("name",)),
            ({"name": LONG}, ("name",)),
            ({"ports": [{"name": "vllm-http-server"}]}, ("ports", 0, "name")),
            ({"ports": [{"name": "HTTP"}]}, ("ports", 0, "name")),
            ({"ports": [{"name": "8000"}]}, ("ports", 0, "name")),
            ({"ports": [{"name": "a--b"}]}, ("ports", 0, "name")),
            ({"ports": [{"name": "a"}, {"name": "a"}]}, ("ports", 1, "name")),
            ({"env": [{"name": "NCCL_DEBUG=WARN"}]}, ("env", 0, "name")),
            ({"env": [{"name": ""}]}, ("env", 0, "name")),
            ({"env": [{"name": "ÄÖ"}]}, ("env", 0, "name")),
        ],
    )
    def test_bad(self, container: dict[str, Any], path: tuple[Any, ...]) -> None:
        """What the API server rejects in a container of any workload."""
        spec = pod_spec(container=container)
        for manifest in (deployment(spec), group(None, spec)):
            (one,) = found([manifest], "H08")
            assert path == one.path[-len(path) :]
            assert "error" == one.level

    def test_good(self) -> None:
        """Names that are accepted."""
        container = {
            "ports": [{"name": "http"}, {"name": "zmq-0"}, {"containerPort": 1}],
            "env": [{"name": "_A1"}, {"name": "VLLM_X"}],
        }
        manifest = deployment(pod_spec(container=container, volumes=[{"name": "shm"}]))
        assert [] == sentences([manifest], "H08")

    def test_pod(self) -> None:
        """Volumes, and names that stand twice."""
        for volumes in ([{"name": "model_cache"}], [{"name": "a"}, {"name": "a"}]):
            assert ["H08"] == ids([deployment(pod_spec(volumes=volumes))], "H08")
        init = [{"name": "vllm", "image": "busybox:1"}]
        (one,) = found([deployment(pod_spec(initContainers=init))], "H08")
        assert ("initContainers", 0, "name") == one.path[-3:]
        assert ["H08"] == ids([deployment(pod_spec(subdomain="A.b"))], "H08")

    def test_unread(self) -> None:
        """A variable of the engine that nothing can read works; others may read theirs."""
        manifest = deployment(pod_spec(container={"env": [{"name": "nccl.debug"}]}))
        assert "warning" == level(manifest)
        (one,) = found([manifest], "H08")
        assert one.fix is not None
        assert "NCCL_DEBUG" == one.fix.edits[0].value
        search = {"name": "search", "image": "x/y:1", "env": [{"name": "discovery.type"}]}
        assert level(deployment({"containers": [search]})) is None
        search["env"] = [{"name": "1st"}]
        assert level(deployment({"containers": [search]})) is None
        assert level(deployment({"containers": [search]}), "1.31") == "error"

    def test_assignment(self) -> None:
        """Name and value in one are parted, unless the value may be a secret."""
        env = {"name": "NCCL_DEBUG=WARN", "value": ""}
        (one,) = found([deployment(pod_spec(container={"env": [env]}))], "H08")
        assert one.fix is not None
        assert one.fix.is_safe
        assert ["NCCL_DEBUG", "WARN"] == [edit.value for edit in one.fix.edits]
        env = {"name": "HF_TOKEN=abcdef", "value": ""}
        (one,) = found([deployment(pod_spec(container={"env": [env]}))], "H08")
        assert one.fix is None
        assert "abcdef" not in one.problem.sentence()


class TestServices:
    """Ports of Services, and keys of data."""

    def service(self, *ports: dict[str, Any]) -> dict[str, Any]:
        """A Service with ports."""
        return named("Service", "x", spec={"ports": list(ports)})

    def test_ports(self) -> None:
        """Several ports need names, each its own."""
        assert level(self.service({"port": 80})) is None
        good = ({"port": 80, "name": "http"}, {"port": 81, "name": "a-name-longer-than-15"})
        assert level(self.service(*good)) is None
        assert "error" == level(self.service({"port": 80, "name": "http"}, {"port": 81}))
        twice = ({"port": 80, "name": "http"}, {"port": 81, "name": "http"})
        assert "error" == level(self.service(*twice))
        assert "error" == level(self.service({"port": 80, "name": "HTTP"}))

    def test_data(self) -> None:
        """Keys are names of files; that of a Secret is not shown."""
        assert level(named("ConfigMap", "x", data={"engine.yaml": "", "A_b-1": ""})) is None
        assert "error" == level(named("ConfigMap", "x", data={"Qwen/Qwen2.5": ""}))
        (sentence,) = sentences([named("Secret", "x", stringData={"a b c": ""})], "H08")
        assert sentence.startswith("H08 stringData: ")
        assert "a b c" not in sentence


def test_odd_values() -> None:
    """No value of any type raises."""
    container = {"ports": [{"name": "http"}], "env": [{"name": "a.b", "value": ""}]}
    pod = pod_spec(container=container, volumes=[{"name": "a"}], nodeSelector={"a": "b"})
    service = named("Service", "x", spec={"ports": [{"port": 1, "name": "a"}], "selector": {}})
    check_odd_values([deployment(pod), service, named("ConfigMap", "x", data={"a": "b"})], "H08")
