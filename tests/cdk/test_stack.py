from pathlib import Path

import pytest
from cdk8s import ApiObject
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    STACK,
    chart,
    check_sample,
    container,
    manifests,
    only,
    unwarned,
    variants,
)
from vllm_constructs import (
    CpuUtilization,
    EngineArgs,
    HpaScaler,
    HuggingFaceToken,
    IngressNginx,
    KvCacheUsage,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    ModelStack,
    StreamingIngress,
    TlsSecret,
    VllmConstructsError,
    VllmConstructsWarning,
    WholeGpu,
)

LEAST = "model: {name: Qwen/Qwen2.5-7B-Instruct}\ngpu: {type: NVIDIA-L40S}\n"


@pytest.mark.parametrize(("kind", "variant"), variants("ModelStack"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def write(path: Path, text: str) -> Path:
    """A values file."""
    file = path / "values.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_by_hand() -> None:
    """A values file makes what an app that says the same would make, to the letter."""
    by_file, by_hand = chart(), chart()
    with unwarned():
        ModelStack.from_values(by_file, "qwen", STACK)
        cache = ModelCache(
            by_hand, "cache", name="qwen-cache", size="200Gi", storage_class="fast-ssd"
        )
        qwen = ModelDeployment(
            by_hand,
            "qwen",
            model="Qwen/Qwen2.5-7B-Instruct",
            served_name="qwen-7b",
            image="vllm/vllm-openai:v0.33.0",
            engine=EngineArgs(
                max_model_len=4096,
                gpu_memory_utilization=0.9,
                dtype="auto",
                trust_remote_code=True,
                revision="a09a35458c702b33eeacc393d103063234e8bc28",
            ),
            gpu=WholeGpu("NVIDIA-A100-80GB-PCIe"),
            replicas=2,
            cpu=("4", "8"),
            memory=("32Gi", "64Gi"),
            shared_memory="16Gi",
            cache=cache,
            hf_token=HuggingFaceToken.from_secret("hf-token"),
            response_timeout=600,
        )
        HpaScaler(
            by_hand,
            "scaler",
            target=qwen,
            max_replicas=10,
            triggers=[CpuUtilization(70), KvCacheUsage(0.8)],
        )
        for id, host, path, tls in (
            ("qwen", "llm.example.com", "/", TlsSecret("llm-tls")),
            ("qwen-1", "qwen.example.com", "/v1", None),
        ):
            StreamingIngress(
                by_hand,
                f"ingress-{id}",
                name=id,
                target=qwen,
                host=host,
                path=path,
                tls=tls,
                controller=IngressNginx(),
                max_body=20,
                annotations={"example.com/owner": "search"},
            )
        ModelMonitor(
            by_hand,
            "monitor",
            target=qwen,
            interval="10s",
            labels={"release": "kube-prometheus-stack"},
        )
    assert manifests(by_hand) == manifests(by_file)


def test_least(tmp_path: Path) -> None:
    """What a file leaves out is not made, and its model has the defaults."""
    scope = chart()
    stack = ModelStack.from_values(scope, "qwen", str(write(tmp_path, LEAST)))
    assert [None, None, [], None] == [stack.cache, stack.scaler, stack.ingresses, stack.monitor]
    plain = chart()
    ModelDeployment(plain, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))
    assert manifests(plain) == manifests(scope)
    assert "Deployment" == ApiObject.of(stack).kind


@pytest.mark.parametrize("section", ["modelCache", "autoscaling", "ingress", "monitoring"])
def test_switched_off(section: str, tmp_path: Path) -> None:
    """A section that is switched off is as good as left out."""
    scope = chart()
    text = f"{LEAST}{section}: {{enabled: false}}\n"
    ModelStack.from_values(scope, "qwen", write(tmp_path, text))
    assert {"Deployment", "Service", "NetworkPolicy"} == {item["kind"] for item in manifests(scope)}


def test_token(tmp_path: Path) -> None:
    """Without a name of its Secret the token is that of `hf-token`."""
    scope = chart()
    text = f"{LEAST}hfToken: {{enabled: true, existingSecret: ''}}\n"
    ModelStack.from_values(scope, "qwen", write(tmp_path, text))
    (found,) = [item for item in container(scope)["env"] if item["name"] == "HF_TOKEN"]
    assert {"name": "hf-token", "key": "token"} == found["valueFrom"]["secretKeyRef"]


@pytest.mark.parametrize(
    ("class_name", "annotation", "expected"),
    [
        ("nginx", "nginx.ingress.kubernetes.io/proxy-read-timeout: '60'", "ingress-nginx"),
        ("nginx", "nginx.org/proxy-read-timeout: 60s", "nginx-ingress"),
        ("traefik", "example.com/a: b", "traefik"),
    ],
)
def test_controller(class_name: str, annotation: str, expected: str, tmp_path: Path) -> None:
    """The controller is the class's, and with `nginx` the one whose annotations are given."""
    scope = chart()
    text = (
        f"{LEAST}ingress:\n  className: {class_name}\n  annotations: {{{annotation}}}\n"
        "  hosts: [{host: llm.example.com}]\n"
    )
    with unwarned():
        ModelStack.from_values(scope, "qwen", write(tmp_path, text))
    assert expected in str(only(scope, "NetworkPolicy"))
    assert class_name == only(scope, "Ingress")["spec"]["ingressClassName"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("modle: {name: x}", "did you mean 'model'"),
        (LEAST + "replicacount: 2", "did you mean 'replicaCount'"),
        (LEAST + "replicaCount: '2'", "replicaCount is '2'"),
        (LEAST + "replicaCount: 2\nreplicaCount: 3", "is given twice"),
        (LEAST + "shmSize: 10GB", "shmSize is '10GB'"),
        (LEAST + "shmSize: .inf", "shmSize"),
        ("model: {name: x}\n  gpu: [", "is not YAML"),
        ("- a\n- b", "expected a mapping"),
        ("just text", "expected a mapping"),
        ("model: {name: Qwen/Qwen2.5-7B-Instruct}", "lacks gpu.type"),
        ("gpu: {type: NVIDIA-L40S}", "lacks model.name"),
        (LEAST.replace("L40S", "L4OS"), "did you mean 'NVIDIA-L40S'"),
        (LEAST + "image: {repository: vllm/vllm-openai}", "lacks image.tag"),
        (LEAST + "modelCache: {enabled: true}", "lacks modelCache.size"),
        (LEAST + "autoscaling: {minReplicas: 2}", "lacks autoscaling.maxReplicas"),
        (LEAST + "autoscaling: {minReplicas: 5, maxReplicas: 2}", "min_replicas is 5"),
        (LEAST + "autoscaling: {maxReplicas: 2}", "HpaScaler.triggers"),
        (LEAST + "ingress: {enabled: true}", "lacks ingress.hosts"),
        (LEAST + "ingress: {hosts: [{paths: [{path: /v1}]}]}", "needs a host"),
        (
            LEAST + "ingress: {hosts: [{host: a.example.com, paths: [{path: /a}, {path: /b}]}]}",
            "one path",
        ),
        (
            LEAST + "ingress: {hosts: [{host: a.example.com}], annotations: "
            "{nginx.ingress.kubernetes.io/proxy-read-timeout: 300s}}",
            "without a unit",
        ),
        (
            LEAST + "ingress: {hosts: [{host: a.example.com}], annotations: "
            "{nginx.ingress.kubernetes.io/proxy-buffering: 'on'}}",
            "buffers streamed responses",
        ),
        (
            LEAST + "ingress: {hosts: [{host: a.example.com}], annotations: "
            "{nginx.ingress.kubernetes.io/server-snippet: x}}",
            "snippets",
        ),
        (
            LEAST + "ingress: {hosts: [{host: a.example.com}], annotations: "
            "{nginx.ingress.kubernetes.io/proxy-body-size: 1g}}",
            "expected megabytes",
        ),
        (
            LEAST + "replicaCount: 2\nmodelCache: {size: 100Gi, accessMode: ReadWriteOnce}",
            "ReadWriteOnce",
        ),
        (LEAST + "monitoring: {serviceMonitor: {interval: 15}}", "interval is 15"),
    ],
)
def test_refusals(text: str, reason: str, tmp_path: Path) -> None:
    """A file that is wrong or describes what cannot work is rejected, and nothing is made."""
    scope = chart()
    file = write(tmp_path, text)
    with unwarned():
        with pytest.raises(VllmConstructsError, match=reason):
            ModelStack.from_values(scope, "qwen", file)
        assert [] == manifests(scope)
        assert ["x"] == [node.node.path for node in scope.node.find_all()]
        ModelStack.from_values(scope, "qwen", STACK)


