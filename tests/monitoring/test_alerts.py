"""Alerts: they fire when they should and not otherwise, as promtool judges it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.cluster import binaries
from tests.support import load_yaml, parse_promql
from vllm_constructs import ModelSeries, VllmRelease
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.monitoring import alerts
from vllm_constructs.monitoring.objectives import Objectives
from vllm_constructs.releases import metric_catalog
from vllm_constructs.workloads.workload import Workload, WorkloadKind

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
SERIES = ModelSeries(namespace="llm", model_name="qwen-7b")
STATEFUL_SET = WorkloadKind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    pod_template=("spec", "template"),
    replicas=("spec", "replicas"),
    replicas_series="kube_statefulset_replicas",
    series_label="statefulset",
    pod_names="{}-[0-9]+".format,
)
OPTIONS: dict[str, Any] = {"job": "qwen", "workload": Workload(name="qwen"), "startup": 900}
ALERTS = {one.name: one for one in alerts.model_alerts(SERIES, **OPTIONS)}
OF_STATEFUL_SET = {
    one.name: one
    for one in alerts.model_alerts(
        SERIES, **{**OPTIONS, "workload": Workload(name="qwen", kind=STATEFUL_SET)}
    )
}
LABELS = {"model_name": "qwen-7b"}


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' own tool: installed, or from the package that tests/cluster unpacks."""
    installed = shutil.which("promtool")
    found = Path(installed or binaries.cache() / "debian" / "usr" / "bin" / "promtool")
    if not found.is_file():
        pytest.skip("no promtool: install Debian's package prometheus, or `make test-cluster`")
    return found


def rules(folder: Path, wanted: list[alerts.Alert]) -> Path:
    """Write alerts as a file of rules."""
    body = alerts.prometheus_rule(name="qwen", labels={}, model="qwen-7b", alerts=wanted)
    path = folder / "rules.yaml"
    path.write_text(json.dumps(body["spec"]), encoding="utf-8")
    return path


