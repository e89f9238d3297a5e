"""Objects as the API server stores them."""

from copy import deepcopy
from typing import Any

import pytest

from tests.cluster.kinds import SAMPLES
from vllm_constructs.upgrade.changes import is_same
from vllm_constructs.upgrade.stored import encoded, stored, written

from .both import changed, sample


@pytest.mark.parametrize("title", sorted(SAMPLES))
def test_twice(title: str) -> None:
    """What is stored is stored as it is, and the manifest stays as it was."""
    given = deepcopy(SAMPLES[title])

    found = stored(given)

    assert given == SAMPLES[title]
    assert is_same(found, stored(found))


def test_identity() -> None:
    """Identity and status are no part of what is compared."""
    found = stored(
        {
            "kind": "ConfigMap",
            "metadata": {
                "name": "a",
                "namespace": "b",
                "uid": "1",
                "creationTimestamp": None,
                "labels": {"a": "b"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "status": {"a": 1},
        }
    )

    assert {"kind": "ConfigMap", "metadata": {"labels": {"a": "b"}}} == found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("template", "spec", "hostNetwork"), False),
        (("template", "spec", "nodeName"), None),
        (("template", "spec", "imagePullSecrets"), []),
        (("template", "spec", "containers", 0, "workingDir"), ""),
        (("template", "metadata", "creationTimestamp"), None),
        (("paused",), False),
        (("selector", "matchExpressions"), []),
    ],
)
def test_nothing(path: tuple[str | int, ...], value: Any) -> None:
    """What is null, empty or false says nothing where it stands for the default."""
    old = sample("Deployment")

    assert is_same(stored(old), stored(changed(old, "spec", *path, to=value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("template", "spec", "affinity"), {}),
        (("template", "spec", "volumes", 2, "configMap", "optional"), False),
        (("template", "spec", "hostNetwork"), True),
        (("template", "spec", "containers", 0, "securityContext", "privileged"), False),
    ],
)
def test_something(path: tuple[str | int, ...], value: Any) -> None:
    """What looks empty and is stored nevertheless is a change."""
    old = sample("Deployment")

    assert not is_same(stored(old), stored(changed(old, "spec", *path, to=value)))


def test_custom() -> None:
    """Of custom resources it is not known what says nothing, but null always does."""
    old: dict[str, Any] = {
        "apiVersion": "example.com/v1",
        "kind": "A",
        "spec": {"a": [], "b": None},
    }

    assert {"a": []} == stored(old)["spec"]


def test_secrets() -> None:
    """Strings of a Secret are data, and line breaks of base64 mean nothing."""
    secret = {
        "kind": "Secret",
        "data": {"a": "YW\nI=\n", "c": "no base64\n"},
        "stringData": {"b": "ab"},
    }

    assert {"a": "YWI=", "b": "YWI=", "c": "no base64\n"} == {
        **encoded(secret)["data"],
        "c": "no base64\n",
    }
    assert {"kind": "ConfigMap", "stringData": 1} == encoded({"kind": "ConfigMap", "stringData": 1})


def test_written() -> None:
    """What a manifest has, without defaults."""
    given = {"kind": "ConfigMap", "metadata": {"name": "a", "labels": {}}, "data": {"a": None}}

    assert {"kind": "ConfigMap", "metadata": {"name": "a"}} == written(given)
