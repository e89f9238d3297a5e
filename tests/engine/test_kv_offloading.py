"""KV cache in the memory of the host: what flags and variables allocate there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs import EngineArgs, VllmRelease
from vllm_constructs.engine.kv_offloading import (
    HostCache,
    asked,
    connectors,
    has_tiers,
    host_cache,
    problem,
    sizes,
)
from vllm_constructs.errors import python

GIB = 2**30
RELEASES = ("0.12.0", "0.21.0", "0.22.0", "0.26.0", "0.27.0", "0.28.0", "0.29.0", "0.33.0")


def release(version: str = "0.33.0", family: str = "") -> VllmRelease:
    """A release, of the CUDA image unless told otherwise."""
    return VllmRelease(f"vllm/vllm-openai{family}:v{version}")


def transfer(connector: str = "OffloadingConnector", **extra: Any) -> EngineArgs:
    """An engine with a connector."""
    config = {"kv_connector": connector, "kv_role": "kv_both", "kv_connector_extra_config": extra}
    return EngineArgs(kv_transfer_config=config)  # type: ignore[arg-type]  # a dict as vLLM has it


def found(
    engine: EngineArgs,
    version: str = "0.33.0",
    env: dict[str, str] | None = None,
    *,
    gpus: int = 1,
    hybrid: bool = False,
    family: str = "",
) -> HostCache | None:
    """The KV cache in the memory of the host."""
    known = release(version, family)
    return host_cache(engine, known, env or {}, gpus=gpus, is_hybrid=hybrid)


@pytest.mark.parametrize("engine", [EngineArgs(), transfer("NixlConnector"), transfer()])
def test_none(engine: EngineArgs) -> None:
    """Without a size nothing is kept there."""
    assert found(engine) is None


@pytest.mark.parametrize(
    ("version", "factor", "is_shared", "has_leftovers"),
    [
        ("0.12.0", 2, False, False),
        ("0.26.0", 2, False, False),
        ("0.27.0", 1, True, True),
        ("0.28.0", 1, True, True),
        ("0.29.0", 1, True, False),
        ("0.33.0", 1, True, False),
    ],
)
def test_releases(version: str, factor: int, *, is_shared: bool, has_leftovers: bool) -> None:
    """Pinned memory is rounded up; in /dev/shm a killed engine left its file before 0.29."""
    size = factor * 8 * GIB
    expected = HostCache(
        size=size, shared_memory=size if is_shared else 0, has_leftovers=has_leftovers
    )

    assert expected == found(EngineArgs(kv_offloading_size=8), version)
    assert expected == found(transfer(cpu_bytes_to_use=8 * GIB), version)


@given(
    st.floats(0.1, 4096),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(RELEASES),
    st.booleans(),
)
def test_size(gib: float, gpus: int, engines: int, version: str, hybrid: bool) -> None:  # noqa: FBT001  # drawn
    """A size is that of one engine, whatever its GPUs; more is counted, never less."""
    engine = EngineArgs(kv_offloading_size=gib, data_parallel_size=engines)
    cache = found(engine, version, gpus=gpus * engines, hybrid=hybrid)

    assert cache is not None
    factor = cache.size / (int(gib * GIB) * engines)
    assert factor in ({2} if hybrid else {1, 2})
    assert cache.shared_memory in (0, cache.size)
    assert cache.has_leftovers <= bool(cache.shared_memory)


def test_rocm() -> None:
    """On ROCm it is pinned memory, in all releases."""
    cache = HostCache(size=16 * GIB)

    assert cache == found(EngineArgs(kv_offloading_size=8), family="-rocm")


def test_simple() -> None:
    """The simple connector pins memory: its variable chooses it for a size only."""
    env = {"VLLM_USE_SIMPLE_KV_OFFLOAD": "1"}
    pinned = HostCache(size=16 * GIB)
    shared = HostCache(size=8 * GIB, shared_memory=8 * GIB)

    assert pinned == found(EngineArgs(kv_offloading_size=8), env=env)
    assert pinned == found(transfer("SimpleCPUOffloadConnector", cpu_bytes_to_use=8 * GIB))
    assert shared == found(transfer(cpu_bytes_to_use=8 * GIB), env=env)


@pytest.mark.parametrize(
    "more", [{"secondary_tiers": [{"type": "fs"}]}, {"spec_name": "TieringOffloadingSpec"}]
)
@pytest.mark.parametrize(
    ("version", "family"), [("0.22.0", ""), ("0.33.0", ""), ("0.33.0", "-rocm")]
)
def test_tiers(more: dict[str, Any], version: str, family: str) -> None:
    """With tiers there is a file in every release and on all platforms, and it is left over."""
    engine = transfer(cpu_bytes_to_use=GIB, **more)
    cache = HostCache(size=GIB, shared_memory=GIB, has_leftovers=True)

    assert has_tiers(engine.get("kv_transfer_config"))
    assert cache == found(engine, version, family=family)
    assert not has_tiers([{"spec_name": "CPUOffloadingSpec", "secondary_tiers": []}, None])


@pytest.mark.parametrize(
    ("env", "gib"),
    [
        ({}, 5),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "12.5"}, 12.5),
        ({"LMCACHE_LOCAL_CPU": "True"}, 5),
        ({"LMCACHE_LOCAL_CPU": " off"}, 0),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "0"}, 0),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "-4"}, 0),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "nan"}, 0),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "inf"}, 0),
        ({"LMCACHE_MAX_LOCAL_CPU_SIZE": "much"}, 0),
    ],
)
def test_lmcache(env: dict[str, str], gib: float) -> None:
    """LMCache has a buffer for each GPU, as large as its variable says."""
    expected = HostCache(size=int(4 * gib * GIB)) if gib else None

    assert expected == found(transfer("LMCacheConnectorV1"), env=env, gpus=4)


def test_lmcache_backend() -> None:
    """Before 0.23 the backend keeps the size in the engine, and since then a server does."""
    engine = EngineArgs(
        kv_offloading_size=8,
        kv_offloading_backend="lmcache",
        data_parallel_size=2,
    )

    assert HostCache(size=16 * GIB) == found(engine, "0.22.0", gpus=4)
    assert found(engine, "0.23.0", gpus=4) is None


def test_several() -> None:
    """Of several connectors each one's memory counts."""
    native, lmcache = (
        transfer("OffloadingConnector", cpu_bytes_to_use=str(GIB)),
        transfer("LMCacheConnectorV1"),
    )
    parts = [one.get("kv_transfer_config") for one in (native, lmcache)]
    engine = transfer("MultiConnector", connectors=parts)
    config = engine.get("kv_transfer_config")

    names = ["MultiConnector", "OffloadingConnector", "LMCacheConnectorV1"]
    assert names == list(connectors(config))
    assert GIB == sum(sizes(config))
    assert HostCache(size=6 * GIB, shared_memory=GIB) == found(engine)


