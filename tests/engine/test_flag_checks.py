"""What EngineArgs checks: values of flags, flags together, and flags against a release."""

import json
import warnings
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import EngineArgs, VllmConstructsError, VllmConstructsWarning, VllmRelease
from vllm_constructs.engine.command_line_writer import arguments
from vllm_constructs.engine.flag_checks import plugins_needed, unpinned_code
from vllm_constructs.engine.reserved_flags import RESERVED
from vllm_constructs.releases.release import catalog

OLDEST = VllmRelease("vllm/vllm-openai:v0.6.0")


def engine_with(name: str, value: object) -> EngineArgs:
    """Return an engine with one flag, by its keyword where there is one."""
    keyword = name.replace("-", "_")
    given: dict[str, Any] = {keyword: value}
    if keyword not in {one.name for one in fields(EngineArgs)}:
        given = {"extra": {name: value}}
    found = EngineArgs(**given)
    found.check(VllmRelease())
    return found


def cases() -> list[dict[str, Any]]:
    """Return the argument snippets that were tried on the real parser."""
    found: list[dict[str, Any]] = strategies.facts("vllm-0.33.0-argv-cases.json")
    return found


# What the parser takes, and this library leaves to one clear way to say it.
OTHER_WAY = {
    "--disable-log-requests": "enable-log-requests",
    "--gpu-memory-util": "did you mean 'gpu-memory-utilization'?",
    "--max-model-len -1": "'auto' for what fits",
    "--max-model-len 32k": "leave the unit out",
    "--no-disable-hybrid-kv-cache-manager": "disable-hybrid-kv-cache-manager",
    "--no-enable-log-requests": "enable-log-requests",
}


def value_of(name: str, text: str) -> Any:
    """Return the value of a snippet as a user writes it in Python."""
    flag = catalog()["flags"].get(f"--{name}", {})
    kind = flag.get("type", "str")
    if not text:
        return True
    if flag.get("nargs"):
        return text.split()
    if kind.startswith("human-readable") and text.lstrip("-").isdigit():
        return int(text)
    try:
        return json.loads(text) if kind in {"int", "float", "json", "json-or-str"} else text
    except json.JSONDecodeError:
        return text


def test_cases() -> None:
    """Each snippet is accepted or refused here as it is by the real parser."""
    for case in cases():
        # Where a snippet was accepted, "error" is the rest of a long one.
        text = case["args"] + ((case["error"] or "") if case["accepted"] else "")
        flag, _, rest = text.partition(" ")
        if not flag.startswith("--"):
            continue
        name, _, field = flag[2:].partition(".")
        value = {field: rest} if field else value_of(name, rest)
        other = OTHER_WAY.get(text, OTHER_WAY.get(flag))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VllmConstructsWarning)
            if name == "enable-auto-tool-choice":
                EngineArgs(enable_auto_tool_choice=True, tool_call_parser="hermes")
            elif name == "enable-eplb":
                EngineArgs(enable_eplb=True, enable_expert_parallel=True)
            elif name == "eplb-config":
                balanced: Any = {"eplb_config": value}
                EngineArgs(**balanced, enable_eplb=True, enable_expert_parallel=True)
            elif case["accepted"] and name not in RESERVED and other is None:
                engine_with(name, value)
            else:
                assert (other or "") in strategies.refusal(partial(engine_with, name, value))


