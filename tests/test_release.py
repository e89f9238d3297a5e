"""VllmRelease: what the image's vLLM knows, and that the data is what the facts say."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import VllmConstructsWarning, VllmRelease
from vllm_constructs.release import DEFAULT_IMAGE, NEWEST, catalogue

DIGEST = "@sha256:" + "0" * 64


def facts() -> dict[str, dict[str, Any]]:
    """Return the flags of the facts, without the model itself."""
    found = strategies.facts("vllm-0.33.0-flags.json")
    return {one["flag"]: one for one in found if not one.get("positional")}


def test_flags() -> None:
    """The data has the flags of the real parser, no more and no fewer."""
    assert set(facts()) == set(catalogue()["flags"])


def test_flag_details() -> None:
    """Types, choices, counts, negations and fields are those of the real parser."""
    for name, theirs in facts().items():
        ours = catalogue()["flags"][name]
        assert theirs["type"].partition(":")[0] == ours["type"]
        assert sorted(theirs.get("choices") or [], key=str) == sorted(
            ours.get("choices", []), key=str
        )
        assert sorted(theirs.get("json_fields") or []) == sorted(ours.get("fields", []))
        assert theirs.get("nargs") == ours.get("nargs")
        assert bool(theirs.get("deprecated")) == ours.get("deprecated", False)
        assert bool(theirs.get("negations")) == ("negation" in ours)
        if "negation" in ours:
            assert ours["negation"] in theirs["negations"]
        assert set(ours.get("aliases", [])) <= set(theirs.get("aliases", []))


def test_removed_flags() -> None:
    """What is called removed is not there, and the real parser refuses what was tried of it."""
    removed = catalogue()["removed"]
    accepted = {
        one["args"].split()[0]
        for one in strategies.facts("vllm-0.33.0-argv-cases.json")
        if one["accepted"]
    }

    assert set(removed) & set(facts()) == set()
    assert set(removed) & accepted == set()


def test_parsers() -> None:
    """The names of parsers are those of the facts."""
    found = strategies.facts("vllm-0.33.0-parsers.json")

    assert sorted(found["tool_call_parsers"]) == catalogue()["tool_call_parsers"]
    assert sorted(found["reasoning_parsers"]) == catalogue()["reasoning_parsers"]


@pytest.mark.parametrize(
    ("image", "version", "known"),
    [
        (DEFAULT_IMAGE, (0, 33, 0), True),
        ("registry.example.com/vllm-openai:0.33.1", (0, 33, 1), True),
        ("vllm/vllm-openai:v0.20.2-cu130", (0, 20, 2), False),
        ("registry.example.com:5000/ml/vllm:v1.0.0", (1, 0, 0), True),
        ("vllm/vllm-openai:nightly", None, True),
        (f"vllm/vllm-openai{DIGEST}", None, True),
        (f"vllm/vllm-openai:v0.20.0{DIGEST}", (0, 20, 0), False),
        (f"vllm:latest{DIGEST}", None, True),
    ],
)
def test_version(image: str, version: object, known: object) -> None:
    """The tag says the release; what says nothing is taken for the newest."""
    release = VllmRelease(image)

    assert release.version == version
    assert release.is_known is known


def test_default() -> None:
    """The default image is of the newest release."""
    assert VllmRelease().image == DEFAULT_IMAGE == f"vllm/vllm-openai:v{NEWEST}"
    assert catalogue()["release"] == NEWEST


def test_flag_of_an_older_release() -> None:
    """An older release may have had any flag."""
    assert VllmRelease("vllm:v0.20.0").flag("x", "swap-space") == {}
    assert VllmRelease("vllm:v0.20.0").flag("x", "seed") == catalogue()["flags"]["--seed"]


def test_latest() -> None:
    """A tag that moves is warned about."""
    with pytest.warns(VllmConstructsWarning, match="'latest' changes under running models"):
        VllmRelease("vllm/vllm-openai:latest")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("vllm/vllm-openai", ("'vllm/vllm-openai'", "with a tag or digest", DEFAULT_IMAGE)),
        ("registry.example.com:5000/vllm", ("every node may run another",)),
        ("vllm/vllm-openai:", ("'vllm/vllm-openai:'", DEFAULT_IMAGE)),
        ("vllm openai:v1", ("'vllm openai:v1'", DEFAULT_IMAGE)),
        ("vllm:v٣", (DEFAULT_IMAGE,)),
        (f"vllm@sha256:{'0' * 8}", ("with a tag or digest",)),
        ("", ("image is ''", DEFAULT_IMAGE)),
        (None, ("image is None", DEFAULT_IMAGE)),
    ],
)
def test_refusals(image: Any, words: tuple[str, ...]) -> None:
    """An image that may be another one tomorrow, or is none, is refused."""
    sentence = strategies.refusal(lambda: VllmRelease(image))

    assert [word for word in words if word not in sentence] == [], sentence
