"""Rules of LoRA adapters: L01 to L04."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import container, deployment, pod, script

RUNTIME = {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "1"}
RESOLVER = {"name": "VLLM_LORA_RESOLVER_CACHE_DIR", "value": "/adapters"}
MODULE = '{"name":"sql","path":"/adapters/sql","base_model_name":"m"}'


def engine(*args: str, **fields: Any) -> dict[str, Any]:
    """A Deployment of one engine.

    Args:
        *args: Its arguments.
        **fields: Other fields of its container.
    """
    return deployment("m", pod(container("org/m", *args, **fields)))


@pytest.mark.parametrize(
    ("manifest", "words", "place"),
    [
        (engine("--lora-modules", "sql=/adapters/sql"), "without enable_lora", "args.1"),
        (engine("--lora_modules", MODULE, "--max-loras=2"), "without enable_lora", "args.1"),
        (
            deployment("m", pod(script("vllm serve m --lora-modules a=/a b=/b --port 8000"))),
            "is given without enable_lora",
            "args.0",
        ),
        (engine("--enable-lora", "--max-lora-rank", "24"), "24", "args.2"),
        (engine("--enable-lora", "--max_lora_rank=48"), "48", "args.2"),
        (engine("--enable-lora", "--max-loras=4", "--max-cpu-loras=2"), "less than", "args.3"),
        (engine("--enable-lora", "--lora-modules", "{broken"), "cannot parse", "args.2"),
        (engine(env=[RUNTIME]), "is on without --enable-lora", "env.0"),
    ],
)
def test_loaded(manifest: dict[str, Any], words: str, place: str) -> None:
    """Adapters that are ignored, and ranks that vLLM refuses, are found at their flag."""
    (line,) = sentences([manifest], "L01")

    assert words in line
    assert f"{place}: " in line


@pytest.mark.parametrize(
    "manifest",
    [
        engine("--enable-lora", "--lora-modules", "sql=/a", MODULE.replace("sql", "fin")),
        engine("--enable-lora", "--max-lora-rank=320"),
        engine("--lora-modules", "sql=/a", "$(MORE)"),
        engine("--lora-modules", "sql=/a", "--config=/etc/vllm.yaml"),
        engine("--max-lora-rank", "$(RANK)", "--enable-lora"),
        engine("--enable-lora", "--lora-modules", "$(ADAPTERS)"),
        engine("--enable-lora", "--max-cpu-loras=8"),
        engine("--max-loras=4"),
        engine("--enable-lora", env=[RUNTIME]),
        engine(env=[{**RUNTIME, "value": "0"}]),
        engine("--no-enable-lora"),
    ],
)
def test_good_loaded(manifest: dict[str, Any]) -> None:
    """Adapters that are loaded, and what is in variables, are no mistake."""
    assert [] == sentences([manifest], "L01")


@pytest.mark.parametrize(
    "args",
    [
        ("--lora-modules", "sql=/a", "sql=/b"),
        ("--lora-modules", "sql=/a", MODULE),
        ("--lora-modules", "org/m=/a"),
        ("--served-model-name", "m", "alias", "--lora-modules", "alias=/a"),
    ],
)
def test_named(args: tuple[str, ...]) -> None:
    """A name of two adapters, or of an adapter and the model, is found."""
    (line,) = sentences([engine("--enable-lora", *args)], "L02")

    assert "which the model or another adapter has already" in line


@pytest.mark.parametrize(
    "args",
    [
        ("--lora-modules", "sql=/a", "fin=/a"),
        ("--served-model-name", "m", "--lora-modules", "org/m=/a"),
        ("--served-model-name", "$(NAME)", "--lora-modules", "org/m=/a"),
        ("--lora-modules", "{broken"),
        ("--lora-modules", "$(ADAPTERS)"),
    ],
)
def test_good_named(args: tuple[str, ...]) -> None:
    """Names of their own, and names in variables, are no mistake."""
    assert [] == sentences([engine("--enable-lora", *args)], "L02")


KEY = {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "k"}}}


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ([RUNTIME], "without an API key, so every client that reaches the port"),
        ([{**RUNTIME, "value": "True"}], "every client that reaches the port"),
        ([RUNTIME, KEY], "every client that has the API key"),
    ],
)
def test_runtime(env: list[dict[str, Any]], words: str) -> None:
    """Loading at run time is open to all clients, with a key too."""
    (finding,) = found([engine("--enable-lora", env=env)], "L03")

    assert words in finding.problem.sentence()
    assert "warning" == finding.level
    assert ("env", 0) == finding.path[-2:]


def replicated(count: int, *env: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An engine with replicas, whose clients load adapters.

    Args:
        count: The replicas.
        *env: More variables.
        **fields: Other containers of the pod, by name.
    """
    template = pod(container("m", "--enable-lora", env=[RUNTIME, KEY, *env]), *fields.values())
    return deployment("m", template, replicas=count)