@pytest.mark.parametrize("flag", sorted(catalog()["removed"]))
def test_removed_flags(flag: str) -> None:
    """A flag that is gone names what took its place."""
    name = flag.removeprefix("--")

    sentence = strategies.refusal(lambda: engine_with(name, "1"))

    assert repr(name) in sentence
    assert f"is no longer a flag of vLLM 0.33.0; {catalog()['removed'][flag]}" in sentence


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        (
            "max_modle_len",
            ("max_modle_len is not a flag of vLLM 0.33.0", "did you mean 'max_model_len'?"),
        ),
        (
            "disable_prefix_caching",
            ("is an alias or the negation", "use enable_prefix_caching instead."),
        ),
        (
            "device_memory_utilization",
            ("is an alias or the negation", "use gpu_memory_utilization instead."),
        ),
        (
            "swap_space",
            (
                "is no longer a flag",
                "leave it out",
                "(up to vLLM 0.17.1: extra={'swap-space': ...})",
            ),
        ),
        ("task", ("use runner='pooling'", "up to vLLM 0.12.0")),
        ("rope_scaling", ("use hf_overrides={'rope_parameters': {...}}.",)),
        ("tp", ("is an alias or the negation", "use tensor_parallel_size instead.")),
        ("port", ("port is reserved by this library", "ModelDeployment(port=...)")),
        ("qqq", ("is not a flag of vLLM 0.33.0; look it up in vLLM's documentation.",)),
        ("max-model-len", ("EngineArgs.max-model-len is spelt as a flag; write max_model_len.",)),
        ("--seed", ("EngineArgs.--seed is spelt as a flag; write seed.",)),
        ("MAX_MODEL_LEN", ("MAX_MODEL_LEN is not a keyword; write max_model_len.",)),
        ("--port", ("EngineArgs.--port is reserved by this library; give ModelDeployment(port=",)),
    ],
)
def test_unknown_keyword(keyword: str, words: tuple[str, ...]) -> None:
    """A keyword that is none is refused with what took its place, or the nearest one."""
    sentence = strategies.refusal(lambda: typed(**{keyword: 1}))

    assert [word for word in words if word not in sentence] == [], sentence
    unknown: Any = {keyword: 1}
    with pytest.raises(VllmConstructsError):
        replace(EngineArgs(), **unknown)


def test_older_release() -> None:
    """On a release older than all that are known, any flag passes that can be written."""
    engine = EngineArgs(extra={"swap-space": 4, "list": [1, "a"], "on": True, "off": False})

    engine.check(OLDEST)

    assert arguments(engine.options({})) == [
        "--list",
        "1",
        "a",
        "--no-off",
        "--on",
        "--swap-space=4",
    ]


def test_trust_remote_code() -> None:
    """Code from a repository that may change under the user is warned about."""
    with pytest.warns(VllmConstructsWarning, match="pin revision to a commit") as caught:
        EngineArgs(trust_remote_code=True)
    EngineArgs(trust_remote_code=True, revision="0123abc")

    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_unpinned_code() -> None:
    """A revision of the model or of its code pins it."""
    flags = {"trust_remote_code": True}
    assert unpinned_code(flags) is not None
    assert unpinned_code({**flags, "tokenizer_revision": "0123abc"}) is not None
    assert unpinned_code({**flags, "code_revision": "0123abc"}) is None
    assert unpinned_code({"trust_remote_code": False}) is None
    assert unpinned_code({}) is None


def test_plugins_needed() -> None:
    """Names that are not built in, of flags with keywords and of others."""
    release = VllmRelease()
    flags = {"tool_call_parser": "own", "reasoning_parser": "none", "load_format": "own.Loader"}
    (problem,) = plugins_needed(release, flags)
    assert problem.where == "EngineArgs.tool_call_parser"
    assert [] == list(plugins_needed(release, {**flags, "tool_parser_plugin": "/own.py"}))
    transfer = {"kv_transfer_config": {"kv_connector": "Own"}, "quantization": "own"}
    found = [one.where for one in plugins_needed(release, transfer, {"no-flag": "x"})]
    assert found == ["EngineArgs.quantization", "EngineArgs.kv_transfer_config['kv_connector']"]


def extra(**flags: Any) -> EngineArgs:
    """Return an engine with flags without keywords, checked against the newest release."""
    found = EngineArgs(extra={name.replace("_", "-"): value for name, value in flags.items()})
    found.check(VllmRelease())
    return found


def checked(**flags: Any) -> EngineArgs:
    """Return an engine checked against the newest release."""
    found = EngineArgs(**flags)
    found.check(VllmRelease())
    return found


def typed(**flags: Any) -> EngineArgs:
    """Return an engine with values that its types would not let pass."""
    return EngineArgs(**flags)


