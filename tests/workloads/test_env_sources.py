"""Sources of variables: keys of Secrets and ConfigMaps, and facts of the pod."""

from dataclasses import FrozenInstanceError
from typing import Any

import cdk8s
import cdk8s_plus_27 as kplus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import EnvFromSource, EnvVarSource

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
KEYS = st.sampled_from(("token", "HF_TOKEN", "a.b-c", ".netrc", "0"))


class Named:
    """An object with a name and a namespace."""

    name = "shared"
    namespace = "llm"


def container(**fields: Any) -> strategies.Manifest:
    """Return a Pod with one container that has these fields."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"containers": [{"name": "x", "image": "x:1", **fields}]},
    }


def problems(source: EnvVarSource) -> list[str]:
    """Return why a cluster would not take a variable with this source."""
    value = {kind: dict(reference) for kind, reference in source.source.items()}
    entry = {"name": "X", "valueFrom": value}
    return validate(container(env=[entry]), releases=["1.27", "1.37"])


@settings(max_examples=40, deadline=None)
@given(strategies.names(), KEYS, st.booleans())
def test_keys(name: str, key: str, optional: object) -> None:
    """A key of a Secret or ConfigMap is named, and only what is optional says so."""
    more = {"optional": True} if optional else {}
    expected = {"name": name, "key": key, **more}
    secret = EnvVarSource.from_secret(name, key=key, optional=bool(optional))
    config_map = EnvVarSource.from_config_map(name, key=key, optional=bool(optional))

    assert EnvVarSource({"secretKeyRef": expected}) == secret
    assert EnvVarSource({"configMapKeyRef": expected}) == config_map
    assert [] == problems(secret) + problems(config_map)


@pytest.mark.parametrize(
    "path",
    [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.podIP",
        "status.podIPs",
        "metadata.labels['app']",
        "metadata.labels['app.kubernetes.io/name']",
        "metadata.annotations['example.com/team']",
    ],
)
def test_fields(path: str) -> None:
    """A field of the pod is one that Kubernetes' downward API has."""
    source = EnvVarSource.from_field(path)

    assert EnvVarSource({"fieldRef": {"fieldPath": path}}) == source
    assert [] == problems(source)


@pytest.mark.parametrize(
    ("resource", "divisor"),
    [
        ("limits.cpu", None),
        ("limits.cpu", "1m"),
        ("requests.cpu", "1"),
        ("limits.memory", "1Gi"),
        ("requests.memory", "1Mi"),
        ("limits.ephemeral-storage", "1G"),
        ("requests.hugepages-2Mi", "1Mi"),
    ],
)
def test_resources(resource: str, divisor: str | None) -> None:
    """A resource of the container is counted in a unit, if one is given."""
    source = EnvVarSource.from_resource(resource, divisor=divisor)

    more = {} if divisor is None else {"divisor": divisor}
    assert EnvVarSource({"resourceFieldRef": {"resource": resource, **more}}) == source
    assert [] == problems(source)


@settings(max_examples=40, deadline=None)
@given(
    strategies.names(), st.sampled_from((None, "A", "_", "DB_", "my_9")), st.sampled_from((0, 1))
)
def test_all_keys(name: str, prefix: str | None, optional: int) -> None:
    """All keys of a Secret or ConfigMap are variables, with a prefix if one is given."""
    expected = {"name": name, "optional": True} if optional else {"name": name}
    before = {} if prefix is None else {"prefix": prefix}
    options: dict[str, Any] = {"prefix": prefix, "optional": bool(optional)}
    secret = EnvFromSource.from_secret(name, **options)
    config_map = EnvFromSource.from_config_map(name, **options)

    assert {**before, "secretRef": expected} == secret.manifest()
    assert {**before, "configMapRef": expected} == config_map.manifest()
    entries = [secret.manifest(), config_map.manifest()]
    assert [] == validate(container(envFrom=entries), releases=["1.27", "1.37"])


def test_spelled() -> None:
    """A source may be given as Kubernetes spells it, and is what the class method makes."""
    reference = {"name": "db", "key": "url"}
    source = EnvVarSource({"secretKeyRef": reference})
    reference["key"] = "other"

    assert EnvVarSource.from_secret("db", key="url") == source
    assert EnvFromSource.from_secret("db") == EnvFromSource({"secretRef": {"name": "db"}})
    with pytest.raises(TypeError, match="cannot be changed"):
        source.source["secretKeyRef"]["key"] = "other"
    with pytest.raises(FrozenInstanceError):
        source.namespace = "llm"  # type: ignore[misc]  # the point


def test_objects() -> None:
    """An object stands for its name, and its namespace is known."""
    source = EnvVarSource.from_secret(Named(), key="k")
    assert EnvVarSource.from_secret("shared", key="k").source == source.source
    assert ("llm", None) == (
        source.namespace,
        EnvVarSource.from_secret("shared", key="k").namespace,
    )
    assert "llm" == EnvVarSource.from_config_map(Named(), key="k").namespace
    assert "llm" == EnvFromSource.from_secret(Named()).namespace
    assert "llm" == EnvFromSource.from_config_map(Named()).namespace


