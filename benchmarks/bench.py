"""What the constructs cost, beside what people would use instead, measured in one run.

Programs that are compared take turns, so that all of them see the same load. Figures move with the
machine and its load, so no test looks at them; compare ratios. Run it with `make bench`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
# How often each number of models is measured.
TIMES = {1: 9, 10: 9, 100: 7, 1000: 5, 10_000: 1}
PAGE = resource.getpagesize()
EMPTY = """
from cdk8s import App, Chart
app = App()
Chart(app, "empty")
app.synth()
"""


def environment(folder: Path) -> dict[str, str]:
    """The environment of a measured program: bytecode is cached, as it is for users."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return found | {
        "CDK8S_OUTDIR": str(folder),
        "NODE_PATH": str(ROOT / "node_modules"),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
    }


@contextlib.contextmanager
def started(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has to succeed, with a folder for its output."""
    with tempfile.TemporaryDirectory() as name, (Path(name) / "stdout").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(Path(name)), stdout=output)
        yield process
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)


def seconds(*command: str | Path) -> float:
    """How long a program takes."""
    begin = time.perf_counter()
    with started(*command) as process:
        process.wait()
        return time.perf_counter() - begin


def in_turns(programs: Mapping[str, Sequence[str | Path]], times: int) -> dict[str, float]:
    """The median of each program's seconds."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(times):
        for name, command in programs.items():
            found[name].append(seconds(*command))
    return {name: statistics.median(values) for name, values in found.items()}


def report(what: str, value: float, limit: float | None, detail: str) -> None:
    """One line of the table."""
    bound = "" if limit is None else f"(at most {limit:g})  {'ok' if value <= limit else 'OVER'}"
    print(f"{what:<56} {value:7.2f}  {bound:<21} {detail}", flush=True)


def start_up() -> None:
    """What importing the library costs, and what `main.py` and one model cost."""
    values = "import vllm_constructs as v; [getattr(v, name) for name in v._VALUES]"
    programs: dict[str, Sequence[str | Path]] = {
        "bare": (sys.executable, "-c", ""),
        "package": (sys.executable, "-c", "import vllm_constructs"),
        "values": (sys.executable, "-c", values),
        "cdk8s": (sys.executable, "-c", "import cdk8s"),
        "construct": (sys.executable, "-c", "import cdk8s; from vllm_constructs import ModelStack"),
        "empty": (sys.executable, "-c", EMPTY),
        "main": (sys.executable, "main.py"),
        "one": (sys.executable, HERE / "models.py", "1"),
    }
    in_turns(programs, 1)
    found = {name: 1000 * value for name, value in in_turns(programs, 15).items()}
    bare, empty = found["bare"], found["empty"]
    for what, name, base, limit in (
        ("import vllm_constructs, ms more than a bare Python", "package", "bare", 10.0),
        ("all of its values, ms more than a bare Python", "values", "bare", 100.0),
        ("ModelStack and its parts, ms more than `import cdk8s`", "construct", "cdk8s", 100.0),
    ):
        detail = f"{found[name]:.0f} ms, {found[base]:.0f} ms"
        report(what, found[name] - found[base], limit, detail)
    print(f"{'a bare Python, an empty cdk8s app, ms':<56} {bare:7.0f} {empty:7.0f}")
    for what, name, limit in (
        ("python main.py / an empty cdk8s app", "main", 1.3),
        ("an app of one model / an empty cdk8s app", "one", 1.2),
    ):
        report(what, found[name] / empty, limit, f"{found[name]:.0f} ms / {empty:.0f} ms")


def alternatives(folder: Path, count: int) -> dict[str, Sequence[str | Path]]:
    """The programs that render a number of models."""
    values, sample = folder / f"values-{count}.json", folder / "sample.json"
    models = [{"name": f"model-{i}"} for i in range(count)]
    hook = (HERE.parent / "vllm_constructs/workloads/drain_hook.py").read_text(encoding="utf-8")
    values.write_text(json.dumps({"models": models, "drainHook": hook}))
    chart = HERE / "chart"
    return {
        "helm": ("helm", "template", "bench", chart, "--namespace=llm", f"--values={values}"),
        "ours": (sys.executable, HERE / "models.py", str(count)),
        "cdk8s, JavaScript": ("node", HERE / "plain.js", str(count), sample),
        "cdk8s, Python": (sys.executable, HERE / "plain.py", str(count), sample),
    }


def many(folder: Path) -> None:
    """What 1 to 10,000 models cost, each four objects, beside other ways to the same objects."""
    print(f"\n{'models, s':<12}", *(f"{name:>18}" for name in alternatives(folder, 1)))
    found: dict[int, dict[str, float]] = {}
    for count, times in TIMES.items():
        found[count] = in_turns(alternatives(folder, count), times)
        print(f"{count:<12,}", *(f"{value:18.2f}" for value in found[count].values()), flush=True)
    print()
    for count, limit in ((100, 3), (1000, 2)):
        helm, ours = found[count]["helm"], found[count]["ours"]
        detail = f"{ours:.2f} s / {helm:.2f} s"
        report(f"{count:,} models / `helm template`", ours / helm, limit, detail)
        script = found[count]["cdk8s, JavaScript"]
        report("  cdk8s in JavaScript / `helm template`", script / helm, None, f"{script:.2f} s")
    few, lots = found[1000]["ours"], found[10_000]["ours"]
    report("10,000 models / 1,000 models", lots / few, 11, f"{lots:.1f} s / {few:.2f} s")


def phases(count: int) -> None:
    """Where an app of many models spends its time."""
    code = (HERE / "models.py").read_text(encoding="utf-8")
    parts = {
        "cdk8s": "from vllm_constructs",
        "vllm_constructs": "app = App",
        "the app": "for i in",
        "models": "app.synth",
        "synth": None,
    }
    for name, mark in parts.items():
        stop = f"print({name!r}, time.perf_counter() - begin)\nbegin = time.perf_counter()\n"
        code = code.replace(mark, stop + mark, 1) if mark else f"{code}{stop}"
    code = code.replace("import sys", "import sys, time\nbegin = time.perf_counter()", 1)
    command = [sys.executable, "-c", code, str(count)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment(Path(folder))
        )
    print(f"\nwhere the time of {count:,} models goes, s")
    for line in done.stdout.splitlines():
        name, _, value = line.rpartition(" ")
        print(f"  {name:<54} {float(value):7.2f}")


def resident(pid: int) -> int:
    """Bytes in memory of a process and all that it has started."""
    total = 0
    for name in [pid, *children(pid)]:
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{name}/statm").read_text(encoding="ascii").split()[1])
            total += pages * PAGE
    return total


def children(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text(encoding="ascii").split()):
                found += [child, *children(child)]
    return found


def peak(*command: str | Path) -> float:
    """MiB of memory that a program and its processes take together at most."""
    most = 0
    with started(*command) as process:
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.02):
                most = max(most, resident(process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        process.wait()
        done.set()
        thread.join()
    return most / 2**20


def memory(folder: Path) -> None:
    """Peak memory of Python and Node together, and what a model adds."""
    print(f"\n{'models, MiB':<12}", *(f"{name:>18}" for name in alternatives(folder, 1)))
    found: dict[int, dict[str, float]] = {}
    for count in (1, 1000, 10_000):
        programs = alternatives(folder, count)
        if count == 10_000:
            del programs["cdk8s, Python"]
        found[count] = {name: peak(*command) for name, command in programs.items()}
        print(f"{count:<12,}", *(f"{value:18.0f}" for value in found[count].values()), flush=True)
    each = (found[10_000]["ours"] - found[1000]["ours"]) * 1024 / 9000
    report("\nmemory of a model, KiB", each, None, "")


def plans(folder: Path) -> None:
    """What planning the result takes."""
    for count in (1, 10, 100, 1000):
        rendered = folder / f"{count}.yaml"
        with rendered.open("wb") as output:
            subprocess.run(alternatives(folder, count)["helm"], check=True, stdout=output)
        command = (sys.executable, "-m", "vllm_constructs", "plan", rendered)
        value = statistics.median(seconds(*command) for _ in range(3))
        report(f"vllm-constructs plan, {count:,} models, s", value, None, "")


def checks(folder: Path) -> None:
    """What `check` takes, for one file and for many objects, and beside their schemas alone."""
    print()
    found: dict[int, float] = {}
    objects = 0
    for count in (1, 250, 2500, 25_000):
        rendered = folder / f"{count}.yaml"
        with rendered.open("wb") as output:
            subprocess.run(alternatives(folder, count)["helm"], check=True, stdout=output)
        # The objects of the chart are not all right, and what is found is not the matter here.
        command = (sys.executable, "-m", "vllm_constructs", "check", "--fail-on=never", rendered)
        options = ("--ignore=H09", "--format=json")
        found[count] = statistics.median(
            seconds(*command, *options) for _ in range(1 if count > 2500 else 3)
        )
        objects = 4 * count
        limit = 0.4 if count == 1 else objects / 1000 + 0.4
        report(f"vllm-constructs check, {objects:,} objects, s", found[count], limit, "")
    ratio = (found[25_000] - found[1]) / (found[2500] - found[1])
    report("  100,000 objects / 10,000 objects", ratio, 11, "")
    code = """
import sys, yaml, kubernetes_validate as k
for one in yaml.load_all(open(sys.argv[1]), yaml.CSafeLoader):
    try:
        k.validate(one, "1.37", strict=True)
    except Exception:
        pass
"""
    schemas = seconds(sys.executable, "-c", code, folder / "250.yaml")
    detail = f"{found[250]:.2f} s / {schemas:.2f} s"
    report("  1,000 objects / kubernetes-validate alone", found[250] / schemas, None, detail)


def checked_synth() -> None:
    """What the check at synth adds to an app."""
    code = (HERE / "models.py").read_text(encoding="utf-8")
    off = "from vllm_constructs.cdk import checked_synth\nchecked_synth.install = lambda *_: None\n"
    first = code.index("from vllm_constructs")
    without = f"{code[:first]}{off}{code[first:]}"
    for count in (1, 100, 1000):
        programs: dict[str, Sequence[str | Path]] = {
            "on": (sys.executable, "-c", code, str(count)),
            "off": (sys.executable, "-c", without, str(count)),
        }
        found = in_turns(programs, TIMES[count])
        detail = f"{found['on']:.2f} s / {found['off']:.2f} s"
        report(f"checked synth of {count:,} models", found["on"] / found["off"], 1.1, detail)


def validation() -> None:
    """What the tests' validation of one object against one Kubernetes release costs."""
    sys.path.insert(0, str(ROOT))
    import yaml

    from tests.support import ALL_RELEASES
    from tests.support.schemas import validate

    text = (ROOT / "dist" / "qwen-7b.k8s.yaml").read_text(encoding="utf-8")
    (manifest,) = (one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment")
    validate(manifest)
    begin = time.perf_counter()
    for _ in range(5):
        validate(manifest)
    each = 1000 * (time.perf_counter() - begin) / 5 / len(ALL_RELEASES)
    report("validating an object for one release in the tests, ms", each, 10, "")


def main() -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rendered = subprocess.run(
            alternatives(folder, 1)["helm"], check=True, capture_output=True, text=True
        )
        import yaml

        sample = [item for item in yaml.safe_load_all(rendered.stdout) if item]
        (folder / "sample.json").write_text(json.dumps(sample), encoding="utf-8")
        steps: dict[str, Callable[[], None]] = {
            "start-up": start_up,
            "many": lambda: many(folder),
            "phases": lambda: phases(1000),
            "memory": lambda: memory(folder),
            "plans": lambda: plans(folder),
            "checks": lambda: checks(folder),
            "checked-synth": checked_synth,
            "validation": validation,
        }
        # Without arguments all of them.
        for step in sys.argv[1:] or steps:
            steps[step]()


if __name__ == "__main__":
    main()
