"""Rules of single flags: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.edits import changed
from vllm_constructs.reading.settings import Settings

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, pod_spec

ARGS = ("spec", "template", "spec", "containers", 0, "args")
CONFIG: dict[str, Any] = {
    "volumes": [{"name": "flags", "configMap": {"name": "flags"}}],
    "container": {"volumeMounts": [{"name": "flags", "mountPath": "/etc/vllm"}]},
}


def engine(*args: Any, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these arguments."""
    return deployment(pod_spec(*args, container=container))


def of_image(image: str, *args: str, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine of another image."""
    return engine(*args, image=image, **container)


def script(text: str, **container: Any) -> dict[str, Any]:
    """A Deployment whose engine a shell starts."""
    return engine(text, command=["/bin/sh", "-c"], **container)


def with_file(text: str, *args: str) -> list[dict[str, Any]]:
    """A Deployment whose engine has a config file, and the file."""
    flags = {"name": "flags", "namespace": "llm"}
    spec = pod_spec(
        *args, "--config", "/etc/vllm/flags.yaml", volumes=CONFIG["volumes"],
        container=CONFIG["container"],
    )  # fmt: skip
    data = {"flags.yaml": text}
    return [
        deployment(spec),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": flags, "data": data},
    ]


def kubeai(*args: str, **spec: Any) -> dict[str, Any]:
    """A model of KubeAI."""
    fields = {"engine": "VLLM", "url": "hf://a/b", "args": list(args), **spec}
    metadata = {"name": "qwen", "namespace": "llm"}
    return {"apiVersion": "kubeai.org/v1", "kind": "Model", "metadata": metadata, "spec": fields}


def mended(manifest: dict[str, Any], rule: str) -> list[str]:
    """The arguments after the fix of the only finding, which is safe."""
    (finding,) = found([manifest], rule)
    assert finding.fix is not None
    assert finding.fix.is_safe
    for edit in finding.fix.edits:
        manifest = changed(manifest, edit.path, edit.value)
    return list(manifest["spec"]["template"]["spec"]["containers"][0]["args"])


class TestUnknown:
    """E01."""

    @pytest.mark.parametrize(
        ("args", "at", "words"),
        [
            (("a/b", "--swap-space", "4"), 1, "--swap-space is no longer a flag of vLLM 0.33.0"),
            (("a/b", "--swap_space=4"), 1, "--swap-space is no longer a flag"),
            (("a/b", "--max-modle-len=4096"), 1, "did you mean 'max-model-len'?"),
            (("a/b", "--seed", "1", "--use-v2-block-manager"), 3, "leave it out"),
            (("a/b", "--guided-decoding-backend", "xgrammar"), 1, "structured_outputs_config"),
            (("a/b", "--device", "cuda"), 1, "leave it out: the image decides"),
            (("a/b", "-pt", "8000"), 1, "'-pt' is not a flag"),
            (("a/b", "--max-num", "8"), 1, "is an ambiguous abbreviation"),
        ],
    )
    def test_bad(self, args: tuple[str, ...], at: int, words: str) -> None:
        """A flag that is gone, misspelt or too short, at its own word."""
        (finding,) = found([engine(*args)], "E01")

        assert (finding.level, finding.path) == ("error", (*ARGS, at))
        assert words in finding.problem.sentence()

    def test_one_word(self) -> None:
        """A flag and its value in one word, for any release."""
        for image in (
            "vllm/vllm-openai:v0.33.0",
            "vllm/vllm-openai:v0.8.5",
            "vllm/vllm-openai:v0.40.0",
        ):
            (finding,) = found([of_image(image, "--model a/b")], "E01")
            assert (finding.level, finding.path) == ("error", (*ARGS, 0))
            assert "'--model a/b' is one word with a space in it" in finding.problem.sentence()
            assert finding.fix is not None
            assert finding.fix.edits[0].value == "--model=a/b"
        both = engine("a/b", "--enforce-eager --seed 1", "--served-model-name=a model")
        assert [None] == [one.fix for one in found([both], "E01")]

    def test_command(self) -> None:
        """The flags may follow in the command, or be the words of a script."""
        command = ["vllm", "serve", "a/b", "--swap-space=4"]
        assert [(*ARGS[:-1], "command", 3)] == [
            one.path for one in found([engine("--seed", "1", command=command)], "E01")
        ]
        both = script("cd /tmp && exec vllm serve a/b \\\n  --swap-space 4 --seed 1 2>&1 | tee log")
        assert [(*ARGS, 0)] == [one.path for one in found([both], "E01")]
        module = ["python3", "-m", "vllm.entrypoints.openai.api_server"]
        assert ["E01"] == ids([engine("--model=a/b", "--swap-space=4", command=module)], "E01")

    def test_config_file(self) -> None:
        """A flag of the config file is found at the flag that names the file."""
        (finding,) = found(with_file("swap-space: 4", "a/b"), "E01")

        assert finding.path == (*ARGS, 1)
        assert [] == sentences(with_file("max-model-len: 4096", "a/b"), "E01")

    def test_older_release(self) -> None:
        """A release that is known decides by its own flags."""
        old, new = "vllm/vllm-openai:v0.12.0", "vllm/vllm-openai:v0.33.0"
        assert [] == ids([of_image(old, "a/b", "--swap-space", "4")], "E01")
        (sentence,) = sentences([of_image(old, "a/b", "--max-num-queued-reqs", "4")], "E01")
        assert "is not yet a flag of vLLM 0.12.0" in sentence
        assert [] == ids([of_image(new, "a/b", "--max-num-queued-reqs", "4")], "E01")

    @pytest.mark.parametrize(
        "manifest",
        [
            # Releases before those that are known, with the flags of their time.
            of_image("vllm/vllm-openai:v0.6.3", "--model=a/b", "--swap-space", "4"),
            of_image("vllm/vllm-openai:v0.8.5", "--model=a/b", "--enable-reasoning"),
            of_image("vllm/vllm-openai:v0.8.5", "--model=a/b", "--num-scheduler-steps", "8"),
            # One that is newer may have any flag.
            of_image("vllm/vllm-openai:v0.40.0", "a/b", "--a-new-flag", "4"),
            # Images with flags of their own, or of any release.
            of_image("vllm/vllm-omni:v0.14.0", command=["vllm", "serve", "a/b", "--omni"]),
            of_image(
                "example.com/llm:1", command=["vllm", "serve", "a/b", "--calculate-kv-scales"]
            ),
            # Words of a script of the image's own.
            of_image("example.com/vllm-openai-launcher:1", "start", "--profle", "big"),
            engine(
                "a/b", "--gpu_memory_utilization=0.9", "-tp", "1", "-O3", "--no-enable-log-requests"
            ),
            engine(
                "a/b", "--compilation-config.mode=3", "-cc.mode", "3", "--gpu-memory-util", "0.9"
            ),
            script("vllm serve a/b $EXTRA --max-model-len $(cat /len) # --swap-space 4"),
            script("vllm serve a/b; echo --swap-space"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Flags that the release has, or may have."""
        assert [] == sentences([manifest], "E01")

    @pytest.mark.parametrize(
        "image", ["vllm/vllm-openai:latest", "vllm/vllm-openai@sha256:" + 64 * "a"]
    )
    def test_assumed(self, image: str) -> None:
        """Without a release it is a warning, which says how to give one."""
        (finding,) = found([of_image(image, "a/b", "--swap-space=4")], "E01")

        assert finding.level == "warning"
        assert "specify the image's release" in finding.problem.sentence()
        assert finding.fix is not None
        assert not finding.fix.is_safe

    def test_own_image(self) -> None:
        """In an image of one's own, only what no known release has, and a name that is misspelt."""
        command = ["vllm", "serve", "a/b"]
        bad = of_image("example.com/llm:1", "--max-modle-len=1", command=command)
        assert ["warning"] == [one.level for one in found([bad], "E01")]
        known = found([bad], "E01", settings=Settings(vllm="0.33.0"))
        assert ["error"] == [one.level for one in known]

    def test_operators(self) -> None:
        """Flags of the operators' kinds count as far as they are there."""
        assert ["warning"] == [one.level for one in found([kubeai("--max-modle-len=1")], "E01")]
        (finding,) = found(
            [kubeai("--seed=1", "--swap-space=4")], "E01", settings=Settings(vllm="0.33.0")
        )
        assert (finding.level, finding.path) == ("error", ("spec", "args", 1))
        assert [] == ids([kubeai("--max-modle-len=1", engine="OLlama"), kubeai("--seed=1")], "E01")
        spec = {"predictor": pod_spec("a/b", "--swap-space=4")}
        metadata = {"name": "qwen"}
        isvc = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": metadata,
            "spec": spec,
        }
        assert ["E01"] == ids([isvc], "E01")

    def test_fix(self) -> None:
        """A flag without effect goes with its values; another name is only shown."""
        assert ["a/b", "--seed=1"] == mended(engine("a/b", "--swap-space", "4", "--seed=1"), "E01")
        assert ["a/b"] == mended(engine("a/b", "--use-v2-block-manager"), "E01")
        (finding,) = found([engine("a/b", "--max-modle-len=4096")], "E01")
        assert finding.fix is not None
        assert not finding.fix.is_safe
        assert finding.fix.edits[0].value == "--max-model-len=4096"
        assert [None] == [
            one.fix for one in found([script("vllm serve a/b --swap-space 4")], "E01")
        ]


