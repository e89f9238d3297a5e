"""Argv: the command line of vLLM, read as its own parser reads it."""

import pickle
import re
import warnings
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests import strategies
from vllm_constructs import EngineArgs, VllmConstructsError, VllmConstructsWarning, VllmRelease
from vllm_constructs.engine.command_line_parser import (
    REST,
    ParsedArgs,
    file_words,
    parse_args,
    parsed,
)
from vllm_constructs.engine.command_line_parser import read as read_words
from vllm_constructs.engine.command_line_writer import arguments, differing
from vllm_constructs.engine.flag_types import fields_of, is_level
from vllm_constructs.engine.reserved_flags import RESERVED
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.frozen import frozen
from vllm_constructs.releases.release import Flag, catalog, releases


def read(line: str, **options: Any) -> ParsedArgs:
    """Read a line whose words have no spaces in them."""
    return parse_args(line.split(), **options)


# What the parser itself takes, and vLLM refuses before it starts: here with what is missing.
COMPANIONS = {
    "--enable-auto-tool-choice": ["--tool-call-parser", "hermes"],
    "--enable-eplb": ["--enable-expert-parallel", "--tensor-parallel-size", "2"],
    "--data-parallel-rank 0": ["--data-parallel-size", "4"],
    '--eplb-config {"num_redundant_experts":8}': [
        "--enable-eplb",
        "--enable-expert-parallel",
        "--tensor-parallel-size",
        "2",
    ],
}


def cases() -> list[Any]:
    """The argument snippets that were tried on the real parser."""
    found: list[dict[str, Any]] = strategies.facts("vllm-0.33.0-argv-cases.json")
    return found


def words_of(case: dict[str, Any]) -> list[str]:
    """The words of a snippet; JSON is one word, and "error" is the rest of a long snippet."""
    text = case["args"] + ((case["error"] or "") if case["accepted"] else "")
    flag, _, rest = text.partition(" ")
    values = [rest] if rest[:1] in ("{", "[") else rest.split()
    return [flag, *values, *COMPANIONS.get(text, ())]


def test_cases() -> None:
    """Each snippet is accepted or refused as by the real parser, and survives being rendered."""
    for case in cases():
        words = ["m/n", *words_of(case)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VllmConstructsWarning)
            if case["accepted"]:
                found = parse_args(words)
                options = found.engine.options(found.derived)
                again = parse_args(["m/n", *arguments(options)])
                # What is vLLM's default anyway is not written.
                assert again.engine.options(again.derived) == differing(options)
                assert again.model == found.model
            else:
                assert strategies.refusal(partial(parse_args, words)) != ""


