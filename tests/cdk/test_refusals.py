"""Bad input in a user's app: one sentence, at the user's line, and nothing is made or written."""

import runpy
import traceback
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vllm_constructs import VllmConstructsError, VllmConstructsWarning

APP = """
from pathlib import Path
from cdk8s import App, Chart
from vllm_constructs import *

app = App()
chart = Chart(app, "x", namespace="llm")
GPU = WholeGpu("NVIDIA-L40S")
"""
MODEL = 'qwen = ModelDeployment(chart, "qwen", model="a/b", gpu=GPU, cache=ExistingClaim("w"){})\n'
PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"


class Case(NamedTuple):
    """What an app says, and what it is told."""

    name: str
    wrong: str
    sentence: str
    before: str = ""


def of_model(name: str, option: str, sentence: str) -> Case:
    """A model with one option that is wrong."""
    given = "" if option.startswith("gpu=") else ", gpu=GPU"
    wrong = f'ModelDeployment(chart, "qwen", model="a/b"{given}, {option})'
    return Case(name, wrong, sentence)


def of_keda(name: str, option: str, sentence: str, *, before: str = "") -> Case:
    """A KedaScaler with one option that is wrong."""
    options = {
        "max_replicas": "3",
        "prometheus": repr(PROMETHEUS),
        "triggers": "[QueueDepth(5)]",
    }
    keyword, _, value = option.partition("=")
    given = ", ".join(f"{key}={item}" for key, item in (options | {keyword: value}).items())
    wrong = f'KedaScaler(chart, "scaler", target=qwen, {given})'
    return Case(name, wrong, sentence, before or MODEL.format(""))


def of_ingress(name: str, option: str, sentence: str) -> Case:
    """A StreamingIngress with one option that is wrong."""
    options = {"host": "'llm.example.com'", "controller": "F5Nginx()"}
    keyword, _, value = option.partition("=")
    given = ", ".join(f"{key}={item}" for key, item in (options | {keyword: value}).items())
    wrong = f'StreamingIngress(chart, "front", target=qwen, {given})'
    return Case(name, wrong, sentence, MODEL.format(""))


def of_values(name: str, text: str, sentence: str) -> Case:
    """A values file that is wrong."""
    before = f'Path("values.yaml").write_text({text!r})\n'
    return Case(name, 'ModelStack.from_values(chart, "qwen", "values.yaml")', sentence, before)


HPA = 'HpaScaler(chart, "hpa", target=qwen, max_replicas=3, triggers=[QueueDepth(5)])\n'
SAME = 'other = ModelDeployment(chart, "b", model="a/b", gpu=GPU)\n'

