"""Additions: what options add to others, and where the user has said something else."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import Container, EngineArgs, EnvVarSource, Volume
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.workloads.additions import Additions, merged

CLAIM = Volume.from_claim("kv")
WAIT = Container(name="wait", image="busybox:1.37.0")
OTHER = Container(name="other", image="busybox:1.37.0")
CONFIG = {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}


def options(**given: Any) -> dict[str, Any]:
    """The options of a pod that may have something added."""
    empty = {"engine": EngineArgs(), "env": {}, "volumes": {}, "init_containers": ()}
    return {**empty, **given}


def added(**fields: Any) -> Additions:
    """What the option `kv_offload` adds."""
    return Additions(option="kv_offload", **fields)


ALL = added(
    engine={"kv_transfer_config": CONFIG},
    env={"B": "1"},
    volumes={"/kv": CLAIM},
    init_containers=(WAIT,),
)


def test_nothing() -> None:
    """Nothing is changed where nothing is added."""
    assert {} == merged(options(), [])
    assert {} == merged(options(), [added(labels={"a": "b"}, source="/x", addresses=("x:1",))])


def test_added() -> None:
    """What is added stands beside what is there; maps are sorted, and new containers come first."""
    given = options(
        engine=EngineArgs(max_model_len=4096),
        env={"C": "2", "A": EnvVarSource.from_secret("a", key="b")},
        volumes={"/data": CLAIM},
        init_containers=(OTHER,),
    )
    found = merged(given, [ALL])

    assert found["engine"] == EngineArgs(max_model_len=4096, kv_transfer_config=CONFIG)  # type: ignore[arg-type]  # a dict as vLLM has it
    assert ["A", "B", "C"] == list(found["env"])
    assert isinstance(found["env"], FrozenDict)
    assert ["/data", "/kv"] == list(found["volumes"])
    assert (WAIT, OTHER) == found["init_containers"]
    assert list(found) == ["engine", "env", "volumes", "init_containers"]


def test_several() -> None:
    """Several options add to the same ones, each to what the others have added."""
    found = merged(options(), [ALL, added(env={"D": "1"}, engine={"enable_lora": True})])

    assert {"B": "1", "D": "1"} == found["env"]
    assert found["engine"].enable_lora
    assert found["engine"].kv_transfer_config
    with_same = merged(options(), [ALL, ALL])
    assert with_same == merged(options(), [ALL])


def test_again() -> None:
    """What is there already is left as it is."""
    once = options(**merged(options(init_containers=(OTHER,)), [ALL]))

    assert once == options(**{**once, **merged(once, [ALL])})


SIZED = EngineArgs(kv_offloading_size=8)
REFUSED: list[tuple[dict[str, Any], Additions, str]] = [
    (
        {"engine": EngineArgs(kv_transfer_config={**CONFIG, "kv_role": "kv_producer"})},  # type: ignore[arg-type]  # a dict as vLLM has it
        ALL,
        "EngineArgs.kv_transfer_config is set by kv_offload; leave one of them out.",
    ),
    (
        {"engine": SIZED},
        added(engine={"kv_transfer_config": CONFIG}, excludes=("kv_offloading_size",)),
        "EngineArgs.kv_offloading_size contradicts kv_offload; leave one of them out.",
    ),
    ({"env": {"B": "2"}}, ALL, "env['B'] is set by kv_offload; leave one of them out."),
    (
        {"env": {"B": EnvVarSource.from_secret("a", key="b")}},
        ALL,
        "env['B'] is set by kv_offload; leave one of them out.",
    ),
    (
        {"volumes": {"/kv": Volume.from_claim("other")}},
        ALL,
        "volumes['/kv'] is set by kv_offload; leave one of them out.",
    ),
    (
        {"init_containers": (Container(name="wait", image="busybox:1.36.0"),)},
        ALL,
        "init_containers['wait'] is set by kv_offload; leave one of them out.",
    ),
]


@pytest.mark.parametrize(("given", "addition", "sentence"), REFUSED)
def test_refusals(given: dict[str, Any], addition: Additions, sentence: str) -> None:
    """Where the user has said something else, both are named."""
    assert sentence == strategies.refusal(lambda: merged(options(**given), [addition]))


def test_excludes_alone() -> None:
    """A flag that is left out contradicts nothing."""
    addition = added(engine={"enable_lora": True}, excludes=("kv_offloading_size",))

    assert merged(options(engine=EngineArgs(seed=1)), [addition])["engine"].enable_lora


def test_credentials() -> None:
    """A password in what is added is refused as one that the user gives."""
    addition = added(env={"LMCACHE_REMOTE_URL": "redis://:secret@redis.cache.svc:6379"})
    sentence = strategies.refusal(lambda: merged(options(), [addition]))

    assert "kv_offload['LMCACHE_REMOTE_URL'] looks like a credential" in sentence
    assert "secret@" not in sentence


def test_more_keys() -> None:
    """What is JSON gets more keys, and none of the user's is changed."""
    addition = added(engine={"model_loader_extra_config": {"a": 1, "b": 2}})
    own = options(engine=EngineArgs(model_loader_extra_config={"a": 1}))
    assert {"a": 1, "b": 2} == merged(own, [addition])["engine"].model_loader_extra_config

    other = options(engine=EngineArgs(model_loader_extra_config={"a": 3}))
    assert "EngineArgs.model_loader_extra_config is set by kv_offload; leave one of them out." == (
        strategies.refusal(lambda: merged(other, [addition]))
    )
