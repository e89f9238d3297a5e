"""`vllm-constructs plan`, run as a user runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from vllm_constructs import MemoryPlan, ModelShape, WholeGpu
from vllm_constructs.cli.main import main
from vllm_constructs.cli.spelling import as_command

ROOT = Path(__file__).parents[2]
QWEN = "Qwen/Qwen2.5-7B-Instruct"
ONE = ("--model", QWEN, "--gpu", "NVIDIA-L40S")

_COUNTS = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in ("minimum", "maximum", "rollout")},
    "required": ["minimum", "maximum", "rollout"],
    "additionalProperties": False,
}
_FIELDS: dict[str, Any] = {
    "namespace": {"type": ["string", "null"]},
    "name": {"type": "string"},
    "model": {"type": ["string", "null"]},
    "image": {"type": "string"},
    "gpu": {"type": "string"},
    "gpus_per_pod": {"type": "integer"},
    "gpus": _COUNTS,
    "replicas": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in ("minimum", "maximum")},
        "required": ["minimum", "maximum"],
        "additionalProperties": False,
    },
    "weights": {"type": ["integer", "null"]},
    "kv_cache": {"type": ["integer", "null"]},
    "requests": {"type": ["number", "null"]},
    "verdict": {"enum": ["fits", "tight", "too large", "refused", "unknown"]},
    "reason": {"type": "string"},
    "notes": {"type": "array", "items": {"type": "string"}},
    "plan": {"type": ["object", "null"]},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "models": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        },
        "gpus": {"type": "object", "additionalProperties": _COUNTS, "required": ["total"]},
        "unread": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["models", "gpus"],
    "additionalProperties": False,
}


def run(*arguments: str, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Run the command in a process of its own: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "vllm_constructs", "plan", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def app(folder: Path, *lines: str) -> Path:
    """An app with one model, whose keywords are the lines."""
    path = folder / "main.py"
    keywords = "".join(f"    {line},\n" for line in lines)
    path.write_text(
        "from cdk8s import App, Chart\n"
        "from vllm_constructs import *\n"
        "app = App()\n"
        "chart = Chart(app, 'x', namespace='llm')\n"
        f"ModelDeployment(\n    chart,\n    'qwen',\n{keywords})\n"
        "app.synth()\n",
        encoding="utf-8",
    )
    return path


class TestApp:
    """An app that is run."""

    def test_main(self) -> None:
        """main.py and the dist/ that it renders have the same plan, and dist/ stays as it is."""
        before = {path: path.stat().st_mtime_ns for path in (ROOT / "dist").iterdir()}
        of_app = run("main.py")
        assert (0, "") == (of_app[0], of_app[2])
        assert "all GPUs" in of_app[1]
        assert of_app == run("dist")
        assert before == {path: path.stat().st_mtime_ns for path in (ROOT / "dist").iterdir()}

    def test_example(self) -> None:
        """An app finds its files beside it, wherever the command is run."""
        example = ROOT / "examples" / "values"
        assert run("values/main.py", cwd=example.parent) == run(str(example / "dist"))

    def test_too_large(self, tmp_path: Path) -> None:
        """What the app rejects for its memory does not fit: one sentence, exit code 1."""
        path = app(tmp_path, "model='Qwen/Qwen2.5-32B-Instruct'", "gpu=WholeGpu('NVIDIA-L40S')")
        code, out, errors = run(str(path))
        assert (1, "") == (code, errors)
        assert out.startswith("ModelDeployment 'qwen': Qwen/Qwen2.5-32B-Instruct does not fit on")
        assert 1 == out.count("\n")
        code, text, errors = run(str(path), "--format", "json")
        assert (1, "") == (code, errors)
        assert {"verdict": "refused", "reason": out.strip()} == json.loads(text)

    def test_split(self, tmp_path: Path) -> None:
        """So is what vLLM cannot split."""
        path = app(tmp_path, f"model={QWEN!r}", "gpu=WholeGpu('NVIDIA-L40S', count=3)")
        code, out, errors = run(str(path))
        assert (1, "") == (code, errors)
        assert out.startswith(f"{QWEN} has 28 attention heads")

    def test_refused(self, tmp_path: Path) -> None:
        """Another mistake in the app is one: one sentence, exit code 2."""
        code, out, errors = run(str(app(tmp_path, f"model={QWEN!r}", "gpu=WholeGpu('L40S')")))
        assert (2, "") == (code, out)
        assert "main.py:9' is rejected: WholeGpu.product is 'L40S'" in errors
        assert 1 == errors.count("\n")

    def test_outdir(self, tmp_path: Path) -> None:
        """An app that writes elsewhere is told why there is nothing to plan."""
        path = app(tmp_path, f"model={QWEN!r}", "gpu=WholeGpu('NVIDIA-L40S')")
        source = path.read_text(encoding="utf-8")
        path.write_text(source.replace("App()", f"App(outdir={str(tmp_path / 'own')!r})"))
        code, _, errors = run(str(path))
        assert 2 == code
        assert "writes nothing into CDK8S_OUTDIR" in errors


LARGE = "Qwen/Qwen2.5-32B-Instruct"
LENGTH = "999999"


class TestExitCode:
    """An app and the same model alone."""

    @pytest.mark.parametrize(
        ("lines", "arguments"),
        [
            (
                (f"model={LARGE!r}", "gpu=WholeGpu('NVIDIA-L40S')"),
                ("--model", LARGE, "--gpu", "NVIDIA-L40S"),
            ),
            (
                (f"model={QWEN!r}", "gpu=MigSlice('1g.10gb')"),
                ("--model", QWEN, "--mig", "1g.10gb"),
            ),
            (
                (f"model={QWEN!r}", "gpu=WholeGpu('NVIDIA-L40S', count=3)"),
                (*ONE, "--gpus", "3"),
            ),
            (
                (
                    f"model={QWEN!r}",
                    "gpu=WholeGpu('NVIDIA-L40S', count=2)",
                    "engine=EngineArgs(tensor_parallel_size=4)",
                ),
                (*ONE, "--gpus", "2", "--", "-tp", "4"),
            ),
            (
                (
                    f"model={QWEN!r}",
                    "gpu=TimeSlicedGpu('NVIDIA-L40S', replicas=2)",
                    "engine=EngineArgs(tensor_parallel_size=2)",
                ),
                (*ONE, "--shared", "2", "--", "-tp", "2"),
            ),
            (
                (
                    f"model={QWEN!r}",
                    "gpu=WholeGpu('NVIDIA-L40S')",
                    f"engine=EngineArgs(max_model_len={LENGTH})",
                ),
                (*ONE, "--max-model-len", LENGTH),
            ),
        ],
    )
    def test_does_not_fit(
        self, tmp_path: Path, lines: tuple[str, ...], arguments: tuple[str, ...]
    ) -> None:
        """What is too large or cannot be split is exit code 1 and no error, app or not."""
        of_app = run(str(app(tmp_path, *lines)))
        of_model = run(*arguments)
        assert [(1, ""), (1, "")] == [(code, errors) for code, _, errors in (of_app, of_model)]
        assert all(out for _, out, _ in (of_app, of_model))

    @pytest.mark.parametrize(
        ("lines", "arguments"),
        [
            ((f"model={QWEN!r}", "gpu=WholeGpu('L40S')"), ("--model", QWEN, "--gpu", "L40S")),
            (
                (
                    f"model={QWEN!r}",
                    "gpu=WholeGpu('NVIDIA-L40S')",
                    "engine=EngineArgs(max_num_seqs=0)",
                ),
                (*ONE, "--", "--max-num-seqs=0"),
            ),
            (
                (f"model={QWEN!r}", "gpu=WholeGpu('NVIDIA-L40S')", "image='vllm'"),
                (*ONE, "--image", "vllm"),
            ),
        ],
    )
    def test_mistake(
        self, tmp_path: Path, lines: tuple[str, ...], arguments: tuple[str, ...]
    ) -> None:
        """Another mistake is exit code 2 and one sentence on standard error, app or not."""
        for code, out, errors in (run(str(app(tmp_path, *lines))), run(*arguments)):
            assert (2, "", 1) == (code, out, errors.count("\n"))

    def test_other_error(self, tmp_path: Path) -> None:
        """So is an app that ends with an error of its own."""
        path = tmp_path / "main.py"
        path.write_text("raise RuntimeError('no {such} thing')\n", encoding="utf-8")
        code, out, errors = run(str(path))
        assert (2, "") == (code, out)
        assert errors.endswith("ends with an error at line 1: RuntimeError: no {such} thing.\n")


class TestFolder:
    """A folder that is read."""

    @pytest.mark.parametrize(
        "folder", sorted(path.parent.name for path in ROOT.glob("examples/*/dist"))
    )
    def test_examples(self, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Every example fits, as far as its manifests say what there is."""
        assert 0 == main(["plan", "--format", "json", str(ROOT / "examples" / folder / "dist")])
        found = json.loads(capsys.readouterr().out)
        jsonschema.validate(found, SCHEMA)
        assert {"fits", "unknown"} >= {one["verdict"] for one in found["models"]}

    def test_models(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The plan read from manifests is the one that the app's own facts give."""
        assert 0 == main(["plan", "--format", "json", str(ROOT / "examples/tensor_parallel/dist")])
        (found,) = json.loads(capsys.readouterr().out)["models"]
        shape = ModelShape.named("meta-llama/Llama-3.3-70B-Instruct")
        gpu = WholeGpu("NVIDIA-H100-80GB-HBM3", count=4)
        plan = MemoryPlan(shape=shape, gpu=gpu)
        assert (plan.weights, 4) == (found["weights"], found["plan"]["tensor_parallel_size"])
        assert {"minimum": 8, "maximum": 16, "rollout": 20} == found["gpus"]

    def test_config(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A shape that the catalog lacks is read from a config.json."""
        from vllm_constructs.memory.shapes import catalog

        file = tmp_path / "config.json"
        file.write_text(json.dumps(catalog()["Qwen/Qwen3-0.6B"]["config"]), encoding="utf-8")
        given = f"Qwen/Qwen3-Embedding-0.6B={file}"
        assert 0 == main(["plan", str(ROOT / "examples/fleet/dist"), "--config", given])
        assert "?" not in capsys.readouterr().out

    def test_too_large(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One model that does not fit is enough for exit code 1; its reason is below the table."""
        text = (ROOT / "dist" / "qwen-coder.k8s.yaml").read_text(encoding="utf-8")
        wrong = text.replace("NVIDIA-A100-80GB-PCIe", "Tesla-T4")
        assert text != wrong
        (tmp_path / "x.yaml").write_text(wrong, encoding="utf-8")
        assert 1 == main(["plan", str(tmp_path)])
        assert "does not fit on 1 x Tesla-T4" in capsys.readouterr().out

    def test_no_node(self) -> None:
        """Folder and single model are planned without Node."""
        code = f"""
import sys
from vllm_constructs.cli.main import main
assert main(["plan", "dist"]) == main(["plan", *{ONE!r}]) == 0
print([name for name in ("jsii", "cdk8s") if name in sys.modules])
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        assert "[]" == done.stdout.splitlines()[-1]


class TestModel:
    """One model without an app."""

    def test_text(self) -> None:
        """The plan is explained, with the options of the command."""
        plan = MemoryPlan(shape=ModelShape.named(QWEN), gpu=WholeGpu("NVIDIA-L40S"))
        assert (0, f"{plan.explain(as_command)}\n", "") == run(*ONE)

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """JSON is the plan's own."""
        plan = MemoryPlan(shape=ModelShape.named(QWEN), gpu=WholeGpu("NVIDIA-L40S"))
        assert 0 == main(["plan", *ONE, "--format=json"])
        assert plan.as_dict() == json.loads(capsys.readouterr().out)

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("--max-model-len", "16384"), {"max_model_len": 16384}),
            (("--gpus", "2"), {"gpus": 2, "tensor_parallel_size": 2}),
            (("--gpus", "2", "--", "-pp", "2"), {"pipeline_parallel_size": 2}),
            (("--shared", "2"), {"gpu_memory_utilization": 0.45}),
            (("--image", "vllm/vllm-openai:v0.19.0"), {"gpu_memory_utilization": 0.9}),
            (("--", "--max-num-seqs=7", "--served-model-name", "a"), {"max_num_seqs": 7}),
        ],
    )
    def test_options(
        self,
        arguments: tuple[str, ...],
        expected: dict[str, object],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Options and vLLM's own flags reach the plan."""
        assert 0 == main(["plan", *ONE, "--format", "json", *arguments])
        found = json.loads(capsys.readouterr().out)
        assert expected == {name: found[name] for name in expected}

    def test_memory(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A GPU that nobody knows has the memory that is given."""
        given = ["--model", QWEN, "--gpu", "NVIDIA-B9000", "--gpu-memory-mib", "46068"]
        assert 0 == main(["plan", *given])
        assert "44.52 GiB" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("product", "memory"),
        [("MI300X", "192.00"), ("MI210", "64.00"), ("Max_1550", "128.00"), ("Gaudi2", "96.00")],
    )
    def test_others(self, product: str, memory: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A product of another vendor is found by its name."""
        assert 0 == main(["plan", "--model", QWEN, "--gpu", product, "--gpus", "2"])
        said = capsys.readouterr().out
        assert f"on 2 x {product}: fits" in said
        assert f"{memory} GiB" in said
        assert "none was measured" in said

    def test_slice(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A MIG slice needs no product; what is too large for it is exit code 1."""
        assert 1 == main(["plan", "--model", QWEN, "--mig", "1g.10gb"])
        assert "on MIG slice 1g.10gb of any GPU: too large" in capsys.readouterr().out

    def test_config(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A config.json will do instead of a name of the catalog."""
        from vllm_constructs.memory.shapes import catalog

        file = tmp_path / "config.json"
        file.write_text(json.dumps(catalog()[QWEN]["config"]), encoding="utf-8")
        assert 0 == main(["plan", "--config", str(file), "--gpu", "NVIDIA-L40S"])
        assert "14.29 GiB" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (
                ("--max-model-len", "32768", "--", "--gpu-memory-utilization=0.37"),
                ("--gpu-memory-utilization=0.42", "--quantization=fp8"),
            ),
            (("--gpus", "3"), ("give --tensor-parallel-size=2, on 2 GPUs",)),
            (("--gpus", "2", "--", "-tp", "4"), ("give --gpus=4, or leave --tensor-parallel",)),
            (("--max-model-len", LENGTH), (f"--max-model-len is {LENGTH}", "--hf-overrides")),
            (("--", "--max-num-seqs", "99999"), ("give --max-num-batched-tokens=99999",)),
            (("--", "--kv-cache-memory-bytes=100G"), ("what fits: 1 x NVIDIA-H200",)),
        ],
    )
    def test_spelling(
        self,
        arguments: tuple[str, ...],
        words: tuple[str, ...],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A problem names the options of the command, never the keywords of Python."""
        assert 1 == main(["plan", *ONE, *arguments])
        text = capsys.readouterr().out
        assert [] == [word for word in words if word not in text], text
        assert not re.search(r"(?<![-\w])\w+_\w+=|WholeGpu|EngineArgs", text), text

    @pytest.mark.parametrize("format_", ["text", "json"])
    def test_refused(self, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What vLLM rejects at start is exit code 1 with the sentence."""
        assert 1 == main(["plan", *ONE, "--gpus", "3", "--format", format_])
        out = capsys.readouterr().out
        sentence = json.loads(out)["reason"] if format_ == "json" else out
        assert sentence.startswith(
            f"{QWEN} has 28 attention heads, which cannot be split over 3 GPUs"
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "plan needs an app, a folder or --model"),
        (("nowhere",), "'nowhere' does not exist"),
        (("tools",), "the folder 'tools' has no YAML or JSON files"),
        (("README.md",), "README.md:"),
        (("cdk8s.yaml",), "'cdk8s.yaml' has no workload that runs vLLM"),
        (("dist", "--gpus", "2"), "--gpus is for one model"),
        (("dist", "--", "-tp", "2"), "-- is for one model"),
        (("dist", "--config", "config.json"), "--config is 'config.json'; expected MODEL=FILE"),
        (("dist", "--config", "a/b=nothing.json"), "--config is 'nothing.json', which cannot be"),
        (("--model", QWEN), "--gpu is missing"),
        (("--model", "Qwen/Qwen2.5-8B", "--gpu", "NVIDIA-L4"), "--model is 'Qwen/Qwen2.5-8B'"),
        (("--model", QWEN, "--gpu", "L4"), "--gpu is 'L4'"),
        ((*ONE, "--gpu-memory-mib", "10"), "--gpu-memory-mib is 10"),
        ((*ONE, "--shared", "1"), "--shared is 1"),
        (("--model", QWEN, "--mig", "1g.11gb"), "--mig is '1g.11gb'"),
        ((*ONE, "--gpus", "0"), "--gpus is 0"),
        ((*ONE, "--max-model-len", "long"), "--max-model-len is 'long'"),
        ((*ONE, "--image", "vllm"), "--image is 'vllm'"),
        ((*ONE, "--mig", "1g.10gb", "--shared", "2"), "--mig allows no other option but --gpu"),
        ((*ONE, "--config", "a", "--config", "b"), "--config is given more than once"),
        (
            (*ONE, "--", "--max-modellen=1"),
            "--max-modellen is not a flag of vLLM 0.33.0; did you mean",
        ),
        ((*ONE, "--", "a/b"), "-- may be followed by flags only"),
        ((*ONE, "--", "--quantization=torchao"), "--quantization is 'torchao'"),
        ((*ONE, "--", "--hf-config-path=x"), "--hf-config-path changes what is on the GPU"),
    ],
)
def test_mistake(
    arguments: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's mistake is one sentence on standard error, and exit code 2."""
    monkeypatch.chdir(ROOT)
    assert 2 == main(["plan", *arguments])
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith(f"vllm-constructs: {sentence}")
    assert 1 == captured.err.count("\n")


def test_usage() -> None:
    """It is the same in a process of its own."""
    code, out, errors = run("--model", QWEN)
    assert (2, "", 1) == (code, out, errors.count("\n"))


def test_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """The same input gives the same output."""
    outputs = []
    for _ in range(2):
        main(["plan", str(ROOT / "dist"), "--format", "json"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