CASES = [
    of_model("gpu-product", 'gpu=WholeGpu("AMD-MI300X")', "not in the catalog"),
    of_model("gpu-misspelt", 'gpu=WholeGpu("NVIDIA-L4OS")', "did you mean 'NVIDIA-L40S'"),
    of_model("mig-profile", 'gpu=MigSlice("1g.11gb")', "did you mean '1g.10gb'"),
    of_model("gpu-count", 'gpu=WholeGpu("NVIDIA-L40S", count=0)', "WholeGpu.count is 0"),
    of_model(
        "mig-parallel",
        'gpu=MigSlice("1g.10gb"), engine=EngineArgs(tensor_parallel_size=3)',
        "tensor 3",
    ),
    of_model(
        "shared-parallel",
        'gpu=TimeSlicedGpu("NVIDIA-A10"), engine=EngineArgs(tensor_parallel_size=2)',
        "one TimeSlicedGpu",
    ),
    of_model("tensor-parallel", "engine=EngineArgs(tensor_parallel_size=2)", "needs 2 GPUs"),
    of_model(
        "cache-of-one-node",
        'replicas=2, cache=ExistingClaim("w", access="ReadWriteOnce")',
        "'w' is ReadWriteOnce",
    ),
    of_model("shm-above-memory", 'memory="8Gi", shared_memory="8Gi"', "shared_memory is '8Gi'"),
    of_model("shm-small", 'shared_memory="64Mi"', "shared_memory is '64Mi'"),
    of_model("drain", "drain=Drain(seconds=0)", "Drain.seconds is 0"),
    of_model("name-long", 'name="x" * 64', "name is 'xxx"),
    of_model("name-underscore", 'name="qwen_7b"', "for example 'qwen-7b'"),
    of_model("name-slash", 'name="Qwen/Qwen2.5"', "for example 'qwen-qwen2-5'"),
    of_model("name-of-vllm", 'name="vllm"', "VLLM_PORT"),
    of_model("image-without-tag", 'image="vllm/vllm-openai"', "image is 'vllm/vllm-openai'"),
    of_model("image", 'image="vllm/vllm-openai:"', "image is"),
    of_model("memory-unit", 'memory="10GB"', "write '10Gi'"),
    of_model("memory-space", 'memory="64 Gi"', "write '64Gi'"),
    of_model("memory-pair", 'memory=("64Gi", "32Gi")', "above its limit"),
    of_model("cpu", "cpu=4", "cpu"),
    of_model("replicas", "replicas=-1", "replicas is -1"),
    of_model("replicas-text", 'replicas="2"', "replicas is '2'"),
    of_model("nan", 'engine=EngineArgs(gpu_memory_utilization=float("nan"))', "is nan"),
    of_model("infinity", 'engine=EngineArgs(cpu_offload_gb=float("inf"))', "is inf"),
    of_model("flag", 'engine=EngineArgs(extra={"max-modle-len": 1})', "max-modle-len"),
    of_model("choice", 'engine=EngineArgs(dtype="bf16")', "did you mean 'bfloat16'"),
    of_model("secret", 'env={"HF_TOKEN": "hf_x"}', "give hf_token"),
    of_model("env", 'env={"A": 1}', "env['A'] is 1"),
    of_model("labels", 'labels={"app.kubernetes.io/name": "x"}', "leave it out"),
    of_model("port", "port=80", "port is 80"),
    Case("hf-name", 'ModelDeployment(chart, "a", model="a b", gpu=GPU)', "a Hugging Face id"),
    Case("no-gpu", 'ModelDeployment(chart, "a", model="a/b", gpu=None)', "gpu is missing"),
    Case("gpu-missing", 'ModelDeployment(chart, "a", model="a/b")', "ModelDeployment(gpu=...)"),
    Case("model-missing", 'ModelDeployment(chart, "a", gpu=GPU)', "ModelDeployment(model=...)"),
    of_model("misspelt", "replica=2", "did you mean 'replicas'"),
    of_model("misspelt-of-pod", "servedname='x'", "did you mean 'served_name'"),
    of_model("annotation", 'annotations={"vllm-constructs.dev/vllm": "1"}', "leave it out"),
    of_model("scrape", 'pod_annotations={"prometheus.io/scrape": "no"}', "leave it out"),
    of_model(
        "token-elsewhere", 'hf_token=HuggingFaceToken("x", namespace="y")', "in namespace 'y'"
    ),
    Case(
        "namespace-of-chart",
        'ModelDeployment(other, "a", model="a/b", gpu=GPU)',
        "the namespace of the chart is 'LLM'",
        'other = Chart(app, "y", namespace="LLM")\n',
    ),
    Case(
        "scaler-elsewhere",
        HPA.replace("chart", "other").strip(),
        "put both into charts of one namespace",
        f"{MODEL.format('')}other = Chart(app, 'y', namespace='other')\n",
    ),
    Case(
        "scaler-of-another-app",
        HPA.replace("chart", "other").strip(),
        "put both into one app",
        f"{MODEL.format('')}other = Chart(App(), 'y', namespace='llm')\n",
    ),
    Case("no-chart", 'ModelDeployment(app, "a", model="a/b", gpu=GPU)', "not inside of a Chart"),
    Case("no-scope", 'ModelDeployment(None, "a", model="a/b", gpu=GPU)', "scope is None"),
    Case("no-id", 'ModelDeployment(chart, "", model="a/b", gpu=GPU)', "id is ''"),
    Case(
        "object-twice",
        'ModelDeployment(chart, "other", name="qwen", model="a/b", gpu=GPU)',
        "made twice",
        MODEL.format(""),
    ),
    Case(
        "id-twice",
        'ModelDeployment(chart, "qwen", name="other", model="a/b", gpu=GPU)',
        "each its own id",
        MODEL.format(""),
    ),
    Case("cache-size", 'ModelCache(chart, "c", size="10GB")', "write '10Gi'"),
    Case(
        "hpa-trigger",
        HPA.replace("QueueDepth(5)", "TimeToFirstToken(2)").strip(),
        "KedaScaler",
        MODEL.format(""),
    ),
    Case(
        "fleet-same-name",
        'ModelFleet(chart, "f", models=[qwen, other], host="a.example.com", controller=Traefik())',
        "served_name=",
        MODEL.format("") + SAME,
    ),
    Case(
        "route-without-gateway",
        'ModelRoute(chart, "r", target=qwen, host="a.example.com", gateway="edge")',
        "ModelRoute.gateway",
        MODEL.format(""),
    ),
    of_ingress(
        "timeout",
        "annotations={'nginx.org/proxy-read-timeout': '3600'}",
        "which is derived",
    ),
    of_ingress(
        "snippet",
        "annotations={'nginx.org/location-snippets': 'proxy_buffering off;'}",
        "reject snippets",
    ),
    of_ingress("host", "host='LLM'", "StreamingIngress.host"),
    Case(
        "timeout-unit",
        'ModelDeployment(chart, "a", model="a/b", gpu=GPU, response_timeout="300s")',
        "leave the unit out",
    ),
    Case(
        "budget",
        'DisruptionBudget(chart, "b", target=qwen, min_available=1)',
        "never be drained",
        MODEL.format(""),
    ),
    Case(
        "monitor",
        'ModelMonitor(chart, "m", target=qwen)',
        "disable_log_stats",
        MODEL.format(", engine=EngineArgs(disable_log_stats=True)"),
    ),
    Case("token", 'TokenSecret(chart, "t", value="hf_x", in_clear_text=False)', "in_clear_text"),
    Case(
        "helm-nan",
        'KedaOperator(chart, "k", delivery=FluxHelmRelease(), values={"a": float("nan")})',
        "nan",
    ),
    Case("namespace", 'Namespace(chart, "n", pod_security="strict")', "Namespace.pod_security"),
    Case("late-target", 'Kubernetes("1.34").set_on(app)', "directly after App()"),
    Case("old-target", 'Kubernetes("1.20")', "from '1.27' to '1.37'"),
    of_values("values-key", "modle: {}", "did you mean 'model'"),
    of_values("values-type", "replicaCount: two", "replicaCount is 'two'"),
    of_values("values-yaml", "model: [", "line 1 is not YAML"),
    of_values("values-empty", "", "lacks model.name"),
    of_values(
        "values-late",
        "model: {name: a/b}\ngpu: {type: NVIDIA-L40S}\nautoscaling: {maxReplicas: 3}",
        "HpaScaler.triggers",
    ),
]


def tree(app: dict[str, Any]) -> tuple[list[str], Any]:
    """The constructs of an app and what its chart renders, by the variables of its file."""
    return [node.node.path for node in app["app"].node.find_all()], app["chart"].to_json()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refusal(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is there, so is the line, and neither the tree nor the disk has changed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CDK8S_OUTDIR", str(tmp_path / "dist"))
    start = f"{APP}{case.before}"
    app, without = tmp_path / "app.py", tmp_path / "without.py"
    app.write_text(f"{start}{case.wrong}\napp.synth()\n", encoding="utf-8")
    without.write_text(start, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        with pytest.raises(VllmConstructsError) as refusal:
            runpy.run_path(str(app))
        untouched = tree(runpy.run_path(str(without)))
    sentence = str(refusal.value)
    assert case.sentence in sentence
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    ((frame, line),) = [
        (frame, line)
        for frame, line in traceback.walk_tb(refusal.tb)
        if frame.f_code.co_filename == str(app)
    ]
    assert start.count("\n") + 1 == line
    assert untouched == tree(frame.f_globals)
    assert not (tmp_path / "dist").exists()
