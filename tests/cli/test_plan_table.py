"""The plan of an app as a table."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs import EngineArgs, ModelShape, Problem, VllmRelease, WholeGpu
from vllm_constructs.cli import plan_table
from vllm_constructs.cli.memory_bars import memory_bars
from vllm_constructs.cli.output import plain
from vllm_constructs.reading.workloads import DeployedModel

QWEN = "Qwen/Qwen2.5-7B-Instruct"
FOUND = DeployedModel(
    namespace="llm",
    name="qwen",
    model=QWEN,
    shape=None,
    image="vllm/vllm-openai:v0.33.0",
    release=VllmRelease("vllm/vllm-openai:v0.33.0"),
    env={},
    gpu=WholeGpu("NVIDIA-L40S"),
    gpu_text="1 x NVIDIA-L40S",
    kind="NVIDIA-L40S",
    pod_gpus=1,
    engine=EngineArgs(tensor_parallel_size=1),
    minimum=1,
    maximum=4,
    surge=1,
    problem=None,
    refusal=None,
    notes=(),
)
LARGE = replace(FOUND, model="Qwen/Qwen2.5-32B-Instruct")


def shown(rows: Sequence[plan_table.Row]) -> list[str]:
    """The lines of the tables."""
    return plain(plan_table.table(rows)).splitlines()


class TestRow:
    """One model."""

    @pytest.mark.parametrize(
        ("found", "verdict", "reason"),
        [
            (FOUND, "fits", ""),
            (LARGE, "too large", "Qwen/Qwen2.5-32B-Instruct does not fit on 1 x NVIDIA-L40S"),
            (
                replace(LARGE, gpu=WholeGpu("NVIDIA-H100-80GB-HBM3")),
                "tight",
                "Qwen/Qwen2.5-32B-Instruct probably fits on",
            ),
            (
                replace(FOUND, model="a/b"),
                "unknown",
                "a/b is not in the catalog; give its file with --config a/b=config.json",
            ),
            (replace(FOUND, problem=Problem(text="no GPU")), "unknown", "no GPU."),
            (replace(FOUND, refusal=Problem(text="too few GPUs")), "refused", "too few GPUs."),
            (
                replace(FOUND, engine=EngineArgs(max_model_len=65536, tensor_parallel_size=1)),
                "refused",
                "--max-model-len is 65536",
            ),
            (
                replace(FOUND, engine=EngineArgs(quantization="torchao", tensor_parallel_size=1)),
                "unknown",
                "--quantization is 'torchao'",
            ),
        ],
    )
    def test_verdict(self, found: DeployedModel, verdict: str, reason: str) -> None:
        """A verdict has its reason, and only what is known not to fit does not fit."""
        row = plan_table.row(found, {})
        assert verdict == row.verdict
        assert row.reason.startswith(reason)
        assert bool(reason) == bool(row.reason)
        assert (verdict not in ("too large", "refused")) == row.fits
        assert (verdict in ("fits", "tight", "too large")) == (row.plan is not None)

    def test_shapes(self) -> None:
        """A shape that is given stands for a model that the catalog lacks."""
        row = plan_table.row(replace(FOUND, model="a/b"), {"a/b": ModelShape.named(QWEN)})
        assert "fits" == row.verdict

    def test_gpus(self) -> None:
        """GPUs are those of the pods, and in a rollout those of the surge too."""
        row = plan_table.row(replace(FOUND, pod_gpus=2), {})
        assert (2, 8, 10) == row.gpus

    def test_requests(self) -> None:
        """Engines of one pod work side by side."""
        one = plan_table.row(FOUND, {})
        two = plan_table.row(
            replace(
                FOUND,
                gpu=WholeGpu("NVIDIA-L40S", count=2),
                engine=EngineArgs(tensor_parallel_size=1, data_parallel_size=2),
            ),
            {},
        )
        assert one.requests is not None
        assert 2 * one.requests == two.requests


_FOUND = st.builds(
    lambda low, more, surge, pod, kind: replace(
        FOUND,
        minimum=low,
        maximum=low + more,
        surge=surge,
        pod_gpus=pod,
        kind=kind,
        model="a/b",
    ),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 9),
    st.integers(0, 16),
    st.sampled_from(["NVIDIA-L4", "NVIDIA-L40S", "MIG 1g.10gb"]),
)


@given(st.lists(_FOUND, max_size=8))
def test_totals(models: list[DeployedModel]) -> None:
    """Sums never fall: not with another model, and not from minimum to maximum to rollout."""
    rows = [plan_table.row(one, {}) for one in models]
    growing = [
        plan_table.totals(some)["total"] for some in accumulate(([one] for one in rows), initial=[])
    ]
    for before, after in pairwise(growing):
        assert all(first <= second for first, second in zip(before, after, strict=True))
    found = plan_table.totals(rows)
    assert all(low <= high <= rollout for low, high, rollout in found.values())
    slices = ("total", "MIG 1g.10gb")
    kinds = [some for kind, some in found.items() if kind not in slices]
    assert found["total"] == tuple(sum(some[at] for some in kinds) for at in range(3))


def test_text() -> None:
    """Columns are aligned, kinds of GPU have sums of their own, and reasons stand below."""
    note = Problem(where="WholeGpu.count", text="goes with {max_num_seqs=8}")
    other = replace(FOUND, name="x", model="a/b", kind="NVIDIA-L4", notes=(note,))
    rows = [
        plan_table.row(FOUND, {}),
        plan_table.row(other, {}),
    ]
    assert shown(rows) == [
        "MODEL            GPUS OF A POD    FITS  MIN  MAX  ROLLOUT",
        "llm/qwen         1 x NVIDIA-L40S  yes     1    4        5",
        "llm/x            1 x NVIDIA-L40S  ?       1    4        5",
        "all NVIDIA-L4                             1    4        5",
        "all NVIDIA-L40S                           1    4        5",
        "all GPUs                                  2    8       10",
        "",
        *plain(memory_bars(rows)).splitlines(),
        "",
        "llm/x: a/b is not in the catalog; give its file with --config a/b=config.json.",
        "llm/x: limits['nvidia.com/gpu'] goes with --max-num-seqs=8.",
    ]


def test_one_kind() -> None:
    """One kind of GPU needs no sum of its own, and what fits no words."""
    rows = [plan_table.row(FOUND, {})]
    assert ["all GPUs", ""] == [line.split("  ")[0] for line in shown(rows)[2:4]]
    assert len(shown(rows)) == 4 + len(plain(memory_bars(rows)).splitlines())


def test_slices() -> None:
    """Slices and shares are no whole GPUs, and have sums of their own."""
    whole = plan_table.row(FOUND, {})
    part = plan_table.row(replace(FOUND, gpu_text="MIG 1g.10gb", kind="MIG 1g.10gb"), {})
    share = plan_table.row(replace(FOUND, kind="a share of NVIDIA-L4"), {})

    def labels(*rows: plan_table.Row) -> list[str]:
        return [line.split("  ")[0] for line in shown(rows) if line.startswith("all ")]

    none = plan_table.row(replace(FOUND, gpu_text="2 CPU cores", kind="CPUs", pod_gpus=0), {})
    assert labels(none) == []
    assert labels(whole) == ["all GPUs"]
    assert labels(part) == ["all MIG 1g.10gb"]
    expected = ["all MIG 1g.10gb", "all shares of NVIDIA-L4", "all whole GPUs"]
    assert labels(part, share, whole) == expected
    assert plan_table.totals([part, share, whole])["total"] == whole.gpus


@pytest.mark.parametrize("text", ["{port=1}", "{{x}}"])
def test_braces(text: str) -> None:
    """Braces in the name of a model are shown as they are."""
    row = plan_table.row(replace(FOUND, model=text), {})

    assert row.reason.startswith(f"{text} is not in the catalog; give")
    assert f"--config {text}=config.json" in row.reason
