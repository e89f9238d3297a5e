"""Variables of the container: what a user may set, and what is set here."""

import re
from typing import Any

import cdk8s
import cdk8s_plus_27 as kplus
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import (
    Container,
    EnvVarSource,
    GpuPodSpec,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads import pod_variables

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
SECRET = "correct-horse-battery-staple"
FIELD = EnvVarSource.from_field("status.podIP")


def check(env: object, *, is_offline: bool = False) -> dict[str, str]:
    """The variables, for the newest release."""
    return dict(pod_variables.check_variables(env, VllmRelease(), is_offline=is_offline))


def names(entries: list[dict[str, Any]]) -> list[str]:
    """The names of variables in their order."""
    return [entry["name"] for entry in entries]


def started(entries: list[dict[str, Any]], more: dict[str, str] | None = None) -> dict[str, str]:
    """What the processes see: the kubelet replaces `$(NAME)` by variables that come before."""
    found = dict(more or {})
    for entry in entries:
        value = entry.get("value", "<source>")

        def replaced(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            return found.get(match[1], match[0])

        found[entry["name"]] = re.sub(r"\$\$|\$\(([^)]*)\)", replaced, value)
    return found


def test_sorted() -> None:
    """The order in which variables are given is not the order in which they are written."""
    assert ["A", "B"] == list(check({"B": "1", "A": "2"}))


@pytest.mark.parametrize("name", sorted(pod_variables.RESERVED))
def test_reserved(name: str) -> None:
    """A variable that would break what is derived is refused, with advice and without its value."""
    sentence = strategies.refusal(lambda: check({name: TOKEN}))

    assert sentence.startswith(f"env['{name}'] ")
    assert TOKEN not in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CUDA_VISIBLE_DEVICES", "is set by the device plugin, which assigns the GPUs"),
        ("NVIDIA_VISIBLE_DEVICES", "is set by the device plugin"),
        ("HF_HOME", "is the path where cache is mounted; leave it out"),
        ("HF_HUB_CACHE", "would put the weights outside the volume of cache"),
        ("HUGGINGFACE_HUB_CACHE", "would put the weights outside the volume of cache"),
        ("HF_TOKEN", "give hf_token, which refers to a Secret"),
        ("HUGGING_FACE_HUB_TOKEN", "give hf_token, which refers to a Secret"),
        ("VLLM_API_KEY", "give api_key, which refers to a Secret"),
        ("HOME", "is set together with the user of the pod"),
        ("USER", "is set together with the user of the pod"),
        ("VLLM_ENGINE_READY_TIMEOUT_S", "is set by startup"),
        ("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "is set by response_timeout"),
        ("VLLM_PORT", "leave it out, or give port for the API"),
        ("VLLM_HOST_IP", "is only for engines on several nodes"),
        ("VLLM_SERVER_DEV_MODE", "opens administrative endpoints to every client"),
    ],
)
def test_reserved_names(name: str, words: str) -> None:
    """What is derived or would break it is rejected with what to do, and from a source as well."""
    sentence = strategies.refusal(lambda: check({name: "/elsewhere"}))
    assert sentence.startswith(f"env[{name!r}] ")
    assert words in sentence
    assert strategies.refusal(lambda: check({name: FIELD})).startswith(f"env[{name!r}] ")


def test_offline() -> None:
    """A read-only cache switches downloads off by itself; otherwise a user may."""
    assert {"HF_HUB_OFFLINE": "1"} == check({"HF_HUB_OFFLINE": "1"})
    sentence = strategies.refusal(lambda: check({"HF_HUB_OFFLINE": "1"}, is_offline=True))
    assert "is set by a read-only cache" in sentence


@pytest.mark.parametrize(
    "env",
    [
        [{"name": "HF_TOKEN", "value": TOKEN}],
        {"HF_TOKEN": TOKEN},
        {"HF_TOKEN": TOKEN.encode()},
        {"A": [TOKEN]},
        TOKEN,
    ],
)
def test_token_in_env(env: Any) -> None:
    """A token in `env` is in no error, whatever its type."""
    sentence = strategies.refusal(
        lambda: GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S"), env=env)
    )

    assert TOKEN not in sentence
    assert TOKEN[3:] not in sentence


REFERENCES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"A": "x", "B": "$(A)/y"}, {"A": "x", "B": "x/y"}),
    ({"A": "$(B)/y", "B": "x"}, {"A": "x/y", "B": "x"}),
    ({"A": "$(B)$(C)", "B": "$(C)2", "C": "1"}, {"A": "121", "B": "12", "C": "1"}),
    ({"A": "tcp://$(Z):5555", "Z": FIELD}, {"A": "tcp://<source>:5555", "Z": "<source>"}),
    ({"URL": "ws://:$(PASSWORD)@a.b.svc", "PASSWORD": FIELD}, {"URL": "ws://:<source>@a.b.svc"}),
    # What refers to nothing stays as it is written.
    ({"A": "$(X)"}, {"A": "$(X)"}),
    ({"A": "$(B)$(X)", "B": "1"}, {"A": "1$(X)"}),
    ({"A": "$(b)", "B": "1"}, {"A": "$(b)"}),
    ({"A": "$(B", "B": "1"}, {"A": "$(B"}),
    ({"A": "$ (B) $B ${B}", "B": "1"}, {"A": "$ (B) $B ${B}"}),
    ({"A": "$(a-b)$()$("}, {"A": "$(a-b)$()$("}),
    # Escaped, as in Kubernetes.
    ({"A": "$$(B)", "B": "1"}, {"A": "$(B)"}),
    ({"A": "$$$(B)", "B": "1"}, {"A": "$$1"}),
    ({"A": "pa$$word"}, {"A": "pa$$word"}),
]


