"""Queries and alerts against a real Prometheus that scrapes the real vLLM.

What is scaled: Prometheus scrapes every second, and every duration in a rule is a sixtieth of what
is rendered, so that ten minutes take ten seconds. Prometheus' operator would add the labels
namespace, pod and job to what it scrapes; here the configuration says them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdk8s import App, Chart

from tests.cluster import binaries
from tests.cluster.kubectl import wait_for
from tests.support import parse_promql
from vllm_constructs import (
    EngineArgs,
    FluxHelmRelease,
    KedaScaler,
    KvCacheUsage,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    PrometheusAdapter,
    QueueDepth,
    RunningRequests,
    TimeToFirstToken,
    WholeGpu,
)

from .client import Load, Stream
from .conftest import Spawners
from .container import Container
from .running import Running

FASTER = 60
DURATION = re.compile(r"(?<=[\[:])(\d+)([smh])(?=[\]:])")
SECONDS = {"s": 1, "m": 60, "h": 3600}
ADDRESS = "127.0.0.1:9090"
NAME = "qwen-7b"
pytestmark = pytest.mark.xdist_group("monitoring")
POD = "vllm-server-5d4f8c7b9-x2x7k"
BLOCK = 128
"""Tokens of a block of the KV cache: each short request fills one."""

BLOCKS = 20
"""Of the KV cache."""

CLIENTS = 4 * BLOCKS

Manifest = dict[str, Any]


def _faster(text: str) -> str:
    """A query or duration whose times are a part of what they were, and at least a second."""
    return DURATION.sub(lambda found: _seconds(found[1], found[2]), text)


def _seconds(number: str, unit: str) -> str:
    return f"{max(int(number) * SECONDS[unit] / FASTER, 1):.0f}s"


@dataclass
class Scene:
    """A model with its monitoring."""

    objects: list[Manifest]
    running: Running

    @property
    def is_scraping(self) -> bool:
        """Whether Prometheus answers and has seen vLLM."""
        try:
            return bool(self.ask("up"))
        except OSError:
            return False

    def of_kind(self, kind: str) -> list[Manifest]:
        """The objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    def rules(self) -> list[Manifest]:
        """All alerts."""
        return [
            rule
            for item in self.of_kind("PrometheusRule")
            for group in item["spec"]["groups"]
            for rule in group["rules"]
        ]

    def queries(self) -> dict[str, str]:
        """Every query by who asks it."""
        found = {rule["alert"]: rule["expr"] for rule in self.rules()}
        for item in self.of_kind("ScaledObject"):
            for trigger in item["spec"]["triggers"]:
                found[f"trigger {trigger['name']}"] = trigger["metadata"]["query"]
        for item in self.of_kind("ConfigMap"):
            for name, text in item["data"].items():
                if name.endswith("dashboard.json"):
                    for panel in json.loads(text)["panels"]:
                        for target in panel.get("targets", []):
                            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
        for rule in self._adapter_rules():
            found[f"adapter {rule['name']['as']}"] = rule["seriesQuery"]
        return found

    def adapter_queries(self) -> dict[str, str]:
        """What the adapter asks for the pods of the model, by metric."""
        found = {}
        for rule in self._adapter_rules():
            query = rule["metricsQuery"].replace("<<.Series>>", rule["name"]["matches"][1:-1])
            query = query.replace("<<.LabelMatchers>>", 'namespace="llm",pod=~"vllm-server-.*"')
            found[rule["name"]["as"]] = query.replace("<<.GroupBy>>", "pod")
        return found

    def _adapter_rules(self) -> list[Manifest]:
        (release,) = self.of_kind("HelmRelease")
        rules: list[Manifest] = release["spec"]["values"]["rules"]["custom"]
        return rules

    def ask(self, query: str) -> list[Any]:
        """The result of a query."""
        return _get("query", query=query)["result"]  # type: ignore[no-any-return]

    def firing(self) -> set[str]:
        """The alerts that fire."""
        return {
            one["labels"]["alertname"]
            for one in _get("alerts")["alerts"]
            if one["state"] == "firing"
        }

    def fires(self, name: str, seconds: float) -> bool:
        """Whether an alert fires within some seconds."""
        until = time.monotonic() + seconds
        while name not in (firing := self.firing()) and time.monotonic() < until:
            time.sleep(0.5)
        return name in firing


def _get(path: str, **asked: str) -> Any:
    url = f"http://{ADDRESS}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # loopback
        return json.load(answer)["data"]


def _render() -> list[Manifest]:
    app = App()
    chart = Chart(app, "test", namespace="llm")
    model = ModelDeployment(
        chart,
        "qwen",
        name="vllm-server",
        service_name="vllm-service",
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name=NAME,
        cache=ModelCache(chart, "cache", size="100Gi"),
        gpu=WholeGpu("NVIDIA-A100-80GB-PCIe"),
        engine=EngineArgs(max_model_len=2048, num_gpu_blocks_override=BLOCKS),
    )
    KedaScaler(
        chart,
        "scaler",
        target=model,
        min_replicas=1,
        max_replicas=2,
        prometheus="http://prometheus.monitoring.svc:9090",
        triggers=[QueueDepth(5), RunningRequests(8), KvCacheUsage(0.8), TimeToFirstToken(1)],
    )
    ModelMonitor(chart, "monitor", target=model, labels={"release": "kube-prometheus-stack"})
    platform = Chart(app, "platform")
    PrometheusAdapter(
        platform,
        "prometheus-adapter",
        delivery=FluxHelmRelease(),
        prometheus="http://prometheus.monitoring.svc:9090",
    )
    return [*chart.to_json(), *platform.to_json()]


