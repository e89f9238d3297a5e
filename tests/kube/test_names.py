"""Names: what Kubernetes takes, and how a model's name becomes one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from tests.support.syntax import (
    dns_1035_problems,
    dns_label_problems,
    dns_subdomain_problems,
    label_problems,
)
from vllm_constructs.errors import VllmConstructsError
from vllm_constructs.kube import names

NAMES = st.one_of(
    strategies.names(),
    st.text("ab09-._/A", max_size=8),
    st.text(max_size=8),
    st.integers(60, 66).map(lambda length: "a" * length),
    st.integers(250, 256).map(lambda length: "a" * length),
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.integers(1, 63))
def test_sanitized(text: str, limit: int) -> None:
    """Every text becomes a legal label of the length asked for, always the same one."""
    found = names.sanitized(text, limit)

    assert [*dns_label_problems(found)] == []
    assert len(found) <= limit
    assert names.sanitized(found, limit) == found


@settings(max_examples=200, deadline=None)
@given(NAMES)
def test_grammar(name: str) -> None:
    """A name is accepted exactly where Kubernetes accepts it."""
    for check, problems in (
        (names.label, dns_label_problems),
        (names.subdomain, dns_subdomain_problems),
        (names.service, dns_1035_problems),
    ):
        try:
            assert check("x", name) == name
        except VllmConstructsError:
            # Kubernetes takes this one, and its variables stop vLLM.
            is_vllm = check == names.service and name == "vllm"
            assert is_vllm or [*problems(name)] != []
        else:
            assert [*problems(name)] == []


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.one_of(strategies.keys(), NAMES), st.one_of(strategies.label_values())))
def test_label_map(labels: dict[str, str]) -> None:
    """Labels are accepted exactly where Kubernetes accepts them, and come out sorted."""
    try:
        found = names.label_map("labels", labels)
    except VllmConstructsError:
        assert [*label_problems(labels)] != []
    else:
        assert [*label_problems(labels)] == []
        assert list(found.items()) == sorted(labels.items())


@settings(max_examples=60, deadline=None)
@given(strategies.annotations())
def test_annotation_map(annotations: dict[str, str]) -> None:
    """Annotations take any text, and come out sorted."""
    found = names.annotation_map("annotations", annotations)

    assert list(found.items()) == sorted(annotations.items())
    metadata = {"name": "x", "namespace": "llm", "annotations": found}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    assert validate(config, releases=["1.27", "1.37"]) == []


def test_host() -> None:
    """Hosts have a dot, and a star in front only where one is allowed."""
    assert names.host("host", "llm.example.com") == "llm.example.com"
    assert names.host("host", "*.example.com", wildcard=True) == "*.example.com"


@pytest.mark.parametrize("name", sorted(names._SERVICES_THAT_STOP_VLLM))
def test_service_links(name: str) -> None:
    """A Service whose variables would stop vLLM elsewhere gets another name."""
    sentence = strategies.refusal(lambda: names.service("service_name", name))

    assert f"{name.upper().replace('-', '_')}_PORT" in sentence
    assert f"'{name}-server'" in sentence


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: names.label("name", "a" * 64), ("name is 'aaa", "at most 63", f"'{'a' * 63}'")),
    (lambda: names.label("name", "qwen_7b"), ("'qwen_7b'", "for example 'qwen-7b'")),
    (lambda: names.label("name", "Qwen/Qwen2.5-7B"), ("for example 'qwen-qwen2-5-7b'",)),
    (lambda: names.label("name", "//"), ("'//'", "for example 'x'")),
    (lambda: names.label("name", None), ("name is None", "lower-case letters")),
    (lambda: names.label("name", "abc", 2), ("'abc'", "at most 2", "'ab'")),
    (lambda: names.service("name", "7b"), ("'7b'", "begins with a letter")),
    (lambda: names.subdomain("name", "a_b"), ("'a_b'", "at most 253", "'a-b'")),
    (lambda: names.subdomain("name", 7), ("name is 7", "at most 253")),
    (lambda: names.host("host", "LLM.example.com"), ("'LLM.example.com'", "in lower case")),
    (lambda: names.host("host", "localhost"), ("'localhost'", "'llm.example.com'")),
    (lambda: names.host("host", "*.example.com"), ("'*.example.com'", "a host name")),
    (lambda: names.host("host", None), ("None", "a host name")),
    (lambda: names.secret_key("key", "a/b"), ("3 characters, not shown", "letters, digits")),
    (lambda: names.data_key("key", "a/b"), ("'a/b'", "letters, digits")),
    (lambda: names.key("key", "/a"), ("'/a'", "'example.com/team'")),
    (lambda: names.key("key", f"{'a' * 254}/a"), ("a key such as",)),
    (lambda: names.key("key", 1), ("key is 1", "'team'")),
    (lambda: names.label_map("labels", {"a": "b" * 64}), ("labels['a']", "63", "annotations")),
    (lambda: names.label_map("labels", {"a b": ""}), ("'a b'", "'team'")),
    (lambda: names.label_map("labels", None), ("labels is None", "a dict of strings")),
    (lambda: names.annotation_map("annotations", {"a b": ""}), ("'a b'", "'team'")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What Kubernetes refuses is rejected with the rule and a name that would do."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
