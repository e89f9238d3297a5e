"""The programs that `make bench` compares: they render the same objects."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.apps.checkout import ROOT

HERE = ROOT / "benchmarks"
BIN = ROOT / ".venv" / "bin"
COUNT = 3
pytestmark = pytest.mark.slow


def rendered(text: str) -> list[object]:
    """Objects without their order, and without what is empty between two of them."""
    found = [item for item in yaml.safe_load_all(text) if item]
    return sorted(found, key=lambda item: json.dumps(item, sort_keys=True))


def template(folder: Path, models: list[dict[str, object]]) -> str:
    """What `helm template` makes of the chart with values."""
    values = folder / "values.json"
    hook = (ROOT / "vllm_constructs/workloads/drain_hook.py").read_text(encoding="utf-8")
    values.write_text(json.dumps({"models": models, "drainHook": hook}), encoding="utf-8")
    done = subprocess.run(
        [
            BIN / "helm",
            "template",
            "bench",
            HERE / "chart",
            "--namespace=llm",
            f"--values={values}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What the Helm chart renders."""
    models: list[dict[str, object]] = [{"name": f"model-{i}"} for i in range(COUNT)]
    return rendered(template(tmp_path_factory.mktemp("helm"), models))


@pytest.mark.parametrize("program", ["models.py", "plain.py", "plain.js"])
def test_equal(program: str, chart: list[object], tmp_path: Path) -> None:
    """Each program renders the objects of the chart."""
    sample = tmp_path / "sample.json"
    first = [item for item in chart if "model-0" in json.dumps(item)]
    sample.write_text(json.dumps(first), encoding="utf-8")
    runner = shutil.which("node", path=BIN) if program.endswith(".js") else sys.executable
    assert runner
    env = {"CDK8S_OUTDIR": str(tmp_path / "dist"), "NODE_PATH": str(ROOT / "node_modules")}
    subprocess.run(
        [runner, HERE / program, str(COUNT), *([] if program == "models.py" else [sample])],
        check=True,
        cwd=ROOT,
        env=os.environ | env | {"PYTHONPATH": str(ROOT)},
    )
    assert 4 * COUNT == len(chart)
    assert chart == rendered((tmp_path / "dist/bench.k8s.yaml").read_text(encoding="utf-8"))


def test_options(tmp_path: Path) -> None:
    """The options of the chart do what they say: it is one that could be used."""
    model: dict[str, object] = {
        "name": "model-0",
        "cpu": {"request": "4", "limit": "8"},
        "cache": {"size": "1Gi", "access": "ReadWriteOnce", "storageClass": "fast"},
        "args": ["--max-model-len=4096"],
        "env": {"A": "b"},
        "hfToken": {"name": "hf-token"},
        "apiKey": {"name": "key", "key": "api-key"},
        "rootPath": "/qwen",
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClass": "high",
        "runtimeClass": "nvidia",
        "serviceAccount": "engine",
        "imagePullSecrets": [{"name": "registry"}],
        "labels": {"team": "search"},
        "annotations": {"example.com/a": "b"},
        "podAnnotations": {"example.com/c": "d"},
        "allowFrom": ["chat"],
    }
    text = template(tmp_path, [model])
    found = {item["kind"]: item for item in yaml.safe_load_all(text) if item}
    assert "fast" == found["PersistentVolumeClaim"]["spec"]["storageClassName"]
    assert 2 == len(found["NetworkPolicy"]["spec"]["ingress"])
    metadata, spec = (
        found["Deployment"]["metadata"],
        found["Deployment"]["spec"]["template"]["spec"],
    )
    assert "search" == metadata["labels"]["team"] == found["Service"]["metadata"]["labels"]["team"]
    assert {"example.com/a": "b"} == metadata["annotations"]
    assert ("high", "nvidia", "engine") == tuple(
        spec[name] for name in ("priorityClassName", "runtimeClassName", "serviceAccountName")
    )
    assert ([{"name": "registry"}], "a") == (spec["imagePullSecrets"], spec["nodeSelector"]["zone"])
    assert "spot" == spec["tolerations"][1]["key"]
    (engine,) = spec["containers"]
    assert "8" == engine["resources"]["limits"]["cpu"]
    assert {"--max-model-len=4096", "--root-path=/qwen"} <= set(engine["args"])
    names = [item["name"] for item in engine["env"]]
    assert ["A", "HF_TOKEN", "VLLM_API_KEY"] == names[-3:]
    assert "api-key" == engine["env"][-1]["valueFrom"]["secretKeyRef"]["key"]
