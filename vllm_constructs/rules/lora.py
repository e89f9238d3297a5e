"""Rules of LoRA adapters: L01 to L04."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.engine.conflicts import conflicts
from vllm_constructs.errors import Problem, VllmConstructsError
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import has_given, is_plain, lists_flags
from vllm_constructs.reading.manifest import Path
from vllm_constructs.releases.environment import switch
from vllm_constructs.workloads.lora_adapter import (
    OPEN,
    RUNTIME,
    name_problem,
    plugins_problem,
    replicas_problem,
    slots_problem,
)

from .owners import given_flags, level_of, owner_of
from .rule import Found, rule

_PLUGINS = "VLLM_PLUGINS"
# Resources of the platforms that are plugins of vLLM.
_PLATFORMS = {
    "google.com/tpu": "TPU",
    "habana.ai/gaudi": "Gaudi",
    "aws.amazon.com/neuron": "Neuron",
    "aws.amazon.com/neuroncore": "Neuron",
}
# Objects with which an operator loads adapters into all replicas.
_LOADERS = ("LoraAdapter", "ModelAdapter")


@rule("L01", "error", "adapters that the engine does not load")
def loaded(graph: Graph) -> Iterator[Found]:
    """Adapters are ignored without `--enable-lora`; with a wrong rank vLLM does not start."""
    for engine in graph.engines:
        if not is_plain(engine):
            continue
        for problem in _unloaded(engine):
            flag = problem.where.removeprefix("EngineArgs.").lstrip("-").replace("_", "-")
            path = engine.flag_place(flag)
            level = level_of(engine) if "max" in flag else None
            yield Found(manifest=engine.manifest, path=path, problem=problem, level=level)
        is_known = lists_flags(engine) and not has_given(engine, "enable-lora")
        if switch(engine.env, RUNTIME) and is_known and not engine.is_headless:
            problem = Problem(
                where=f"env[{RUNTIME!r}]",
                text="is on without --enable-lora, so that every request to load an adapter fails",
                advice="add --enable-lora, or leave the variable out",
            )
            path = engine.env_place(RUNTIME)
            yield Found(manifest=engine.manifest, path=path, problem=problem, level="warning")


def _unloaded(engine: Engine) -> Iterator[Problem]:
    for problem in engine.line.problems:
        if owner_of(problem, "E02") == "L01":
            yield problem
    if lists_flags(engine) and "enable-lora" not in engine.line.unread:
        for problem in conflicts(given_flags(engine), is_complete=True):
            if owner_of(problem) == "L01":
                yield problem
    slots, kept = engine.flag("max-loras"), engine.flag("max-cpu-loras")
    if "max-loras" not in engine.line.unread and lists_flags(engine):
        found = slots_problem(
            slots if isinstance(slots, int) else None, kept if isinstance(kept, int) else None
        )
        if found is not None and engine.flag("enable-lora") is True:
            yield found
    try:
        name_problem(items(engine.flag("lora-modules")), ())
    except VllmConstructsError as error:
        yield error.problem


@rule("L02", "error", "an adapter with a name that is taken")
def named(graph: Graph) -> Iterator[Found]:
    """Of two with the same name, clients reach only one."""
    for engine in graph.engines:
        modules = items(engine.flag("lora-modules"))
        if not modules or not is_plain(engine):
            continue
        try:
            problem = name_problem(modules, engine.served_names or ())
        except VllmConstructsError:
            # L01 tells what vLLM cannot parse.
            continue
        if problem is not None:
            path = engine.flag_place("lora-modules")
            yield Found(manifest=engine.manifest, path=path, problem=problem)


@rule("L03", "warning", "adapters that clients load at run time")
def runtime(graph: Graph) -> Iterator[Found]:
    """A client that may send requests may also load any folder, or any repository of the Hub."""
    for engine in graph.engines:
        if not switch(engine.env, RUNTIME) or engine.is_headless:
            continue
        place = engine.env_place(RUNTIME)
        text = f"is on without an API key, so {OPEN}"
        if _may_have_key(engine):
            text = f"is on, so {OPEN.replace('reaches the port', 'has the API key')}"
        yield Found(
            manifest=engine.manifest,
            path=place,
            problem=Problem(
                where=f"env[{RUNTIME!r}]",
                text=text,
                advice="list the adapters in --lora-modules, or let only what loads them reach the "
                "port",
            ),
        )
        if graph.of(*_LOADERS) or _has_loader(engine):
            continue
        _, most = graph.replicas(engine.manifest)
        problem = replicas_problem(f"the {engine.manifest.kind}", most, engine.env)
        if problem is not None:
            yield Found(manifest=engine.manifest, path=_replicas(engine, place), problem=problem)


def _may_have_key(engine: Engine) -> bool:
    """Whether clients need an API key, as far as the manifest says."""
    return (
        has_given(engine, "api-key")
        or "VLLM_API_KEY" in engine.env_paths
        or "VLLM_API_KEY" in engine.env
        or bool(items(engine.container.get("envFrom")))
        or not lists_flags(engine)
    )


def _has_loader(engine: Engine) -> bool:
    """Whether another container of the pod loads adapters into its engine."""
    return any(
        "lora" in f"{one.get('name')} {one.get('image')}".lower()
        for _, one in engine.pod.all_containers
        if one is not engine.container
    )


def _replicas(engine: Engine, place: Path) -> Path:
    return ("spec", "replicas") if "replicas" in engine.manifest.spec else place


@rule("L04", "error", "a list of plugins without that of the platform")
def plugins(graph: Graph) -> Iterator[Found]:
    """`VLLM_PLUGINS` filters plugins of platforms too: vLLM finds no device, and ends."""
    for engine in graph.engines:
        given = engine.env.get(_PLUGINS)
        if given is None or "$(" in given:
            continue
        named = engine.release.named_accelerator
        platform = next(
            (_PLATFORMS[name] for name in map(str, engine.limits) if name in _PLATFORMS), named
        )
        problem = plugins_problem(str(platform), given)
        if problem is not None:
            path = engine.env_place(_PLUGINS)
            yield Found(manifest=engine.manifest, path=path, problem=problem)
