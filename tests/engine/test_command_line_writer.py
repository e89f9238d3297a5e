"""Arguments: what is written is what vLLM reads, and nothing that it takes anyway."""

import enum
import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import EngineArgs, VllmRelease
from vllm_constructs.engine.command_line_parser import file_words, parse_args
from vllm_constructs.engine.command_line_writer import arguments, as_text, differing, file_options
from vllm_constructs.engine.flag_types import plain
from vllm_constructs.releases.release import catalog, releases


def image(release: str) -> VllmRelease:
    """Return the official image of a release."""
    return VllmRelease(f"vllm/vllm-openai:v{release}")


class Dtype(str, enum.Enum):  # noqa: UP042  # unlike a StrEnum, its text is not its value
    """A type as some users keep it: a text whose own text is another one."""

    HALF = "half"


def read(args: list[str]) -> dict[str, Any]:
    """Read arguments as vLLM's parser does, after kubelet has replaced its variables."""
    flags = catalog()["flags"]
    negated = {one["negation"]: name for name, one in flags.items() if "negation" in one}
    found: dict[str, Any] = {}
    last = ""
    for argument in args:
        text = argument.replace("$$(", "$(")
        name, is_value, value = text.partition("=")
        if name in flags and is_value:
            kind = flags[name]["type"]
            is_json = kind == "json" or (kind == "json-or-str" and value[:1] in ("{", "["))
            numbers: dict[str, type] = {"int": int, "float": float}
            found[name] = json.loads(value) if is_json else numbers.get(kind, str)(value)
        elif text in flags:
            last = text
            found[text] = [] if flags[text].get("nargs") else True
        elif text in negated:
            found[negated[text]] = False
        else:
            found[last].append(text)
    return {name.removeprefix("--"): value for name, value in found.items()}


@settings(max_examples=100, deadline=None)
@given(strategies.engines())
def test_arguments(engine: EngineArgs) -> None:
    """What vLLM reads from the arguments is what was given, or its default where nothing stands."""
    options = engine.options({"served-model-name": ["a", "b"], "shutdown-timeout": 90})

    found = read(arguments(options))

    flags = catalog()["flags"]
    for name, value in options.items():
        flag = flags[f"--{name}"]
        if name not in found:
            # What is left out is the default, or off where there is no way to say that.
            is_default = "default" in flag and flag["default"] == plain(value)
            assert is_default or (value is False and "negation" not in flag)
        elif flag["type"].startswith("human-readable"):
            assert found.pop(name) == str(value)
        else:
            assert found.pop(name) == plain(value)
    assert found == {}


@pytest.mark.parametrize("release", releases())
def test_defaults(release: str) -> None:
    """No flag is written that only says the default of the image's release."""
    flags = catalog(release)["flags"]
    defaults = {
        name.removeprefix("--"): flag["default"]
        for name, flag in flags.items()
        if flag.get("default") is not None
    }

    assert len(defaults) > 100
    assert arguments(defaults, image(release)) == []
    assert file_options(defaults, image(release)) == {}


def test_other_default() -> None:
    """The default of another release is written: 0.92 is new, and 0.9 was the default before."""
    for tag, left_out in (("0.12.0", 0.9), ("0.33.0", 0.92)):
        for share in (0.9, 0.92):
            options = {"gpu-memory-utilization": share}
            expected = [] if share == left_out else [f"--gpu-memory-utilization={share}"]
            assert arguments(options, image(tag)) == expected
    # Between two shipped releases both have to have it.
    assert differing({"dtype": "auto", "seed": 0}, image("0.30.0")) == {}


@pytest.mark.parametrize(
    "name", ["mine/vllm:1", f"vllm@sha256:{'0' * 64}", "vllm/vllm-openai:v9.0.0"]
)
@pytest.mark.filterwarnings("ignore::vllm_constructs.VllmConstructsWarning")
def test_unknown_default(name: str) -> None:
    """A default that was given stays where nobody knows which vLLM is in the image."""
    assert arguments({"dtype": "auto"}, VllmRelease(name)) == ["--dtype=auto"]
    assert arguments({"dtype": "auto"}, VllmRelease("mine/vllm:1", vllm="0.33.0")) == []