def nested(depth: int) -> Any:
    """Return lists in lists."""
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: typed(gpu_memory_utilization=90), ("is 90", "a ratio", "write 0.9 for 90 %")),
    (lambda: typed(gpu_memory_utilization=0), ("is 0", "above 0 and up to 1")),
    (lambda: typed(gpu_memory_utilization=float("nan")), ("is nan", "a finite number")),
    (lambda: typed(gpu_memory_utilization="0.9"), ("'0.9'", "a number")),
    (lambda: typed(max_model_len=0), ("max_model_len is 0", "tokens from 1")),
    (lambda: typed(max_model_len="32k"), ("'32k'", "leave the unit out")),
    (lambda: typed(max_model_len="aut"), ("'aut'", "an integer from")),
    (lambda: typed(kv_cache_memory_bytes="auto"), ("'auto'", "an integer from")),
    (lambda: typed(kv_cache_memory_bytes="1.5G"), ("'1.5G'", "an integer from")),
    (lambda: typed(kv_cache_memory_bytes="٣"), ("an integer from",)),
    (lambda: typed(dtype="bf16"), ("dtype is 'bf16'", "'bfloat16'", "did you mean")),
    (lambda: typed(max_lora_rank=7), ("max_lora_rank is 7", "one of 1, 8, 16")),
    (lambda: typed(max_lora_rank=True), ("max_lora_rank is True", "an integer")),
    (lambda: typed(max_num_seqs=0), ("max_num_seqs is 0", "from 1")),
    (lambda: typed(seed=-1), ("seed is -1", "from 0")),
    (lambda: typed(seed=1.0), ("seed is 1.0", "an integer")),
    (lambda: typed(enforce_eager=1), ("enforce_eager is 1", "True or False")),
    (lambda: typed(enforce_eager="true"), ("'true'", "True or False")),
    (lambda: typed(revision=""), ("revision is ''", "a non-empty string")),
    (lambda: typed(revision="-x"), ("revision is '-x'", "vLLM reads as a flag")),
    (lambda: typed(revision="a\0b"), ("a string without control characters",)),
    (lambda: typed(lora_modules="a=/x", enable_lora=True), ("'a=/x'", "a list")),
    (lambda: typed(lora_modules=[], enable_lora=True), ("[]", "at least one")),
    (lambda: typed(lora_modules=["--api-key=x"], enable_lora=True), ("'--api-key=x'", "a flag")),
    (lambda: typed(lora_modules=["a=/x"]), ("lora_modules", "enable_lora=True")),
    (lambda: typed(enable_auto_tool_choice=True), ("tool_call_parser", "'hermes'")),
    (
        lambda: typed(max_num_batched_tokens=100, max_num_seqs=200),
        ("is 100", "(200)", "at least 200"),
    ),
    (lambda: typed(hf_overrides=7), ("hf_overrides is 7", "a dict")),
    (lambda: typed(hf_overrides={"a": float("inf")}), ("['a']", "inf", "a finite number")),
    (lambda: typed(hf_overrides={"a": {"b"}}), ("['a']", "{'b'}", "a string, number, Boolean")),
    (lambda: typed(hf_overrides={1: 2}), ("hf_overrides has the key 1", "a non-empty string")),
    (lambda: typed(hf_overrides={"a": "\ud800"}), ("['a']", "without control characters")),
    (lambda: typed(hf_overrides={"a": 10**5000}), ("['a']", "<int>", "64 bits")),
    (
        lambda: typed(hf_overrides={"a": nested(30)}),
        ("nested more than 20 levels deep", "at most 20 levels"),
    ),
    (lambda: typed(speculative_config=3), ("speculative_config is 3", "the flag's JSON")),
    (
        lambda: checked(compilation_config={"level": 3}),
        ("has the unknown key 'level'", "write 'mode'"),
    ),
    (lambda: typed(compilation_config={"mod": 3}), ("'mod'", "did you mean 'mode'?")),
    (lambda: typed(kv_transfer_config={"~": 3}), ("'~'", "one of 'enable_permute_local_kv'")),
    (
        lambda: typed(compilation_config={"pass_config": {"fuse_norm_quan": True}}),
        ("['pass_config'] has the unknown key 'fuse_norm_quan'", "did you mean 'fuse_norm_quant'?"),
    ),
    (lambda: typed(compilation_config={"pass_config": 3}), ("['pass_config'] is 3", "a dict")),
    (
        lambda: typed(compilation_config={"cudagraph_capture_sizes": "abc"}),
        ("['cudagraph_capture_sizes'] is 'abc'", "a list, each entry an integer"),
    ),
    (lambda: typed(compilation_config={"cudagraph_capture_sizes": [1, "x"]}), ("a list, each",)),
    (lambda: typed(compilation_config={"cudagraph_capture_sizes": [1.5]}), ("a list, each",)),
    (lambda: typed(compilation_config={"mode": 17}), ("['mode'] is 17", "'VLLM_COMPILE'")),
    (lambda: typed(compilation_config={"mode": "VLLM_COMPIL"}), ("mean 'VLLM_COMPILE'?",)),
    (lambda: typed(compilation_config={"cudagraph_num_of_warmups": "x"}), ("an integer",)),
    (lambda: typed(compilation_config={"cudagraph_copy_inputs": 2}), ("True or False",)),
    (lambda: typed(compilation_config={"cudagraph_copy_inputs": "maybe"}), ("True or False",)),
    (lambda: typed(compilation_config={"cudagraph_copy_inputs": None}), ("is None", "True or")),
    (lambda: typed(attention_config={"backend": "FLASHATN"}), ("did you mean 'FLASH_ATTN'?",)),
    (lambda: typed(limit_mm_per_prompt={"image": "two"}), ("['image'] is 'two'", "from 0")),
    (lambda: typed(max_num_seqs="64"), ("an integer; write 64 without quotes.",)),
    (lambda: typed(compilation_config={"cache_dir": 7}), ("['cache_dir'] is 7", "a string")),
    (lambda: typed(compilation_config={"inductor_compile_config": []}), ("is []", "a dict")),
    (lambda: typed(compilation_config=[1]), ("is [1]", "a dict, which becomes")),
    (
        lambda: typed(speculative_config={"method": "ngram", "num_speculative_tokens": 0}),
        ("['num_speculative_tokens'] is 0", "from 1"),
    ),
    (lambda: typed(optimization_level=9), ("is 9", "one of 0, 1, 2, 3")),
    (lambda: typed(optimization_level=True), ("is True", "one of 0, 1, 2, 3")),
    (lambda: typed(cpu_offload_gb=-1), ("is -1", "0 GiB or more")),
    (lambda: typed(block_size=0), ("is 0", "from 1")),
    (lambda: typed(max_model_len=-1), ("is -1", "or 'auto'")),
    (lambda: typed(delivery="file"), ("'file'", "'args', 'config-map'")),
    (lambda: typed(extra=["--x"]), ("['--x']", "a dict of flags")),
    (lambda: typed(extra={"--seed": 1}), ("'--seed'", "write 'seed'")),
    (lambda: typed(extra={1: 1}), ("extra has the key 1", "the name of a flag")),
    (lambda: typed(extra={"max_logprobs": 1}), ("'max_logprobs'", "'max-logprobs'")),
    (lambda: extra(seed=1), ("'seed'", "a keyword of its own", "seed=")),
    (lambda: extra(swap_space=None), ("is None", "leave the flag out")),
    (
        lambda: extra(max_logprob=5),
        ("'max-logprob'", "is not a flag of vLLM 0.33.0", "'max-logprobs'"),
    ),
    (lambda: extra(zzzzzzzz=5), ("['zzzzzzzz'] is not a flag of vLLM 0.33.0.",)),
    (lambda: extra(no_async_scheduling=True), ("use 'async-scheduling' instead",)),
    (lambda: extra(device_memory_utilization=0.5), ("use 'gpu-memory-utilization' instead",)),
    (lambda: checked(max_logprobs="5"), ("'5'", "an integer")),
    (lambda: checked(mamba_cache_mode="all"), ("'all'", "one of 'align', 'none'")),
    (lambda: checked(mm_processor_cache_gb=True), ("is True", "a number")),
    (lambda: checked(block_size=10**30), ("an integer from",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What vLLM does not take is rejected with the value, what it takes, and the nearest flag."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_image_decides() -> None:
    """A value that only some releases take is judged by the image's release."""
    transfer: Any = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_rank": 0}
    engine = EngineArgs(kv_transfer_config=transfer)
    queue = EngineArgs(max_num_queued_reqs=5)

    engine.check(VllmRelease("vllm/vllm-openai:v0.28.0"))
    engine.check(VllmRelease("vllm/vllm-openai:v0.30.0"))
    queue.check(VllmRelease("vllm/vllm-openai:v0.30.0"))

    sentence = strategies.refusal(lambda: engine.check(VllmRelease()))
    assert "kv_transfer_config has the unknown key 'kv_rank'; expected one of" in sentence
    sentence = strategies.refusal(lambda: queue.check(VllmRelease("vllm/vllm-openai:v0.28.0")))
    assert "max_num_queued_reqs is not yet a flag of vLLM 0.28.0; vLLM 0.29.0 has it" in sentence


def test_choices_of_other_releases() -> None:
    """What the image's release does not take is refused with that release."""
    old: Any = {"block_size": 24}
    sentence = strategies.refusal(
        lambda: EngineArgs(**old).check(VllmRelease("vllm/vllm-openai:v0.12.0"))
    )
    assert "block_size is 24 on vLLM 0.12.0; expected one of" in sentence


@pytest.mark.parametrize(
    "config",
    [
        {"mode": 3, "cudagraph_mode": "full_and_piecewise"},
        {"mode": "vllm_compile"},
        {"cudagraph_capture_sizes": ["1", 2], "cudagraph_num_of_warmups": "1"},
        {"pass_config": {"fuse_norm_quant": "True", "fi_allreduce_fusion_max_size_mb": None}},
        {"pass_config": {"enable_qk_norm_rope_fusion": None}, "ir_enable_torch_wrap": None},
        {"cudagraph_copy_inputs": 1, "cudagraph_num_of_warmups": 2.0},
        {"inductor_compile_config": {"max_autotune": True}, "custom_ops": ["+rms_norm"]},
    ],
)
def test_json(config: Any) -> None:
    """JSON is taken as pydantic takes it: names in any case, and numbers as texts."""
    EngineArgs(compilation_config=config).check(VllmRelease())


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"kv_cache_dtype": "fp16"}, "the image needs a plugin that adds it."),
        ({"kv_cache_dtype": "fp_8"}, "did you mean 'fp8'?"),
        ({"load_format": "safetensor"}, "did you mean 'safetensors'?"),
        ({"tool_call_parser": "herms"}, "did you mean 'hermes'?"),
        ({"tool_call_parser": "ours"}, "the image needs a plugin that adds it."),
        ({"reasoning_parser": "qwen_3"}, "did you mean 'qwen3'?"),
        (
            {"kv_transfer_config": {"kv_connector": "NixlConector", "kv_role": "kv_both"}},
            "did you mean 'NixlConnector'?",
        ),
        (
            {"kv_transfer_config": {"kv_connector": "Nixl", "kv_role": "kv_both"}},
            "did you mean 'NixlConnector'?",
        ),
        (
            {"kv_transfer_config": {"kv_connector": "AIBrixConnectorV1", "kv_role": "kv_both"}},
            "the image needs a plugin that adds it.",
        ),
        ({"attention_backend": "FLASHATN"}, "did you mean 'FLASH_ATTN'?"),
        ({"quantization": "bitsandbytes"}, "the image needs a plugin that adds it"),
        ({"distributed_executor_backend": "foo"}, "is not built into vLLM 0.33.0"),
        ({"distributed_executor_backend": "ray"}, "has no Ray"),
    ],
)
def test_not_built_in(flags: dict[str, Any], word: str) -> None:
    """A name that only a plugin, or an image of one's own, can add is warned about."""
    engine = EngineArgs(**flags)

    with pytest.warns(VllmConstructsWarning) as caught:
        engine.check(VllmRelease())

    assert word in str(caught[0].message)


