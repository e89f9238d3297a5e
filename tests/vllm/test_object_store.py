"""Weights and adapters in a bucket, which the real streamer reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from vllm_constructs import LoraAdapter, S3Bucket

from . import bucket, environment
from .bucket import Bucket
from .conftest import Deploy, Start
from .container import Container
from .running import Running

pytestmark = pytest.mark.xdist_group("object-store")

WEIGHTS = "model.safetensors"
MISSING = "Invalid repository ID or local directory specified: "


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket with a model and an adapter."""
    with bucket.serve(tmp_path_factory.mktemp("store")) as found:
        found.put("qwen", environment.models() / "chat")
        found.put("sql/v2", environment.models() / "adapter")
        yield found


def _in(store: Bucket, key: str, **options: Any) -> S3Bucket:
    url = f"s3://{bucket.NAME}/{key}"
    return S3Bucket(url, secret="keys", endpoint=store.endpoint, **options)


def _ids(running: Running, model: str) -> list[int]:
    asked = {"prompt": "A pod is", "max_tokens": 12, "temperature": 0, "return_token_ids": True}
    status, answer = running.request("/v1/completions", asked | {"model": model})
    assert status == 200, answer
    found: list[int] = json.loads(answer)["choices"][0]["token_ids"]
    return found


def test_weights(start: Start, deploy: Deploy, store: Bucket) -> None:
    """Weights stream from the bucket into vLLM, which answers as with those of a folder."""
    streamed = start(deploy(served_name="qwen", weights=_in(store, "qwen", buffer="1Gi")))
    streamed.wait_ready()
    assert store.read(f"qwen/{WEIGHTS}")
    found = _ids(streamed, "qwen")
    streamed.kill()

    local = start(deploy(served_name="qwen"))
    local.wait_ready()
    assert _ids(local, "qwen") == found


def test_no_weights(start: Start, deploy: Deploy, store: Bucket) -> None:
    """A folder that is not in the bucket ends the container."""
    running = start(deploy(served_name="qwen", weights=_in(store, "other")))
    assert running.wait(120) not in {None, 0}
    # The sentence by which docs/troubleshooting.md finds it.
    assert MISSING in running.text()
    assert "model_streamer" in running.text().partition(MISSING)[2].splitlines()[0]


def _adapter(deploy: Deploy, store: Bucket, key: str) -> tuple[Container, Container]:
    adapter = LoraAdapter("sql", _in(store, key), rank=8)
    return deploy.both("adapter-sql", served_name="qwen", lora_adapters=[adapter])


def test_adapter(start: Start, deploy: Deploy, store: Bucket) -> None:
    """The init container of an adapter copies it, and vLLM serves it."""
    init, engine = _adapter(deploy, store, "sql/v2")
    copied = start(init)
    assert 0 == copied.wait(60), copied.text()
    assert engine.path("/adapters/sql/adapter_config.json").is_file()

    running = start(engine)
    running.wait_ready()
    assert store.read("sql/v2/adapter_model.safetensors")
    assert _ids(running, "qwen") != _ids(running, "sql")


def test_no_adapter(start: Start, deploy: Deploy, store: Bucket) -> None:
    """An adapter that is not in the bucket ends its init container, which says so."""
    init, _ = _adapter(deploy, store, "sql/v3")
    copied = start(init)
    assert copied.wait(60) not in {None, 0}
    assert "there is no adapter_config.json in s3://weights/sql/v3" in copied.text()
