"""main.py: the guide as an app, what it renders, and whether dist/ is current."""

import ast
import json
import re
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cdk8s
import pytest
import yaml

from tests.apps.checkout import DIST, ROOT, objects, succeed, texts
from tests.support import (
    ALL_RELEASES,
    assert_valid,
    load_yaml,
    parse_promql,
    pod_security_problems,
)
from vllm_constructs import Kubernetes
from vllm_constructs.workloads import files

_PLATFORM, _QWEN, _CODER = "platform.k8s.yaml", "qwen-7b.k8s.yaml", "qwen-coder.k8s.yaml"


@cache
def _dist() -> dict[str, dict[str, Any]]:
    return objects(DIST)


def _spec(key: str) -> dict[str, Any]:
    spec: dict[str, Any] = _dist()[key]["spec"]
    return spec


def _container(deployment: str) -> dict[str, Any]:
    (found,) = _spec(deployment)["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def _flags(deployment: str) -> dict[str, Any]:
    """What the engine is told, by argument or by the file that its arguments name."""
    args = _container(deployment)["args"]
    if "--config" in args:
        found = yaml.safe_load(_engine_file()[1])
        assert isinstance(found, dict)
        return found
    pairs = [arg.removeprefix("--").partition("=") for arg in args if arg.startswith("--")]
    return {name: yaml.safe_load(value) for name, _, value in pairs}


def _engine_file() -> tuple[str, str]:
    """Name and text of the one file in the engine's ConfigMap."""
    ((name, text),) = _dist()["llm/ConfigMap/vllm-server-engine"]["data"].items()
    return name, text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(name)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from _mappings(item)


def test_stale_dist(tmp_path: Path) -> None:
    """The files in dist/ are those that main.py renders now, byte by byte; if not: make synth."""
    succeed(
        sys.executable,
        "-W",
        "error",
        ROOT / "main.py",
        cwd=tmp_path,
        env={"CDK8S_OUTDIR": str(tmp_path / "out")},
    )
    assert texts(tmp_path / "out") == texts(DIST)


def test_files() -> None:
    """There is one file per chart, and nothing else."""
    assert [_PLATFORM, _QWEN, _CODER] == [path.name for path in sorted(DIST.iterdir())]


def test_every_object() -> None:
    """Every object is valid in every supported release, strictly."""
    assert_valid(*_dist().values(), releases=ALL_RELEASES)


@pytest.mark.slow
def test_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rendered for a release, every object is valid in it and in all later ones."""
    wanted = iter(ALL_RELEASES)

    def targeted() -> cdk8s.App:
        release = next(wanted)
        app = cdk8s_app(outdir=str(tmp_path / release))
        Kubernetes(release).set_on(app)
        return app

    cdk8s_app = cdk8s.App
    monkeypatch.setattr(cdk8s, "App", targeted)
    for _ in ALL_RELEASES:
        runpy.run_path(str(ROOT / "main.py"))

    rendered = {release: objects(tmp_path / release) for release in ALL_RELEASES}
    assert _dist() == rendered["1.27"]
    assert {release: set(_dist()) for release in ALL_RELEASES} == {
        release: set(found) for release, found in rendered.items()
    }
    # What is rendered alike for two targets is judged once, in all releases of the older one.
    for at, release in reversed([*enumerate(ALL_RELEASES)]):
        older = rendered[ALL_RELEASES[at - 1]] if at else {}
        new = [one for name, one in rendered[release].items() if one != older.get(name)]
        assert_valid(*new, releases=ALL_RELEASES[at:])


def test_newer_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A newer target changes nothing of the app, whose hooks wait for requests on all targets."""
    cdk8s_app = cdk8s.App

    def targeted() -> cdk8s.App:
        app = cdk8s_app(outdir=str(tmp_path))
        Kubernetes("1.30").set_on(app)
        return app

    monkeypatch.setattr(cdk8s, "App", targeted)
    runpy.run_path(str(ROOT / "main.py"))
    found = objects(tmp_path)
    assert [] == sorted(name for name, one in found.items() if one != _dist()[name])


def test_page() -> None:
    """The app reads from top to bottom: about a page, without functions or classes."""
    source = (ROOT / "main.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 200
    assert [] == [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
    ]


def test_plain_app() -> None:
    """The app names no folder for its output, which would break the cdk8s command."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "main.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "App"
    ]
    assert ["App()"] == [ast.unparse(call) for call in calls]


# What a file must not hold: tokens of Hugging Face, keys of APIs, JSON web tokens, PEM.
_SECRET = re.compile(r"\bhf_\w{8}|\bsk-\w{8}|\bey[JK]\w{8,}\.|-----BEGIN|\bgh[ps]_\w{8}")
_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSW", re.IGNORECASE)


def test_secrets() -> None:
    """No object carries a token: Secrets are referred to, and never rendered."""
    assert not {"Secret"} & {one["kind"] for one in _dist().values()}
    assert [] == [text for text in _strings(list(_dist().values())) if _SECRET.search(text)]
    variables = [
        one
        for one in _mappings(list(_dist().values()))
        if isinstance(one.get("name"), str) and ("value" in one or "valueFrom" in one)
    ]
    named = [one for one in variables if _SECRET_NAME.search(one["name"])]
    assert {"HF_TOKEN"} == {one["name"] for one in named}
    reference = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
    assert [reference] * len(named) == [one.get("valueFrom") for one in named]


def test_restricted_pods() -> None:
    """Every pod passes the level of Pod Security that its namespace enforces."""
    pods = {
        name: one["spec"]["template"]
        for name, one in _dist().items()
        if one["kind"] in ("Deployment", "Job")
    }
    assert {
        "llm/Deployment/vllm-qwen-coder",
        "llm/Deployment/vllm-server",
        "llm/Job/gpu-test",
    } == set(pods)
    assert {name: [] for name in pods} == {
        name: pod_security_problems(pod["spec"]) for name, pod in pods.items()
    }


def test_namespaces() -> None:
    """The models' namespace enforces `restricted`, the operator's lets drivers in."""
    label = "pod-security.kubernetes.io/enforce"
    assert {"llm": "restricted", "gpu-operator": "privileged"} == {
        one["metadata"]["name"]: one["metadata"]["labels"][label]
        for one in _dist().values()
        if one["kind"] == "Namespace"
    }


def test_gpu_operator() -> None:
    """Section 12.2: the GPU Operator by Flux, with driver, toolkit, DCGM, exporter and MIG."""
    spec = _spec("flux-system/HelmRelease/gpu-operator")
    assert "gpu-operator" == spec["chart"]["spec"]["chart"]
    values = spec["values"]
    assert all(values[part] == {"enabled": True} for part in ("dcgm", "dcgmExporter"))
    assert all(values[part] == {"enabled": True} for part in ("driver", "toolkit"))
    assert {"strategy": "mixed"} == values["mig"]
    repository = _spec("flux-system/HelmRepository/gpu-operator")
    assert "https://helm.ngc.nvidia.com/nvidia" == repository["url"]


def test_operators() -> None:
    """Section 12.5.3 and what the HPA needs: KEDA and prometheus-adapter by Flux, all pinned."""
    releases = {
        one["metadata"]["name"]: one["spec"]["chart"]["spec"]
        for one in _dist().values()
        if one["kind"] == "HelmRelease"
    }
    assert {"gpu-operator", "keda", "prometheus-adapter"} == set(releases)
    for name, chart in releases.items():
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", chart["version"])
        assert {"kind": "HelmRepository", "name": name} == chart["sourceRef"]
        assert f"flux-system/HelmRepository/{name}" in _dist()


def test_smoke_test() -> None:
    """Section 12.2: a Job runs nvidia-smi on one GPU."""
    pod = _spec("llm/Job/gpu-test")["template"]["spec"]
    (container,) = pod["containers"]
    assert ["nvidia-smi"] == container["command"]
    assert "1" == container["resources"]["limits"]["nvidia.com/gpu"]
    assert {"nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe"} == pod["nodeSelector"]


def test_engine_config_map() -> None:
    """Section 12.3.1: the engine's settings stand in a ConfigMap; its change rolls the pods."""
    name, text = _engine_file()
    options = yaml.safe_load(text)
    assert {"max-model-len": 4096, "gpu-memory-utilization": 0.9}.items() <= options.items()
    # The guide's "auto" is what vLLM takes anyway.
    assert "dtype" not in options
    template = _spec("llm/Deployment/vllm-server")["template"]
    container = _container("llm/Deployment/vllm-server")
    (volume,) = (one for one in template["spec"]["volumes"] if "configMap" in one)
    assert "vllm-server-engine" == volume["configMap"]["name"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == volume["name"])
    assert ["--config", mount["mountPath"]] == container["args"][1:]
    assert name == mount["subPath"]
    checksum = files.checksum({mount["mountPath"]: text})
    assert checksum in template["metadata"]["annotations"].values()


def test_deployment() -> None:
    """Section 12.3.2: the engine's pods as the guide wants them, with what was put right."""
    spec = _spec("llm/Deployment/vllm-server")
    pod, container = spec["template"]["spec"], _container("llm/Deployment/vllm-server")
    assert ["vllm", "serve"] == container["command"]
    assert "Qwen/Qwen2.5-7B-Instruct" == container["args"][0]
    assert ["qwen-7b"] == _flags("llm/Deployment/vllm-server")["served-model-name"]
    assert "vllm/vllm-openai:v0.33.0" == container["image"]
    assert {"nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe"} == pod["nodeSelector"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]
    assert {
        "requests": {"cpu": "4", "memory": "32Gi", "nvidia.com/gpu": "1"},
        "limits": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"},
    } == container["resources"]
    assert pod["enableServiceLinks"] is False
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}} in pod["volumes"]
    assert {
        "name": "model-cache",
        "persistentVolumeClaim": {"claimName": "model-cache-pvc"},
    } in pod["volumes"]
    (spread,) = pod["topologySpreadConstraints"]
    assert "kubernetes.io/hostname" == spread["topologyKey"]