@pytest.fixture(scope="module")
def scene(spawners: Spawners, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The model and Prometheus, both running."""
    try:
        program = binaries.find_debian("prometheus")
    except binaries.MissingError as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("monitoring")
    objects = _render()
    container = Container.only(objects, folder / "container")
    with spawners.start(container) as running:
        running.wait_ready()
        prometheus = _start_prometheus(program, folder, objects, container.port)
        found = Scene(objects, running)
        try:
            wait_for("Prometheus", lambda: found.is_scraping, 30)
            yield found
        finally:
            prometheus.terminate()
            prometheus.wait(30)


def _start_prometheus(
    program: Path, folder: Path, objects: list[Manifest], port: int
) -> subprocess.Popen[bytes]:
    labels = {"namespace": "llm", "pod": POD, "service": "vllm-service"}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "vllm-service",
                "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
            }
        ],
    }
    groups = [
        {
            **group,
            "rules": [
                rule | {"expr": _faster(rule["expr"]), "for": _faster(f"[{rule['for']}]")[1:-1]}
                for rule in group["rules"]
            ],
        }
        for item in objects
        if item["kind"] == "PrometheusRule"
        for group in item["spec"]["groups"]
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    with (folder / "prometheus.log").open("wb") as log:
        return subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={ADDRESS}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _load(scene: Scene, clients: int, tokens: int) -> Load:
    return Load(lambda: Stream(scene.running.container.port, NAME, tokens), clients)


def test_quiet(scene: Scene) -> None:
    """With a load that the model carries, no alert fires."""
    until = time.monotonic() + 25
    with _load(scene, 2, 40) as load:
        while time.monotonic() < until:
            assert set() == scene.firing()
            time.sleep(0.5)
    assert [] == load.lost
    assert load.complete > 10


def test_selectors(scene: Scene) -> None:
    """Each selector of a series of vLLM, in each query, finds the series with these labels."""
    missing = []
    seen = set()
    for who, query in scene.queries().items():
        for selector in parse_promql(query.replace("$__rate_interval", "5m")).selectors:
            if selector.metric.startswith("vllm:"):
                told = (f'{key}{how}"{value}"' for key, (how, value) in selector.matchers.items())
                asked = f"{selector.metric}{{{','.join(told)}}}"
                seen.add(selector.metric)
                if not scene.ask(asked):
                    missing.append((who, asked))
    assert [] == missing
    assert len(seen) > 10


def test_numbers(scene: Scene) -> None:
    """Under load each panel of vLLM's series, each trigger and each adapter rule has a number."""
    empty = []
    with _load(scene, 6, 60) as load:
        time.sleep(6)
        for who, query in scene.queries().items():
            if who.startswith("Vllm") or "vllm:" not in query:
                continue
            told = query.replace("$__rate_interval", "5m")
            values = [one["value"][1] for one in scene.ask(told)]
            if not values or "NaN" in values:
                empty.append((who, told, values))
    assert [] == empty
    assert [] == load.lost


def test_adapter(scene: Scene) -> None:
    """The adapter's queries have a number for the pod."""
    answers = {name: scene.ask(query) for name, query in scene.adapter_queries().items()}
    assert len(answers) > 2
    for name, found in answers.items():
        (one,) = found
        assert {"pod": POD} == one["metric"], name
        assert "NaN" != one["value"][1]


def test_full(scene: Scene) -> None:
    """A cache too small for the load: the alerts on the cache, the queue and the first token."""
    wanted = {"VllmKvCacheFull", "VllmQueueGrowing", "VllmFirstTokenSlow"}
    fired: set[str] = set()
    until = time.monotonic() + 120
    # Each at a time of its own: where the clients share their cores with another engine, the cache
    # is not full in every second.
    with _load(scene, CLIENTS, 110):
        while not wanted <= fired and time.monotonic() < until:
            fired |= scene.firing()
            time.sleep(0.5)
    assert wanted <= fired
    assert fired <= wanted | {"VllmTokensSlow"}


def test_preemptions(scene: Scene) -> None:
    """Requests that outgrow the cache together preempt one another, which has an alert."""
    wait_for("silence", lambda: "VllmPreemptions" not in scene.firing())
    with _load(scene, 12, 5 * BLOCK):
        assert scene.fires("VllmPreemptions", 150)


def test_slow(scene: Scene) -> None:
    """An engine that gets a fraction of the time has slow tokens, and an alert on them."""
    wait_for("silence", lambda: "VllmTokensSlow" not in scene.firing())
    engine = scene.running.engine()
    until = time.monotonic() + 90
    with _load(scene, 2, 40):
        while "VllmTokensSlow" not in scene.firing() and time.monotonic() < until:
            # For the alert one token in twenty has to be late.
            os.kill(engine, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(engine, signal.SIGCONT)
            time.sleep(0.05)
        firing = scene.firing()
    assert "VllmTokensSlow" in firing


def test_gone(scene: Scene) -> None:
    """A model that does not answer fires the alert that pages somebody."""
    assert "VllmEngineDown" not in scene.firing()
    scene.running.kill()
    assert scene.fires("VllmEngineDown", 60)