def test_replicas() -> None:
    """Of several replicas, only one has what a client loads."""
    first, second = found([replicated(3)], "L03")

    assert {("spec", "replicas")} <= {first.path, second.path}
    assert "up to 3 replicas" in first.problem.sentence() + second.problem.sentence()


def test_scaled() -> None:
    """An autoscaler makes replicas too."""
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "m", "namespace": "llm"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "m"}, "maxReplicas": 4},
    }

    assert 2 == len(found([engine("--enable-lora", env=[RUNTIME]), scaler], "L03"))


@pytest.mark.parametrize(
    "manifests",
    [
        [replicated(1)],
        [replicated(3, RESOLVER)],
        [replicated(3, syncer={"name": "lora-adapter-syncer", "image": "registry/syncer"})],
        [replicated(3), {"apiVersion": "model.aibrix.ai/v1alpha1", "kind": "ModelAdapter"}],
    ],
)
def test_good_replicas(manifests: list[dict[str, Any]]) -> None:
    """One replica, a shared folder, or an operator that loads everywhere are no mistake."""
    (line,) = sentences(manifests, "L03")

    assert "replicas" not in line


@pytest.mark.parametrize(
    "manifest",
    [
        engine("--enable-lora"),
        engine("--enable-lora", env=[RESOLVER]),
        engine("--enable-lora", env=[{**RUNTIME, "value": "false"}]),
        engine("--headless", env=[RUNTIME]),
    ],
)
def test_good_runtime(manifest: dict[str, Any]) -> None:
    """Adapters that are listed are no mistake."""
    assert [] == sentences([manifest], "L03")


def plugged(value: Any, image: str = "vllm/vllm-openai:v0.33.0", **limits: str) -> dict[str, Any]:
    """An engine with a list of plugins.

    Args:
        value: The list.
        image: The image.
        **limits: Its resources, `__` for a slash and `_DOT_` for a dot.
    """
    given = {name.replace("__", "/").replace("_DOT_", "."): one for name, one in limits.items()}
    return engine(
        image=image,
        command=["vllm", "serve"],
        env=[{"name": "VLLM_PLUGINS", "value": value}],
        resources={"limits": given},
    )


@pytest.mark.parametrize(
    ("manifest", "platform"),
    [
        (plugged("lora_filesystem_resolver", "vllm/vllm-tpu:v0.32.0"), "TPU"),
        (plugged("lora_filesystem_resolver", google_DOT_com__tpu="8"), "TPU"),
        (plugged("", habana_DOT_ai__gaudi="8"), "Gaudi"),
        (plugged("my_plugin", "r/x:1", aws_DOT_amazon_DOT_com__neuron="1"), "Neuron"),
    ],
)
def test_plugins(manifest: dict[str, Any], platform: str) -> None:
    """A list of plugins that drops the one of the platform is found."""
    (line,) = sentences([manifest], "L04")

    assert f"without the plugin for {platform}" in line


@pytest.mark.parametrize(
    "manifest",
    [
        plugged("lora_filesystem_resolver", nvidia_DOT_com__gpu="1"),
        plugged("tpu,lora_filesystem_resolver", "vllm/vllm-tpu:v0.32.0"),
        plugged("hpu,my_plugin", habana_DOT_ai__gaudi="8"),
        plugged("$(PLUGINS)", google_DOT_com__tpu="8"),
        engine(image="vllm/vllm-tpu:v0.32.0", command=["vllm", "serve"]),
    ],
)
def test_good_plugins(manifest: dict[str, Any]) -> None:
    """Platforms of vLLM itself, and lists with theirs, are no mistake."""
    assert [] == sentences([manifest], "L04")


@pytest.mark.parametrize("value", [None, [], [None], {"a": 1}, 3, True])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    manifests = [plugged(value), engine("--lora-modules", "a=/x", env=value)]
    one = engine()
    one["spec"]["template"]["spec"]["containers"][0]["args"] = ["--lora-modules", value]
    manifests += [one, {**replicated(3), "spec": {**replicated(3)["spec"], "replicas": value}}]

    found(manifests, "L01", "L02", "L03", "L04")