def test_lifecycle() -> None:
    """Section 12.9: loading has 15 minutes, draining 90 seconds, and a rollout one spare GPU."""
    for name in ("llm/Deployment/vllm-server", "llm/Deployment/vllm-qwen-coder"):
        spec, container = _spec(name), _container(name)
        probe = container["startupProbe"]
        assert 900 == probe["periodSeconds"] * (probe["failureThreshold"] - 1)
        assert spec["progressDeadlineSeconds"] > 900
        assert ["8000", "15", "90"] == container["lifecycle"]["preStop"]["exec"]["command"][3:]
        grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= 15 + 90 + 15
        assert {"maxSurge": 1, "maxUnavailable": 0} == spec["strategy"]["rollingUpdate"]


def test_service() -> None:
    """Section 12.3.3: a ClusterIP Service on 8000 that selects the model's pods alone."""
    spec = _spec("llm/Service/vllm-service")
    assert "ClusterIP" == spec["type"]
    assert [8000] == [port["port"] for port in spec["ports"]]
    deployment = _spec("llm/Deployment/vllm-server")
    assert deployment["selector"]["matchLabels"] == spec["selector"]
    other = _spec("llm/Deployment/vllm-qwen-coder")["template"]["metadata"]["labels"]
    assert not spec["selector"].items() <= other.items()


