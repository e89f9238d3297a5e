"""Addresses: where a pod has to connect to, as its flags and variables say."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import (
    Container,
    EgressRule,
    EngineArgs,
    EnvVarSource,
    ExistingClaim,
    GpuPodSpec,
    WholeGpu,
)
from vllm_constructs.kube.egress import merged
from vllm_constructs.workloads import egress

NIXL: Any = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
MOONCAKE: Any = {"kv_connector": "MooncakeConnector", "kv_role": "kv_both"}
LMCACHE: Any = {
    "kv_connector": "LMCacheConnectorV1",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"lmcache.remote_url": "lm://cache.lmcache.svc:65432"},
}

NESTED: Any = {
    "kv_connector": "LMCacheMPConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {
        "lmcache.mp.host": "tcp://lmcache-mp.cache.svc",
        "lmcache.mp.port": 6555,
    },
}


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


def named(**fields: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return where a pod may connect to: namespaces, ranges or any address, with their ports."""
    found = merged(egress.rules_of(pod(**fields)))
    return [
        (
            one.namespace or one.cidr or ("any" if one.labels is None else "own"),
            tuple(one.ports),
        )
        for one in found
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # With a scheme, or a name with a dot or an IP address with a port.
        ("redis://redis.cache.svc", [("cache", (6379,))]),
        ("redis.cache.svc:6380", [("cache", (6380,))]),
        ("redis.cache.svc.cluster.local:6379", [("cache", (6379,))]),
        ("http://mirror.mirrors.svc:8080/simple/", [("mirrors", (8080,))]),
        ("https://hf-mirror.com", [("any", (443,))]),
        ("10.1.2.3:5555", [("10.1.2.3/32", (5555,))]),
        ("tcp://10.1.2.3:5555", [("10.1.2.3/32", (5555,))]),
        ("http://[fd00::1]:8080", [("fd00::1/128", (8080,))]),
        ("s3://bucket/adapters", [("any", (443,))]),
        ("redis.cache:6379", [("any", (6379,))]),
        # With a user.
        ("http://$(USER):$(PASSWORD)@proxy.egress.svc:3128", [("egress", (3128,))]),
        ("user@db.data.svc:5432", [("data", (5432,))]),
        ("jdbc:postgresql://db.data.svc:5432/x", [("data", (5432,))]),
        # Several, and inside of other text.
        ("a.one.svc:6379,b.two.svc:6380", [("one", (6379,)), ("two", (6380,))]),
        ("a.one.svc:81 ; b.one.svc:82", [("one", (81, 82))]),
        ("http://a.one.svc,https://b.two.svc/x", [("one", (80,)), ("two", (443,))]),
        ("--to=http://a.one.svc --and=b.two.svc:81", [("one", (80,)), ("two", (81,))]),
        (
            '{"url": "redis://a.one.svc", "peers": ["b.two.svc:81"]}',
            [("one", (6379,)), ("two", (81,))],
        ),
        ("x='http://a.one.svc:81'", [("one", (81,))]),
        # A Service of the pod's own namespace, where nothing else is in the text.
        ("otel-collector:4317", [("own", (4317,))]),
        ("s1:26379,s2:26380", [("own", (26379, 26380))]),
        ("redis-sentinel://s1:26379,s2:26380", [("own", (26379, 26380))]),
        ("mcp:8001;a.one.svc:81", [("own", (8001,)), ("one", (81,))]),
        ("[fd00::5]:50051", [("fd00::5/128", (50051,))]),
        ("socks5h://proxy.egress.svc", [("egress", (1080,))]),
        ("valkey://cache.cache.svc", [("cache", (6379,))]),
        ("see otel-collector:4317", []),
        ("a_b:4317", []),
        ("12:30", []),
        ("mlx5_0:1", []),
        ("expandable_segments:True,max_split_size_mb:512", []),
        # Not an address, the pod's own, or one whose name is not known here.
        ("", []),
        ("1", []),
        ("DEBUG", []),
        ("redis.cache.svc", []),
        ("/usr/lib/x.so:/opt/y.so", []),
        ("/opt/models/a.b:99", []),
        ("nvcr.io/nvidia/vllm:26", []),
        ("hf://org/model", []),
        ("http://localhost:8000", []),
        ("127.0.0.1:8000", []),
        ("tcp://*:5557", []),
        ("http://$(HOST_OF_ANOTHER)/x", [("any", (80,))]),
        ("a.one.svc:123456", []),
        ("http://a.one.svc:99999", []),
    ],
)
def test_values(value: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    """A variable may name one address, several, or none."""
    assert expected == named(env={"PLACE": value})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(strategies.names(20), strategies.names(20), st.integers(10, 65535)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from((",", ";", " ", ", ", "\n", '"')),
    st.sampled_from(("", "tcp://", "http://")),
)
def test_lists(places: list[tuple[str, str, int]], separator: str, scheme: str) -> None:
    """All addresses of a list are found, whatever separates them."""
    value = separator.join(f"{scheme}{name}.{space}.svc:{port}" for name, space, port in places)
    expected = merged(EgressRule((port,), namespace=space) for _, space, port in places)

    assert expected == merged(egress.rules_of(pod(env={"PLACES": value})))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab.:/[]019-_ ,;$()'\"", max_size=30))
def test_anything(value: str) -> None:
    """Any value names addresses or none."""
    ports = [port for rule in egress.rules_of(pod(env={"X": value})) for port in rule.ports]

    assert all(1 <= port <= 65535 for port in ports)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"env": {"REDIS_HOST": "redis.cache.svc", "REDIS_PORT": "6379"}}, ("cache", (6379,))),
        ({"env": {"redis_host": "redis", "redis_port": "6379"}}, ("own", (6379,))),
        (
            {"env": {"URL": "redis://r.cache.svc:$(REDIS_PORT)", "REDIS_PORT": "6380"}},
            ("cache", (6380,)),
        ),
        (
            {"engine": EngineArgs(kv_transfer_config=NESTED)},
            ("cache", (6555,)),
        ),
        (
            {"files": {"/etc/lmcache.yaml": "remote_url: lm://l.cache.svc:65432\n"}},
            ("cache", (65432,)),
        ),
        ({"engine": EngineArgs(otlp_traces_endpoint="collector:4317")}, ("own", (4317,))),
        ({"env": {"HTTPS_PROXY": "squid:3128"}}, ("own", (3128,))),
    ],
)
def test_places(fields: dict[str, Any], expected: tuple[str, tuple[int, ...]]) -> None:
    """Hosts and ports may be given apart, by variables, or in a file of configuration."""
    assert expected in named(**fields)