KV_PORT = {"kv_transfer_config": {"kv_buffer_device": "a", "engine_id": "80g", "kv_port": 1000}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--max_model_len=32k", {"max_model_len": 32000}),
        ("--max-model-len 32K", {"max_model_len": 32768}),
        ("--max-model-len -1", {"max_model_len": "auto"}),
        ("--max-num-batched-tokens 1.5k", {"max_num_batched_tokens": 1500}),
        ("--kv-cache-memory-bytes 4G", {"kv_cache_memory_bytes": 4 * 2**30}),
        ("--gpu-memory-util 0.5", {"gpu_memory_utilization": 0.5}),
        ("--device-memory-utilization 0.5", {"gpu_memory_utilization": 0.5}),
        ("-tp 2 -tp=4", {"tensor_parallel_size": 4}),
        ("-O3", {"optimization_level": 3}),
        ("-O 3", {"optimization_level": 3}),
        ("-O=3", {"optimization_level": 3}),
        ("--no-enable-log-requests", {"enable_log_requests": False}),
        ("--disable-log-requests", {"enable_log_requests": False}),
        ("--no-enable-pre", {"enable_prefix_caching": False}),
        ("--seed 1 --seed 2", {"seed": 2}),
        ("--seed 1 --revision None", {"seed": 1}),
        ("--compilation-config.mode 3", {"compilation_config": {"mode": 3}}),
        ("-cc.mode=3", {"compilation_config": {"mode": 3}}),
        (
            '-cc {"mode":2,"pass_config":{"fuse_act_padding":true}} -cc.mode 3',
            {"compilation_config": {"mode": 3}},
        ),
        (
            "-cc.custom_ops+ +a -cc.custom_ops+=-b",
            {"compilation_config": {"custom_ops": ["+a", "-b"]}},
        ),
        (
            "-cc.custom_ops+ +a,-b -cc.mode=3",
            {"compilation_config": {"custom_ops": ["+a", "-b"], "mode": 3}},
        ),
        (
            "-cc.max_cudagraph_capture_size 1k",
            {"compilation_config": {"max_cudagraph_capture_size": 1000}},
        ),
        ('--kv-transfer-config {"kv_buffer_device":"a","engine_id":"80g","kv_port":1k}', KV_PORT),
        (
            '--speculative-config {"method":"ngram","num-speculative-tokens":"3"}',
            {"speculative_config": {"method": "ngram", "num_speculative_tokens": "3"}},
        ),
        ("-O.mode=3 -O2", {"compilation_config": {"mode": 3}, "optimization_level": 2}),
        ("--reasoning-parser= --seed 1", {"reasoning_parser": None, "seed": 1}),
        ("--reasoning-parser none", {"reasoning_parser": "none"}),
        ("--max-model-len AUTO", {"max_model_len": "auto"}),
        ("--lora-modules a=/x b=/y --enable-lora", {"lora_modules": ["a=/x", "b=/y"]}),
        ("--cudagraph-capture-sizes 1 2", {"cudagraph_capture_sizes": [1, 2]}),
        ("--middleware a.b --middleware c.d", {"middleware": ["a.b", "c.d"]}),
        ("--middleware a.b", {"middleware": "a.b"}),
        ("--moe-backend DEEP-GEMM", {"moe_backend": "deep_gemm"}),
        ("--device-ids 0,1", {"device_ids": "0,1"}),
        ('--hf-overrides {"a":1}', {"hf_overrides": {"a": 1}}),
        ("--chat-template $$(HOME)/t", {"chat_template": "$(HOME)/t"}),
    ],
)
def test_ways(line: str, expected: dict[str, Any]) -> None:
    """A flag may be written in many ways, and means the same."""
    found = read(line).engine

    assert {name: getattr(found, name) for name in expected} == frozen(expected)


def test_model() -> None:
    """The model stands first, or behind its own flag; what this library derives stands apart."""
    line = "a/b --served-model-name x y --port 8001 --seed 1 --headless"

    found = read(f"vllm serve {line}")

    assert found == read(line)
    assert found == ParsedArgs(
        engine=EngineArgs(seed=1),
        model="a/b",
        derived={"served-model-name": ["x", "y"], "port": 8001, "headless": True},
    )
    assert read("--model a/b").model == "a/b"
    assert read("--seed 1").model is None


def test_other_releases() -> None:
    """The release decides which flags there are, and those without a keyword go into extra."""
    old = VllmRelease("vllm/vllm-openai:v0.12.0")

    found = read("m --swap-space 4 --seed 1", release=old)

    assert found.engine == EngineArgs(seed=1, extra={"swap-space": 4.0})
    assert "is no longer a flag of vLLM 0.33.0" in strategies.refusal(
        lambda: read("m --swap-space 4")
    )
    sentence = strategies.refusal(lambda: read("m --max-num-queued-reqs 4", release=old))
    assert "is not yet a flag of vLLM 0.12.0" in sentence
    sentence = strategies.refusal(lambda: read("m --block-size 24", release=old))
    assert sentence.startswith("--block-size is 24 on vLLM 0.12.0; expected one of 1, 8")