class TestValue:
    """E02."""

    @pytest.mark.parametrize(
        ("args", "at", "words"),
        [
            (("a/b", "--dtype", "bf16"), 1, "did you mean 'bfloat16'?"),
            (("a/b", "--dtype=bf16"), 1, "--dtype is 'bf16'"),
            (("a/b", "--max-model-len=long"), 1, "an integer, such as 32768, 32k or 32K"),
            (("a/b", "--tensor-parallel-size", "two"), 1, "expected an integer"),
            (("a/b", "-tp", "two"), 1, "expected an integer"),
            (("a/b", "--enable-prefix-caching=true"), 1, "takes no value"),
            (("a/b", "--enable-prefix-caching", "true"), 2, "'true' belongs to no flag"),
            (("a/b", "--seed"), 1, "has no value"),
            (("a/b", '--compilation-config={"level":3}'), 1, "write 'mode'"),
            (("a/b", "--compilation-config.level", "3"), 1, "write 'mode'"),
            (("a/b", "--compilation-config", "3"), 1, "write -O3"),
            (
                ("a/b", "--limit-mm-per-prompt", "image=2"),
                1,
                'write --limit-mm-per-prompt {"image": 2}',
            ),
            (("a/b", "--gpu-memory-utilization", "90"), 1, "write 0.9 for 90 %"),
            (("a/b", "--max-num-seqs", "0"), 1, "expected an integer from 1"),
            (("a/b", "--tool-call-parser", "qwen3coder"), 1, "did you mean 'qwen3_coder'?"),
            (("a/b", "--quantization", "awqq"), 1, "did you mean"),
        ],
    )
    def test_bad(self, args: tuple[str, ...], at: int, words: str) -> None:
        """A wrong type, choice or key, a value of a switch, a number that the engine rejects."""
        (finding,) = found([engine(*args)], "E02")

        assert (finding.level, finding.path) == ("error", (*ARGS, at))
        assert words in finding.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            script("vllm serve a/b --dtype bf16"),
            engine("--dtype=bf16", command=["vllm", "serve", "a/b"]),
            engine(command=["vllm", "serve", "a/b", "--dtype", "bf16"]),
        ],
    )
    def test_forms(self, manifest: dict[str, Any]) -> None:
        """Wherever the flags stand."""
        assert ["E02"] == ids([manifest], "E02")

    def test_config_file(self) -> None:
        """A value of the config file is found at the flag that names the file."""
        (finding,) = found(with_file("dtype: bf16\nport: 8000", "a/b", "--port", "9000"), "E02")

        assert finding.path == (*ARGS, 3)

    @pytest.mark.parametrize("word", [4096, 0.5, True, None, ["x"], {"a": 1}])
    def test_no_string(self, word: object) -> None:
        """The API server takes strings only."""
        (finding,) = found([engine("a/b", "--max-model-len", word)], "E02")

        assert finding.path == (*ARGS, 2)
        assert "no string" in finding.problem.sentence()
        assert (finding.fix is not None) == (type(word) in (int, float))

    @pytest.mark.parametrize(
        "manifest",
        [
            engine(
                "a/b", "--dtype", "half", "--max-model-len", "32k", "--max-num-batched-tokens=8K"
            ),
            engine("a/b", "--max-model-len", "auto", "--max-model-len=-1", "--seed", "0"),
            engine("a/b", "--gpu-memory-utilization=1", "--kv-cache-dtype", "fp8"),
            engine("a/b", "--served-model-name", "one", "two", "--enable-lora", "--max-loras=2"),
            engine("a/b", "--hf-overrides", '{"rope_parameters": {"factor": 4}}'),
            engine("a/b", "--max-model-len", "$(LENGTH)", "--dtype=$(DTYPE)"),
            engine("a/b", "--max-model-len=${LENGTH}"),
            # Values of releases that are not known.
            of_image("vllm/vllm-openai:v0.6.3", "--model=a/b", "--enable-chunked-prefill=False"),
            of_image("vllm/vllm-openai:v0.6.3", "--model=a/b", "--limit-mm-per-prompt", "image=2"),
            of_image("vllm/vllm-openai:v0.40.0", "a/b", "--dtype", "float8"),
            of_image("vllm/vllm-openai:v0.40.0", "a/b", "--tool-call-parser", "new"),
            of_image(
                "example.com/llm:1", "--tool-call-parser=own", command=["vllm", "serve", "a/b"]
            ),
            of_image("example.com/llm:1", "--block-size=24", command=["vllm", "serve", "a/b"]),
            of_image("example.com/vllm-openai-launcher:1", "start", "server", "--dtype", "x"),
            of_image("example.com/vllm-openai:v0.33.0", "serve", "a/b"),
            # Plugins.
            engine("a/b", "--tool-call-parser=own", "--tool-parser-plugin", "/plugins/own.py"),
            engine("a/b", "--load-format", "own.Loader"),
            engine("a/b", "--reasoning-parser", "none"),
            # What a shell puts there.
            script("vllm serve a/b $EXTRA true"),
            script('vllm serve a/b "$@"'),
            script("vllm serve a/b --port ${PORT:-8000} --max-model-len `cat /len`"),
            script("vllm serve a/b --max-model-len $((32 * 1024)) --seed 1"),
            kubeai("--max-model-len=32k", "--enable-prefix-caching"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Values that the release takes, or may take."""
        assert [] == sentences([manifest], "E02")

    def test_owners(self) -> None:
        """Values that other rules tell are left to them."""
        transfer = '{"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_rank": 0}'
        assert [] == ids([engine("a/b", "--kv-transfer-config", transfer)], "E02")
        assert [] == ids([engine("a/b", "--enable-lora", "--max-lora-rank", "7")], "E02")

    def test_assumed(self) -> None:
        """Without a release it is a warning, which says how to give one."""
        (finding,) = found([of_image("vllm/vllm-openai:latest", "a/b", "--dtype=bf16")], "E02")

        assert finding.level == "warning"
        assert "--dtype is 'bf16' on vLLM 0.33.0 (assumed: specify" in finding.problem.sentence()
        own = of_image("example.com/llm:1", "--dtype=bf16", command=["vllm", "serve", "a/b"])
        assert ["warning"] == [one.level for one in found([own], "E02")]

    def test_plugins(self) -> None:
        """What something may add is a warning."""
        flag = ("a/b", "--tool-call-parser=own", "--enable-auto-tool-choice")
        paths = [{"name": "PYTHONPATH", "value": "/plugins"}]
        maybe = [engine(*flag, env=paths), of_image("vllm/vllm-openai:latest", *flag)]
        text = "pip install own-parsers && vllm serve a/b --tool-call-parser own"

        assert ["warning"] * 3 == [one.level for one in found([*maybe, script(text)], "E02")]

    @pytest.mark.parametrize(
        ("args", "right"),
        [
            (("--enable-prefix-caching=true", "--seed=1"), ["--enable-prefix-caching", "--seed=1"]),
            (("--enable-prefix-caching", "True"), ["--enable-prefix-caching"]),
            (("--enable-prefix-caching=False",), ["--disable-prefix-caching"]),
            (("--enable-prefix-caching", "false"), ["--disable-prefix-caching"]),
        ],
    )
    def test_switch(self, args: tuple[str, ...], right: list[str]) -> None:
        """A Boolean flag is written as vLLM takes it."""
        assert ["a/b", *right] == mended(engine("a/b", *args), "E02")

    def test_secrets(self) -> None:
        """What looks like a key is not shown."""
        key = "hf_" + 12 * "Ab"
        (sentence,) = sentences([engine("a/b", "--enforce-eager", key)], "E02")

        assert key not in sentence


class TestTwice:
    """E08."""

    @pytest.mark.parametrize(
        ("args", "at", "words"),
        [
            (("--max-model-len=1", "--max-model-len=2"), 1, "--max-model-len is given twice"),
            (("--max_model_len", "1", "--seed=1", "--max-model-len", "2"), 1, "leave one out"),
            (("-tp", "1", "--tensor-parallel-size=2"), 1, "--tensor-parallel-size is given twice"),
            (("--seed=1", "--seed=2", "--seed=3"), 1, "3 times"),
            (("--enable-lora", "--no-enable-lora"), 1, "--enable-lora is given twice"),
            (("--lora-modules", "a=/a", "--lora-modules", "b=/b"), 1, "put all values behind one"),
            (
                ("--served-model-name=a", "--served-model-name=b"),
                1,
                "behind one --served-model-name",
            ),
            (('--compilation-config={"mode":3}', "-cc.cudagraph_mode", "NONE"), 1, "by its keys"),
        ],
    )
    def test_bad(self, args: tuple[str, ...], at: int, words: str) -> None:
        """Several values of which one counts, at the first of them."""
        (finding,) = found([engine("a/b", *args)], "E08")

        assert (finding.level, finding.path) == ("warning", (*ARGS, at))
        assert words in finding.problem.sentence()

    def test_forms(self) -> None:
        """In the command and the arguments, in a script, and in variables."""
        command = ["vllm", "serve", "a/b", "--port", "8000"]
        assert ["E08"] == ids([engine("--port", "9000", command=command)], "E08")
        assert ["E08"] == ids([script("vllm serve a/b --port 8000 --port $PORT")], "E08")
        assert ["E08"] == ids([kubeai("--seed=1", "--seed=2")], "E08")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (
                "port: 1\nseed: 1\nport: 1",
                "--port is there again in the --config file, in lines 1 and 3, and",
            ),
            ("max_num_seqs: 1\nmax_num_seqs: 2", "--max-num-seqs is there again in the --config"),
            ("hf-overrides: {a: 1, a: 2}", "--hf-overrides has 'a' again in the --config file, in"),
            ("rope-scaling:\n  f: {b: 1}\n  f: {c: 1}", "has 'f' again in the --config file, in"),
            (
                "max_num_seqs: 1\nmax-num-seqs: 2",
                "--max-num-seqs is in the --config file by several of its names, and vLLM takes",
            ),
        ],
    )
    def test_config_file(self, text: str, words: str) -> None:
        """A flag that the config file has again is found at the flag that names the file."""
        (finding,) = found(with_file(text, "a/b"), "E08")

        assert ("warning", (*ARGS, 1)) == (finding.level, finding.path)
        assert words in finding.problem.sentence()

    def test_config_file_once(self) -> None:
        """A flag that is there again both as a key and by another name is told once."""
        text = "max_num_seqs: 1\nmax_num_seqs: 2\nmax-num-seqs: 3"
        (sentence,) = sentences(with_file(text, "a/b"), "E08")

        assert "in lines 1 and 2" in sentence

    @pytest.mark.parametrize("text", ["[" * 100_000, "? [sk-1]\n: 1\n", "port: 1\nseed: 2\n"])
    def test_odd_config_file(self, text: str) -> None:
        """A file that vLLM cannot read, one with a key that is no name, and a good one."""
        assert [] == ids(with_file(text, "a/b"), "E08")

    def test_model(self) -> None:
        """The model as an argument and as a flag: vLLM rejects one of them."""
        (finding,) = found([engine("a/b", "--model", "c/d")], "E08")

        assert (finding.level, finding.path) == ("error", (*ARGS, 1))

    @pytest.mark.parametrize(
        "manifests",
        [
            [engine("a/b", "--middleware", "a.b", "--middleware", "c.d")],
            [engine("a/b", "--compilation-config.mode", "3", "-cc.cudagraph_mode", "NONE")],
            [engine("a/b", "--served-model-name", "one", "two", "--seed=1")],
            [engine("a/b", "--swap-space=1", "--swap-space=2")],
            [engine("--model", "a/b"), engine("a/b")],
            [engine("${MODEL}", "--model=a/b")],
            [script("vllm serve a/b --port 1; vllm serve a/b --port 2")],
            with_file("port: 8000\nmodel: a/b", "--port", "9000"),
            with_file("port: 8000", "a/b", "--port", "9000"),
        ],
    )
    def test_good(self, manifests: list[dict[str, Any]]) -> None:
        """A flag that appends, keys of one JSON, and what the command line replaces on purpose."""
        assert [] == sentences(manifests, "E08")

    def test_fix(self) -> None:
        """The values that have no effect go."""
        args = ("a/b", "--seed", "1", "--dtype=half", "--seed=2", "--seed", "3")
        assert ["a/b", "--dtype=half", "--seed", "3"] == mended(engine(*args), "E08")
        lists = engine("a/b", "--lora-modules", "a=/a", "--lora-modules", "b=/b")
        assert [None] == [one.fix for one in found([lists], "E08")]

    def test_secrets(self) -> None:
        """Keys are not shown."""
        (sentence,) = sentences(
            [engine("a/b", "--api-key", "one-key", "--api-key", "other")], "E08"
        )

        assert "one-key" not in sentence
        assert "other" not in sentence.partition("leave")[0]


def test_odd_values() -> None:
    """No value of any type raises."""
    manifests = with_file(
        "seed: 1\nswap-space: 2", "a/b", "--dtype=bf16", "--seed", "1", "--seed", "2"
    )
    check_odd_values([*manifests, kubeai("--sed=1")], "E01", "E02", "E08")
