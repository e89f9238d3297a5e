from collections.abc import Sequence
from typing import Any

import pytest

from vllm_constructs import EngineArgs, VllmConstructsError, argv
from vllm_constructs.engine import arguments


class TestFlags:
    """What stands on a command line."""

    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            (["--max-model-len=4096"], {"max-model-len": 4096}),
            (["--max-model-len", "4096"], {"max-model-len": 4096}),
            (["--max_model_len", "4k"], {"max-model-len": 4000}),
            (["--max-model-len=4K"], {"max-model-len": 4096}),
            (["--max-model-len", "auto"], {"max-model-len": "auto"}),
            (["--max-model-len=-1"], {"max-model-len": "auto"}),
            (["-tp", "2"], {"tensor-parallel-size": 2}),
            (["-tp=2"], {"tensor-parallel-size": 2}),
            (["--gpu-memory-utilization", "0.5"], {"gpu-memory-utilization": 0.5}),
            (["--enforce-eager"], {"enforce-eager": True}),
            (["--no-enforce-eager"], {"enforce-eager": False}),
            (["--no-enable-prefix-caching"], {"enable-prefix-caching": False}),
            (["--cudagraph-capture-sizes", "1", "2", "4"], {"cudagraph-capture-sizes": [1, 2, 4]}),
            (['--compilation-config={"mode":3}'], {"compilation-config": {"mode": 3}}),
            (
                ["--kv-cache-dtype", "fp8", "--dtype=auto"],
                {"kv-cache-dtype": "fp8", "dtype": "auto"},
            ),
            (["--served-model-name", "a", "b", "--port=80"], {}),
        ],
        ids=lambda item: " ".join(item) if isinstance(item, list) else "",
    )
    def test_values(self, tokens: Sequence[str], expected: dict[str, Any]) -> None:
        """Values come in every spelling that vLLM takes; other flags are passed over."""
        found = argv.command_line(["a/b", *tokens])
        assert expected == found.options
        assert ("a/b", (), ()) == (found.model, found.problems, found.unread)

    @pytest.mark.parametrize(
        ("tokens", "model", "config"),
        [
            (["a/b"], "a/b", None),
            (["--served-model-name", "x", "--model", "a/b"], "a/b", None),
            (["--trust-remote-code", "a/b"], "a/b", None),
            (["a/b", "--config", "/etc/vllm/engine.yaml"], "a/b", "/etc/vllm/engine.yaml"),
            (["--port", "80"], None, None),
        ],
    )
    def test_model(self, tokens: Sequence[str], model: str | None, config: str | None) -> None:
        """The model is the first word, or stands behind its flag."""
        found = argv.command_line(tokens)
        assert (model, config) == (found.model, found.config)

    @pytest.mark.parametrize(
        ("token", "sentence"),
        [
            ("--max-model-len=many", "--max-model-len is 'many'; it takes a whole number"),
            ("--tensor-parallel-size=two", "--tensor-parallel-size is 'two'; it takes a whole"),
            ("--gpu-memory-utilization=a", "--gpu-memory-utilization is 'a'; it takes a number"),
            ("--compilation-config={", "--compilation-config is '{'; it takes JSON"),
            ("--max-num-seqs=$(SEQS)", "--max-num-seqs is '$(SEQS)', and its value is in none"),
            ("--max-num-seqs=${SEQS}", "--max-num-seqs is '${SEQS}', and its value is in none"),
            ("--max-num-seqs", "--max-num-seqs has no value"),
        ],
    )
    def test_problems(self, token: str, sentence: str) -> None:
        """A value that cannot be read is said, and not guessed."""
        found = argv.command_line(["a/b", token])
        assert {} == found.options
        (problem,) = found.problems
        assert problem.startswith(sentence)

    def test_unknown(self) -> None:
        """A flag that nobody knows is said, and its values are not taken for others."""
        found = argv.command_line(["a/b", "--new-thing", "7", "--dtype=auto"])
        assert ("'--new-thing' is no flag that this library knows.",) == found.unread
        assert {"dtype": "auto"} == found.options

    def test_leftover(self) -> None:
        """A word that belongs to no flag is said."""
        assert ("'c' belongs to no flag.",) == argv.command_line(["a/b", "c"]).unread

    def test_variable_model(self) -> None:
        """A model that only a variable names is not known."""
        (problem,) = argv.command_line(["$(MODEL)"]).problems
        assert problem.startswith("the model is '$(MODEL)'")


def test_round() -> None:
    """What EngineArgs renders reads back as the same EngineArgs."""
    engine = EngineArgs(
        max_model_len=8192,
        gpu_memory_utilization=0.8,
        kv_cache_dtype="fp8",
        enforce_eager=True,
        enable_prefix_caching=False,
        tensor_parallel_size=2,
        compilation_config={"cudagraph_capture_sizes": [1, 2]},
    )
    line = argv.command_line(arguments(engine.options({})))
    assert engine == argv.engine_of(line.options)


def test_file() -> None:
    """A file for `--config` says the same: lists, booleans and JSON included."""
    options = {
        "model": "a/b",
        "max-model-len": 4096,
        "enforce-eager": True,
        "enable-lora": False,
        "served-model-name": ["x"],
        "cudagraph-capture-sizes": [1, 2],
        "compilation-config": {"mode": 3},
    }
    found = argv.file_options(options)
    assert "a/b" == found.model
    assert {
        "max-model-len": 4096,
        "enforce-eager": True,
        "cudagraph-capture-sizes": [1, 2],
        "compilation-config": {"mode": 3},
    } == found.options


def test_engine() -> None:
    """Flags that no plan can do without are refused as EngineArgs refuses them."""
    with pytest.raises(VllmConstructsError, match=r"EngineArgs\.gpu_memory_utilization is 90"):
        argv.engine_of({"gpu-memory-utilization": 90.0})


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ([], ["a/b", "--port=80"], ["a/b", "--port=80"]),
        (["vllm", "serve"], ["a/b"], ["a/b"]),
        (["/usr/bin/vllm", "serve", "a/b"], ["-tp", "2"], ["a/b", "-tp", "2"]),
        (
            ["python3", "-m", "vllm.entrypoints.openai.api_server"],
            ["--model", "a"],
            ["--model", "a"],
        ),
        (["/bin/sh", "-c"], ["exec vllm serve a/b \\\n  --port 80"], ["a/b", "--port", "80"]),
        (["bash", "-ec", "vllm serve 'a/b'"], [], ["a/b"]),
        (["bash", "-c", "vllm serve 'a/b"], [], None),
        (["bash"], [], None),
        (["nginx", "serve"], [], None),
    ],
)
def test_command(command: list[str], args: list[str], expected: list[str] | None) -> None:
    """What follows `vllm serve` is found in whatever starts it."""
    assert expected == argv.after_serve(command, args)
