"""Engines: containers that run vLLM."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.settings import Settings


def engine(*objects: dict[str, Any], settings: Settings | None = None, **container: Any) -> Engine:
    """The one engine of a Deployment with this container."""
    one = {"name": "vllm", "image": "vllm/vllm-openai:v0.30.0", **container}
    volumes = [{"name": "config", "configMap": {"name": "flags"}}]
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"template": {"spec": {"containers": [one], "volumes": volumes}}},
    }
    (found,) = Graph([body, *objects], settings).engines
    return found


def config(**data: str) -> dict[str, Any]:
    """The ConfigMap."""
    metadata = {"name": "flags", "namespace": "llm"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_flags() -> None:
    """Model, flags and served names are read, and where each stands."""
    found = engine(args=["a/b", "--tensor_parallel_size", "2", "--served-model-name=x"])
    assert ("a/b", 2, ["x"]) == (
        found.model,
        found.flag("tensor-parallel-size"),
        found.served_names,
    )
    place = ("spec", "template", "spec", "containers", 0, "args")
    assert (*place, 0) == found.flag_place("")
    assert (*place, 1) == found.flag_place("tensor-parallel-size")
    assert (*place, 3) == found.flag_place("other", "served-model-name")
    assert place == found.flag_place("other")
    assert ("0.30.0", 2, 1) == (
        found.release.name,
        found.size("tensor-parallel-size"),
        found.size("pipeline-parallel-size"),
    )


def test_shell() -> None:
    """Flags in a script stand where the script does."""
    script = "exec vllm serve a/b \\\n  --port 9000 >log"
    found = engine(command=["/bin/sh", "-c"], args=[script])
    assert ("a/b", 9000) == (found.model, found.port)
    assert ("args", 0) == found.flag_place("port")[-2:]
    assert ("args",) == found.flag_place("seed")[-1:]


def test_variables() -> None:
    """Variables are those with a value in the manifests, from ConfigMaps too."""
    found = engine(
        config(MODEL="a/b"),
        args=["$(MODEL)", "--seed=$(SEED)"],
        envFrom=[{"configMapRef": {"name": "flags"}}],
        env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    )
    assert ({"MODEL": "a/b"}, "a/b") == (found.env, found.model)
    assert ("env", 0) == found.env_place("KEY")[-2:]
    assert "env" == found.env_place("OTHER")[-1]
    assert not found.is_line_whole
    assert ["a/b"] != found.served_names


def test_config_file() -> None:
    """Flags of a file in a ConfigMap count; without the ConfigMap the line is not whole."""
    container: dict[str, Any] = {
        "args": ["a/b", "--config", "/etc/vllm/flags.yaml"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/vllm"}],
    }
    found = engine(config(**{"flags.yaml": "port: 9000"}), **container)
    assert (9000, True) == (found.port, found.is_line_whole)
    assert not engine(**container).is_line_whole


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["a/b"], ["a/b"]),
        (["a/b", "--served-model-name", "x", "y"], ["x", "y"]),
        (["--served-model-name=$(NAME)", "a/b"], None),
        ([], None),
    ],
)
def test_served_names(args: list[str], expected: list[str] | None) -> None:
    """Without a name of its own, a model is served by its name."""
    assert expected == engine(args=args).served_names


def test_settings() -> None:
    """What the manifests do not say, the user may."""
    settings = Settings(vllm="0.31.0", gpu="NVIDIA-L40S")
    resources = {"limits": {"nvidia.com/gpu": 2}}
    found = engine(
        settings=settings, image="example.com/vllm-openai:mine", args=["m"], resources=resources
    )
    assert "0.31.0" == found.release.name
    assert found.gpus.gpu is not None
    assert ("NVIDIA-L40S", 2) == (found.gpus.gpu.product, found.gpus.count)


def test_mounts() -> None:
    """The mount of a path is that of the nearest folder above it, with its volume."""
    mounts = [{"name": "a", "mountPath": "/root"}, {"name": "config", "mountPath": "/root/.cache/"}]
    found = engine(args=["m"], volumeMounts=mounts)
    mount = found.mount("/root/.cache/huggingface")
    assert mount is not None
    assert "config" == mount[1]["name"]
    volume = found.volume(mount[1])
    assert volume is not None
    assert ("volumes", 0) == volume[0][-2:]
    assert found.mount("/root2") is None
    assert found.volume({"name": "a"}) is None


def test_ports() -> None:
    """The port of the API is 8000 unless a flag gives it; a variable hides it."""
    assert (8000, 80) == (engine(args=["m"]).port, engine(args=["m", "--port=80"]).port)
    assert engine(args=["m", "--port=$(PORT)"]).port is None
    assert engine(args=["m", "--headless"]).is_headless


def test_word_places() -> None:
    """Each word of the command line has a place, whatever its flag is called there."""
    container = ("spec", "template", "spec", "containers", 0)
    found = engine(
        command=["vllm", "serve", "a/b"], args=["-tp", "2", "--no-enable-lora", "--see=1"]
    )
    assert (*container, "command", 2) == found.word_place(0)
    assert (*container, "args", 1) == found.word_place(2)
    assert (*container, "args", 0) == found.flag_place("tensor-parallel-size")
    assert (*container, "args", 2) == found.flag_place("enable-lora")
    assert (*container, "args", 3) == found.flag_place("other", "seed")
    assert (*container, "args") == found.word_place(9)

    found = engine(command=["bash", "-c", "vllm serve a/b -tp 2"])
    assert {(*container, "command", 2)} == {found.word_place(at) for at in range(3)}
    assert (*container, "command", 2) == found.flag_place("tensor-parallel-size")


def test_words_of_files() -> None:
    """Words of a config file have their place at the flag that names it."""
    args = ("spec", "template", "spec", "containers", 0, "args")
    mounts = [{"name": "config", "mountPath": "/etc/vllm"}]
    words = ["a/b", "--port=1", "--config", "/etc/vllm/flags.yaml"]
    found = engine(config(**{"flags.yaml": "seed: 1"}), args=words, volumeMounts=mounts)

    assert ["a/b", "--seed", "1", *words[1:]] == found.line_words
    assert [False, True, True, False] == [found.is_in_file(at) for at in range(4)]
    places = [(*args, 0), (*args, 2), (*args, 2), (*args, 1), (*args, 2)]
    assert places == [found.word_place(at) for at in range(5)]
    assert (*args, 2) == found.flag_place("seed")


def test_substitutions() -> None:
    """What a shell puts into a script is a word whose value is not known."""
    text = "vllm serve a/b --port `cat /port` --seed $(cat /seed) -tp 2"
    found = engine(command=["sh", "-c", text])

    assert found.options == {"tensor-parallel-size": 2}
    assert {"port", "seed"} == set(found.line.unread)


@pytest.mark.parametrize(
    ("image", "vllm", "version"),
    [
        ("vllm/vllm-openai:v0.12.0", "0.33.0", (0, 12, 0)),
        ("vllm/vllm-openai", None, None),
        ("vllm/vllm-openai", "0.32.0", (0, 32, 0)),
        ("example.com/llm", "0.32.0", (0, 32, 0)),
        ("", "0.32.0", (0, 32, 0)),
        ("", "x", None),
        ("no image", None, None),
    ],
)
def test_release(image: str, vllm: str | None, version: tuple[int, ...] | None) -> None:
    """The tag counts more than what a user says of images without one."""
    found = engine(image=image, command=["vllm", "serve"], settings=Settings(vllm=vllm))

    assert version == found.release.version
    assert found.release.is_official == image.startswith("vllm/vllm-openai")


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"args": ["a/b"]}, True),
        ({"command": ["vllm", "serve", "a/b"]}, True),
        ({}, False),
    ],
)
def test_patch(container: dict[str, Any], *, expected: bool) -> None:
    """A patch replaces all arguments or none."""
    one = {"name": "vllm", "image": "vllm/vllm-openai:v0.33.0", **container}
    patch = {"template": {"spec": {"containers": [one]}}}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": patch}
    [found] = Graph([made]).engines
    assert (expected, expected) == (found.is_line_here, found.is_line_whole)


def test_service_of_kserve() -> None:
    """An operator may add arguments to any."""
    one = {"name": "main", "image": "vllm/vllm-openai:v0.33.0", "args": ["a/b"]}
    made = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "d"},
        "spec": {"predictor": {"containers": [one]}},
    }
    [found] = Graph([made]).engines
    assert not found.is_line_here
    assert not found.is_line_whole