REFUSED = [
    ("m --enable-prefix-caching=true", ("takes no value", "'--enable-prefix-caching=true'")),
    ("m --enable-prefix-caching true", ("'true' belongs to no flag",)),
    ("m --seed", ("--seed has no value",)),
    ("m --seed --enforce-eager", ("--seed has no value",)),
    ("m --seed x", ("--seed is 'x'", "an integer")),
    ("m --gpu-memory-utilization x", ("is 'x'", "a number")),
    ("m --max-model-len 1.5K", ("'1.5K'", "32K")),
    ("m --dtype bf16", ("--dtype is 'bf16'", "did you mean")),
    ("m --enable-lo", ("'--enable-lo' is an ambiguous abbreviation", "'--enable-lora'")),
    ("m --maxx-model-len 1", ("did you mean 'max-model-len'?",)),
    ("m -x 1", ("'-x' is not a flag of vLLM 0.33.0; write the flag in full",)),
    ("m --compilation-config.modee 3", ("'modee'", "did you mean 'mode'?")),
    ("m --compilation-config.mode.x 3", ("['mode'] is {'x': 3}",)),
    ("m --compilation-config.cudagraph-mode NONE", ("mean 'cudagraph_mode'?",)),
    ("m --max-model-len=", ("--max-model-len has an empty value", "leave the flag out")),
    ("m --max-num-batched-tokens None", ("'None'", "such as 32768")),
    ("m --limit-mm-per-prompt image=2", ('{"image": 2}',)),
    ("m --limit-mm-per-prompt image={port}", ('{"image": {port}}.',)),
    ("m --compilation-config {", ("expected JSON",)),
    ("m --dtype None", ("'None'", "one of 'auto'")),
    ("--served-model-name x", ("--served-model-name is given without a model", "model first")),
    ("m --data-parallel-rank 0 --data-parallel-hybrid-lb", ("--data-parallel-rank are both",)),
    ("m -dcp 2", ("does not divide --tensor-parallel-size (1)",)),
    ('m --kv-transfer-config {"kv_connector":"NixlConnector"}', ("has 'kv_connector' without",)),
    ("m --compilation-config 3", ("write -O3, or", '{"mode": 3}')),
    ('m --ec-transfer-config {"ec_connector":"A"}', ("has 'ec_connector' without 'ec_role'",)),
    ('m -cc {"level":3}', ("has the unknown key 'level'", "write 'mode'.")),
    ("m --gpu-memory-utilization 90", ("--gpu-memory-utilization is 90.0", "write 0.9")),
    ("m -cc [1]", ("--compilation-config is [1]", "a dict")),
    ("m --compilation-config.pass_config.fuse_x true", ("has the unknown key 'fuse_x'",)),
    ("m -O5", ("--optimization-level is 5", "one of 0, 1, 2, 3")),
    ("m n", ("'n' belongs to no flag",)),
    ("m --enable-auto-tool-choice", ("without --tool-call-parser",)),
]


@pytest.mark.parametrize(("line", "words"), REFUSED)
def test_refusals(line: str, words: tuple[str, ...]) -> None:
    """What the parser refuses is refused with the word and what to do."""
    sentence = strategies.refusal(lambda: read(line))

    assert [word for word in words if word not in sentence] == [], sentence


def test_wrong_argv() -> None:
    """A command line is a list of strings."""
    one: Any = "m --seed 1"
    two: Any = ["m", "--seed", 1]

    assert "a list of strings" in strategies.refusal(lambda: parse_args(one))
    assert "argv[2] is 1; expected a string" in strategies.refusal(lambda: parse_args(two))


def test_newer_release() -> None:
    """A flag of a release that is not known cannot be read, since nobody knows its values."""
    with pytest.warns(VllmConstructsWarning, match="newer"):
        newer = VllmRelease("vllm/vllm-openai:v9.0.0")

    sentence = strategies.refusal(lambda: read("m --of-tomorrow-xyz 1", release=newer))

    assert "--of-tomorrow-xyz may be a flag of vLLM 9.0.0" in sentence
    assert "set it in EngineArgs.extra" in sentence


WORDS = st.text("abcXYZ019/._ {}=,$()", min_size=1, max_size=9).filter(
    lambda one: one.strip() == one and one not in ("", "None") and not one.startswith("{")
)


def json_of(fields: Any) -> SearchStrategy[Any]:
    """JSON with the keys that the flag has, and values of their types."""
    if not fields:
        return st.dictionaries(WORDS, strategies.json_values(), max_size=2)
    items = {name: field_of(one) for name, one in fields.items() if not one.get("internal")}
    return st.fixed_dictionaries({}, optional=items) if items else st.just({})


