"""Rules of the whole command line: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.edits import changed

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

CONTAINER = ("spec", "template", "spec", "containers", 0)
ARGS = (*CONTAINER, "args")
MODULE = ["python3", "-m", "vllm.entrypoints.openai.api_server"]
SERVE = ["vllm", "serve"]
OLD = "vllm/vllm-openai:v0.8.5"
OWN = "example.com/llm:1"
HTTP = {"httpGet": {"path": "/health", "port": 8000}}


def engine(*args: Any, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these arguments."""
    return deployment(pod_spec(*args, container=container))


def started(*command: str, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with a command and no arguments."""
    spec = pod_spec(container={"command": list(command), **container})
    del spec["containers"][0]["args"]
    return deployment(spec)


def script(text: str, **container: Any) -> dict[str, Any]:
    """A Deployment whose engine a shell starts."""
    return engine(text, command=["/bin/sh", "-c"], **container)


def served(*args: str, **predictor: Any) -> dict[str, Any]:
    """A service of KServe, whose pods its operator completes."""
    spec = {"predictor": {**pod_spec(*args), **predictor}}
    kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    return {**kind, "metadata": {"name": "qwen"}, "spec": spec}


def mended(manifest: dict[str, Any], rule: str, *, is_safe: bool = True) -> dict[str, Any]:
    """The container after the fix of the only finding."""
    (finding,) = found([manifest], rule)
    assert finding.fix is not None
    assert finding.fix.is_safe == is_safe
    for edit in finding.fix.edits:
        manifest = changed(manifest, edit.path, edit.value)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    assert [] == sentences([manifest], rule)
    return {key: container[key] for key in ("command", "args") if key in container}


class TestDeprecated:
    """E03."""

    @pytest.mark.parametrize(
        ("manifest", "path"),
        [
            (engine("--model=a/b", command=MODULE), (*CONTAINER, "command", 2)),
            (started(*MODULE, "--model", "a/b"), (*CONTAINER, "command", 2)),
            (engine(*MODULE[1:], "--model", "a/b", command=["python"]), (*ARGS, 1)),
            (script("python -m vllm.entrypoints.openai.api_server --model a/b"), (*ARGS, 0)),
            (engine("--model=a/b", command=MODULE, image=OWN), (*CONTAINER, "command", 2)),
            (
                engine("--model=a/b", command=MODULE, image="vllm/vllm-openai"),
                (*CONTAINER, "command", 2),
            ),
        ],
    )
    def test_module(self, manifest: dict[str, Any], path: tuple[Any, ...]) -> None:
        """The old module, however it is started; that it takes `--model` is not said as well."""
        (finding,) = found([manifest], "E03")

        assert (finding.level, finding.path) == ("warning", path)
        assert "start `vllm serve`" in finding.problem.sentence()

    @pytest.mark.parametrize(
        ("manifest", "path"),
        [
            (engine("--model", "a/b", "--seed=1"), (*ARGS, 0)),
            (engine("--seed=1", "--model=a/b"), (*ARGS, 1)),
            (engine("--model=a/b", command=SERVE), (*ARGS, 0)),
            (engine("--model=a/b", command=SERVE, image=OWN), (*ARGS, 0)),
            (engine("--model=a/b", image="vllm/vllm-openai:latest"), (*ARGS, 0)),
            (script("exec vllm serve --model a/b --seed 1"), (*ARGS, 0)),
        ],
    )
    def test_model(self, manifest: dict[str, Any], path: tuple[Any, ...]) -> None:
        """`--model` with `vllm serve`."""
        (finding,) = found([manifest], "E03")

        assert (finding.level, finding.path) == ("warning", path)
        assert "--model is deprecated with `vllm serve`" in finding.problem.sentence()

    @pytest.mark.parametrize(
        ("flag", "words"),
        [
            ("--disable-cascade-attn", "it has no effect"),
            ("--log-config-file=/log.json", "--logging-config.pylogging_config_file"),
            ("--dcp-kv-cache-interleave-size=1", "--cp-kv-cache-interleave-size"),
        ],
    )
    def test_flags(self, flag: str, words: str) -> None:
        """Flags that this release still takes."""
        (finding,) = found([engine("a/b", flag)], "E03")

        assert finding.path == (*ARGS, 1)
        assert words in finding.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            # What is deprecated today was not yet then.
            engine("--model=a/b", command=MODULE, image=OLD),
            engine("--model=a/b", image=OLD),
            engine("--model=a/b", "--disable-log-requests", image=OLD),
            # An image whose start is not known.
            engine("--model=a/b", image="example.com/vllm-openai:v0.33.0"),
            engine("--model=a/b", image="vllm/vllm-openai-rocm:v0.20.2"),
            engine(
                "a/b", "--show-hidden-metrics-for-version=0.32", "--allow-deprecated-quantization"
            ),
            engine("a/b", "--disable-log-requests", "--task-less"),
            engine("a/b", "--disable-cascade-attn", command=SERVE, image=OWN),
            engine("--config", "/etc/vllm/flags.yaml"),
            engine("a/b", command=SERVE, env=[{"name": "START", "value": MODULE[-1]}]),
            deployment({"containers": [{"name": "a", "image": OWN, "args": MODULE}]}),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """What was right in its release, or what may be."""
        assert [] == sentences([manifest], "E03")

    def test_fix(self) -> None:
        """The model comes first; the module is only shown another way."""
        assert {"args": ["a/b"]} == mended(engine("--model", "a/b"), "E03")
        assert {"args": ["a/b", "--seed=1"]} == mended(engine("--model=a/b", "--seed=1"), "E03")
        assert {"args": ["a/b", "--seed=1"]} == mended(engine("--seed=1", "--model=a/b"), "E03")
        variable = engine("--model", "$(MODEL)", env=[{"name": "MODEL", "value": "a/b"}])
        assert {"args": ["$(MODEL)"]} == mended(variable, "E03")
        old = engine("--seed=1", "--model", "a/b", command=MODULE)
        new = {"command": SERVE, "args": ["a/b", "--seed=1"]}
        assert new == mended(old, "E03", is_safe=False)
        assert [None] == [one.fix for one in found([script("vllm serve --model a/b")], "E03")]


class TestStart:
    """E04."""

    @pytest.mark.parametrize(
        ("manifest", "path"),
        [
            (engine("serve", "a/b"), (*ARGS, 0)),
            (engine("vllm", "serve", "a/b"), (*ARGS, 0)),
            (engine("serve", "a/b", image=OLD), (*ARGS, 0)),
            (engine("serve", "--model", "a/b", image="vllm/vllm-openai-rocm:v0.33.0"), (*ARGS, 0)),
            (
                engine("serve", "a/b", image="example.com/proxy/vllm/vllm-openai:v0.33.0"),
                (*ARGS, 0),
            ),
            (engine("serve", "a/b", command=SERVE), (*ARGS, 0)),
            (engine("vllm", "serve", "a/b", command=SERVE, image=OWN), (*ARGS, 0)),
            (started(*SERVE, "serve", "a/b"), (*CONTAINER, "command", 2)),
        ],
    )
    def test_twice(self, manifest: dict[str, Any], path: tuple[Any, ...]) -> None:
        """`serve` where the entrypoint or the command has it; nothing else is said about it."""
        (finding,) = found([manifest], "E01", "E02", "E03", "E04", "E05", "E06", "E07", "E08")

        assert (finding.rule.id, finding.level, finding.path) == ("E04", "error", path)
        assert "serve`, which the" in finding.problem.sentence()

    def test_fix(self) -> None:
        """The words go; flags in the place of the command become arguments."""
        assert {"args": ["a/b"]} == mended(engine("vllm", "serve", "a/b"), "E04")
        assert {"args": ["a/b"]} == mended(engine("serve", "a/b"), "E04")
        flags = engine("--seed=1", command=["--model", "a/b"])
        assert {"args": ["--model", "a/b", "--seed=1"]} == mended(flags, "E04")
        assert {"args": ["a/b"]} == mended(started("serve", "a/b"), "E04")
        old = engine("a/b", "--seed=1", image=OLD)
        assert {"args": ["--model=a/b", "--seed=1"]} == mended(old, "E04", is_safe=False)

    def test_one_word(self) -> None:
        """A command line in one word is no program."""
        (finding,) = found([started("vllm serve a/b --seed 1", image=OWN)], "E04")
        assert (finding.level, finding.path) == ("error", (*CONTAINER, "command", 0))
        assert finding.fix is not None
        assert finding.fix.edits[0].value == ["vllm", "serve", "a/b", "--seed", "1"]
        assert ["E04"] == ids([engine("--model=a/b", command=[" ".join(MODULE)])], "E04")
        assert [] == ids([started("/app/vllm serve.sh")], "E04")

    @pytest.mark.parametrize(
        ("manifest", "words"),
        [
            (engine("--port", "8000"), "loads its default, Qwen/Qwen3-0.6B"),
            (engine("--port", "8000", command=SERVE), "loads its default"),
            (engine("--port=8000", command=MODULE), "loads its default"),
            (
                engine("--served-model-name", "qwen"),
                "does not start with --served-model-name alone",
            ),
            (started(*SERVE, image=OWN), "loads its default"),
            (script("vllm serve --port 8000"), "loads its default"),
            (engine("a/b", command=MODULE), "is 'a/b' without --model"),
            (engine("a/b", image=OLD), "with which the image of vLLM 0.8.5 starts"),
        ],
    )
    def test_model(self, manifest: dict[str, Any], words: str) -> None:
        """No model, or one that is not read."""
        assert words in sentences([manifest], "E04")[0]
        assert ["error"] == [one.level for one in found([manifest], "E04")]

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("a/b"),
            engine("a/b", command=SERVE),
            engine("serve", "a/b", command=["vllm"]),
            engine("--model=a/b", image=OLD),
            engine("--model", "a/b", command=MODULE),
            # Images whose entrypoint runs its arguments, or is not known.
            engine("vllm", "serve", "a/b", image="vllm/vllm-tpu:v0.32.0"),
            engine("serve", "a/b", image="example.com/vllm-openai:1"),
            engine("vllm", "serve", "a/b", image="example.com/vllm-openai-cpu:1"),
            engine("--port=8000", image="example.com/vllm-openai-with-model:1"),
            engine("--seed", "1", command=["--run"], image=OWN),
            # The model may be elsewhere.
            engine("--config", "/etc/vllm/flags.yaml"),
            engine("--config=/etc/vllm/flags.yaml", command=SERVE),
            engine("--model a/b"),
            engine("--modle=a/b"),
            engine("--model", "$(MODEL)"),
            engine("$(MODEL)"),
            engine("$(MODEL)", command=MODULE),
            engine("$(ARGS)", command=SERVE),
            script('vllm serve "$@"'),
            script("vllm serve $ARGS"),
            script("cat /etc/args | xargs vllm serve"),
            script("vllm serve $(cat /etc/args) --port 8000"),
            script("vllm serve ${MODEL:-a/b} --port 8000"),
            served("--port=8080"),
            started("sleep", "infinity"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """What starts, as far as the manifest tells."""
        assert [] == sentences([manifest], "E04")


class TestContradiction:
    """E06."""

    @pytest.mark.parametrize(
        ("args", "at"),
        [
            (("--enable-auto-tool-choice",), 1),
            (("--seed=1", "--enable-log-outputs"), 2),
            (("--enable-per-request-metrics", "--disable-log-stats"), 1),
            (("--max-num-batched-tokens=64", "--max-num-seqs", "128"), 1),
            (("-tp", "4", "--decode-context-parallel-size", "3"), 3),
        ],
    )
    def test_bad(self, args: tuple[str, ...], at: int) -> None:
        """Flags with which vLLM does not start together."""
        (finding,) = found([engine("a/b", *args)], "E06")

        assert (finding.level, finding.path) == ("error", (*ARGS, at))

    def test_forms(self) -> None:
        """In a script, and with an image whose release is not known."""
        text = "vllm serve a/b --enable-auto-tool-choice --reasoning-parser qwen3"
        assert ["E06"] == ids([script(text)], "E06")
        latest = engine("a/b", "--enable-auto-tool-choice", image="vllm/vllm-openai:latest")
        assert ["warning"] == [one.level for one in found([latest], "E06")]

    @pytest.mark.parametrize(
        "probe", [HTTP, {"tcpSocket": {"port": 8000}}, {"grpc": {"port": 8000}}]
    )
    def test_headless(self, probe: dict[str, Any]) -> None:
        """A probe that asks a server which is not there."""
        bad = engine("a/b", "--headless", readinessProbe=probe)
        assert ["E06"] == ids([bad], "E06")
        both = engine("a/b", "--headless", readinessProbe=probe, livenessProbe=probe)
        assert "readinessProbe and livenessProbe ask one" in sentences([both], "E06")[0]

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("a/b", "--enable-auto-tool-choice", "--tool-call-parser=hermes"),
            engine("a/b", "--tool-call-parser=hermes"),
            engine("a/b", "--enable-auto-tool-choice", "--tool-call-parser", "$(PARSER)"),
            engine("a/b", "--enable-auto-tool-choice", "--config", "/etc/vllm/flags.yaml"),
            script("vllm serve a/b --enable-auto-tool-choice $EXTRA"),
            served("a/b", "--enable-auto-tool-choice"),
            engine("a/b", "--max-num-batched-tokens=8192", "--max-num-seqs", "128"),
            engine("a/b", "--headless"),
            engine("a/b", "--headless", livenessProbe={"exec": {"command": ["pgrep", "vllm"]}}),
            # Rules of their own.
            engine("a/b", "--lora-modules", "a=/a"),
            engine("a/b", "--enable-eplb"),
            engine("a/b", "--headless", "--data-parallel-hybrid-lb"),
            engine("a/b", "--kv-transfer-config", '{"kv_connector":"NixlConnector"}'),
            group(None, pod_spec("a/b", "--headless", container={"readinessProbe": HTTP})),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """What goes together, and what other rules tell."""
        assert [] == sentences([manifest], "E06")


class TestRemoteCode:
    """E07."""

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("a/b", "--trust-remote-code"),
            engine("--model", "a/b", "--trust_remote_code", command=MODULE),
            engine("a/b", "--trust-remote-code", "--revision", "main"),
            engine("a/b", "--trust-remote-code", "--tokenizer-revision=0123abc"),
            engine("a/b", "--trust-remote-code", image=OLD),
            script("vllm serve a/b --trust-remote-code"),
            script("vllm serve a/b --trust-remote-code --max-num-seqs $SEQS --port=$PORT"),
            engine("$(MODEL)", "--trust-remote-code", env=[{"name": "MODEL", "value": "a/b"}]),
        ],
    )
    def test_bad(self, manifest: dict[str, Any]) -> None:
        """Code of a repository, at no commit."""
        (finding,) = found([manifest], "E07")

        assert finding.level == "warning"
        assert "pin revision to a commit" in finding.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("a/b", "--trust-remote-code", "--revision=0123abc"),
            engine("a/b", "--trust-remote-code", "--code-revision", "0123abc"),
            engine("a/b", "--trust-remote-code", "--revision", "$(REVISION)"),
            engine("a/b", "--trust-remote-code", "--config=/etc/vllm/flags.yaml"),
            engine("a/b", "--no-trust-remote-code"),
            engine("/models/qwen", "--trust-remote-code"),
            engine("./qwen", "--trust-remote-code"),
            engine("s3://models/qwen", "--trust-remote-code", "--load-format=runai_streamer"),
            engine("a/b", "--trust-remote-code", env=[{"name": "HF_HUB_OFFLINE", "value": "1"}]),
            engine("$(MODEL)", "--trust-remote-code"),
            script("vllm serve $MODEL --trust-remote-code"),
            script("vllm serve a/b --trust-remote-code $EXTRA"),
            served("/mnt/models", "--trust-remote-code"),
            # An operator may add a revision.
            served("a/b", "--trust-remote-code"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """A commit, files at hand, and what may be either."""
        assert [] == sentences([manifest], "E07")


def test_odd_values() -> None:
    """No value of any type raises."""
    flags = ("--model=a/b", "--trust-remote-code", "--headless", "--disable-cascade-attn")
    manifest = engine(
        *flags, command=MODULE, env=[{"name": "A", "value": "b"}], readinessProbe=HTTP
    )
    check_odd_values([manifest, engine("serve", "a/b")], "E03", "E04", "E06", "E07")
