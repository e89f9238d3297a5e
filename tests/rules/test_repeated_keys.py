"""Rule of keys that are there twice, in mappings of texts and in lists by key."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids
from .odd_values import check_odd_values

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: qwen
  annotations: {}
spec:
  containers:
    - name: vllm
      resources: {limits: {nvidia.com/gpu: 1}}
      resources: {limits: {memory: 32Gi}}
"""


def test_lost() -> None:
    """A value is lost: an error at the last one, which counts."""
    (one,) = found(POD, "H10")
    assert ("error", ("spec", "containers", 0, "resources")) == (one.level, one.path)
    assert (
        "containers[0].resources is there twice, in lines 9 and 10, and only the last one counts; "
        "keep one, with all that it needs."
    ) == one.problem.sentence()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("{a: b, a: b}", "labels.a is there twice, in line 2, with one value"),
        ("{a: b, a: b, a: b}", "labels.a is there 3 times, in line 2, with one value"),
    ],
)
def test_same(labels: str, words: str) -> None:
    """Nothing is lost, but some tools reject the file: a warning."""
    text = f"kind: ConfigMap\nmetadata: {{name: x, labels: {labels}}}\napiVersion: v1\n"
    (one,) = found(text, "H10")
    assert ("warning", f"{words}; keep one.") == (one.level, one.problem.sentence())


def test_accepted() -> None:
    """An annotation accepts it."""
    reason = "{vllm-constructs.dev/accept-H10: the chart is not ours}"
    assert [] == ids(POD.replace("{}", reason), "H10")


def test_values() -> None:
    """A values file of a chart is no manifest."""
    assert [] == ids("image: a\nimage: b\n", "H10")


def _pod(**fields: Any) -> dict[str, Any]:
    """A pod whose fields are those of its spec, and of its container."""
    container: dict[str, Any] = {"image": "vllm/vllm-openai:v0.33.0", "args": ["a/b"]}
    container |= {key: fields.pop(key) for key in ("env", "ports") if key in fields}
    spec = {"containers": [{"name": "vllm", **container}], **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def _variables(*values: str) -> dict[str, Any]:
    return _pod(env=[{"name": "A", "value": value} for value in values])


SPREAD = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}


@pytest.mark.parametrize(
    ("body", "level", "sentence"),
    [
        (
            _variables("1", "2"),
            "error",
            (
                "env[1].name repeats env[0]: only the last one counts, and server-side apply "
                "rejects it; keep one, with all that it needs."
            ),
        ),
        (
            _variables("1", "1", "1"),
            "warning",
            "env[2].name repeats env[0] and env[1], and server-side apply rejects it; keep one.",
        ),
        (
            _variables("1", "$(A):2"),
            "warning",
            (
                "env[1].name repeats env[0], and server-side apply rejects it; write its whole "
                "value in one of them."
            ),
        ),
        (
            _variables("1", "2", "$(A):3"),
            "error",
            (
                "env[2].name repeats env[0] and env[1]: only the last one counts, and server-side "
                "apply rejects it; keep one, with all that it needs."
            ),
        ),
        (
            _variables("1", "$$(A)"),
            "error",
            (
                "env[1].name repeats env[0]: only the last one counts, and server-side apply "
                "rejects it; keep one, with all that it needs."
            ),
        ),
        (
            _pod(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]),
            "warning",
            "ports[1].containerPort repeats ports[0], and server-side apply rejects it; keep one.",
        ),
        (
            _pod(imagePullSecrets=[{"name": "a"}, {"name": "a"}]),
            "warning",
            (
                "imagePullSecrets[1].name repeats imagePullSecrets[0], and server-side apply "
                "rejects it; keep one."
            ),
        ),
        (
            _pod(topologySpreadConstraints=[SPREAD, SPREAD | {"maxSkew": 2}]),
            "error",
            (
                "topologySpreadConstraints[1].topologyKey repeats topologySpreadConstraints[0], "
                "and the API server rejects it; keep one."
            ),
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "x"},
                "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            },
            "error",
            "ports[1].port repeats ports[0], and the API server rejects it; keep one.",
        ),
    ],
)
def test_lists(body: dict[str, Any], level: str, sentence: str) -> None:
    """Each list by key: what its client does."""
    (one,) = found([body], "H10")
    assert (level, sentence) == (one.level, one.problem.sentence())


def test_other_containers() -> None:
    """Charts of others have variables twice, and run: a warning."""
    body = _variables("1", "2")
    body["spec"]["containers"][0] |= {"image": "nginx", "args": []}
    (one,) = found([body], "H10")
    assert "warning" == one.level


@pytest.mark.parametrize(
    "body",
    [
        _pod(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
        _pod(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]),
        _pod(ports=[{"name": "a"}, {"name": "b"}]),
        _pod(topologySpreadConstraints=[SPREAD, SPREAD | {"topologyKey": "host"}]),
        _pod(env=[{"name": "A", "$patch": "delete"}, {"name": "A", "value": "1"}]),
        _pod(tolerations=[{"operator": "Exists"}, {"operator": "Exists"}]),
    ],
)
def test_other_lists(body: dict[str, Any]) -> None:
    """Other keys, keys that are missing, and lists without keys."""
    assert [] == ids([body], "H10")


def test_odd_values() -> None:
    """Any field may be missing or malformed."""
    full = _pod(
        env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        ports=[{"containerPort": 80}, {"containerPort": 80}],
        topologySpreadConstraints=[SPREAD, SPREAD],
    )
    check_odd_values([full], "H10")
