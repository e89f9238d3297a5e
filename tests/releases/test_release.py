"""VllmRelease: what the image's vLLM knows, and that the data is what the facts say."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import VllmConstructsError, VllmConstructsWarning, VllmRelease
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.releases.release import DEFAULT_IMAGE, NEWEST, catalog, releases

DIGEST = "@sha256:" + "0" * 64


def facts() -> dict[str, dict[str, Any]]:
    """Return the flags of the facts, without the model itself."""
    found = strategies.facts("vllm-0.33.0-flags.json")
    return {one["flag"]: one for one in found if not one.get("positional")}


def test_flags() -> None:
    """The data has the flags of the real parser, no more and no fewer."""
    assert set(facts()) == set(catalog()["flags"])


def test_flag_details() -> None:
    """Types, choices, counts, negations and fields are those of the real parser."""
    for name, theirs in facts().items():
        ours = catalog()["flags"][name]
        assert theirs["type"].partition(":")[0] == ours.get("type")
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
    removed = catalog()["removed"]
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

    assert sorted(found["tool_call_parsers"]) == catalog()["tool_call_parsers"]
    assert sorted(found["reasoning_parsers"]) == catalog()["reasoning_parsers"]


@pytest.mark.parametrize(
    ("image", "version", "known", "is_open"),
    [
        (DEFAULT_IMAGE, (0, 33, 0), "0.33.0", False),
        ("vllm/vllm-openai:v0.20.2-cu130", (0, 20, 2), "0.20.2", False),
        ("vllm/vllm-openai:v0.16.0", (0, 16, 0), "0.16.0", False),
        ("vllm/vllm-openai:nightly-0123abc", None, NEWEST, False),
        ("vllm/vllm-openai:v0.12.0rc1", (0, 12, 0), "0.12.0", False),
        (f"vllm/vllm-openai{DIGEST}", None, NEWEST, False),
        (f"vllm/vllm-openai:v0.20.0{DIGEST}", (0, 20, 0), "0.20.2", False),
        (f"vllm:latest{DIGEST}", None, NEWEST, True),
        ("mirror.example.com/hub/vllm/vllm-openai:v0.20.0", (0, 20, 0), "0.20.2", False),
        ("registry.example.com:5000/ml/vllm:0.16.0", (0, 16, 0), "0.16.0", False),
        # Their tags are versions of something else.
        ("lmcache/vllm-openai:v0.3.9", None, NEWEST, True),
        ("docker.io/lmcache/vllm-openai:v0.3.9", None, NEWEST, True),
        ("ghcr.io/llm-d/llm-d-cuda:v0.3.0", None, NEWEST, True),
        ("registry.example.com/llm-server:2.1.0", None, NEWEST, True),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:.*does not specify a release:vllm_constructs.VllmConstructsWarning"
)
def test_version(image: str, version: object, known: str, *, is_open: bool) -> None:
    """The tag says the release; what says nothing is taken for the newest."""
    release = VllmRelease(image)

    assert release.version == version
    assert release.known == known
    assert release.is_open is is_open


@pytest.mark.parametrize("tag", ["0.33.1", "v1.0.0"])
def test_newer(tag: str) -> None:
    """A release newer than all known ones is judged by the newest, with a warning."""
    with pytest.warns(VllmConstructsWarning, match="newer than 0.33.0, the newest") as caught:
        release = VllmRelease(f"registry.example.com:5000/ml/vllm:{tag}")

    assert len(caught) == 1
    assert release.known == NEWEST
    assert release.flag("x", "some-flag-of-tomorrow") == {}
    assert "is no longer a flag" in strategies.refusal(lambda: release.flag("x", "swap-space"))
    # It may be new, as --max-num-queued-tokens was beside --max-num-batched-tokens.
    with pytest.warns(
        VllmConstructsWarning,
        match=r"not yet a flag of vLLM 0.33.0; did you mean 'max-model-len'\?",
    ):
        assert release.flag("x", "max-modl-len") == {}


def test_mirror() -> None:
    """A mirror may leave the v of vLLM's tags out; the project's own tags have it."""
    assert VllmRelease("mirror.example.com/vllm/vllm-openai:0.16.0").version == (0, 16, 0)
    assert "expected a tag that begins with 'v'; write 'v0.16.0'." in strategies.refusal(
        lambda: VllmRelease("vllm/vllm-openai:0.16.0")
    )


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("0.6.0", "0.12.0"),
        ("0.12.0", "0.12.0"),
        ("0.15.0", "0.15.1"),
        ("0.22.1", "0.22.1"),
        ("0.32.9", "0.32.0"),
        ("0.33.0", "0.33.0"),
    ],
)
def test_known(tag: str, expected: str) -> None:
    """A release is judged by the data of its minor release."""
    assert VllmRelease(f"vllm:v{tag}").known == expected
    assert VllmRelease(f"vllm{DIGEST}", vllm=tag).catalog["release"] == expected


def test_every_minor_release() -> None:
    """There is data for every minor release in the range, so that none is between two."""
    assert [one.rpartition(".")[0] for one in releases()] == [f"0.{one}" for one in range(12, 34)]


def test_releases() -> None:
    """The newest release is the newest that there is data for."""
    assert releases()[-1] == NEWEST
    assert len(releases()) >= 4
    assert [catalog(one)["release"] for one in releases()] == list(releases())


def test_default() -> None:
    """The default image is of the newest release."""
    assert VllmRelease().image == DEFAULT_IMAGE == f"vllm/vllm-openai:v{NEWEST}"
    assert catalog()["release"] == NEWEST


@pytest.mark.parametrize(
    ("tag", "name", "words"),
    [
        ("0.33.0", "swap-space", ("is no longer a flag of vLLM 0.33.0", "does not swap")),
        ("0.16.0", "grpc", ("is not yet a flag of vLLM 0.16.0", "0.20.2 has it", "newer image")),
        ("0.12.0", "attention-backend", ("vLLM 0.13.0 has it",)),
        ("0.16.0", "swap-spase", ("not a flag of vLLM 0.16.0", "did you mean 'swap-space'?")),
        ("0.20.0", "max-num-queued-reqs", ("is not yet a flag of vLLM 0.20.0", "0.29.0 has it")),
        ("0.6.0", "max-modle-len", ("vLLM 0.6.0 (checked against 0.12.0)",)),
        ("0.20.0", "no-such-thing-zzzz", ("is not a flag of vLLM 0.20.0",)),
        ("0.6.0", "max-modle-len", ("did you mean 'max-model-len'?",)),
        ("0.28.0", "no-enable-prefix-caching", ("use 'enable-prefix-caching' instead",)),
    ],
)
def test_flags_of_other_releases(tag: str, name: str, words: tuple[str, ...]) -> None:
    """A flag that the release lacks is rejected with what there is instead."""
    release = VllmRelease(f"vllm:v{tag}")

    sentence = strategies.refusal(lambda: release.flag("x", name))

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    ("where", "in_python", "as_flag"),
    [
        ("EngineArgs.extra['grpc']", "EngineArgs.extra['grpc'] is not yet", "--grpc is not yet"),
        ("EngineArgs.grpc", "EngineArgs.grpc is not yet", "--grpc is not yet"),
        *(
            (where, f"{where} names 'grpc', which is not yet", f"{where} names 'grpc', which is")
            for where in ("EngineArgs.extra", "The command line")
        ),
    ],
)
def test_flag_is_named_once(where: str, in_python: str, as_flag: str) -> None:
    """A problem names the flag unless its place does, in the spelling of its reader."""
    with pytest.raises(VllmConstructsError) as caught:
        VllmRelease("vllm:v0.16.0").flag(where, "grpc")

    problem = caught.value.problem
    assert problem.sentence().startswith(f"{in_python} a flag of vLLM 0.16.0; ")
    assert problem.sentence(as_flags).startswith(as_flag)


def test_flag_of_an_ancient_release() -> None:
    """A release older than all known ones may have had flags that are gone, and others."""
    release = VllmRelease("vllm:v0.6.0")

    assert release.flag("x", "use-v2-block-manager") == {}
    assert release.flag("x", "zzzz") == {}


@pytest.mark.parametrize(
    ("image", "vllm", "words"),
    [
        ("vllm:own", "v0.33.0", ("vllm is 'v0.33.0'", "such as '0.33.0'")),
        ("vllm:own", 0.33, ("vllm is 0.33",)),
        ("vllm:own", "0.33", ("'0.33'",)),
        ("vllm/vllm-openai:v0.33.0", "0.16.0", ("another release", "leave vllm out")),
    ],
)
def test_wrong_vllm(image: str, vllm: Any, words: tuple[str, ...]) -> None:
    """The release beside an image is a release, and does not contradict an official tag."""
    sentence = strategies.refusal(lambda: VllmRelease(image, vllm=vllm))

    assert [word for word in words if word not in sentence] == [], sentence


def test_vllm() -> None:
    """An image with a tag of the user's own takes its release beside it."""
    assert VllmRelease("ml/vllm:v7.0.0", vllm="0.16.0").version == (0, 16, 0)
    assert VllmRelease("vllm/vllm-openai:v0.16.0", vllm="0.16.0").version == (0, 16, 0)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ("vllm/vllm-openai:v0.33", "the tag 'v0.33'"),
        ("mirror.example.com/vllm/vllm-openai:mine", "the tag 'mine'"),
        (f"vllm/vllm-openai{DIGEST}", "a digest"),
    ],
)
def test_unsaid(image: str, what: str) -> None:
    """An official image that does not say its release is warned about, unless it is said."""
    with pytest.warns(VllmConstructsWarning, match=f"{what} does not specify a release.*with vllm"):
        found = VllmRelease(image)
    assert "specify the image's release with {vllm}" in found.description
    assert VllmRelease(image, vllm="0.16.0").description == "vLLM 0.16.0"


def test_latest() -> None:
    """A tag that moves is warned about."""
    with pytest.warns(VllmConstructsWarning, match="openai:latest', whose tag moves to other"):
        VllmRelease("vllm/vllm-openai:latest")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("vllm/vllm-openai", ("'vllm/vllm-openai'", "with a tag or digest", DEFAULT_IMAGE)),
        ("registry.example.com:5000/vllm", ("each node may run a different image",)),
        ("vllm/vllm-openai:", ("'vllm/vllm-openai:'", DEFAULT_IMAGE)),
        ("vllm openai:v1", ("'vllm openai:v1'", DEFAULT_IMAGE)),
        ("vllm:v٣", (DEFAULT_IMAGE,)),
        (f"vllm@sha256:{'0' * 8}", ("with a tag or digest",)),
        ("", ("image is ''", DEFAULT_IMAGE)),
        (None, ("image is None", DEFAULT_IMAGE)),
    ],
)
def test_refusals(image: Any, words: tuple[str, ...]) -> None:
    """An image that may be another one tomorrow, or is none, is rejected."""
    sentence = strategies.refusal(lambda: VllmRelease(image))

    assert [word for word in words if word not in sentence] == [], sentence