def test_own_class() -> None:
    """A class by its path is the user's own, and so is what stands in an image of theirs."""
    EngineArgs(distributed_executor_backend="my.module.Executor").check(VllmRelease())
    EngineArgs(quantization="FP8", attention_backend="flash_attn").check(VllmRelease())
    EngineArgs(reasoning_parser="none", seed=3_000_000_000).check(VllmRelease())
    for image in ("mine/vllm-ray:1", "vllm/vllm-openai-xpu:v0.33.0", "vllm/vllm-tpu:v0.32.0"):
        EngineArgs(distributed_executor_backend="ray").check(VllmRelease(image))
    own: Any = {
        "kv_connector": "Mine",
        "kv_connector_module_path": "my.module",
        "kv_role": "kv_both",
    }
    EngineArgs(kv_transfer_config=own).check(VllmRelease())


def test_connector_of_a_release() -> None:
    """A connector that is gone is there for an older image."""
    transfer: Any = {"kv_connector": "P2pNcclConnector", "kv_role": "kv_both"}
    engine = EngineArgs(kv_transfer_config=transfer)

    engine.check(VllmRelease("vllm/vllm-openai:v0.22.1"))

    with pytest.warns(
        VllmConstructsWarning, match="is 'P2pNcclConnector', which is not built into"
    ):
        engine.check(VllmRelease())