def run(promtool: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run promtool."""
    command = [str(promtool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def judge(
    promtool: Path,
    folder: Path,
    case: "Case",
    wanted: dict[str, alerts.Alert] = ALERTS,
) -> "subprocess.CompletedProcess[str]":
    """Ask whether, of all alerts, just those of the case fire at its minute."""
    path = rules(folder, list(wanted.values()))
    expected = []
    for name, alert in wanted.items():
        entry = alert.manifest(LABELS)
        one = {"exp_labels": entry["labels"], "exp_annotations": entry["annotations"]}
        alerted = [one] if name in case.firing else []
        expected.append({"eval_time": f"{case.minute}m", "alertname": name, "exp_alerts": alerted})
    test = {
        "rule_files": [path.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
                "alert_rule_test": expected,
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(json.dumps(test), encoding="utf-8")
    return run(promtool, "test", "rules", path)


def written(name: str, labels: dict[str, str]) -> str:
    """Write a series."""
    pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def own(name: str, pod: str = "a", model: str = "qwen-7b", **labels: str) -> str:
    """Write a series of vLLM as Prometheus has it."""
    found = {"namespace": "llm", "model_name": model, "engine": "0", "pod": f"qwen-1-{pod}"}
    return written(name, found | labels)


def up(pod: str = "a") -> str:
    """Write whether a pod answers its scrapes."""
    return f'up{{namespace="llm",job="qwen",pod="qwen-1-{pod}"}}'


def kube(name: str, **labels: str) -> str:
    """Write a series of kube-state-metrics or dcgm-exporter."""
    found = {"namespace": "llm", **labels}
    return written(name, found)


def restarts(pod: str, container: str = "vllm") -> str:
    """Write how often a container has restarted."""
    return kube("kube_pod_container_status_restarts_total", pod=pod, container=container)


def ready(pod: str) -> str:
    """Write whether a pod is ready."""
    return kube("kube_pod_status_ready", pod=pod, condition="true")


def buckets(metric: Metric, **counts: str) -> dict[str, str]:
    """Write the buckets of a histogram; `_2` is 2, `_inf` is +Inf."""
    names = {"_inf": "+Inf", "_0_1": "0.1", "_0_5": "0.5", "_1": "1", "_5": "5"}
    return {own(f"{metric.name}_bucket", le=names[le]): each for le, each in counts.items()}


def scaler(
    replicas: int, minimum: int = 1, target: str = "qwen", kind: str = "Deployment"
) -> dict[str, str]:
    """Write what kube-state-metrics says of a HorizontalPodAutoscaler."""
    hpa = {"horizontalpodautoscaler": "keda-hpa-x"}
    of = {"scaletargetref_kind": kind, "scaletargetref_name": target}
    return {
        kube("kube_horizontalpodautoscaler_status_current_replicas", **hpa): f"{replicas}x90",
        kube("kube_horizontalpodautoscaler_spec_min_replicas", **hpa): f"{minimum}x90",
        kube("kube_horizontalpodautoscaler_info", **hpa, **of): "1x90",
    }


def ended(**counts: str) -> dict[str, str]:
    """Write how many requests have ended for each reason."""
    name = vllm_metrics.REQUESTS_ENDED.name
    return {own(name, finished_reason=reason): each for reason, each in counts.items()}


UP = {up(): "1x90"}
WAITING, USAGE = vllm_metrics.REQUESTS_WAITING.name, vllm_metrics.KV_CACHE_USAGE.name
FIRST, TOKEN = vllm_metrics.TIME_TO_FIRST_TOKEN, vllm_metrics.INTER_TOKEN_LATENCY
GPU = "DCGM_FI_DEV_GPU_UTIL"
REPLICAS = kube("kube_deployment_spec_replicas", deployment="qwen")


@dataclass(frozen=True)
class Case:
    """Series, the minute of the question, and which alerts fire then."""

    name: str
    series: dict[str, str]
    minute: int
    firing: tuple[str, ...] = ()


CASES = [
    Case("down", {}, 25, ("VllmEngineDown",)),
    Case("down after service", {up(): "1x10 0x40"}, 40, ("VllmEngineDown",)),
    Case("down and wanted", {REPLICAS: "1x40"}, 25, ("VllmEngineDown",)),
    Case("loading", {up(): "0x18 1x20"}, 30),
    Case("not down for long", {up(): "1x10 0x40"}, 25),
    Case("scaled to zero", {REPLICAS: "0x40"}, 30),
    Case("one of two down", UP | {up("b"): "0x90"}, 25, ("VllmReplicaDown",)),
    Case("one of two loading", UP | {up("b"): "0x15 1x40"}, 25),
    Case(
        "restarting",
        UP | {restarts("qwen-1-b"): "0x10 1x10 2x30", ready("qwen-1-b"): "0x60"},
        30,
        ("VllmRestartingWhileLoading",),
    ),
    Case(
        "ready after restarts",
        UP | {restarts("qwen-1-b"): "0x10 1x10 2x30", ready("qwen-1-b"): "0x25 1x30"},
        30,
    ),
    Case("one restart", UP | {restarts("qwen-1-b"): "0x10 1x40", ready("qwen-1-b"): "0x60"}, 30),
    Case(
        "another model restarting",
        UP | {restarts("qwen-coder-1-b"): "0x5 1x5 2x40", ready("qwen-coder-1-b"): "0x60"},
        30,
    ),
    Case(
        "a sidecar restarting",
        UP | {restarts("qwen-1-b", "proxy"): "0x5 1x5 2x40", ready("qwen-1-b"): "0x60"},
        30,
    ),
    Case("queue", UP | {own(WAITING): "0x2 6x40"}, 20, ("VllmQueueGrowing",)),
    Case("queue that the scaler aims at", UP | {own(WAITING): "0x2 5x40"}, 30),
    Case("queue of one of two", UP | {own(WAITING): "9x40", own(WAITING, "b"): "0x40"}, 30),
    Case(
        "queue of both",
        UP | {own(WAITING): "12 0 " * 20, own(WAITING, "b"): "0 12 " * 20},
        30,
        ("VllmQueueGrowing",),
    ),
    Case("queue with breaks", UP | {own(WAITING): "9x7 0 9x7 0 9x7 0 9x7"}, 25),
    Case("queue of another", UP | {own(WAITING, model="coder"): "9x40"}, 30),
    Case(
        "cache full",
        UP | {own(USAGE): "0.98x40", own(USAGE, "b"): "0.96x40"},
        15,
        ("VllmKvCacheFull",),
    ),
    Case("one cache full", UP | {own(USAGE): "1x40", own(USAGE, "b"): "0.5x40"}, 30),
    Case("cache full for a while", UP | {own(USAGE): "0.5x20 0.99x20"}, 28),
    Case(
        "first token slow",
        UP | buckets(FIRST, _1="0x40", _5="0+10x40", _inf="0+10x40"),
        20,
        ("VllmFirstTokenSlow",),
    ),
    Case("first token fast", UP | buckets(FIRST, _1="0+96x40", _5="0+100x40", _inf="0+100x40"), 30),
    Case("no first token", UP | buckets(FIRST, _1="0x40", _5="9x40", _inf="9x40"), 30),
    Case(
        "tokens slow",
        UP | buckets(TOKEN, _0_1="0+9x40", _0_5="0+100x40", _inf="0+100x40"),
        20,
        ("VllmTokensSlow",),
    ),
    Case("tokens fast", UP | buckets(TOKEN, _0_1="0+99x40", _0_5="0+100x40", _inf="0+100x40"), 30),
    Case(
        "preemptions",
        UP | {own(vllm_metrics.PREEMPTIONS.name): "0+12x60"},
        25,
        ("VllmPreemptions",),
    ),
    Case("few preemptions", UP | {own(vllm_metrics.PREEMPTIONS.name): "0+3x60"}, 40),
    Case("a burst of preemptions", UP | {own(vllm_metrics.PREEMPTIONS.name): "0x10 900x40"}, 20),
    Case("errors", UP | ended(error="0+2x40", stop="0+98x40"), 12, ("VllmRequestErrors",)),
    Case("only errors", UP | ended(error="0+1x40", stop="7x40"), 12, ("VllmRequestErrors",)),
    Case("few errors", UP | ended(error="0+1x40", stop="0+200x40"), 30),
    Case("one error", UP | ended(error="0x10 1x30", stop="0+3x40"), 13),
    Case("one error, later", UP | ended(error="0x10 1x30", stop="0+3x40"), 16),
    Case("no requests", UP | ended(error="4x40", abort="4x40", stop="9x40"), 30),
    Case("gpu idle", UP | scaler(3) | {kube(GPU, pod="qwen-1-a"): "2x90"}, 40, ("VllmGpuIdle",)),
    Case(
        "gpu idle, without honorLabels",
        UP
        | scaler(2)
        | {
            kube(
                GPU,
                namespace="gpu-operator",
                pod="exporter-a",
                exported_namespace="llm",
                exported_pod="qwen-1-a",
            ): "2x90"
        },
        40,
        ("VllmGpuIdle",),
    ),
    Case(
        "gpu nearly idle",
        UP | scaler(3) | {kube(GPU, pod="qwen-1-a"): "2x8 60 " * 6},
        45,
        ("VllmGpuIdle",),
    ),
    Case("gpu idle at the minimum", UP | scaler(2, 2) | {kube(GPU, pod="qwen-1-a"): "2x90"}, 60),
    Case("gpu idle without scaler", UP | {kube(GPU, pod="qwen-1-a"): "2x90"}, 60),
    Case(
        "another scaled out", UP | scaler(3, 1, "coder") | {kube(GPU, pod="qwen-1-a"): "2x90"}, 60
    ),
    Case("gpu busy", UP | scaler(3) | {kube(GPU, pod="qwen-1-a"): "80x90"}, 60),
    Case("gpu of another idle", UP | scaler(3) | {kube(GPU, pod="coder-1-a"): "2x90"}, 60),
    Case("no exporter", UP | scaler(3), 60),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_firing(case: Case, promtool: Path, tmp_path: Path) -> None:
    """With these series these alerts fire, and no other ones."""
    done = judge(promtool, tmp_path, case)

    assert 0 == done.returncode, done.stdout + done.stderr


STATEFUL_REPLICAS = kube("kube_statefulset_replicas", statefulset="qwen")
STATEFUL_CASES = [
    Case("down and wanted", {STATEFUL_REPLICAS: "1x40"}, 25, ("VllmEngineDown",)),
    Case("scaled to zero", {STATEFUL_REPLICAS: "0x40"}, 30),
    Case("a Deployment scaled to zero", {REPLICAS: "0x40"}, 25, ("VllmEngineDown",)),
    Case(
        "restarting",
        UP | {restarts("qwen-1"): "0x10 1x10 2x30", ready("qwen-1"): "0x60"},
        30,
        ("VllmRestartingWhileLoading",),
    ),
    Case(
        "a Deployment restarting",
        UP | {restarts("qwen-1-b"): "0x10 1x10 2x30", ready("qwen-1-b"): "0x60"},
        30,
    ),
    Case(
        "gpu idle",
        UP | scaler(3, kind="StatefulSet") | {kube(GPU, pod="qwen-0"): "2x90"},
        40,
        ("VllmGpuIdle",),
    ),
    Case("a Deployment scaled out", UP | scaler(3) | {kube(GPU, pod="qwen-0"): "2x90"}, 60),
    Case(
        "gpu of a Deployment idle",
        UP | scaler(3, kind="StatefulSet") | {kube(GPU, pod="qwen-1-a"): "2x90"},
        60,
    ),
]


@pytest.mark.parametrize("case", STATEFUL_CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_firing_for_other_kind(case: Case, promtool: Path, tmp_path: Path) -> None:
    """With another kind of workload, its own pods and series make the alerts fire."""
    done = judge(promtool, tmp_path, case, OF_STATEFUL_SET)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_kind_of_workload() -> None:
    """Alerts use the pods, the series of wanted replicas and the scaler of the workload's kind."""
    found = {
        name: {one.metric: one.matchers for one in parse_promql(alert.expression).selectors}
        for name, alert in OF_STATEFUL_SET.items()
    }
    pods, of_llm = ("=~", "qwen-[0-9]+"), ("=", "llm")

    down, loading = found["VllmEngineDown"], found["VllmRestartingWhileLoading"]
    replicas = {"namespace": of_llm, "statefulset": ("=", "qwen")}
    assert replicas == down["kube_statefulset_replicas"]
    assert pods == loading["kube_pod_container_status_restarts_total"]["pod"]
    assert pods == loading["kube_pod_status_ready"]["pod"]
    idle = parse_promql(OF_STATEFUL_SET["VllmGpuIdle"].expression)
    assert [
        {"namespace": of_llm, "pod": pods},
        {"exported_namespace": of_llm, "exported_pod": pods},
    ] == [one.matchers for one in idle.selectors if one.metric == GPU]
    scaled = {"scaletargetref_kind": ("=", "StatefulSet"), "scaletargetref_name": ("=", "qwen")}
    target = found["VllmGpuIdle"]["kube_horizontalpodautoscaler_info"]
    assert {"namespace": of_llm, **scaled} == target
    assert list(ALERTS) == list(OF_STATEFUL_SET)
    assert not [one for one in OF_STATEFUL_SET.values() if "eployment" in one.expression]
    # All else is the same for every kind.
    different = {name for name in ALERTS if ALERTS[name] != OF_STATEFUL_SET[name]}
    assert {"VllmEngineDown", "VllmRestartingWhileLoading", "VllmGpuIdle"} == different


def test_cases() -> None:
    """Each alert has a case where it fires; where none does, each has no data or is content."""
    assert set(ALERTS) == {name for case in CASES for name in case.firing}
    assert len([case for case in CASES if not case.firing]) > len(ALERTS)


def test_judge(promtool: Path, tmp_path: Path) -> None:
    """What should fire and does not is found, and so is the reverse."""
    quiet, firing = Case("up", UP, 25, ("VllmEngineDown",)), Case("down", {}, 25)

    assert 0 != judge(promtool, tmp_path, quiet).returncode
    assert 0 != judge(promtool, tmp_path, firing).returncode


def test_healthy(promtool: Path, tmp_path: Path) -> None:
    """No alert fires for a model that serves, is scaled out, and computes."""
    series = {
        **UP,
        REPLICAS: "3x90",
        restarts("qwen-1-a"): "1x90",
        ready("qwen-1-a"): "1x90",
        own(WAITING): "0 0 4 0 " * 20,
        own(USAGE): "0.7x90",
        own(vllm_metrics.PREEMPTIONS.name): "0+1x90",
        **buckets(FIRST, _1="0+100x90", _5="0+100x90", _inf="0+100x90"),
        **buckets(TOKEN, _0_1="0+100x90", _0_5="0+100x90", _inf="0+100x90"),
        **ended(stop="0+80x90", length="0+15x90", abort="0+5x90", error="0x90"),
        **scaler(3),
        kube(GPU, pod="qwen-1-a"): "70x90",
    }
    for minute in (5, 30, 60, 90):
        done = judge(promtool, tmp_path, Case("healthy", series, minute))
        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("model", ["qwen-7b", "Qwen/Qwen2.5-7B-Instruct", 'a"b\\c', "日本 {x}"])
def test_syntax(model: str, promtool: Path, tmp_path: Path) -> None:
    """Prometheus takes the rules whatever a model is called."""
    wanted = alerts.model_alerts(ModelSeries(namespace="llm", model_name=model), **OPTIONS)
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", rules(tmp_path, wanted))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{len(wanted)} rules found" in done.stdout


def test_committed_rules(promtool: Path, tmp_path: Path) -> None:
    """Prometheus takes the rules of dist/ and of each example."""
    files = [*ROOT.glob("dist/*.yaml"), *ROOT.glob("examples/*/dist/*.yaml")]
    found = [
        one for path in sorted(files) for one in load_yaml(path) if one["kind"] == "PrometheusRule"
    ]

    assert found
    for one in found:
        path = tmp_path / "rules.yaml"
        path.write_text(json.dumps(one["spec"]), encoding="utf-8")
        done = run(promtool, "check", "rules", path)
        assert 0 == done.returncode, done.stdout + done.stderr


@settings(max_examples=60, deadline=None)
@given(strategies.series(), st.integers(30, 86400))
def test_queries(series: ModelSeries, startup: int) -> None:
    """Each alert gives one series, of this model's metrics or of this namespace's pods."""
    options = {**OPTIONS, "startup": startup}
    for one in alerts.model_alerts(series, **options):
        query = parse_promql(one.expression)
        # What is absent is one series by itself.
        assert query.is_one_series or query.functions == ("absent",)
        for selector in query.selectors:
            if selector.metric.startswith("vllm:"):
                assert selector.is_scoped(namespace=series.namespace, model_name=series.model_name)
            elif "exported_namespace" in selector.matchers:
                assert selector.is_scoped(exported_namespace=series.namespace)
            else:
                assert selector.is_scoped(namespace=series.namespace)
        read = {name.removesuffix("_bucket") for name in query.metrics if name.startswith("vllm:")}
        assert {metric.name for metric in one.metrics} == read


@settings(max_examples=40, deadline=None)
@given(strategies.series(), st.integers(30, 86400))
def test_entries(series: ModelSeries, startup: int) -> None:
    """Each alert says which model is meant, what is wrong, for how long and where to read on."""
    options = {**OPTIONS, "startup": startup}
    wanted = alerts.model_alerts(series, **options)

    assert len({one.name for one in wanted}) == len(wanted)
    for one in wanted:
        entry = one.manifest({"model_name": series.model_name}, "https://wiki.example.com/vllm")
        labels = {"model_name": series.model_name, "severity": one.severity}
        assert {"alert", "expr", "for", "labels", "annotations"} == set(entry)
        assert entry["labels"] == labels
        assert re.fullmatch(r"[1-9][0-9]*m", entry["for"])
        notes = entry["annotations"]
        assert {"summary", "description", "runbook_url"} == set(notes)
        assert series.model_name in notes["summary"]
        assert notes["description"].endswith(".")
        assert notes["runbook_url"] == f"https://wiki.example.com/vllm#{one.name.lower()}"
    down = {one.name: one for one in wanted}
    for name in ("VllmEngineDown", "VllmReplicaDown"):
        assert int(down[name].lasts.removesuffix("m")) * 60 > startup
    window = re.findall(r"\[(\d+)m\]", down["VllmRestartingWhileLoading"].expression)
    assert [max(30, 3 * (startup // 60 + 5))] == [int(minutes) for minutes in window]


def test_runbook() -> None:
    """Each alert has a section in the runbook, in the same order, that says three things."""
    text = RUNBOOK.read_text(encoding="utf-8")
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)

    assert list(ALERTS) == [name for name, _ in sections]
    for name, body in sections:
        assert ["Means", "Look at", "Do"] == re.findall(
            r"^\*\*([\w ]+)\.\*\*", body, re.MULTILINE
        ), name


def test_page() -> None:
    """The page on alerts names each, in the same order, with how bad it is."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(Vllm\w+)` \|.*\| (\w+) \|$", text, re.MULTILINE)

    assert [(one.name, one.severity) for one in ALERTS.values()] == named


def test_objectives() -> None:
    """Objectives are the thresholds, and are in the words."""
    goals = Objectives(
        time_to_first_token=1.5,
        inter_token_latency=0.05,
        quantile=0.99,
        kv_cache_usage=0.8,
        preemptions=3,
        errors=0.002,
        gpu_utilization=0.25,
    )
    found = {one.name: one for one in alerts.model_alerts(SERIES, **OPTIONS, objectives=goals)}
    ends = {
        "VllmKvCacheFull": ("> 0.8", "80 %"),
        "VllmPreemptions": ("> 3", "3 requests"),
        "VllmFirstTokenSlow": ("> 1.5", "1.5 s"),
        "VllmTokensSlow": ("> 0.05", "0.05 s"),
        "VllmRequestErrors": ("> 0.002", "0.2 %"),
    }

    for name, (threshold, words) in ends.items():
        assert found[name].expression.endswith(threshold), name
        assert words in found[name].description
    for name in ("VllmFirstTokenSlow", "VllmTokensSlow"):
        assert "histogram_quantile(0.99, " in found[name].expression
        assert "More than 1 % of" in found[name].description
    assert ") < 25 and on () " in found["VllmGpuIdle"].expression
    assert "25 %" in found["VllmGpuIdle"].description


def test_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only alerts are made whose metrics the release of the image has."""

    def names(tag: str) -> set[str]:
        release = VllmRelease(f"vllm/vllm-openai:v{tag}")
        return {one.name for one in alerts.model_alerts(SERIES, **OPTIONS, release=release)}

    assert set(ALERTS) == names("0.33.0") == names("0.16.0")
    assert {"VllmRequestErrors"} == set(ALERTS) - names("0.12.0")

    monkeypatch.setattr(metric_catalog, "is_exposed", lambda name, *_: "seconds" not in name)
    assert {"VllmFirstTokenSlow", "VllmTokensSlow"} == set(ALERTS) - names("0.33.0")
