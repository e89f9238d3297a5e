"""Manifest: identity and fields of one object."""

from vllm_constructs.reading.manifest import Manifest

BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "qwen", "namespace": "llm", "labels": {"a": "b"}},
    "spec": {"list": [{"x": 1}, 2, {"x": 3}]},
}


def test_identity() -> None:
    """Kind, group, namespace and name, and all of them in a title."""
    one = Manifest(BODY)
    assert ("Deployment", "apps", "llm", "qwen") == (one.kind, one.group, one.namespace, one.name)
    assert "Deployment llm/qwen" == one.title
    assert {"a": "b"} == one.labels
    assert "" == Manifest({"apiVersion": "v1"}).group


def test_fields() -> None:
    """A path leads to a value, or to None."""
    one = Manifest(BODY)
    assert 3 == one.at("spec", "list", 2, "x")
    assert one.at("spec", "list", 9, "x") is None
    assert one.at("spec", "other", "x") is None
    assert [(("spec", "list", 0), {"x": 1}), (("spec", "list", 2), {"x": 3})] == one.each(
        "spec", "list"
    )
    assert [] == one.each("spec", "other")


def test_garbage() -> None:
    """Any field may be malformed."""
    one = Manifest({"kind": 5, "metadata": [], "spec": "x"})
    assert ("5", "", "", {}) == (one.kind, one.name, one.namespace, one.spec)
    assert "object (no name)" == Manifest({}).title


def test_namespaces() -> None:
    """An object without a namespace may be in any."""
    assert Manifest(BODY).may_be_in("llm")
    assert Manifest(BODY).may_be_in("")
    assert not Manifest(BODY).may_be_in("other")
    assert Manifest({}).may_be_in("other")