def test_plugins() -> None:
    """A parser of the user's own has any name."""
    own: Any = {"tool_call_parser": "ours", "tool_parser_plugin": "/parsers/ours.py"}

    EngineArgs(**own).check(VllmRelease())


def test_middleware() -> None:
    """The one flag that adds up cannot stand in a file more than once."""
    assert "cannot hold" in strategies.refusal(
        lambda: EngineArgs(middleware=["a.b"], delivery="config-map")
    )


def test_device_ids() -> None:
    """A flag of numbers or texts takes either, but no number that is none."""
    assert arguments(checked(device_ids=1).options({})) == ["--device-ids=1"]
    assert arguments(checked(device_ids="0,1").options({})) == ["--device-ids=0,1"]
    with pytest.raises(VllmConstructsError, match="a finite number"):
        checked(device_ids=float("inf"))


@settings(max_examples=60, deadline=None)
@given(strategies.engines())
def test_given(engine: EngineArgs) -> None:
    """The flags that are given are known by their names, wherever they stand."""
    found = engine.given()

    assert set(found) <= set(EngineArgs.keywords()) - {"delivery", "extra"}
    for name, value in found.items():
        assert value is not None
        assert value == engine.get(name) == getattr(engine, name)
    missing = set(EngineArgs.keywords()) - set(found) - {"delivery", "extra"}
    assert {None} == {engine.get(name) for name in missing}


