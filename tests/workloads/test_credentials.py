"""Credentials in clear: in flags, command lines, variables and files."""

from __future__ import annotations

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import Container, EngineArgs, EnvVarSource, GpuPodSpec, WholeGpu
from vllm_constructs.workloads import credentials

SECRET = "s3cr3tpw"
TOKEN = "hf_" + "a" * 20
KEY_ID = "AKIA" + "A" * 16


def pod(**fields: Any) -> GpuPodSpec:
    """Return a pod."""
    return GpuPodSpec(**{"model": "a/b", "gpu": WholeGpu("NVIDIA-L40S"), **fields})


def kv_transfer(**extra: Any) -> dict[str, Any]:
    """Return the flag of a connector."""
    return {
        "kv_connector": "LMCacheConnectorV1",
        "kv_role": "kv_both",
        "kv_connector_extra_config": extra,
    }


FLAGS: list[tuple[dict[str, Any], str]] = [
    (
        {"otlp_traces_endpoint": f"http://u:{SECRET}@otel.m.svc:4317"},
        "EngineArgs.otlp_traces_endpoint",
    ),
    (
        {"kv_transfer_config": kv_transfer(remote_url=f"redis://u:{SECRET}@r.c.svc:6379")},
        "EngineArgs.kv_transfer_config['kv_connector_extra_config']['remote_url']",
    ),
    (
        {"kv_transfer_config": kv_transfer(redis_password=SECRET)},
        "EngineArgs.kv_transfer_config['kv_connector_extra_config']['redis_password']",
    ),
    (
        {"model_loader_extra_config": {"s3_secret_access_key": SECRET}},
        "EngineArgs.model_loader_extra_config['s3_secret_access_key']",
    ),
    (
        {"model_loader_extra_config": {"aws_access_key_id": KEY_ID}},
        "EngineArgs.model_loader_extra_config['aws_access_key_id']",
    ),
    ({"hf_overrides": {"token": TOKEN}}, "EngineArgs.hf_overrides['token']"),
]


@pytest.mark.parametrize(("flags", "where"), FLAGS)
def test_flags(flags: dict[str, Any], where: str) -> None:
    """A credential in a flag is rejected where it stands, also deep in JSON."""
    sentence = strategies.refusal(lambda: pod(engine=EngineArgs(**flags)))

    assert sentence.startswith(f"{where} looks like a credential (")
    assert "write $(NAME) in its place" in sentence
    assert not [one for one in (SECRET, TOKEN, KEY_ID) if one in sentence]


def test_references_in_flags() -> None:
    """A variable in its place is taken, as the advice says."""
    extra: Any = kv_transfer(redis_password="$(REDIS_PASSWORD)")
    pod(
        engine=EngineArgs(kv_transfer_config=extra),
        env={"REDIS_PASSWORD": EnvVarSource.from_secret("redis", key="password")},
    )


@pytest.mark.parametrize(
    "flags",
    [
        {"hf_overrides": {"pad_token": "<pad>", "eos_token": "[EOS]", "max_token": "8"}},
        {"ssl_keyfile": "/tls/tls.key", "ssl_certfile": "/tls/tls.crt"},
        {"otlp_traces_endpoint": "http://otel.m.svc:4317"},
    ],
)
def test_no_credentials_in_flags(flags: dict[str, Any]) -> None:
    """Special tokens and paths are none."""
    credentials.check_flags("EngineArgs", flags)


WORDS = [
    ["redis-server", "--requirepass", SECRET],
    [f"--password={SECRET}"],
    ["--password", SECRET],
    ["curl", "-u", f"bob:{SECRET}", "https://example.com"],
    ["sh", "-c", f"curl -u bob:{SECRET} https://example.com"],
    ["--api-key", SECRET],
    ["--url", f"redis://h:6379?password={SECRET}"],
]


@pytest.mark.parametrize("words", WORDS)
def test_words(words: list[str]) -> None:
    """A credential in a command line is rejected, whatever form it has."""
    for call in (
        lambda: Container(name="x", image="x:1", args=words),
        lambda: Container(name="x", image="x:1", command=words),
        lambda: pod(command=words),
    ):
        sentence = strategies.refusal(call)
        assert "has a word that looks like a credential (not shown)" in sentence
        assert SECRET not in sentence


@pytest.mark.parametrize(
    "words",
    [
        ["--requirepass", "$(REDIS_PASSWORD)"],
        ["--password=$(DB_PASSWORD)"],
        ["sh", "-c", "curl -u $USER:$PASSWORD https://example.com"],
        ["--token-file", "/run/token"],
        ["--password-file=/run/password"],
        ["--api-key", "--other"],
        ["-u", "2000:0"][:1],
        ["serve", "--max-num-batched-tokens", "8192"],
    ],
)
def test_no_credentials_in_words(words: list[str]) -> None:
    """References and paths are none."""
    credentials.check_words("args", words)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Basic {SECRET}"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"x=y,api-key={SECRET}"),
        ("REDISCLI_AUTH", SECRET),
        ("REDIS_URL", f"redis://h:6379?password={SECRET}"),
        ("HTTPS_PROXY", f"bob:{SECRET}@proxy:3128"),
        ("BLOB_URL", f"https://a.blob.core.windows.net/c?sv=2024&sig={SECRET}"),
        ("LMCACHE_CONFIG", f'{{"redis_password": "{SECRET}"}}'),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
    ],
)
def test_variables(name: str, value: str) -> None:
    """A credential is known by the name of its variable, or by its form."""
    sentence = strategies.refusal(lambda: pod(env={name: value}))

    assert sentence.startswith(f"env[{name!r}] looks like a credential")
    assert SECRET not in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKEN", "1024"),
        ("PAD_TOKEN", "<pad>"),
        ("PWD", "/work"),
        ("SSH_KEY", "~/.ssh/id"),
        ("API_KEY", "vault:secret/data/x#key"),
        ("API_KEY", "ref+vault://secret/x#/key"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=$(OTLP_AUTH)"),
        ("REDIS_URL", "redis://h:6379?password=$(REDIS_PASSWORD)"),
        ("HTTPS_PROXY", "bob:$(PROXY_PASSWORD)@proxy:3128"),
    ],
)
def test_no_credentials_in_variables(name: str, value: str) -> None:
    """Numbers, special tokens, paths and references are none."""
    assert not credentials.is_clear(name, value)
    assert not credentials.in_variable(name, value)


@pytest.mark.parametrize(
    "content",
    [
        f"redis:\n  password: {SECRET}\n",
        f"[default]\naws_secret_access_key = {SECRET}\n",
        f'{{\n  "api_key": "{SECRET}",\n}}\n',
        f"machine example.com login bob password {SECRET}\n",
        f"password: {SECRET}\n".encode(),
    ],
)
def test_files(content: str | bytes) -> None:
    """A credential in a configuration is rejected."""
    sentence = strategies.refusal(lambda: pod(files={"/etc/x": content}))

    assert "has what looks like a credential (not shown)" in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize(
    "content",
    [
        "password: ${REDIS_PASSWORD}\n",
        "password:\n",
        "api_key: {{ api_key }}\n",
        "{%- set password = tool.password %}\n",
        '{"name": "login", "parameters": {"password": {"type": "string"}}}',
        "  password: string\n",
        "password_file: /run/password\n",
        "bos_token: <s>\n",
    ],
)
def test_no_credentials_in_files(content: str) -> None:
    """References, types and templates are none."""
    pod(files={"/etc/x": content})
