"""Changes in words."""

from typing import Any

import pytest

from vllm_constructs.upgrade.changes import changes
from vllm_constructs.upgrade.wording import sentence


def told(old: Any, new: Any) -> str:
    """All changes, each on one line."""
    found = [sentence(one) for one in changes(old, new)]
    assert not any("\n" in one for one in found)
    return "\n".join(found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, "a: 1 -> 2"),
        ({}, {"a": "x"}, "a is added: 'x'"),
        ({"a": {"b": 1}}, {}, "a is removed: {'b': 1}"),
        ({"args": ["a"]}, {"args": ["a", "--b=1"]}, "args: '--b=1' is added"),
        ({"args": ["--a", "1", "--b"]}, {"args": ["--b"]}, "args: '--a' '1' are removed"),
        ({"args": ["--a", "1"]}, {"args": ["--a", "2"]}, "args: '--a' '1' -> '--a' '2'"),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, "a has another order"),
        ({"a": "x\ny\nz"}, {"a": "x\nw\nz"}, "a changes in line 2: 'y' -> 'w'"),
        ({"a": "x\ny"}, {"a": "w"}, "a changes in line 1: 'x' -> 'w', and in 1 more"),
        ({"a": "x"}, {"a": "x\ny"}, "a changes in line 2: nothing -> 'y'"),
        ({"a": "x\ny"}, {"a": "x\ny\n"}, "a changes in its line breaks"),
        ({"a": None}, {"a": 1}, "a: None -> 1"),
    ],
)
def test_sentence(old: Any, new: Any, expected: str) -> None:
    """A change is one short line."""
    assert expected == told(old, new)


def test_long() -> None:
    """Of a long text, the part that differs is shown."""
    command = f"exec vllm serve a/b {'--enable-x ' * 10}--max-model-len"

    found = told({"a": f"{command} 8192"}, {"a": f"{command} 16384"})

    shown = "'...--enable-x --max-model-len 8192' -> '...--enable-x --max-model-len 16384'"
    assert f"a: {shown}" == found


SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"env": [{"name": "API_KEY", "value": SECRET}]},
            {"env": [{"name": "API_KEY", "value": f"{SECRET}2"}]},
        ),
        ({"env": []}, {"env": [{"name": "HF_TOKEN", "value": SECRET}]}),
        ({}, {"containers": [{"name": "a", "env": [{"name": "X_PASSWORD", "value": SECRET}]}]}),
        ({"args": ["--api-key", SECRET]}, {"args": ["--api-key", f"{SECRET}2"]}),
        ({"args": []}, {"args": ["--port=1", f"--api-key={SECRET}"]}),
        ({}, {"args": ["--hf-token", SECRET]}),
        ({"args": ["a"]}, {"args": ["b", "--api-key", SECRET, "--x"]}),
        ({"a": "x"}, {"a": f"export API_KEY={SECRET}"}),
        ({"a": "x\ny"}, {"a": f"x\nvllm serve --api-key {SECRET}"}),
        ({"a": "x\ny"}, {"a": f"x\npassword: {SECRET}"}),
        ({"auth": {"password": SECRET}}, {"auth": {"password": "b"}}),
        ({}, {"auth": {"basic": {"token": SECRET}}}),
        ({"a": f"{'x ' * 60}--api-key {SECRET}"}, {"a": f"{'x ' * 60}--api-key {SECRET}2"}),
    ],
)
def test_secrets(old: Any, new: Any) -> None:
    """No secret is shown, wherever it stands."""
    for both in ((old, new), (new, old)):
        assert SECRET not in told(*both)
        assert "not shown" in told(*both)


def test_no_secrets() -> None:
    """What only looks like one is shown."""
    old = {"args": ["--max-num-batched-tokens=8192"], "env": [{"name": "MAX_TOKENS", "value": "1"}]}
    new = {"args": ["--max-num-batched-tokens=4096"], "env": [{"name": "MAX_TOKENS", "value": "2"}]}

    assert "not shown" not in told(old, new)
    key = {"secretKeyRef": {"name": "a", "key": "b"}}
    assert "env[A].valueFrom.secretKeyRef.key: 'b' -> 'c'" == told(
        {"env": [{"name": "A", "valueFrom": key}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "c"}}}]},
    )


def test_secret() -> None:
    """Of a Secret, only the key is shown."""
    (found,) = changes({"data": {"a": "b"}}, {"data": {"a": "c"}})

    assert "data.a changes (not shown)" == sentence(found, is_secret=True)
