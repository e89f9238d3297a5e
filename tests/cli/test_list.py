"""`vllm-constructs list`: the catalogs, searched."""

import json

import pytest

from vllm_constructs.cli.catalogs import CATALOGS
from vllm_constructs.cli.main import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("gpus", "h100", "pcie"), "NVIDIA-H100-PCIe"),
        (("gpus", "mi300x"), "MI300X"),
        (("models", "qwen2.5", "7b", "instruct"), "Qwen/Qwen2.5-7B-Instruct"),
        (("flags", "max_model_len"), "EngineArgs(max_model_len=...)"),
        (("flags", "served"), "give ModelDeployment(served_name=...)"),
        (("metrics", "TIME_TO_FIRST"), "vllm:time_to_first_token_seconds"),
    ],
)
def test_found(words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that have all words are shown, and no others."""
    assert 0 == main(["list", *words])
    head, *lines = capsys.readouterr().out.splitlines()
    assert expected in "\n".join(lines)
    assert 0 == main(["list", words[0]])
    everything = capsys.readouterr().out.splitlines()
    assert set(head.split()) <= set(everything[0].split())
    assert 0 < len(lines) < len(everything) - 1


@pytest.mark.parametrize("kind", CATALOGS)
def test_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for a program, with everything that a table shortens."""
    assert 0 == main(["list", kind, "--format=json"])
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) > 20
    assert 1 == len({tuple(row) for row in rows})


def test_release(capsys: pytest.CaptureFixture[str]) -> None:
    """Flags and metrics are those of a release."""
    counts = set()
    for release in ("0.12.0", "v0.33.0"):
        assert 0 == main(["list", "flags", "--vllm", release])
        counts.add(capsys.readouterr().out.count("\n"))
    assert 2 == len(counts)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("gpu",), "kind is 'gpu'; expected one of"),
        (("gpus", "{x}", "y"), "none of the gpus has '{x}' and 'y'; give fewer words."),
        (("flags", "--vllm", "0.33.1"), "--vllm is '0.33.1'; expected one of 0.12.0, 0.13.0"),
    ],
)
def test_refused(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A catalog, word or release that is not there is one sentence."""
    assert 2 == main(["list", *arguments])
    assert capsys.readouterr().err.startswith(f"vllm-constructs: {sentence}")
