"""YAML with bounds, in files and in the texts of manifests."""

import pytest

from vllm_constructs.reading import bounded_yaml
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.queries import queries

DEEP = "[" * 50_000 + "]" * 50_000


def aliases() -> str:
    """A text whose aliases make 9^9 values."""
    lines = (
        f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]"
        for one, before in zip("bcdefghi", "abcdefgh", strict=True)
    )
    first = "a: &a [x, x, x, x, x, x, x, x, x]"
    return "\n".join([first, *lines, "model: *i", "rules: *i", ""])


def merges() -> str:
    """A text whose merges make 9^12 keys."""
    lines = (
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], k{i}: 1}}" for i in range(1, 13)
    )
    return "\n".join(["m0: &m0 {x: 1}", *lines, ""])


BAD = [
    f"model: {DEEP}",
    f"model: x\n{'- ' * 50_000}",
    aliases(),
    merges(),
    "a: [",
    "a: 1\n---\nb: 2",
]


@pytest.mark.parametrize("text", BAD)
def test_parsed(text: str) -> None:
    """What is beyond the bounds, no YAML or several documents is not read."""
    assert bounded_yaml.parsed(text) is None


def test_usual() -> None:
    """Anchors, merges and brackets in texts are read."""
    text = "base: &b {x: 1}\nmore: {<<: *b, y: 2}\nlist: [*b, *b]\n"
    expected = {"base": {"x": 1}, "more": {"x": 1, "y": 2}, "list": [{"x": 1}, {"x": 1}]}
    assert expected == bounded_yaml.parsed(text)
    brackets = "[" * 1000
    assert {"a": brackets} == bounded_yaml.parsed(f"a: '{brackets}'")
    assert {"a": ["b"]} == bounded_yaml.parsed("a:\n- b\n")


@pytest.mark.parametrize("text", BAD[:4])
def test_in_manifests(text: str) -> None:
    """A config file of vLLM and the rules of an adapter have the same bounds."""
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "command": ["vllm", "serve", "--config", "/c/config.yaml"],
        "volumeMounts": [{"name": "c", "mountPath": "/c"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "c", "configMap": {"name": "c"}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    data = {"config.yaml": f"{text}\n# vllm seriesQuery", "rules.yaml": f"{text}\n# vllm expr"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
    graph = Graph([pod, config])
    (engine,) = graph.engines
    assert engine.config_file is None
    assert not engine.is_line_whole
    assert not queries(graph)
