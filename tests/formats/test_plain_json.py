"""JSON: for programs."""

import json

from vllm_constructs.formats.plain_json import plain_json

from .reports import report


def test_json() -> None:
    """Each finding has its rule, object, field and place."""
    found = json.loads(plain_json(report(unread="b.yaml cannot be read")))

    assert {"version", "objects", "errors", "warnings", "findings", "unread"} == set(found)
    assert (1, 2, 1, 1) == (found["version"], found["objects"], found["errors"], found["warnings"])
    assert ["b.yaml cannot be read."] == found["unread"]
    error, warning = found["findings"]
    assert {
        "rule": "P01",
        "level": "error",
        "title": error["title"],
        "message": error["message"],
        "object": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "llm",
            "name": "qwen,7b",
        },
        "field": "spec.template.spec.containers[0].livenessProbe",
        "pointer": "/spec/template/spec/containers/0/livenessProbe",
        "file": "dir/a b.yaml",
        "line": 12,
        "column": 11,
        "endLine": 12,
        "endColumn": 24,
        "fix": {"safe": False},
    } == error
    assert {"safe": True} == warning["fix"]