@pytest.mark.parametrize(("env", "expected"), REFERENCES)
def test_references(env: dict[str, Any], expected: dict[str, str]) -> None:
    """A variable comes after those that it refers to, so that the kubelet replaces them."""
    entries = pod_variables.env_entries(check(env))

    found = started(entries)
    assert expected == {name: found[name] for name in expected}
    assert sorted(env) == sorted(names(entries))
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"containers": [{"name": "x", "image": "x:1", "env": entries}]},
    }
    assert [] == validate(manifest, releases=["1.27", "1.37"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(("$(A)", "$(X)", "$(", "$", ")", "(", "A", "é"))).map("".join))
def test_escaping(value: str) -> None:
    """In any value nothing is replaced but references to other variables."""
    # Two of them are an escape, which has tests of its own.
    assume("$$" not in value)
    found = started(pod_variables.env_entries(check({"A": "1", "B": value})))

    assert value.replace("$(A)", "1") == found["B"]


@settings(max_examples=60, deadline=None)
@given(st.permutations("ABCDEF"), st.data())
def test_order(order: list[str], data: st.DataObject) -> None:
    """However variables refer to each other, all references are replaced."""
    env: dict[str, Any] = {}
    expected: dict[str, str] = {}
    for name in order:
        others = data.draw(st.lists(st.sampled_from(sorted(env)), max_size=3)) if env else []
        env[name] = name.lower() + "".join(f"$({other})" for other in others)
        expected[name] = name.lower() + "".join(expected[other] for other in others)
    entries = pod_variables.env_entries(check(env))

    assert expected == started(entries)
    assert entries == pod_variables.env_entries(check(strategies.shuffled(env)))


def test_order_of_sources() -> None:
    """Sources come first, and those without references in the order of their names."""
    env = {"B": "1", "A": "2", "Z": FIELD, "Y": FIELD}

    assert ["Y", "Z", "A", "B"] == names(pod_variables.env_entries(check(env)))


def test_before() -> None:
    """Variables that come before are referred to as well, and are not there again."""
    env = check({"A": "$(HOME)/$(OTHER)"})

    entries = pod_variables.env_entries(env, before=["HOME"])
    assert ["A"] == names(entries)
    assert "/root/$(OTHER)" == started(entries, {"HOME": "/root", "OTHER": "x"})["A"]
    assert "$(HOME)/$(OTHER)" == started(pod_variables.env_entries(env), {"HOME": "/root"})["A"]


def test_open() -> None:
    """With variables whose names are not known, a value is written as it is."""
    env = check({"A": "$(B)$(X)", "B": "$$(X)$("})

    entries = pod_variables.env_entries(env, is_open=True)
    assert [("B", "$$(X)$("), ("A", "$(B)$(X)")] == [(one["name"], one["value"]) for one in entries]


@pytest.mark.parametrize(
    ("env", "circle"),
    [
        ({"A": "$(A)"}, "('A')"),
        ({"PATH": "/opt/bin:$(PATH)"}, "('PATH')"),
        ({"B": "$(A)", "A": "x$(B)"}, "('A', 'B')"),
        ({"A": "$(B)", "B": "$(C)", "C": "$(D)", "D": "$(B)"}, "('B', 'C', 'D')"),
    ],
)
def test_circles(env: dict[str, str], circle: str) -> None:
    """Variables that refer to each other in a circle are rejected by their names."""
    for where, call in (
        ("env", lambda: check(env)),
        ("Container.env", lambda: Container(name="x", image="x:1", env=env)),
    ):
        assert (
            f"{where} has variables that refer to each other in a circle {circle}; "
            "give one of them a value of its own."
        ) == strategies.refusal(call)