@pytest.mark.parametrize("size", [True, None, [], {}, "x", -1, 0, float("nan"), 10**400, 1e300])
def test_odd_sizes(size: object) -> None:
    """What is no size is none."""
    assert 0 == sum(sizes({"a": [{"cpu_bytes_to_use": size}]}))


REPLACED = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}


@pytest.mark.parametrize(
    ("engine", "version", "sentence"),
    [
        ({"kv_offloading_size": 0}, "0.33.0", "is 0; expected a number of GiB above 0."),
        ({"kv_offloading_size": -1.5}, "0.33.0", "is -1.5; expected a number of GiB above 0."),
        (
            {"kv_offloading_size": 8, "kv_offloading_backend": "lmcache"},
            "0.23.0",
            (
                "is 8, which vLLM 0.23.0 ignores with kv_offloading_backend='lmcache': that "
                "backend is the client of an LMCache server; leave both out, and give "
                "kv_offload=LmCacheServer(...)."
            ),
        ),
        (
            {"kv_offloading_size": 8, "kv_transfer_config": REPLACED},
            "0.33.0",
            (
                "is 8, with which vLLM replaces the connector 'NixlConnector' of "
                "kv_transfer_config; leave one of them out."
            ),
        ),
        (
            {
                "kv_offloading_size": 8,
                "kv_offloading_backend": "lmcache",
                "kv_transfer_config": REPLACED,
            },
            "0.22.0",
            (
                "is 8, with which vLLM replaces the connector 'NixlConnector' of "
                "kv_transfer_config; leave one of them out."
            ),
        ),
    ],
)
def test_problems(engine: dict[str, Any], version: str, sentence: str) -> None:
    """A size that vLLM does not use, or with which it drops a connector, is a problem."""
    said = problem(EngineArgs(**engine), release(version))

    assert said is not None
    assert f"EngineArgs.kv_offloading_size {sentence}" == said.sentence(python)


@pytest.mark.parametrize(
    ("engine", "version"),
    [
        ({}, "0.33.0"),
        ({"kv_offloading_backend": "lmcache"}, "0.33.0"),
        ({"kv_offloading_size": 8}, "0.33.0"),
        ({"kv_offloading_size": 8, "kv_offloading_backend": "native"}, "0.33.0"),
        ({"kv_offloading_size": 8, "kv_offloading_backend": "lmcache"}, "0.22.0"),
        (
            {
                "kv_offloading_size": 8,
                "kv_transfer_config": {
                    "kv_connector": "OffloadingConnector",
                    "kv_role": "kv_both",
                },
            },
            "0.33.0",
        ),
    ],
)
def test_no_problem(engine: dict[str, Any], version: str) -> None:
    """Anything else is as it is meant."""
    assert problem(EngineArgs(**engine), release(version)) is None


@pytest.mark.parametrize("platform", ["CPU", "TPU", "Gaudi"])
@pytest.mark.parametrize(
    ("engine", "asking"),
    [
        ({"kv_offloading_size": 8}, "kv_offloading_size"),
        (
            {"kv_transfer_config": {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}},
            "kv_transfer_config",
        ),
        (
            {
                "kv_transfer_config": {
                    "kv_connector": "MultiConnector",
                    "kv_role": "kv_both",
                    "kv_connector_extra_config": {
                        "connectors": [
                            {"kv_connector": "NixlConnector", "kv_role": "kv_both"},
                            {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"},
                        ]
                    },
                }
            },
            "kv_transfer_config",
        ),
    ],
)
def test_platform(engine: dict[str, Any], asking: str, platform: Any) -> None:
    """VLLM's own connector needs a GPU of three vendors; vLLM ends without one."""
    other = VllmRelease("example.com/vllm:v1", vllm="0.33.0", accelerator=platform)
    said = problem(EngineArgs(**engine), other)

    assert said is not None
    assert said.sentence(python) == (
        f"EngineArgs.{asking} asks for vLLM's own connector, which does not run on {platform}; "
        "leave it out."
    )
    assert problem(transfer("NixlConnector"), other) is None


def test_asked() -> None:
    """What is asked for has neither the factor of hybrid models nor that of pinned memory."""
    engine = EngineArgs(kv_offloading_size=8, data_parallel_size=2)
    found = asked(engine, VllmRelease(), {}, gpus=2)
    assert (16 * GIB, 0, False) == (found.native, found.lmcache, found.is_simple)
    lmcache = EngineArgs(
        kv_transfer_config={"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}
    )
    found = asked(lmcache, VllmRelease(), {}, gpus=2)
    assert (0, 10 * GIB) == (found.native, found.lmcache)
