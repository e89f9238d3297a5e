"""values.yaml: read strictly, and refused with the line or the key that is wrong."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import VllmConstructsError
from vllm_constructs.importers.guide_values import KEYS, Values

GOOD = """
replicaCount: 2
image: {repository: vllm/vllm-openai, tag: v0.33.0, pullPolicy: IfNotPresent}
model:
  name: Qwen/Qwen2.5-7B-Instruct
  servedName: qwen-7b
  maxModelLen: 4096
  gpuMemoryUtilization: 0.9
  trustRemoteCode: true
gpu: {count: 1, type: NVIDIA-L4}
resources:
  limits: {memory: 64Gi, cpu: "8"}
  requests: {memory: 32Gi, cpu: "4"}
service: {type: ClusterIP, port: 8000}
ingress:
  enabled: true
  className: nginx
  annotations: {a: b}
  hosts: [{host: llm.example.com, paths: [{path: /v1, pathType: Prefix}]}]
  tls: [{secretName: tls, hosts: [llm.example.com]}]
autoscaling: {enabled: false, minReplicas: 1, maxReplicas: 4}
shmSize: 16Gi
hfToken: {enabled: true, existingSecret: ""}
"""


def read(text: str) -> Values:
    """Return the values of a text."""
    return Values.from_text(text, name="values.yaml")


def test_reading(tmp_path: Path) -> None:
    """A file and its text give the same values."""
    path = tmp_path / "values.yaml"
    path.write_text(GOOD, encoding="utf-8")

    found = Values.from_file(path)

    assert found == read(GOOD)
    assert found.tree == yaml.safe_load(GOOD)
    assert Values.from_file(str(path)) == found


def test_access() -> None:
    """Values are found by their path, or by a default."""
    found = read(GOOD)

    assert found.get("gpu", "type") == "NVIDIA-L4"
    assert found.get("modelCache", "size", default="1Gi") == "1Gi"
    assert found.need("model", "name") == "Qwen/Qwen2.5-7B-Instruct"
    assert found.is_on("ingress")
    assert found.is_on("gpu")
    assert not found.is_on("autoscaling")
    assert not found.is_on("monitoring")


@pytest.mark.parametrize(
    ("resources", "pair"),
    [
        ("{requests: {cpu: '1'}, limits: {cpu: '2'}}", ("1", "2")),
        ("{requests: {cpu: '1'}}", "1"),
        ("{limits: {cpu: '2'}}", "2"),
        ("{}", None),
    ],
)
def test_pair(resources: str, pair: object) -> None:
    """A resource with one number has it as request and limit."""
    assert read(f"resources: {resources}").pair("cpu") == pair


def test_empty() -> None:
    """An empty file says nothing, and is no mistake yet."""
    assert read("").tree == {}
    assert read("# nothing\n").tree == {}


def keys(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every key."""
    found = []
    for name, inner in tree.items():
        found.append((*path, name))
        if isinstance(inner, dict):
            found += keys(inner, (*path, name))
    return found


@pytest.mark.parametrize("path", keys(KEYS), ids=str)
def test_misspelt_keys(path: tuple[str, ...]) -> None:
    """A key with a letter too many is refused, and the right one named."""
    tree: Any = 1
    for name in reversed((*path[:-1], path[-1] + "s")):
        tree = {name: tree}

    sentence = strategies.refusal(lambda: read(yaml.safe_dump(tree)))

    assert f"{path[-1]}s" in sentence
    assert f"did you mean {path[-1]!r}?" in sentence
    assert "values.yaml" in sentence


@pytest.mark.parametrize("path", keys(KEYS), ids=str)
def test_wrong_types(path: tuple[str, ...]) -> None:
    """A value of a wrong type is refused at its key."""
    wrong: Any
    for wrong in ([[]], {"?": []}, float("nan"), None):
        tree = wrong
        for name in reversed(path):
            tree = {name: tree}

        assert path[-1] in strategies.refusal(partial(read, yaml.safe_dump(tree)))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=30),
        st.text("&*!?|>%@`'\"{}[],:#- \nab01=~<", max_size=30),
        st.sampled_from(("model", "gpu", "replicaCount")).flatmap(
            lambda key: st.text(max_size=20).map(lambda text: f"{key}: {text}")
        ),
    )
)
def test_any_text(text: str) -> None:
    """Whatever stands in a file, it is read or refused in one line."""
    try:
        read(text)
    except VllmConstructsError:
        strategies.refusal(lambda: read(text))