def field_of(field: Any) -> SearchStrategy[Any]:
    """Values of one key of a flag's JSON."""
    for key in ("choices", "known"):
        if field.get(key):
            return st.sampled_from([one for one in field[key] if one is not None])
    if field.get("fields"):
        return json_of(field["fields"])
    if field.get("items"):
        return st.lists(st.sampled_from(field["items"]), max_size=2)
    simple: dict[str, SearchStrategy[Any]] = {
        "any": strategies.json_values(),
        "bool": st.booleans(),
        "dict": st.dictionaries(WORDS, strategies.json_values(), max_size=2),
        "float": st.floats(0.001, 9),
        "int": st.integers(1, 999),
        "null": st.none(),
        "str": WORDS,
    }
    kinds = re.split(r"\|(?![^\[]*\])", field["type"])
    for kind in kinds:
        inner = kind.removeprefix("list[").removesuffix("]").split("|")
        items = [simple[one] for one in inner if one in simple]
        simple.setdefault(kind, st.lists(st.one_of(items), max_size=2) if items else st.just([]))
    return st.one_of([simple[kind] for kind in kinds])


def others_of(flag: Flag) -> SearchStrategy[Any]:
    """Values that the flag takes, without its default, which is not written."""
    default = flag.get("default")
    return values_of(flag).filter(lambda one: type(one) is not type(default) or one != default)


def values_of(flag: Flag) -> SearchStrategy[Any]:
    """Values that the flag takes."""
    kind = flag.get("type", "")
    choices = [one for one in flag.get("choices", ()) if one is not None]
    single: SearchStrategy[Any]
    if kind == "bool":
        # Where there is no negation, off is what it is when it is left out.
        return st.booleans() if "negation" in flag else st.just(value=True)
    if kind == "json":
        is_list = isinstance(flag.get("default"), list)
        return st.lists(WORDS, max_size=3) if is_list else json_of(fields_of(flag))
    if kind == "json-or-str":
        return st.one_of(WORDS, json_of(None))
    if is_level(flag):
        single = st.sampled_from(list(map(int, flag["known"])))
    elif choices or flag.get("known"):
        # Other names than the known ones are a plugin's, which is warned about.
        single = st.sampled_from(choices or flag["known"])
    elif kind.startswith("comma-list"):
        return st.one_of(st.integers(0, 9), st.just("0,1"))
    elif kind in ("int", "human-readable-int", "human-readable-int-or-auto"):
        single = st.integers(1, 2**31 - 1)
    elif kind == "float":
        single = st.floats(0.001, 1)
    else:
        single = WORDS
    if flag.get("nargs") == "+":
        return st.lists(single, min_size=1, max_size=3)
    return st.one_of(single, st.lists(single, min_size=2)) if flag.get("append") else single


def engine_flags(release: str) -> dict[str, Flag]:
    """The flags of a release that a user may give."""
    return {
        name.removeprefix("--"): flag
        for name, flag in catalog(release)["flags"].items()
        if name.removeprefix("--") not in RESERVED
    }


# What other checks look at, so that not every value of the right type will do.
NAMED = {
    "attention-backend": "FLASH_ATTN",
    "limit-mm-per-prompt": {"image": 2, "video": {"count": 1}},
    "reasoning-parser": "deepseek_r1",
    "tool-call-parser": "hermes",
}
KV_TRANSFER = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_port": 1}
KEYWORDS = {name: name.replace("-", "_") for name in engine_flags(releases()[-1])}