def test_plus() -> None:
    """Secrets and ConfigMaps of cdk8s-plus are taken, with their namespace where it is known."""
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart", namespace="llm")
    secret, config_map = kplus.Secret(chart, "secret"), kplus.ConfigMap(chart, "map")
    imported = kplus.Secret.from_secret_name(chart, "imported", "theirs")
    name, other = secret.name, config_map.name

    for one, expected in (
        (EnvVarSource.from_secret(secret, key="k"), {"secretKeyRef": {"name": name, "key": "k"}}),
        (EnvFromSource.from_secret(secret, prefix="A_"), {"secretRef": {"name": name}}),
        (
            EnvVarSource.from_config_map(config_map, key="k"),
            {"configMapKeyRef": {"name": other, "key": "k"}},
        ),
        (EnvFromSource.from_config_map(config_map), {"configMapRef": {"name": other}}),
    ):
        assert expected == one.source
        assert "llm" == one.namespace
    assert {"name": "theirs", "key": "k"} == (
        EnvVarSource.from_secret(imported, key="k").source["secretKeyRef"]
    )
    assert None is EnvVarSource.from_secret(imported, key="k").namespace

    for call in (
        lambda: EnvVarSource.from_secret(config_map, key="k"),
        lambda: EnvFromSource.from_secret(config_map),
    ):
        assert "expected the name of a Secret or a cdk8s-plus object" in strategies.refusal(call)
    assert "expected the name of a ConfigMap" in (
        strategies.refusal(lambda: EnvFromSource.from_config_map(secret))
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: EnvVarSource.from_secret(TOKEN, key="k"),
        lambda: EnvVarSource.from_config_map(TOKEN, key="k"),
        lambda: EnvFromSource.from_secret(TOKEN),
        lambda: EnvFromSource.from_config_map(f"Bearer {TOKEN}"),
    ],
)
def test_clear_text(call: strategies.Call) -> None:
    """A credential in place of its Secret is rejected and not repeated, not even in part."""
    sentence = strategies.refusal(call)

    assert "not shown" in sentence
    assert "put it into a Secret" in sentence
    assert "abcd" not in sentence.lower()


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: EnvVarSource({}), ("EnvVarSource.source is {}", "one source")),
    (lambda: EnvVarSource("x"), ("EnvVarSource.source is 'x'", "such as secretKeyRef")),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvVarSource({"fieldRef": {}, "secretKeyRef": {}}), ("expected one source",)),
    (lambda: EnvVarSource({"secretRef": {}}), ("did you mean 'secretKeyRef'?",)),
    (lambda: EnvVarSource({7: {}}), ("the key of EnvVarSource.source is 7",)),  # type: ignore[dict-item]  # the mistake
    (
        lambda: EnvVarSource({"fieldRef": {"fieldPath": "x"}}, namespace="A_b"),
        ("EnvVarSource.namespace is 'A_b'",),
    ),
    (lambda: EnvVarSource.from_secret("A", key="k"), ("from_secret secret is 'A'", "'a'")),
    (lambda: EnvVarSource.from_secret(7, key="k"), ("from_secret secret is 7", "a Secret")),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvVarSource.from_config_map("A", key="k"), ("from_config_map config_map is 'A'",)),
    (lambda: EnvVarSource.from_secret("a", key=""), ("EnvVarSource.from_secret key is ''",)),
    (
        lambda: EnvVarSource.from_secret("a", key="a/b"),
        ("key is no key of a Secret", "letters, digits"),
    ),
    (lambda: EnvVarSource.from_config_map("a", key="a b"), ("from_config_map key is 'a b'",)),
    (lambda: EnvVarSource.from_secret("a", key="k", optional=1), ("optional is 1",)),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvVarSource.from_field("status.podip"), ("did you mean 'status.podIP'?",)),
    (lambda: EnvVarSource.from_field("metadata.labels"), ("path is 'metadata.labels'",)),
    (lambda: EnvVarSource.from_field("metadata.labels['']"), ('path is "metadata.labels[',)),
    (lambda: EnvVarSource.from_field("metadata.labels['a']['b']"), ("expected one of",)),
    (lambda: EnvVarSource.from_field('metadata.labels["a"]'), ("expected one of",)),
    (lambda: EnvVarSource.from_field("spec.containers"), ("expected one of 'metadata.name'",)),
    (lambda: EnvVarSource.from_field(None), ("path is None",)),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvVarSource.from_resource("memory"), ("resource is 'memory'", "'limits.memory'")),
    (lambda: EnvVarSource.from_resource("limits.nvidia.com/gpu"), ("'limits.nvidia.com/gpu'",)),
    (lambda: EnvVarSource.from_resource("limits.memory.x"), ("resource is 'limits.memory.x'",)),
    (
        lambda: EnvVarSource.from_resource("limits.memory", divisor="1 Gi"),
        ("from_resource divisor is '1 Gi'", "a unit such as '1Gi'"),
    ),
    (lambda: EnvVarSource.from_resource("limits.cpu", divisor=1), ("divisor is 1",)),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvFromSource({}), ("EnvFromSource.source is {}", "such as secretRef")),
    (lambda: EnvFromSource(None), ("EnvFromSource.source is None",)),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvFromSource({"secretKeyRef": {}}), ("did you mean 'secretRef'?",)),
    (lambda: EnvFromSource({"secretRef": {}, "configMapRef": {}}), ("expected one source",)),
    (
        lambda: EnvFromSource({"secretRef": {"name": "a"}}, namespace="A"),
        ("EnvFromSource.namespace is 'A'",),
    ),
    (lambda: EnvFromSource.from_secret("A"), ("EnvFromSource.from_secret secret is 'A'",)),
    (lambda: EnvFromSource.from_config_map(7), ("from_config_map config_map is 7",)),  # type: ignore[arg-type]  # the mistake
    (lambda: EnvFromSource.from_secret("a", prefix="1"), ("EnvFromSource.prefix is '1'", "digit")),
    (lambda: EnvFromSource.from_secret("a", prefix="a-"), ("EnvFromSource.prefix is 'a-'",)),
    (lambda: EnvFromSource.from_secret("a", prefix=""), ("EnvFromSource.prefix is ''",)),
    (lambda: EnvFromSource.from_secret("a", optional="no"), ("optional is 'no'", "True or False")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What Kubernetes does not take as a source is rejected with what it does."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
