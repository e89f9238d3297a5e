"""EngineArgs: a value with a keyword for each flag, which keeps copies of what it is given."""

import copy
import inspect
import json
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import (
    EngineArgs,
    GpuPodSpec,
    MemoryPlan,
    ModelShape,
    VllmConstructsError,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.engine.command_line_writer import arguments
from vllm_constructs.releases.release import catalog


@settings(max_examples=60, deadline=None)
@given(strategies.engines(), st.randoms(use_true_random=False))
def test_order(engine: EngineArgs, random: Any) -> None:
    """The order in which flags are given does not matter."""
    given_fields = {one.name: getattr(engine, one.name) for one in fields(engine)}
    names = list(given_fields)
    random.shuffle(names)
    given_fields["extra"] = strategies.shuffled(given_fields["extra"])

    other = EngineArgs(**{name: given_fields[name] for name in names})

    assert json.dumps(arguments(engine.options({}))) == json.dumps(arguments(other.options({})))


def test_keywords() -> None:
    """Every keyword is a flag of the release."""
    known = {name.removeprefix("--").replace("-", "_") for name in catalog()["flags"]}

    keywords = {one.name for one in fields(EngineArgs)} - {"delivery", "extra"}

    assert keywords - known == set()
    assert [name for name in dir(EngineArgs) if name.isupper() and name[0] != "_"] == []


def test_signature() -> None:
    """Type checkers, `inspect` and `dataclasses` see the same keywords, and all have defaults."""
    names = [one.name for one in fields(EngineArgs)]
    signature = inspect.signature(EngineArgs).parameters

    assert is_dataclass(EngineArgs)
    assert names == [name for name in signature if name != "unknown"]
    assert names == list(EngineArgs.keywords())
    assert {"args", None} == {signature[name].default for name in names}


def test_value() -> None:
    """It compares, shows and copies like any other value, without naming what is left out."""
    engine = EngineArgs(seed=1, enable_dbo=True)

    assert repr(engine) == "EngineArgs(seed=1, enable_dbo=True, delivery='args')"
    assert repr(EngineArgs(extra={"a": 1})) == "EngineArgs(extra={'a': 1}, delivery='args')"
    assert replace(engine, seed=2) == EngineArgs(seed=2, enable_dbo=True)
    assert engine != EngineArgs(seed=1)
    other: Any = 1
    assert engine != other
    assert copy.deepcopy(engine) == engine
    assert asdict(EngineArgs())["extra"] == {}
    with pytest.raises(TypeError, match="unhashable"):
        hash(engine)
    with pytest.raises(FrozenInstanceError):
        delattr(EngineArgs(), "seed")


def test_copies() -> None:
    """It keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "hf_overrides": {"rope_scaling": {"factor": [1.0, 2.0]}},
        "compilation_config": {"cudagraph_capture_sizes": [1, 2], "pass_config": {}},
        "lora_modules": ["a=/x"],
        "enable_lora": True,
        "extra": {"swap-space": 4, "list": [1, 2], "json": {"a": {"b": 1}}},
    }
    engine = EngineArgs(**given_)
    before = copy.deepcopy(engine)
    options = json.dumps(engine.options({}))

    given_["hf_overrides"]["rope_scaling"]["factor"].append(3.0)
    given_["hf_overrides"]["more"] = 1
    given_["compilation_config"]["cudagraph_capture_sizes"].clear()
    given_["compilation_config"]["pass_config"]["fuse_norm_quant"] = True
    given_["lora_modules"][0] = "b=/y"
    given_["extra"]["list"].append(3)
    given_["extra"]["json"]["a"]["b"] = 2
    given_["extra"].clear()

    assert before == engine
    assert options == json.dumps(engine.options({}))


def test_own_dicts() -> None:
    """Neither its dicts nor those inside of them can be changed."""
    engine = EngineArgs(
        hf_overrides={"a": {"b": [1]}},
        limit_mm_per_prompt={"image": 2},
        extra={"json": {"a": [1]}},
    )
    nested: list[Any] = [
        EngineArgs().extra,
        engine.hf_overrides,
        engine.limit_mm_per_prompt,
        engine.extra,
        engine.extra["json"],
    ]
    before = copy.deepcopy(engine)

    for found in [*nested, nested[1]["a"]]:
        with pytest.raises(TypeError, match="cannot be changed"):
            found["new"] = 1
        with pytest.raises(TypeError, match="cannot be changed"):
            found.clear()
    with pytest.raises(AttributeError):
        nested[1]["a"]["b"].append(2)
    assert before == engine


@settings(max_examples=60, deadline=None)
@given(strategies.engines())
def test_round_trips(engine: EngineArgs) -> None:
    """It can be copied, pickled, replaced and turned into a dict."""
    assert engine == copy.copy(engine) == copy.deepcopy(engine) == replace(engine)
    assert engine == pickle.loads(pickle.dumps(engine))  # noqa: S301  # its own bytes
    assert engine == EngineArgs(**asdict(engine))


class Plain(EngineArgs):
    """An engine of a user's own, with other defaults."""

    def __init__(self, **flags: Any) -> None:
        """Serve short requests."""
        super().__init__(**{"max_model_len": 4096, **flags})

    @property
    def is_short(self) -> bool:
        """Whether requests are short."""
        return self.max_model_len == 4096


@dataclass(frozen=True, kw_only=True)
class Own(EngineArgs):
    """An engine of a user's own, with a field that is no flag."""

    team: str | None = "ml"


def test_plain_subclass() -> None:
    """A class of the user's own is checked and rendered like EngineArgs."""
    engine = Plain(max_num_seqs=8)

    assert engine.is_short
    assert {"max_model_len": 4096, "max_num_seqs": 8} == engine.given()
    assert Plain(max_num_seqs=8) == engine != EngineArgs(max_model_len=4096, max_num_seqs=8)
    assert EngineArgs.keywords() == Plain.keywords()
    assert "max_num_seqs is 0" in strategies.refusal(lambda: Plain(max_num_seqs=0))
    assert "did you mean 'max_num_seqs'?" in strategies.refusal(lambda: Plain(max_num_sqs=1))
    check_in_use(engine, EngineArgs(max_model_len=4096, max_num_seqs=8))


def test_dataclass_subclass() -> None:
    """So is a dataclass of theirs, and its own field is no flag."""
    overrides = {"a": [1]}
    engine = Own(max_num_seqs=8, team="search", hf_overrides=overrides)
    overrides["a"].append(2)

    assert ("search", 8) == (engine.team, engine.max_num_seqs)
    assert {"max_num_seqs": 8, "hf_overrides": {"a": (1,)}} == engine.given()
    assert EngineArgs.keywords() == Own.keywords()
    assert replace(engine, team=None) != engine == replace(engine)
    assert None is replace(engine, team=None).team
    assert "ml" == Own().team
    assert engine == copy.deepcopy(engine)
    assert engine == pickle.loads(pickle.dumps(engine))  # noqa: S301  # its own bytes
    assert "max_num_seqs is 0" in strategies.refusal(lambda: Own(max_num_seqs=0))
    with pytest.raises(TypeError, match="cannot be changed"):
        engine.hf_overrides["b"] = 1  # type: ignore[index]  # the point
    with pytest.raises(FrozenInstanceError):
        engine.team = "x"  # type: ignore[misc]  # the point
    check_in_use(Own(max_num_seqs=8), EngineArgs(max_num_seqs=8))


def check_in_use(engine: EngineArgs, same: EngineArgs) -> None:
    """Check that a subclass is rendered and planned as an EngineArgs with the same flags."""
    engine.check(VllmRelease())
    gpu, shape = WholeGpu("NVIDIA-L40S"), ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
    pods = [GpuPodSpec(model=shape.name, gpu=gpu, engine=one) for one in (engine, same)]
    plans = [MemoryPlan(shape=shape, gpu=gpu, engine=one) for one in (engine, same)]

    assert pods[0].manifest() == pods[1].manifest()
    assert plans[0].as_dict() == plans[1].as_dict()


def test_frozen() -> None:
    """Flags cannot be changed after they were checked, and are given by name."""
    with pytest.raises(FrozenInstanceError):
        EngineArgs().seed = 1  # type: ignore[misc]  # the point
    with pytest.raises(VllmConstructsError):
        EngineArgs(4096)  # type: ignore[call-arg]  # the point