def engine_of(flags: dict[str, Any]) -> EngineArgs:
    """An engine with flags that fit together."""
    flags = flags | {name: value for name, value in NAMED.items() if name in flags}
    needed: dict[str, dict[str, Any]] = {
        "enable-auto-tool-choice": {"tool-call-parser": "hermes"},
        "enable-log-outputs": {"enable-log-requests": True},
        "enable-eplb": {"enable-expert-parallel": True},
        "lora-modules": {"enable-lora": True},
        "trust-remote-code": {"revision": "main"},
        "kv-transfer-config": {"kv-transfer-config": KV_TRANSFER},
        "ec-transfer-config": {
            "ec-transfer-config": {"ec_connector": "A", "ec_role": "ec_producer"}
        },
    }
    if (flags.get("eplb-config") or {}).get("num_redundant_experts"):
        flags["enable-eplb"] = True
    for name, more in needed.items():
        flags = flags | more if flags.get(name) else flags
    if "decode-context-parallel-size" in flags:
        flags["tensor-parallel-size"] = flags["decode-context-parallel-size"]
    if flags.get("enable-eplb"):
        flags["tensor-parallel-size"] = 2 * (flags.get("decode-context-parallel-size") or 1)
    if flags.pop("data-parallel-size-local", None):
        flags |= {"data-parallel-size": 2, "data-parallel-size-local": 2}
    for name in ("data-parallel-hybrid-lb", "data-parallel-multi-port-external-lb"):
        if flags.get(name):
            flags |= {"data-parallel-size": 4, "data-parallel-size-local": 2}
            flags.pop("api-server-count", None)
    for one, other in (
        ("max-num-seqs", "max-num-batched-tokens"),
        ("enable-per-request-metrics", "disable-log-stats"),
        ("data-parallel-hybrid-lb", "data-parallel-multi-port-external-lb"),
    ):
        if one in flags:
            flags.pop(other, None)
    typed = {KEYWORDS[name]: value for name, value in flags.items() if name in KEYWORDS}
    rest = {name: value for name, value in flags.items() if name not in KEYWORDS}
    return EngineArgs(**typed, extra=rest)


@pytest.mark.filterwarnings("ignore:.* has no Ray:vllm_constructs.VllmConstructsWarning")
@pytest.mark.parametrize("name", sorted(engine_flags(releases()[-1])))
@settings(max_examples=5, deadline=None)
@given(st.data())
def test_each_flag(name: str, data: st.DataObject) -> None:
    """Every flag, rendered and read, is what it was."""
    flag = engine_flags(releases()[-1])[name]
    engine = engine_of({name: data.draw(others_of(flag))})

    args = arguments(engine.options({"served-model-name": ["a", "b"]}))
    found = parse_args(["m", *args])

    assert getattr(engine, KEYWORDS[name]) is not None
    assert found == ParsedArgs(engine=engine, model="m", derived={"served-model-name": ["a", "b"]})


@pytest.mark.filterwarnings("ignore:.* has no Ray:vllm_constructs.VllmConstructsWarning")
@pytest.mark.parametrize("release", releases())
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_identity(release: str, data: st.DataObject) -> None:
    """Any flags of any release, rendered and read, are what they were."""
    flags = engine_flags(release)
    # Deprecated doubles of flags that are the negation of another one in the newest release.
    names = data.draw(st.lists(st.sampled_from(sorted(flags)), max_size=12, unique=True))
    engine = engine_of({name: data.draw(others_of(flags[name])) for name in names})
    image = VllmRelease(f"vllm/vllm-openai:v{release}")

    args = arguments(engine.options({"port": 8001}), image)
    found = parse_args(["m", *args], release=image)

    assert found == ParsedArgs(engine=engine, model="m", derived={"port": 8001})


# What of a foreign manifest can be read, where not all of it can.


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("a/b --max-model-len=4096", {"max-model-len": 4096}),
        ("--trust-remote-code a/b", {"trust-remote-code": True}),
        ("--served-model-name=x --model a/b", {"served-model-name": ["x"]}),
        ("a/b --config /etc/vllm/engine.yaml", {"config": "/etc/vllm/engine.yaml"}),
    ],
)
def test_read(line: str, options: dict[str, Any]) -> None:
    """The model stands first, behind other flags or behind its own."""
    found = read_words(line.split(), VllmRelease())

    assert (found.model, found.options) == ("a/b", options)
    assert (found.unread, found.problems) == ({}, [])


def test_read_refusals() -> None:
    """Each flag that vLLM rejects is a problem, and all others are read."""
    line = "a/b c --new-thing 7 8 --swap-space=4 --dtype=half --seed x --max-num-seqs 9 -cc.modee 1"

    found = read_words(line.split(), VllmRelease())

    assert found.options == {"dtype": "half", "max-num-seqs": 9}
    expected = (
        "'c' belongs to",
        "--new-thing is not a flag",
        "--swap-space is no longer a flag",
        "--seed is 'x'",
        "'modee'",
    )
    assert len(found.problems) == len(expected)
    for word, problem in zip(expected, found.problems, strict=True):
        assert word in problem.sentence(as_flags)
        assert problem.kind == "invalid"


