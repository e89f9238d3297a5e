"""Rules of data and expert parallelism: D01, D02, D05 and D06."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import container, deployment, group, one_template, pod, script

MOE, DENSE = "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-32B"
DP = (MOE, "--data-parallel-size", "16")
ADDRESS = ("--data-parallel-address", "$(LWS_LEADER_ADDRESS)")
RUNTIME = [{"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "1"}]


def alone(*args: str, **fields: Any) -> dict[str, Any]:
    """A Deployment of one engine.

    Args:
        *args: Its arguments.
        **fields: Other fields of its container.
    """
    return deployment("m", pod(container(*args, **fields)))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (
            alone(*DP, "--data-parallel-hybrid-lb", "--data-parallel-external-lb"),
            "data_parallel_hybrid_lb and data_parallel_external_lb are both given",
        ),
        (
            alone(*DP, "--data_parallel_hybrid_lb", "--data-parallel-rank=3"),
            "data_parallel_hybrid_lb and data_parallel_rank are both given",
        ),
        (
            alone(*DP, "--data-parallel-start-rank", "8", "--data-parallel-rank", "3"),
            "data_parallel_rank and data_parallel_start_rank are both given",
        ),
        (alone(*DP, "--headless", "--data-parallel-hybrid-lb"), "each node of that mode"),
        (alone(*DP, "--data-parallel-hybrid-lb"), "True without data_parallel_size_local"),
        (
            alone(*DP, "--data-parallel-multi-port-external-lb", "--data-parallel-size-local=3"),
            "is 3 with data_parallel_multi_port_external_lb=True",
        ),
        (alone(*DP, "--data-parallel-external-lb"), "is True without data_parallel_rank"),
        (alone(MOE, "--data-parallel-rank=0"), "is given with data_parallel_size=1"),
        (alone(*DP, "--data-parallel-size-local=8"), "on one node"),
        (
            deployment(
                "m",
                pod(
                    script(
                        f"exec vllm serve {MOE} --data-parallel-hybrid-lb "
                        "--data-parallel-multi-port-external-lb --data-parallel-size $((8 * N))"
                    )
                ),
            ),
            "are both given",
        ),
        (
            one_template(
                *DP, *ADDRESS, "--data-parallel-hybrid-lb", "--data-parallel-size-local=8"
            ),
            "without --data-parallel-start-rank, so that each of them has the ranks",
        ),
        (
            one_template(
                *DP,
                *ADDRESS,
                "--data-parallel-multi-port-external-lb",
                "--data-parallel-size-local=8",
            ),
            "--node-rank=$(LWS_WORKER_INDEX)",
        ),
    ],
)
def test_balancing(manifest: dict[str, Any], words: str) -> None:
    """Modes that exclude each other, or lack their sizes, are found."""
    findings = sentences([manifest], "D01")

    assert 1 == len(findings), findings
    assert words in findings[0]


@pytest.mark.parametrize(
    "manifest",
    [
        alone(*DP),
        alone(*DP, "--data-parallel-size-local=16"),
        alone(*DP, "--data-parallel-rank=3", "--data-parallel-size-local=1"),
        alone(*DP, "--data-parallel-rank", "$(RANK)"),
        alone(*DP, *ADDRESS, "--data-parallel-size-local=8"),
        alone(*DP, "--headless", "--data-parallel-start-rank=8", "--data-parallel-size-local=8"),
        alone(*DP, "--data-parallel-start-rank=8", "--data-parallel-size-local=8"),
        # What is missing may be in the variable or the file.
        alone(*DP, "--data-parallel-hybrid-lb", "$(MORE)"),
        alone(*DP, "--data-parallel-hybrid-lb", "--config", "/etc/vllm.yaml"),
        alone(*DP, "--data-parallel-hybrid-lb", "--data-parallel-size-local", "$(LOCAL)"),
        group(
            pod(container(*DP, "--data-parallel-size-local=8")),
            pod(container(*DP, "--data-parallel-size-local=8", "--headless")),
        ),
        one_template(
            *DP,
            *ADDRESS,
            "--data-parallel-multi-port-external-lb",
            "--data-parallel-size-local=8",
            "--node-rank=$(LWS_WORKER_INDEX)",
        ),
        group(
            None,
            pod(
                script(
                    "START=$(( ${LWS_WORKER_INDEX:-0} * 8 ))\n"
                    f"exec vllm serve {MOE} --data-parallel-multi-port-external-lb "
                    "--data-parallel-size $((LWS_GROUP_SIZE * 8)) --data-parallel-size-local 8 "
                    "--data-parallel-address ${LWS_LEADER_ADDRESS} "
                    "--data-parallel-start-rank $START"
                )
            ),
        ),
        # Each rank of a pod is started by a line of its own.
        deployment(
            "m",
            pod(
                script(
                    "\n".join(
                        f"vllm serve {MOE} --port {8200 + i} -dp 8 --data-parallel-rank={i} &"
                        for i in range(8)
                    )
                )
            ),
        ),
    ],
)
def test_good_balancing(manifest: dict[str, Any]) -> None:
    """Modes with their sizes, and what is not known, are no mistake."""
    assert [] == sentences([manifest], "D01")


@pytest.mark.parametrize(
    ("args", "image", "level"),
    [
        (("--data-parallel-rank=1",), "vllm/vllm-openai:v0.33.0", "error"),
        (("--data-parallel-rank", "$(RANK)"), "vllm/vllm-openai:v0.26.0", "error"),
        (("--data-parallel-external-lb", "--nnodes=4"), "vllm/vllm-openai:v0.33.0", "error"),
        (
            ("--data-parallel-multi-port-external-lb", "--data-parallel-size-local=2"),
            "vllm/vllm-openai:v0.33.0",
            "error",
        ),
        (
            ("--data-parallel-hybrid-lb", "--data-parallel-size-local=1"),
            "vllm/vllm-openai:v0.33.0",
            "error",
        ),
        (("--data-parallel-rank=1",), "vllm/vllm-openai:v0.12.0", "warning"),
        (("--data-parallel-rank=1",), "registry.example/llm:1", "warning"),
    ],
)
def test_dense(args: tuple[str, ...], image: str, level: str) -> None:
    """Ranks of a dense model with servers of their own are found."""
    engine = alone(DENSE, "--data-parallel-size=4", *args, image=image, command=["vllm", "serve"])
    (finding,) = found([engine], "D02")

    assert level == finding.level
    assert "'Qwen/Qwen3-32B', which has no experts" in finding.problem.sentence()


@pytest.mark.parametrize(
    "args",
    [
        (MOE, "--data-parallel-size=4", "--data-parallel-rank=1"),
        ("/models/m", "--data-parallel-size=4", "--data-parallel-rank=1"),
        ("acme/unknown-70b", "--data-parallel-size=4", "--data-parallel-rank=1"),
        (DENSE, "--data-parallel-size=4"),
        (
            DENSE,
            "--data-parallel-size=4",
            "--data-parallel-hybrid-lb",
            "--data-parallel-size-local=2",
        ),
        ("$(MODEL)", "--data-parallel-size=4", "--data-parallel-rank=1"),
    ],
)
def test_good_dense(args: tuple[str, ...]) -> None:
    """Models with experts, unknown ones, and one server for all ranks are no mistake."""
    assert [] == sentences([alone(*args)], "D02")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--enable-eplb", "-tp", "8"), "is True without enable_expert_parallel"),
        (("--enable-eplb", "--enable-expert-parallel"), "is True with one rank"),
        (("--enable_eplb", "--enable_expert_parallel", "-dp", "1", "-tp=1"), "with one rank"),
        (
            ("--eplb-config", '{"num_redundant_experts":32}', "-tp=8"),
            "has 'num_redundant_experts' without enable_eplb",
        ),
        (("--eplb-config.num_redundant_experts", "32", "-tp=8"), "without enable_eplb"),
    ],
)
def test_experts(args: tuple[str, ...], words: str) -> None:
    """A balancer without experts in parallel, or with one rank, is found."""
    (line,) = sentences([alone(MOE, *args)], "D05")

    assert words in line


@pytest.mark.parametrize(
    "args",
    [
        ("--enable-eplb", "--enable-expert-parallel", "-tp", "8"),
        ("--enable-eplb", "--enable-expert-parallel", "--data-parallel-size", "$(DP)"),
        ("--enable-eplb", "--enable-expert-parallel", "-tp=1", "--data-parallel-size=$(DP)"),
        ("--enable-eplb", "--enable-expert-parallel", "-dp=16"),
        ("--enable-eplb", "$(MORE)"),
        ("--enable-eplb", "--config=/etc/vllm.yaml"),
        ("--enable-expert-parallel",),
    ],
)
def test_good_experts(args: tuple[str, ...]) -> None:
    """A balancer of several ranks, or of what is not known, is no mistake."""
    assert [] == sentences([alone(MOE, *args)], "D05")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--enable-lora", "--data-parallel-size=4"), "(data_parallel_size is 4)"),
        (("--enable-lora", "--api-server-count=2"), "(it is 2)"),
        (
            (
                "--enable-lora",
                "--data-parallel-size=4",
                "--data-parallel-size-local=2",
                "--data-parallel-hybrid-lb",
            ),
            "(data_parallel_size is 2)",
        ),
    ],
)
def test_servers(args: tuple[str, ...], words: str) -> None:
    """Several API servers of which one would load an adapter are found."""
    (line,) = sentences([alone(MOE, *args, env=RUNTIME)], "D06")

    assert words in line


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (("--data-parallel-size=4", "--api-server-count=1"), RUNTIME),
        (("--data-parallel-size=4", "--data-parallel-rank=1"), RUNTIME),
        (
            (
                "--data-parallel-size=4",
                "--data-parallel-size-local=2",
                "--data-parallel-multi-port-external-lb",
            ),
            RUNTIME,
        ),
        (("--data-parallel-size=4", "--headless"), RUNTIME),
        (("--data-parallel-size", "$(DP)"), RUNTIME),
        (("--data-parallel-size=4", "$(MORE)"), RUNTIME),
        (("--data-parallel-size=4",), []),
        (("--data-parallel-size=4",), [{**RUNTIME[0], "value": "0"}]),
        (("--tensor-parallel-size=4",), RUNTIME),
    ],
)
def test_good_servers(args: tuple[str, ...], env: list[dict[str, Any]]) -> None:
    """One server for each engine is no mistake."""
    assert [] == sentences([alone(MOE, *args, env=env)], "D06")


@pytest.mark.parametrize("value", [None, "x", [None], {"a": 1}, 3])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    one = container(*DP, env=value)
    one["args"] = value

    found([deployment("m", pod(one)), group(None, pod(one))], "D01", "D02", "D05", "D06")
