"""What the constructs cost, each as a ratio measured in one run on one machine.

Run it with `make bench`. Figures move with the machine and its load, so no test looks at them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, JsonPatch  # noqa: E402

from vllm_constructs import ModelDeployment, WholeGpu  # noqa: E402

EMPTY = """
from cdk8s import App, Chart
app = App()
Chart(app, "empty")
app.synth()
"""


def environment(folder: str) -> dict[str, str]:
    """The environment of a measured Python: bytecode is cached, as it is for users."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return found | {"CDK8S_OUTDIR": folder, "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache")}


def run(*code: str) -> float:
    """Seconds that a fresh Python takes."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, *code], check=True, cwd=ROOT, env=environment(folder))
        return time.perf_counter() - started


def paired(
    first: Callable[[], float], second: Callable[[], float], times: int
) -> tuple[float, float]:
    """Medians of two measurements that take turns, so that both see the same load."""
    pairs = [(first(), second()) for _ in range(times)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def report(what: str, value: float, limit: float, detail: str) -> None:
    """One line of the table."""
    mark = "ok" if value <= limit else "OVER"
    print(f"{what:<58} {value:7.2f}  (at most {limit:g})  {mark:<5} {detail}")


def start_up() -> None:
    """What importing the layers without Node costs, alone and with every value in use."""
    values = (
        "import vllm_constructs; [getattr(vllm_constructs, n) for n in vllm_constructs._VALUES]"
    )
    for what, code, limit in (
        ("import vllm_constructs over a bare Python, ms", "import vllm_constructs", 10),
        ("every value of vllm_constructs over a bare Python, ms", values, 150),
    ):
        run("-c", code)
        bare, ours = paired(lambda: run("-c", ""), partial(run, "-c", code), 9)
        report(what, (ours - bare) * 1000, limit, f"bare {bare * 1000:.0f} ms")


def app() -> None:
    """What the app costs against one that makes nothing."""
    run("main.py")
    empty, ours = paired(lambda: run("-c", EMPTY), lambda: run("main.py"), 7)
    detail = f"{ours * 1000:.0f} ms / {empty * 1000:.0f} ms"
    report("python main.py / an empty cdk8s app", ours / empty, 2.0, detail)


def floor(bodies: list[dict[str, Any]], count: int) -> float:
    """Seconds for the same objects by hand: a bare ApiObject with one patch each, rendered."""
    chart = Chart(App(), "bench", namespace="llm")
    started = time.perf_counter()
    for i in range(count):
        for j, body in enumerate(bodies):
            made = ApiObject(
                chart,
                f"object-{i}-{j}",
                api_version=body["apiVersion"],
                kind=body["kind"],
                metadata=ApiObjectMetadata(
                    name=f"{body['metadata']['name']}-{i}", labels=body["metadata"].get("labels")
                ),
            )
            made.add_json_patch(JsonPatch.add("/spec", body["spec"]))
    chart.to_json()
    return time.perf_counter() - started


def build(count: int, scope: Chart) -> None:
    """Put `count` models into a chart."""
    for i in range(count):
        ModelDeployment(
            scope,
            f"model-{i}",
            model="Qwen/Qwen2.5-7B-Instruct",
            served_name=f"model-{i}",
            gpu=WholeGpu("NVIDIA-L40S"),
        )


def timed(count: int) -> float:
    """Seconds for `count` models, rendered."""
    chart = Chart(App(), "bench", namespace="llm")
    started = time.perf_counter()
    build(count, chart)
    chart.to_json()
    return time.perf_counter() - started


def objects() -> None:
    """What one object costs against the floor."""
    chart = Chart(App(), "sample", namespace="llm")
    ModelDeployment(chart, "m", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))
    bodies = chart.to_json()
    count = 100
    timed(count)
    floor(bodies, count)
    bare, ours = paired(lambda: floor(bodies, count), lambda: timed(count), 5)
    each = 1000 / (count * len(bodies))
    detail = f"{ours * each:.2f} ms / {bare * each:.2f} ms per object"
    report("an object of ours / a bare ApiObject with a JsonPatch", ours / bare, 1.5, detail)


def validation() -> None:
    """What the tests' validation of one object against one Kubernetes release costs."""
    from tests.support.schemas import ALL_RELEASES, validate

    chart = Chart(App(), "sample", namespace="llm")
    ModelDeployment(chart, "m", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))
    manifest = chart.to_json()[0]
    validate(manifest)
    started = time.perf_counter()
    for _ in range(5):
        validate(manifest)
    each = 1000 * (time.perf_counter() - started) / 5 / len(ALL_RELEASES)
    report("validating an object for one release in the tests, ms", each, 10, "")


def whole(count: int) -> float:
    """Seconds for an app of `count` models, synth included."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(outdir=folder)
        started = time.perf_counter()
        build(count, Chart(app, "bench", namespace="llm"))
        app.synth()
        return time.perf_counter() - started


def many() -> None:
    """Whether an app of ten times the models takes ten times as long, synth included."""

    def fresh(count: int) -> float:
        found = subprocess.run(
            [sys.executable, __file__, str(count)],
            check=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        return float(found.stdout)

    few, lots = paired(lambda: fresh(100), lambda: fresh(1000), 3)
    report("1,000 models / 100 models", lots / few, 11, f"{lots:.2f} s / {few:.2f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(whole(int(sys.argv[1])))
    else:
        start_up()
        app()
        objects()
        many()
        validation()