def test_read_variables() -> None:
    """A value that is in a variable is a problem, and not guessed."""
    line = "$(MODEL) --max-num-seqs=$(SEQS) --max-model-len ${LEN} -cc.mode $MODE --seed 1"

    found = read_words(line.split(), VllmRelease())

    assert found.options == {"seed": 1}
    assert sorted(found.unread) == ["compilation-config", "max-model-len", "max-num-seqs", "model"]
    assert found.unread["model"].sentence(as_flags) == (
        "the model is '$(MODEL)', whose value is in none of the manifests."
    )
    assert "--max-num-seqs is '$(SEQS)', whose" in found.unread["max-num-seqs"].sentence(as_flags)
    assert {"not counted"} == {problem.kind for problem in found.unread.values()}
    assert found.problems == []


def test_read_given() -> None:
    """Each word that is no value has its flag, whatever it is called, and its problem."""
    line = "a/b -tp 2 --no-enable-lora -cc.mode 3 --see 1 --dtype=x true --new-thing 7 -cc.modee=1"

    found = read_words(line.split(), VllmRelease()).given

    names = [(one.at, one.word, one.flag, one.keys) for one in found]
    assert names == [
        (0, "a/b", "model", ""),
        (1, "-tp", "tensor-parallel-size", ""),
        (3, "--no-enable-lora", "enable-lora", ""),
        (4, "-cc.mode", "compilation-config", "mode"),
        (6, "--see", "seed", ""),
        (8, "--dtype=x", "dtype", ""),
        (9, "true", None, ""),
        (10, "--new-thing", None, ""),
        (12, "-cc.modee=1", "compilation-config", "modee"),
    ]
    # Keys of one flag are checked together, and found at the first of them.
    assert [4, 8, 9, 10] == [one.at for one in found if one.problem is not None]


def test_read_rest() -> None:
    """A variable behind the model may stand for any flags."""
    found = read_words(["a/b", "$EXTRA", "--seed", "1", "$@"], VllmRelease())

    assert (found.options, found.problems) == ({"seed": 1}, [])
    assert "one of the arguments is '$@', whose value" in found.unread[REST].sentence(as_flags)
    assert read_words(["$@"], VllmRelease()).unread.keys() == {"model"}


def test_read_newer() -> None:
    """A flag that a newer release may have is no refusal."""
    with pytest.warns(VllmConstructsWarning, match="is newer than"):
        release = VllmRelease("vllm/vllm-openai:v0.40.0")
    (problem,) = read_words(["a/b", "--new-thing"], release).problems

    assert problem.kind == "not counted"


def test_conflict() -> None:
    """What the parser takes and vLLM does not start with is refused when it becomes an engine."""
    found = read_words(["a/b", "--enable-auto-tool-choice"], VllmRelease())

    assert found.problems == []
    sentence = strategies.refusal(lambda: parsed(found, VllmRelease()))
    assert sentence.startswith("--enable-auto-tool-choice is True without --tool-call-parser")


def test_file_words() -> None:
    """The file's entries become the words that vLLM makes of them."""
    options: dict[str, Any] = {
        "model": "a/b",
        "max-model-len": 4096,
        "enforce-eager": True,
        "enable-prefix-caching": False,
        "return-tokens-as-token-ids": False,
        "served-model-name": ["x", "y"],
        "cudagraph-capture-sizes": [1, 2],
        "lora-modules": [],
        "compilation-config": {"mode": 3},
    }

    found = parse_args(file_words(options, VllmRelease()))

    assert found.model == "a/b"
    assert found.derived == {"served-model-name": ["x", "y"]}
    assert found.engine.max_model_len == 4096
    assert found.engine.enable_prefix_caching is False
    assert found.engine.lora_modules is None
    assert found.engine.compilation_config == {"mode": 3}


@pytest.mark.parametrize(("line", "words"), REFUSED)
def test_pickled(line: str, words: tuple[str, ...]) -> None:
    """The error keeps its problem, and the spelling of a command line, when it is pickled."""
    with pytest.raises(VllmConstructsError) as caught:
        read(line)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # its own bytes

    assert str(caught.value) == str(again)
    assert caught.value.problem == again.problem
    assert [word for word in words if word not in str(again)] == []
    assert str(again) == again.problem.sentence(as_flags)