def test_true_is_no_number() -> None:
    """A switch is no number, though Python says that they are equal."""
    assert differing({"seed": False, "enforce-eager": 0}) == {"seed": False, "enforce-eager": 0}


def test_exotic_values() -> None:
    """Numbers and texts of other classes are written as vLLM reads them."""
    half: Any = Dtype.HALF
    engine = EngineArgs(dtype=half, delivery="config-map")

    assert arguments(engine.options({})) == ["--dtype=half"]
    assert file_options(engine.options({})) == {"dtype": "half"}
    assert as_text({"b": [1, (2, None)], "a": True}) == '{"a":true,"b":[1,[2,null]]}'
    assert as_text(0.5) == "0.5"


def test_false() -> None:
    """A switch is off by its negation, and left out where off is all that it can be."""
    names = ("aggregate-engine-logging", "enable-prefix-caching", "new-flag")
    options = dict.fromkeys(names, False)

    assert arguments(options) == ["--disable-prefix-caching", "--no-new-flag"]


def test_variables() -> None:
    """Kubelet replaces no variable in a flag."""
    engine = EngineArgs(chat_template="$(HOME)/t", lora_modules=["a=$(X)"], enable_lora=True)

    assert arguments(engine.options({})) == [
        "--chat-template=$$(HOME)/t",
        "--enable-lora",
        "--lora-modules",
        "a=$$(X)",
    ]


def test_lists_in_a_file() -> None:
    """A list that is JSON is text in the file, one of several values a list."""
    options = {"allowed-origins": ["*"], "lora-modules": ["a=/x"], "unknown": [1], "seed": 1}

    assert file_options(options) == {
        "allowed-origins": '["*"]',
        "lora-modules": ["a=/x"],
        "unknown": [1],
        "seed": 1,
    }


def test_middleware() -> None:
    """The one flag that adds up is repeated."""
    engine = EngineArgs(middleware=["a.b", "c.d"])

    assert arguments(engine.options({})) == ["--middleware=a.b", "--middleware=c.d"]


def test_negation_of_an_older_release() -> None:
    """A switch is off in the words of the image's release, and of both where it lies between."""
    options = {"enable-prefix-caching": False}

    for tag, expected in (
        ("0.12.0", "no-enable-prefix-caching"),
        ("0.30.0", "no-enable-prefix-caching"),
        ("0.33.0", "disable-prefix-caching"),
    ):
        assert arguments(options, image(tag)) == [f"--{expected}"]
        # Up to 0.22 vLLM passes over what is false in the file.
        assert file_options(options, image(tag)) == {expected: True}


@settings(max_examples=60, deadline=None)
@given(strategies.engines())
def test_file(engine: EngineArgs) -> None:
    """The file and the command line say the same."""
    options = engine.options({"served-model-name": ["a", "b"]})

    words = file_words(file_options(options), VllmRelease())

    assert parse_args(["m", *words]) == parse_args(["m", *arguments(options)])


def test_open_image() -> None:
    """An image that may have any release gets spellings that all shipped releases take."""
    own = VllmRelease("registry.example.com/llm-server:2.1.0")
    for engine in (
        {"enable-prefix-caching": False},
        {"enable-chunked-prefill": False, "async-scheduling": False},
    ):
        words = arguments(engine, own)
        written = file_options(engine, own)
        assert len(words) == len(written) == len(engine)
        for release in releases():
            expected = {name.replace("-", "_"): value for name, value in engine.items()}
            for line in (words, file_words(written, image(release))):
                parsed = parse_args(["a/b", *line], release=image(release))
                assert {name: parsed.engine.get(name) for name in expected} == expected


def test_every_negation() -> None:
    """Each flag that can be switched off is, in one way for all releases that have it."""
    own = VllmRelease("registry.example.com/llm-server:2.1.0")
    for name, flag in catalog()["flags"].items():
        if "negation" not in flag:
            continue
        (word,) = arguments({name.removeprefix("--"): False}, own)
        for release in releases():
            entry = catalog(release)["flags"].get(name)
            if entry and "negation" in entry:
                assert word in (entry["negation"], *entry.get("negations", ())), (name, release)