def test_sources() -> None:
    """A source is taken as it is, also for a credential, but not for what is set here."""
    secret = EnvVarSource.from_secret("db", key="password", optional=True)
    env: Any = {"DB_PASSWORD": secret, "NODE": EnvVarSource.from_field("spec.nodeName")}
    found = check(env)

    assert env == found
    reference = {"name": "db", "key": "password", "optional": True}
    assert [
        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": reference}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ] == pod_variables.env_entries(found)
    sentence = strategies.refusal(lambda: check({"HF_TOKEN": secret}))
    assert "give hf_token, which refers to a Secret" in sentence


def test_plus() -> None:
    """Values of cdk8s-plus become strings and sources, and a credential among them is rejected."""
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    secret = kplus.Secret.from_secret_name(chart, "secret", "db")
    config_map = kplus.ConfigMap.from_config_map_name(chart, "map", "settings")
    value = kplus.SecretValue(secret=secret, key="password")

    assert {
        "A": "x",
        "B": EnvVarSource.from_secret("db", key="password"),
        "C": EnvVarSource.from_config_map("settings", key="k", optional=True),
        "D": EnvVarSource.from_field("status.podIP"),
        "E": EnvVarSource.from_field("metadata.labels['app']"),
        "F": EnvVarSource.from_resource("limits.memory"),
    } == check(
        {
            "A": kplus.EnvValue.from_value("x"),
            "B": kplus.EnvValue.from_secret_value(value),
            "C": kplus.EnvValue.from_config_map(config_map, "k", optional=True),
            "D": kplus.EnvValue.from_field_ref(kplus.EnvFieldPaths.POD_IP),
            "E": kplus.EnvValue.from_field_ref(kplus.EnvFieldPaths.POD_LABEL, key="app"),
            "F": kplus.EnvValue.from_resource(kplus.ResourceFieldPaths.MEMORY_LIMIT),
        }
    )
    for env in (
        {"A": kplus.EnvValue.from_value(TOKEN)},
        {"DB_PASSWORD": kplus.EnvValue.from_value(SECRET)},
    ):
        sentence = strategies.refusal(lambda env=env: check(env))  # type: ignore[misc]  # bound now
        assert "looks like a credential" in sentence
        assert SECRET not in sentence
        assert TOKEN[3:] not in sentence
    assert "expected a string, or EnvVarSource" in strategies.refusal(lambda: check({"A": secret}))


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_CLIENT_SECRET",
        "AZURE_STORAGE_CONNECTION_STRING",
        "CREDENTIAL",
        "CREDENTIALS",
        "DB_PASSWORD",
        "DB_PASSWD",
        "DJANGO_SECRET_KEY",
        "GITHUB_TOKEN",
        "HUGGINGFACEHUB_API_TOKEN",
        "LMCACHE_REDIS_PASSWORD",
        "OPENAI_API_KEY",
        "OPENAI_APIKEY",
        "S3_ACCESS_KEY",
        "S3_SECRET_ACCESS_KEY",
        "SSH_PRIVATE_KEY",
        "TOKEN",
        "VAULT_TOKEN",
        "WANDB_API_KEY",
        "db_password",
        "my_passphrase",
    ],
)
def test_names_of_credentials(name: str) -> None:
    """A value in clear under the name of a credential is rejected, with where it belongs."""
    for where, call in (
        ("env", lambda: check({name: SECRET})),
        ("Container.env", lambda: Container(name="x", image="x:1", env={name: SECRET})),
    ):
        sentence = strategies.refusal(call)

        assert sentence.startswith(f"{where}[{name!r}] looks like a credential (28 characters, ")
        assert "not shown), which would be written into the manifests; put it into a" in sentence
        assert "give EnvVarSource.from_secret(name, key=...)" in sentence
        assert SECRET not in sentence
    source: Any = {name: FIELD}
    assert source == check(source)


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        f"x={TOKEN}",
        "sk-proj-AbCdEfGhIjKl",
        "Authorization: Bearer abcdefghijkl",
        "redis://:abcdefghijkl@redis.cache.svc:6379",
        "http://user:abcdefghijkl@proxy.egress.svc:3128",
        "https://a.example.com,https://user:abcdefghijkl@b.example.com",
    ],
)
def test_values_of_credentials(value: str) -> None:
    """A credential is known by its value, whatever the variable is called."""
    for name in ("X", "HTTP_PROXY", "VLLM_LOGGING_PREFIX", "NO_PROXY"):
        sentence = strategies.refusal(lambda name=name: check({name: value}))  # type: ignore[misc]  # bound now

        assert sentence.startswith(f"env[{name!r}] looks like a credential")
        assert "efghijkl" not in sentence.lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost,10.0.0.0/8,.svc,.cluster.local"),
        ("HTTP_PROXY", "http://proxy.egress.svc:3128"),
        ("HTTPS_PROXY", "http://user@proxy.egress.svc:3128"),
        ("HTTP_PROXY", "http://user:$(PROXY_PASSWORD)@proxy.egress.svc:3128"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKENS", "4096"),
        ("TOKEN_BUDGET", "8"),
        ("PASSWORD_FILE", "/run/secrets/password"),
        ("SECRET_NAME", "db"),
        ("HF_TOKEN_PATH", "/run/secrets/hf"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token"),
        ("AWS_REGION", "eu-central-1"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp/credentials.json"),
        ("API_KEY", "/run/secrets/key"),
        ("OPENAI_API_KEY", "EMPTY"),
        ("OPENAI_API_KEY", "empty"),
        ("OPENAI_API_KEY", "None"),
        ("OPENAI_API_KEY", "dummy"),
        ("OPENAI_API_KEY", ""),
        ("DB_PASSWORD", "$(PASSWORD_OF_DB)"),
        ("KEYBOARD", "us"),
        ("MONKEY", "x"),
        ("BROKEN", "x"),
        ("TOKENIZER", "org/model"),
        ("HF_ENDPOINT", "https://hf-mirror.com"),
        ("NCCL_SOCKET_IFNAME", "eth0"),
        ("X", "sk-prod-eu"),
        ("X", "user@example.com"),
        ("X", "http://[fd00::1]:8080/a@b"),
    ],
)
def test_no_credentials(name: str, value: str) -> None:
    """What only looks like a credential, or refers to one, is taken."""
    assert {name: value} == check({name: value})


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (None, "env is a NoneType (not shown); expected a dict of variables."),
        ([SECRET], "env is a list (not shown)"),
        (SECRET, "env is a str (not shown)"),
        ({"A": None}, "env['A'] is of type NoneType (not shown)"),
        ({"A": SECRET.encode()}, "env['A'] is of type bytes (not shown); expected a string"),
        ({"DB_PASSWORD": [SECRET]}, "env['DB_PASSWORD'] is of type list (not shown)"),
        ({"A": {"value": SECRET}}, "env['A'] is of type dict (not shown)"),
        ({"A": EnvVarSource}, "env['A'] is of type type (not shown)"),
        ({"A": 1}, "expected a string"),
        ({"A": True}, "expected a string"),
        ({"A": "x\0"}, "env['A'] "),
        ({"": SECRET}, "a key of env is ''; expected a variable of letters, digits and '_'."),
        ({"A-B": SECRET}, "a key of env is 'A-B'"),
        ({"DB PASSWORD": SECRET}, "a key of env is 'DB PASSWORD'"),
        ({"1A": SECRET}, "a key of env is '1A'"),
        ({"\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": SECRET}, "a key of env is"),
        ({7: SECRET}, "a key of env is 7"),
        ({"A": f"{SECRET}$(A)"}, "refer to each other in a circle ('A')"),
        ({"HOME": SECRET}, "env['HOME'] is set together with the user of the pod"),
    ],
)
def test_refusals(env: Any, words: str) -> None:
    """What is no variable is rejected, and its value, which may be a credential, is not shown."""
    sentence = strategies.refusal(lambda: check(env))

    assert words in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize("value", [pytest.param(one, id="") for one in strategies.odd_values()])
def test_odd_values(value: Any) -> None:
    """Anything is the value of a variable, or rejected in a sentence."""
    try:
        found = pod_variables.check_env("env", {"A": value})
    except VllmConstructsError as error:
        assert str(error).startswith("env['A'] ")  # noqa: PT017  # there may be none
        return
    assert strategies.is_plain(pod_variables.env_entries(found))
    assert isinstance(value, str)


@pytest.mark.parametrize("name", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_folders_of_cache(name: str) -> None:
    """The weights may be in another folder of the cache, but not beside it."""
    for path in ("/model-cache", "/model-cache/", "/model-cache/hub"):
        assert {name: path} == check({name: path})
    for path in ("/model-cache-2", "/", "", "model-cache"):
        sentence = strategies.refusal(lambda path=path: check({name: path}))  # type: ignore[misc]  # bound now
        assert "would put the weights outside the volume of cache" in sentence


def test_reserved_of_others() -> None:
    """What is set in the engine's container, others may set for themselves."""
    env = {"HOME": "/root", "HF_HOME": "/cache", "VLLM_PORT": "1"}

    assert env == Container(name="x", image="x:1", env=env).env