REFUSED: list[tuple[str, tuple[str, ...]]] = [
    ("replicacount: 2", ("values.yaml", "'replicacount'", "did you mean 'replicaCount'?")),
    ("xyz: 2", ("the unknown key 'xyz'; expected one of 'replicaCount', 'image', 'model'",)),
    ("1: 2", ("has the unknown key 1", "expected one of 'replicaCount'")),
    ("'{xyz}': 2", ("the unknown key '{xyz}'; expected one of",)),
    ("replicaCount: two", ("values.yaml: replicaCount is 'two'", "from 1 to 1000")),
    ("replicaCount: true", ("is True", "an integer")),
    ("replicaCount: .inf", ("is inf", "an integer")),
    ("model: {gpuMemoryUtilization: 90}", ("values.yaml: model.gpuMemory", "write 0.9")),
    ("model: {gpuMemoryUtilization: .nan}", ("is nan", "a number above 0")),
    ("model: {trustRemoteCode: 'yes'}", ("'yes'", "True or False")),
    ("model: {name: ''}", ("model.name is ''", "a non-empty string")),
    ("model: [a]", ("values.yaml: model is ['a']", "a mapping with the keys name")),
    ("- a", ("values.yaml is ['a']", "a mapping with the keys")),
    ("text", ("values.yaml is 'text'", "a mapping with the keys")),
    ("shmSize: 10GB", ("shmSize is '10GB'", "write '10Gi'")),
    ("shmSize: 64 Gi", ("'64 Gi'", "write '64Gi'")),
    ("resources: {limits: {cpu: 8}}", ("resources.limits.cpu is 8", "as a string")),
    ("service: {type: NodePort}", ("'NodePort'", "'ClusterIP'")),
    ("service: {port: 80}", ("service.port is 80", "from 1024")),
    ("ingress: {className: ngnx}", ("'ngnx'", "did you mean 'nginx'?")),
    ("ingress: {hosts: llm.example.com}", ("ingress.hosts is 'llm.example.com'", "a list")),
    ("ingress: {hosts: [{hst: a}]}", ("ingress.hosts[0]", "'hst'", "did you mean 'host'?")),
    ("ingress: {annotations: {a: 1}}", ("ingress.annotations['a'] is 1", "quote numbers")),
    ("monitoring: {serviceMonitor: {interval: 15}}", ("interval is 15", "'15s'")),
    ("hfToken: {existingSecret: 1}", ("existingSecret is 1", "a non-empty string")),
    ("a: 1\na: 2", ("line 2", "the key 'a' is given twice", "keep one")),
    ("model: {name: a, name: b}", ("line 1", "'name' is given twice")),
    ("a: [", ("values.yaml, line", "is not YAML", "correct the line")),
    ("a: *b", ("line 1 is not YAML", "undefined alias")),
    ("a\0b", ("values.yaml is not YAML", "correct it")),
    ("? [a, b]\n: c", ("line 1 is not YAML", "unhashable")),
    ("replicaCount: !!bool x", ("values.yaml is not YAML",)),
    ("replicaCount: !!timestamp x", ("values.yaml is not YAML",)),
    ("replicaCount: 2001-13-45", ("values.yaml is not YAML", "month")),
    ("replicaCount: !!python/object:os.system x", ("is not YAML", "could not determine")),
    ("[" * 600, ("values.yaml", "is not YAML")),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refusals(text: str, words: tuple[str, ...]) -> None:
    """A wrong file is refused with its name, the key or line, and what is allowed."""
    sentence = strategies.refusal(lambda: read(text))

    assert [word for word in words if word not in sentence] == [], sentence


def test_missing_key() -> None:
    """A key that is needed is named in full."""
    sentence = strategies.refusal(lambda: read("model: {}").need("model", "name"))

    assert sentence == "values.yaml lacks model.name; add it."


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be read says why."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\xfa")

    def refusal(path: Any) -> str:
        return strategies.refusal(lambda: Values.from_file(path))

    assert "cannot be read: No such file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    assert "it is not UTF-8 text" in refusal(binary)
    assert "cannot be read" in refusal("a\0b")
    assert "from_values path is 7; expected the path of a values.yaml." in refusal(7)