def test_texts_that_are_no_addresses() -> None:
    """Names of models, templates and hosts without their ports open nothing."""
    engine = EngineArgs(chat_template="see http://docs.example.com:8080/")
    files = {"/etc/vllm/chat.jinja": "see http://docs.example.com:8080/"}
    assert [] == named(engine=engine, files=files, served_name="qwen:14")
    assert [] == named(env={"REDIS_HOST": "redis.cache.svc", "OTHER_PORT": "6379"})


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "No_Proxy"])
def test_no_proxy(name: str) -> None:
    """What is not reached through a proxy is not what a pod has to reach."""
    value = "http://a.one.svc:80,10.0.0.1:443"

    assert [] == named(env={name: value})
    assert [] != named(env={f"X_{name}": value})


def test_sources() -> None:
    """A value that comes from elsewhere is not known."""
    source = EnvVarSource.from_secret("proxy", key="http")

    assert [] == named(env={"HTTP_PROXY": source})


def test_sources_elsewhere() -> None:
    """The other containers name addresses in variables and in command lines."""
    one = Container(
        name="one",
        image="x:1",
        command=["proxy", "--to=http://a.command.svc:81"],
        args=["b.args.svc:82"],
        env={"NO_PROXY": "c.none.svc:83", "URL": "redis://d.env.svc"},
    )
    expected = [("args", (82,)), ("command", (81,)), ("env", (6379,))]

    assert expected == named(sidecars=[one])
    assert expected == named(init_containers=[one])
    assert expected == named(sidecars=[one], env={"X": "b.args.svc:82"})


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (EngineArgs(), []),
        (EngineArgs(max_model_len=4096, dtype="half"), []),
        (EngineArgs(otlp_traces_endpoint="grpc://otel.obs.svc:4317"), [("obs", (4317,))]),
        (EngineArgs(otlp_traces_endpoint="http://otel.obs.svc:4318/v1"), [("obs", (4318,))]),
        (EngineArgs(kv_transfer_config=LMCACHE), [("lmcache", (65432,))]),
        (
            EngineArgs(enable_lora=True, lora_modules=["a=s3://bucket/a", "b=/model-cache/b"]),
            [("any", (443,))],
        ),
        (
            EngineArgs(additional_config={"peers": [{"url": "http://a.one.svc"}, "b.two.svc:81"]}),
            [("one", (80,)), ("two", (81,))],
        ),
    ],
)
def test_flags(engine: EngineArgs, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    """Flags name addresses, however deep they are in JSON."""
    assert expected == named(engine=engine)


@pytest.mark.parametrize(
    ("config", "env", "port", "is_nixl"),
    [
        (None, {}, None, False),
        (LMCACHE, {}, None, False),
        ({"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}, {}, None, False),
        (NIXL, {}, 5600, True),
        (NIXL, {"VLLM_NIXL_SIDE_CHANNEL_PORT": "6000"}, 6000, True),
        (MOONCAKE, {}, 8998, False),
        ({"kv_connector": "MoRIIOConnector", "kv_role": "kv_producer"}, {}, 5600, False),
        (
            {
                "kv_connector": "MultiConnector",
                "kv_role": "kv_both",
                "kv_connector_extra_config": {"connectors": [MOONCAKE, NIXL]},
            },
            {},
            5600,
            True,
        ),
        (
            {
                "kv_connector": "MultiConnector",
                "kv_role": "kv_both",
                "kv_connector_extra_config": {"connectors": [LMCACHE, MOONCAKE]},
            },
            {},
            8998,
            False,
        ),
    ],
)
def test_side_channel(config: Any, env: dict[str, str], port: int | None, *, is_nixl: bool) -> None:
    """Engines that pass KV caches to each other need ports between them, from the first one on."""
    found = pod(engine=EngineArgs(kv_transfer_config=config), env=env)

    assert port == egress.side_channel(found)
    assert is_nixl is egress.has_nixl(found)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"model": "/model-cache/qwen"}, False),
        ({"model": "/model-cache/qwen", "engine": EngineArgs(tokenizer="org/x")}, True),
        ({"model": "/model-cache/qwen", "engine": EngineArgs(tokenizer="/model-cache/x")}, False),
        (
            {
                "model": "/model-cache/qwen",
                "engine": EngineArgs(enable_lora=True, lora_modules=["a=/model-cache/a"]),
            },
            False,
        ),
        (
            {
                "model": "/model-cache/qwen",
                "engine": EngineArgs(enable_lora=True, lora_modules=["a=org/a"]),
            },
            True,
        ),
        # A mirror or a proxy is an address of its own, and without downloads nothing is reached.
        ({"env": {"HF_ENDPOINT": "http://mirror.mirrors.svc"}}, False),
        ({"env": {"HTTPS_PROXY": "http://proxy.egress.svc:3128"}}, False),
        ({"env": {"https_proxy": "http://proxy.egress.svc:3128"}}, False),
        ({"env": {"NO_PROXY": ".svc"}}, True),
        ({"env": {"HTTPS_PROXY": ""}}, True),
        (
            {"env": {"HTTPS_PROXY": "http://p.e.svc:3128", "NO_PROXY": "huggingface.co,.hf.co"}},
            True,
        ),
        ({"env": {"HTTPS_PROXY": "http://p.e.svc:3128", "no_proxy": "*"}}, True),
        ({"env": {"HTTPS_PROXY": "http://p.e.svc:3128", "no_proxy": ".svc, 10.0.0.0/8"}}, False),
        ({"env": {"HF_ENDPOINT": "http://m.m.svc:80", "VLLM_USE_MODELSCOPE": "1"}}, True),
        (
            {
                "model": "/model-cache/qwen",
                "engine": EngineArgs(
                    enable_lora=True, lora_modules=['{"name": "sql", "path": "org/sql"}']
                ),
            },
            True,
        ),
        ({"env": {"HF_HUB_OFFLINE": "1"}}, False),
        ({"cache": ExistingClaim("weights", access="ReadOnlyMany")}, False),
    ],
)
def test_https(fields: dict[str, Any], expected: object) -> None:
    """An engine that downloads a repository needs HTTPS, unless it says from where."""
    assert expected is egress.needs_https(pod(**fields))
