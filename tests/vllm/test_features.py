"""One request for each feature that a manifest promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import scenario
from tests.support import load_yaml
from vllm_constructs import EngineArgs, LoraAdapter

from .conftest import Deploy, Start
from .container import Container
from .running import Running

NAME = "Qwen/Qwen2.5-7B-Instruct"
FLEET = Path(__file__).parents[2] / "examples" / "fleet" / "dist" / "models.k8s.yaml"
FUNCTION = {
    "name": "scale",
    "parameters": {
        "type": "object",
        "properties": {"replicas": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["replicas"],
        "additionalProperties": False,
    },
}
# JSON may hold blanks without end, and the most likely token of a random model stays the same.
RANDOM = {"temperature": 2, "max_tokens": 2000}


def _ask(running: Running, path: str, **body: Any) -> dict[str, Any]:
    status, text = running.request(path, body)
    assert status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


def _chat(running: Running, model: str, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Scale it."}]
    given = {"model": model, "messages": messages, "max_tokens": 64, "seed": 0}
    found: dict[str, Any] = _ask(running, "/v1/chat/completions", **(given | body))["choices"][0]
    return found


def _models(running: Running) -> set[str]:
    return {one["id"] for one in json.loads(running.request("/v1/models")[1])["data"]}


def test_adapter(start: Start, deploy: Deploy) -> None:
    """An adapter has a name of its own, and answers otherwise than its model."""
    adapter = LoraAdapter("sql", "example-org/sql", rank=8)
    running = start(deploy(served_name="qwen", lora_adapters=[adapter]))
    running.wait_ready()

    assert {"qwen", "sql"} == _models(running)
    asked = {"prompt": "A pod is", "max_tokens": 12, "temperature": 0, "return_token_ids": True}
    ids = {
        name: _ask(running, "/v1/completions", model=name, **asked)["choices"][0]["token_ids"]
        for name in ("qwen", "sql")
    }
    assert ids["qwen"] != ids["sql"]
    assert running.request("/v1/completions", asked | {"model": "other"})[0] == 404


def test_served_names(start: Start, deploy: Deploy) -> None:
    """A model answers to each of its names, and to no other."""
    running = start(deploy(served_name=["qwen", "default"]))
    running.wait_ready()

    assert {"qwen", "default"} == _models(running)
    for name in ("qwen", "default"):
        assert "length" == _chat(running, name)["finish_reason"]
    status, text = running.request("/v1/completions", {"model": NAME, "prompt": "a"})
    assert (404, True) == (status, "does not exist" in text)


def test_tools(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tool parser a required call comes as a call, with JSON as its arguments."""
    rendered = tmp_path / "rendered"
    rendered.mkdir()
    objects = scenario.render("tool_calling", rendered, monkeypatch)
    (workload,) = (one for one in objects if one["kind"] == "Deployment")
    running = start(Container.read(workload, objects, tmp_path))
    running.wait_ready()

    tools = [{"type": "function", "function": FUNCTION}]
    (model,) = _models(running)
    message = _chat(running, model, tools=tools, tool_choice="required", **RANDOM)["message"]
    for call in message["tool_calls"]:
        assert "scale" == call["function"]["name"]
        json.loads(call["function"]["arguments"])
    assert message["tool_calls"]
    automatic = _chat(running, model, tools=tools, tool_choice="auto")
    assert "length" == automatic["finish_reason"]


def test_tools_without_parser(start: Start, deploy: Deploy) -> None:
    """The control: without a tool parser, vLLM rejects an automatic choice of tools."""
    running = start(deploy())
    running.wait_ready()

    body = {
        "model": NAME,
        "messages": [{"role": "user", "content": "Scale it."}],
        "tools": [{"type": "function", "function": FUNCTION}],
    }
    status, text = running.request("/v1/chat/completions", body)
    assert (400, True) == (status, "enable-auto-tool-choice" in text)


def test_structured_output(start: Start, deploy: Deploy) -> None:
    """An answer follows a JSON schema; a random model would not by itself."""
    running = start(deploy())
    running.wait_ready()

    schema = {
        "type": "json_schema",
        "json_schema": {"name": "scale", "schema": FUNCTION["parameters"]},
    }
    found = _chat(running, NAME, response_format=schema, **RANDOM)["message"]["content"]
    assert 1 <= json.loads(found)["replicas"] <= 9
    without = _chat(running, NAME, **RANDOM)["message"]
    assert without["reasoning"] is None
    with pytest.raises(json.JSONDecodeError):
        json.loads(without["content"])


def test_embeddings(start: Start, tmp_path: Path) -> None:
    """The embedding model of the fleet returns vectors, and no completions."""
    objects = load_yaml(FLEET)
    (workload,) = (
        one
        for one in objects
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "qwen-embedding"
    )
    running = start(Container.read(workload, objects, tmp_path))
    running.wait_ready()

    asked = {"model": "qwen-embedding", "input": ["a pod", "a server", "a pod"]}
    vectors = [one["embedding"] for one in _ask(running, "/v1/embeddings", **asked)["data"]]
    assert [128] * 3 == [len(vector) for vector in vectors]
    assert vectors[0] != vectors[1]
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-2)
    body = {"model": "qwen-embedding", "prompt": "a"}
    assert running.request("/v1/completions", body)[0] in {400, 404, 405}


def test_reasoning(start: Start, deploy: Deploy) -> None:
    """With a reasoning parser what comes before `</think>` is told apart from the answer."""
    running = start(deploy(engine=EngineArgs(reasoning_parser="qwen3")))
    running.wait_ready()

    message = _chat(running, NAME)["message"]
    assert message["reasoning"]
    assert not message["content"]


def test_too_long(start: Start, deploy: Deploy) -> None:
    """A request longer than max_model_len is rejected with a sentence, and nothing breaks."""
    running = start(deploy(engine=EngineArgs(max_model_len=64)))
    running.wait_ready()

    status, text = running.request("/v1/completions", {"model": NAME, "prompt": "a pod " * 100})
    assert (400, True) == (status, "64" in text)
    assert 200 == running.probe("readinessProbe")