def test_get() -> None:
    """A flag is found by its Python name in `extra` too, where its keyword is of dashes."""
    engine = EngineArgs(seed=0, extra={"swap-space": 4, "off": False})

    assert (0, 4, False) == tuple(engine.get(name) for name in ("seed", "swap_space", "off"))
    assert engine.get("max_num_seqs") is None
    assert engine.get("no_such_flag") is None


def test_options_order() -> None:
    """First come the flags of most engines, then what is derived, then all others by name."""
    engine = EngineArgs(
        watermark=0.5,
        disable_log_stats=True,
        max_model_len=4096,
        extra={"swap-space": 4},
        block_size=16,
    )

    first = ["max-model-len", "disable-log-stats"]
    others = ["block-size", "swap-space", "watermark"]
    assert [*first, "port", *others] == list(engine.options({"port": 8001}))


def test_derived_options() -> None:
    """What is derived stands beside what is given."""
    assert {"seed": 1, "port": 8001} == EngineArgs(seed=1).options({"port": 8001})


def test_shown_as_given() -> None:
    """A value is shown as it was given, though a copy of it is kept."""
    assert "EngineArgs.extra is ['--x'];" in strategies.refusal(lambda: typed(extra=["--x"]))
    assert "is {'a': [1]};" in strategies.refusal(lambda: typed(revision={"a": [1]}))
