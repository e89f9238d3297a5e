"""LMCache in the engine, and as a server of the node."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.workloads.offloads import CLAIM, CLIENT, config, pod
from vllm_constructs import (
    EnvVarSource,
    LmCache,
    LmCacheClient,
)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**16), st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]), st.integers(1, 2**20))
def test_parts(gib: int, gpus: int, disk_gib: int) -> None:
    """The buffers and disks of all GPUs make up the whole, and never more."""
    env = pod(LmCache(gib=gib, disk=CLAIM, disk_gib=disk_gib), gpus).env

    for name, whole in (
        ("LMCACHE_MAX_LOCAL_CPU_SIZE", gib),
        ("LMCACHE_MAX_LOCAL_DISK_SIZE", disk_gib),
    ):
        parts = float(str(env[name])) * gpus
        assert whole - gpus / 1000 <= parts <= whole


def test_lmcache() -> None:
    """LMCache in the engine is a connector and its variables."""
    made = pod(LmCache(gib=20), 2)

    assert {"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"} == config(made)
    assert {
        "LMCACHE_CHUNK_SIZE": "256",
        "LMCACHE_LOCAL_CPU": "True",
        "LMCACHE_MAX_LOCAL_CPU_SIZE": "10",
    } == dict(made.env)
    assert ("52Gi", "84Gi") == made.memory_pair


def test_lmcache_beside() -> None:
    """A disk is mounted; with a server all pods have the same hashes, and its password is known."""
    url = "redis://:$(PASSWORD)@redis.cache.svc:6379"
    offload = LmCache(
        gib=20, disk=CLAIM, disk_gib=500, remote_url=url, serde="cachegen", chunk_size=512
    )
    made = pod(offload, env={"PASSWORD": EnvVarSource.from_secret("redis", key="password")})

    expected = {
        "LMCACHE_CHUNK_SIZE": "512",
        "LMCACHE_LOCAL_DISK": "file:///lmcache",
        "LMCACHE_MAX_LOCAL_DISK_SIZE": "500",
        "LMCACHE_REMOTE_URL": url,
        "LMCACHE_REMOTE_SERDE": "cachegen",
        "PYTHONHASHSEED": "0",
    }
    assert expected.items() <= made.env.items()
    container = made.manifest()["containers"][0]
    assert {"name": "claim-kv", "mountPath": "/lmcache"} in container["volumeMounts"]
    names = [one["name"] for one in container["env"]]
    assert names.index("PASSWORD") < names.index("LMCACHE_REMOTE_URL")


def test_client() -> None:
    """A client names its server, and that GPU memory is passed through the driver."""
    extra = {
        "lmcache.mp.host": "tcp://lmcache.llm.svc",
        "lmcache.mp.port": 6555,
        "lmcache.mp.isolated_ipc": True,
    }
    expected = {
        "kv_connector": "LMCacheMPConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": extra,
    }
    made = pod(LmCacheClient(host="lmcache.llm.svc", port=6555))

    assert expected == config(made)
    assert ("tcp://lmcache.llm.svc:6555",) == made.addresses
    assert ("16Gi", "32Gi") == made.memory_pair


def test_ipv6() -> None:
    """LMCache listens on IPv4, which the pods of an IPv6 cluster do not reach."""
    pod(CLIENT, ip_families=["IPv4", "IPv6"])
    assert "kv_offload is an LMCache server, which listens on IPv4 only" in strategies.refusal(
        lambda: pod(CLIENT, ip_families=["IPv6"])
    )