@pytest.mark.parametrize("path", ["missing.yaml", "", ".", 5, None, "a\0b", b"values.yaml"])
def test_path(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is no file is rejected."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VllmConstructsError, match=r"values\.yaml"):
        ModelStack.from_values(chart(), "qwen", path)


def test_no_text(tmp_path: Path) -> None:
    """A file that is no text is rejected."""
    file = tmp_path / "values.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VllmConstructsError, match="not UTF-8 text"):
        ModelStack.from_values(chart(), "qwen", file)


def test_retired(tmp_path: Path) -> None:
    """A file for ingress-nginx warns as the app by hand would, at the user's line."""
    text = LEAST + "ingress: {hosts: [{host: a.example.com}]}"
    with pytest.warns(VllmConstructsWarning, match="retired") as seen:
        ModelStack.from_values(chart(), "qwen", write(tmp_path, text))
    assert {__file__} == {item.filename for item in seen}


def test_sharing() -> None:
    """A stack's parts are constructs, which others can be put beside."""
    scope = chart()
    with unwarned():
        stack = ModelStack.from_values(scope, "qwen", STACK)
        assert stack.cache is not None
        ModelDeployment(scope, "b", model="a/b", gpu=WholeGpu("NVIDIA-L40S"), cache=stack.cache)
    assert "qwen-cache" in str(only(scope, "Deployment", "b"))