def test_claim() -> None:
    """Section 12.3.5: a claim that pods on several nodes can mount, and both models do."""
    spec = _spec("llm/PersistentVolumeClaim/model-cache-pvc")
    assert ("200Gi", "fast-ssd", ["ReadWriteMany"]) == (
        spec["resources"]["requests"]["storage"],
        spec["storageClassName"],
        spec["accessModes"],
    )
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for name in ("llm/Deployment/vllm-server", "llm/Deployment/vllm-qwen-coder")
        for volume in _spec(name)["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert ["model-cache-pvc"] * 2 == claims


def test_hpa() -> None:
    """Section 12.5.1: an HPA on CPU and on a metric that the adapter's rules really name."""
    spec = _spec("llm/HorizontalPodAutoscaler/vllm-qwen-coder")
    assert (1, 10) == (spec["minReplicas"], spec["maxReplicas"])
    cpu, pods = spec["metrics"]
    assert ("cpu", 70) == (cpu["resource"]["name"], cpu["resource"]["target"]["averageUtilization"])
    assert "AverageValue" == pods["pods"]["target"]["type"]
    adapter = _spec("flux-system/HelmRelease/prometheus-adapter")["values"]
    names = [rule["name"]["as"] for rule in adapter["rules"]["custom"]]
    assert pods["pods"]["metric"]["name"] in names
    assert {"scaleUp", "scaleDown"} == set(spec["behavior"])


def test_scaled_object() -> None:
    """Section 12.5.2: two prometheus triggers of the right aggregation, and cron."""
    spec = _spec("llm/ScaledObject/vllm-scaledobject")
    assert ("vllm-server", 2, 20) == (
        spec["scaleTargetRef"]["name"],
        spec["minReplicaCount"],
        spec["maxReplicaCount"],
    )
    queue, usage, cron = spec["triggers"]
    assert ["prometheus", "prometheus", "cron"] == [one["type"] for one in (queue, usage, cron)]
    for trigger, kind, outer, metric, threshold in (
        (queue, "AverageValue", "sum", "vllm:num_requests_waiting", "5"),
        (usage, "Value", "avg", "vllm:kv_cache_usage_perc", "0.85"),
    ):
        assert kind == trigger["metricType"]
        assert threshold == trigger["metadata"]["threshold"]
        parsed = parse_promql(trigger["metadata"]["query"])
        assert (outer, True) == (parsed.aggregation, parsed.is_one_series)
        (selector,) = parsed.selectors
        assert metric == selector.metric
        assert selector.is_scoped(namespace="llm", model_name="qwen-7b")
    assert {
        "timezone": "Asia/Shanghai",
        "start": "0 9 * * *",
        "end": "0 22 * * *",
        "desiredReplicas": "5",
    } == cron["metadata"]


def test_replicas() -> None:
    """No Deployment says how many replicas it has, since scalers decide about both."""
    assert [False, False] == [
        "replicas" in one["spec"] for one in _dist().values() if one["kind"] == "Deployment"
    ]


def test_ingress() -> None:
    """Section 12.7: hosts with TLS of the issuer that the platform has, and streaming."""
    for name, host, secret, service in (
        ("vllm-ingress", "llm.example.com", "llm-tls", "vllm-service"),
        ("vllm-qwen-coder", "code.example.com", "code-tls", "vllm-qwen-coder"),
    ):
        ingress = _dist()[f"llm/Ingress/{name}"]
        spec, annotations = ingress["spec"], ingress["metadata"]["annotations"]
        assert [{"hosts": [host], "secretName": secret}] == spec["tls"]
        assert "nginx" == spec["ingressClassName"]
        (rule,) = spec["rules"]
        (path,) = rule["http"]["paths"]
        assert (host, service) == (rule["host"], path["backend"]["service"]["name"])
        assert f"llm/Service/{service}" in _dist()
        issuer = annotations["cert-manager.io/cluster-issuer"]
        assert f"ClusterIssuer/{issuer}" in _dist()
        assert "false" == annotations["nginx.org/proxy-buffering"]
        assert "300s" == annotations["nginx.org/proxy-read-timeout"]


def test_issuer() -> None:
    """A kind that the library has no construct for comes from imports/."""
    assert ("letsencrypt-prod-account") == _spec("ClusterIssuer/letsencrypt-prod")["acme"][
        "privateKeySecretRef"
    ]["name"]


def test_budgets() -> None:
    """Section 12.9: budgets that protect the models and let drains go on."""
    minimum = _spec("llm/ScaledObject/vllm-scaledobject")["minReplicaCount"]
    assert 1 == _spec("llm/PodDisruptionBudget/vllm-pdb")["minAvailable"] < minimum
    assert 1 == _spec("llm/PodDisruptionBudget/vllm-qwen-coder")["maxUnavailable"]


def test_monitoring() -> None:
    """Sections 12.1 and 12.4: a monitor, alerts and a dashboard for each model."""
    for name, model in (("vllm-server", "qwen-7b"), ("vllm-qwen-coder", "qwen-coder")):
        monitor = _dist()[f"llm/ServiceMonitor/{name}"]
        assert {"release": "kube-prometheus-stack"} == monitor["metadata"]["labels"]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert ("/metrics", "10s") == (endpoint["path"], endpoint["interval"])
        services = [
            one["metadata"]["name"]
            for one in _dist().values()
            if one["kind"] == "Service"
            and monitor["spec"]["selector"]["matchLabels"].items()
            <= one["metadata"]["labels"].items()
        ]
        assert 1 == len(services)
        rules = _spec(f"llm/PrometheusRule/{name}-alerts")["groups"][0]["rules"]
        board = _dist()[f"llm/ConfigMap/{name}-dashboard"]
        labels = {"grafana_dashboard": "1", "release": "kube-prometheus-stack"}
        assert labels == board["metadata"]["labels"]
        (text,) = board["data"].values()
        queries = [rule["expr"] for rule in rules] + [
            target["expr"]
            for panel in json.loads(text)["panels"]
            if panel["type"] != "row"
            for target in panel["targets"]
        ]
        for query in queries:
            for selector in parse_promql(query).selectors:
                # Without honorLabels dcgm-exporter's series have the model's pod under this name.
                space = "exported_namespace" if "exported_pod" in selector.matchers else "namespace"
                assert selector.is_scoped(**{space: "llm"})
                is_own = selector.metric.startswith("vllm:")
                assert is_own == selector.is_scoped(model_name=model)


def test_sharing() -> None:
    """Section 12.6: the device plugin's ConfigMap, which the GPU Operator is told to use."""
    config_map = _dist()["gpu-operator/ConfigMap/device-plugin-sharing"]
    sharing = yaml.safe_load(config_map["data"]["a10-shared-by-4"])
    (resource,) = sharing["sharing"]["timeSlicing"]["resources"]
    assert {"name": "nvidia.com/gpu", "replicas": 4} == resource
    operator = _spec("flux-system/HelmRelease/gpu-operator")["values"]["devicePlugin"]
    assert "device-plugin-sharing" == operator["config"]["name"]


def test_network_policies() -> None:
    """Each model is closed but for its own namespace, its Ingress and its monitor."""
    for name in ("vllm-server", "vllm-qwen-coder"):
        spec = _spec(f"llm/NetworkPolicy/{name}")
        namespaces = [
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for rule in spec["ingress"]
            for peer in rule["from"]
            if "namespaceSelector" in peer
        ]
        assert ["monitoring", "nginx-ingress"] == sorted(namespaces)


def test_order() -> None:
    """Namespaces stand before what is in them, so that a file can be applied as it is."""
    for file in sorted(DIST.iterdir()):
        kinds = [one["kind"] for one in load_yaml(file)]
        assert sorted(kinds.count("Namespace") * ["Namespace"]) == kinds[: kinds.count("Namespace")]
    # kubectl applies the files of a folder by name.
    names = [path.name for path in sorted(DIST.iterdir())]
    assert all(first < second for first, second in pairwise(names))
    assert _PLATFORM == names[0]
