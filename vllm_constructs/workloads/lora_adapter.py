"""LoraAdapter: a small set of weights that adapts a model, served under a name of its own.

Source: vLLM 0.33, docs/features/lora.md, vllm/lora/utils.py and vllm/config/lora.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from typing import Any, Protocol, TypeAlias, cast

from vllm_constructs import require
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import Problem, escaped, refuse, warn
from vllm_constructs.kube import names

from .additions import Additions
from .container import Container
from .mounts import TEMPORARY
from .object_stores import (
    URL,
    AzureContainer,
    GcsBucket,
    S3Bucket,
    StreamingPod,
    article,
    check_image,
)
from .volumes import PullPolicy, Volume

ADAPTERS = "/adapters"
"""Where adapters are mounted, each in a folder of its name."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values of `max_lora_rank` (vllm/config/lora.py)."""
RUNTIME = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,62}", re.ASCII)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[\w.-]+)+/?", re.ASCII)
# The most slots by default: each takes GPU memory for the highest rank.
_MOST_LOADED = 4
# `pull_files` is from the library with which vLLM streams weights. The URL of a folder must end
# with a slash; if there is no such folder, it copies nothing and raises nothing.
_PULL = (
    "import os, sys; from runai_model_streamer import pull_files; url, folder = sys.argv[1:]; "
    "pull_files(url, folder); found = os.path.exists(os.path.join(folder, 'adapter_config.json')); "
    "sys.exit(None if found else 'there is no adapter_config.json in ' + url)"
)
_KEYS = ("name", "path")
_RESOLVERS = ("VLLM_LORA_RESOLVER_CACHE_DIR", "VLLM_LORA_RESOLVER_HF_REPO_LIST")
# Platforms that are plugins, and not in vLLM itself (vllm/platforms/__init__.py).
_PLUGGED = {"TPU": ("tpu",), "Gaudi": ("hpu", "gaudi"), "Neuron": ("neuron",)}
OPEN = (
    "every client that reaches the port can load any folder of the pod and any repository of the "
    "Hub"
)
"""What follows where clients may load adapters without an API key."""
_BUCKETS = (S3Bucket, GcsBucket, AzureContainer)

AdapterSource: TypeAlias = str | Volume | S3Bucket | GcsBucket | AzureContainer


@dataclass(frozen=True)
class LoraAdapter:
    """A LoRA adapter, which clients use by its name instead of the model's.

    Flags, mounts and the slots on the GPU are derived from all adapters of a pod.

    Args:
        name: Name of the adapter in requests.
        source: Where it is: a repository of the Hugging Face Hub; an absolute path in the image,
            the cache or a volume; a `Volume` of a claim or an OCI image; or a bucket such as
            `S3Bucket("s3://adapters/sql", secret="s3")`, from which a container downloads it before
            the engine starts.
        rank: Its rank, `r` in its `adapter_config.json`. Default: 16, vLLM's default limit.
        base_model_name: What `/v1/models` shows as its parent. Default: the model's served name.

    Raises:
        VllmConstructsError: An invalid name, source or rank.
    """

    name: str
    source: AdapterSource
    rank: int = field(default=16, kw_only=True)
    base_model_name: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        allowed = "at most 63 letters, digits and any of '._-', first a letter or digit"
        require.matching("LoraAdapter.name", self.name, _NAME, allowed)
        source = self.source
        if isinstance(source, str):
            if URL.fullmatch(source):
                kind = {"s3": "S3Bucket", "gs": "GcsBucket", "az": "AzureContainer"}[source[:2]]
                allowed = "a repository, an absolute path, a Volume or a bucket"
                require.wrong("LoraAdapter.source", source, allowed, f"give {kind}({source!r})")
            if not (_REPOSITORY.fullmatch(source) or _PATH.fullmatch(source)):
                allowed = "a repository such as 'jeeejeee/llama32-3b-text2sql-spider', or a path"
                require.wrong("LoraAdapter.source", source, allowed)
        else:
            allowed = "a repository, an absolute path, a Volume or a bucket"
            require.instance("LoraAdapter.source", source, (Volume, *_BUCKETS), allowed)
            if isinstance(source, Volume) and source.kind == "emptyDir":
                text = "is an emptyDir, in which there is no adapter"
                refuse(Problem(where="LoraAdapter.source", text=text, advice=f"give {allowed}"))
        if isinstance(source, _BUCKETS) and source.url is None:
            text = f"is {article(type(source).__name__)} without a URL"
            refuse(Problem(where="LoraAdapter.source", text=text, advice="give it one"))
        require.integer("LoraAdapter.rank", self.rank, 1, RANKS[-1])
        if self.base_model_name is not None:
            require.text("LoraAdapter.base_model_name", self.base_model_name)

    @property
    def is_downloaded(self) -> bool:
        """Whether vLLM downloads it from the Hub."""
        return isinstance(self.source, str) and not self.source.startswith("/")

    @property
    def path(self) -> str:
        """What vLLM is given: a path or a repository."""
        return self.source if isinstance(self.source, str) else f"{ADAPTERS}/{self.name}"


class AdaptedPod(StreamingPod, Protocol):
    """The parts of a pod on which its adapters depend."""

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of the model in requests."""
        ...


def check_adapters(value: object) -> tuple[LoraAdapter, ...]:
    """The adapters of a pod, each with another name.

    Args:
        value: What the option `lora_adapters` has.

    Raises:
        VllmConstructsError: A value of another type, or two adapters with the same name.
    """
    allowed = "a list of LoraAdapter(name, source)"
    found = require.instances("lora_adapters", value, LoraAdapter, allowed)
    given = [one.name for one in found]
    for name in given:
        if given.count(name) > 1:
            text = f"has two adapters with the name {name!r}"
            refuse(Problem(where="lora_adapters", text=text, advice="give each its own name"))
    return found


def additions(pod: AdaptedPod, adapters: Sequence[LoraAdapter]) -> Additions:
    """What adapters add to a pod.

    Args:
        pod: The pod.
        adapters: Its adapters, one or more.

    Raises:
        VllmConstructsError: An adapter has a name of the model or a higher rank than the engine
            allows, or cannot be downloaded.
    """
    for one in adapters:
        if one.name in pod.served_names:
            where = f"LoraAdapter({one.name!r}).name"
            text = "is also a name of the model, so clients could no longer reach the model"
            refuse(Problem(where=where, text=text, advice="give it another name"))
    engine = pod.engine
    loaded = engine.max_loras or min(len(adapters), _MOST_LOADED)
    derived: dict[str, Any] = {
        "enable_lora": True,
        "max_lora_rank": _rank(engine, adapters),
        "max_loras": loaded,
        "lora_modules": tuple(_module(one, pod.served_names[0]) for one in adapters),
    }
    if engine.max_cpu_loras is None and len(adapters) > loaded:
        # Those that are in no batch stay in the memory of the pod.
        derived["max_cpu_loras"] = len(adapters)
    volumes = {one.path: one.source for one in adapters if isinstance(one.source, Volume)}
    pulled = [_pull(pod, one, one.source) for one in adapters if isinstance(one.source, _BUCKETS)]
    if pulled:
        volumes[ADAPTERS] = _shared()
    return Additions(
        option="lora_adapters",
        engine=derived,
        volumes=dict(sorted(volumes.items())),
        init_containers=tuple(container for container, _ in pulled),
        labels={key: text for _, more in pulled for key, text in more.labels.items()},
        addresses=tuple(dict.fromkeys(address for _, more in pulled for address in more.addresses)),
    )


def _rank(engine: EngineArgs, adapters: Iterable[LoraAdapter]) -> int:
    highest = max(adapters, key=lambda one: one.rank)
    given = engine.max_lora_rank
    if given is not None and given < highest.rank:
        refuse(
            Problem(
                where="EngineArgs.max_lora_rank",
                text=f"is {given}, but the adapter {highest.name!r} has rank {highest.rank}",
                value=str(given),
                advice="leave it out to get what the adapters need",
            )
        )
    return given or next(one for one in RANKS if one >= highest.rank)


def _module(adapter: LoraAdapter, served_name: str) -> str:
    """The adapter as `--lora-modules` takes it."""
    base = served_name if adapter.base_model_name is None else adapter.base_model_name
    value = {"name": adapter.name, "path": adapter.path, "base_model_name": base}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _shared() -> Volume:
    return Volume.from_empty_dir(name="adapters")


def _pull(
    pod: StreamingPod, adapter: LoraAdapter, bucket: S3Bucket | GcsBucket | AzureContainer
) -> tuple[Container, Additions]:
    """The container that downloads an adapter from a bucket, and what it needs for that."""
    access = bucket.access(pod)
    where = f"LoraAdapter({adapter.name!r}).source"
    check_image(where, pod)
    bucket.check_identity(where, pod)
    container = Container(
        name=f"adapter-{_label(adapter.name)}",
        image=pod.image,
        image_pull_policy=cast("PullPolicy | None", pod.image_pull_policy),
        command=["python3", "-c", _PULL],
        args=[f"{str(bucket.url).rstrip('/')}/", adapter.path],
        env={**access.env, "HOME": TEMPORARY},
        volumes={
            ADAPTERS: _shared(),
            TEMPORARY: Volume.from_empty_dir(name="tmp"),
            **access.volumes,
        },
        # On CPUs the pod is Guaranteed only if all containers have equal limits.
        cpu=("100m", "100m") if pod.gpu.platform == "CPU" else "100m",
        memory="2Gi" if pod.gpu.platform == "CPU" else ("512Mi", "2Gi"),
    )
    return container, access


def _label(name: str) -> str:
    """The name of an adapter as a part of a DNS label, unique in the pod."""
    found = names.sanitized(name, 46)
    return found if found == name else f"{found}-{sha256(name.encode()).hexdigest()[:8]}"


class LoadingPod(Protocol):
    """The parts of a pod whose clients may load adapters."""

    @property
    def runtime_lora_loading(self) -> bool:
        """Whether clients may load adapters."""
        ...

    @property
    def plain_env(self) -> Mapping[str, str]:
        """Variables of the engine's container that are strings."""
        ...


class CheckedPod(LoadingPod, Protocol):
    """The parts of a pod that are checked."""

    @property
    def engine(self) -> EngineArgs:
        """Flags of the engine."""
        ...

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of the model in requests."""
        ...

    @property
    def lora_adapters(self) -> tuple[LoraAdapter, ...]:
        """The adapters."""
        ...

    @property
    def is_offline(self) -> bool:
        """Whether downloads are off."""
        ...

    @property
    def api_key(self) -> object | None:
        """The API key that clients must send, if any."""
        ...

    @property
    def gpu(self) -> Gpu:
        """GPU of the pod."""
        ...


def check(pod: CheckedPod) -> None:
    """Reject adapters with which vLLM does not start, or which clients could not reach.

    Args:
        pod: The pod, with what options have added to its flags.

    Raises:
        VllmConstructsError: Two adapters with the same name, fewer adapters in memory than slots,
            an adapter that cannot be downloaded, several API servers, of which only one would load
            an adapter, or a list of plugins without the one for the platform.
    """
    engine = pod.engine
    for problem in (
        name_problem(engine.get("lora_modules") or (), pod.served_names),
        plugins_problem(pod.gpu.platform, pod.plain_env.get("VLLM_PLUGINS")),
        slots_problem(engine.max_loras, engine.max_cpu_loras),
    ):
        if problem is not None:
            refuse(problem)
    if pod.is_offline:
        for one in pod.lora_adapters:
            if one.is_downloaded:
                where = f"LoraAdapter({one.name!r}).source"
                text = f"is {one.source!r}, and downloads are off"
                advice = "give its path in the cache, or a Volume"
                refuse(Problem(where=where, text=text, advice=advice))
    if pod.runtime_lora_loading:
        _check_runtime(pod)
    elif any(name in pod.plain_env for name in _RESOLVERS):
        name = next(name for name in _RESOLVERS if name in pod.plain_env)
        text = "has no effect: vLLM asks its resolvers only if clients may load adapters"
        advice = "give {runtime_lora_loading=True} too, or leave it out"
        warn(Problem(where=f"env[{name!r}]", text=text, advice=advice))


def slots_problem(slots: int | None, kept: int | None) -> Problem | None:
    """Why adapters do not fit into memory; None if they do.

    Args:
        slots: `max_loras`, if it is given.
        kept: `max_cpu_loras`, if it is given.
    """
    slots = slots or 1
    if kept is None or kept >= slots:
        return None
    return Problem(
        where="EngineArgs.max_cpu_loras",
        text=f"is {kept}, less than {{max_loras}} ({slots}), and vLLM does not start with that",
        value=str(kept),
        advice=f"give {slots} or more, or leave it out",
    )


def plugins_problem(platform: str, given: str | None) -> Problem | None:
    """Why a list of plugins lacks the one that vLLM needs for a platform; None if it does not.

    Args:
        platform: The platform, such as `TPU`.
        given: The variable VLLM_PLUGINS, if it is given.
    """
    words = _PLUGGED.get(platform, ())
    if not words or given is None or any(word in given.lower() for word in words):
        return None
    return Problem(
        where="env['VLLM_PLUGINS']",
        text=f"is {escaped(repr(given))}, without the plugin for {platform}, so vLLM finds no "
        "device",
        value=repr(given),
        advice="leave it out: {runtime_lora_loading} and a resolver's own variable suffice",
    )


def check_replicas(where: str, pod: LoadingPod, replicas: int) -> None:
    """Warn about adapters that only one of several replicas loads.

    Args:
        where: Name of the model, for the sentence.
        pod: The pod.
        replicas: The largest number of replicas.
    """
    if pod.runtime_lora_loading:
        problem = replicas_problem(where, replicas, pod.plain_env)
        if problem is not None:
            warn(problem)


def replicas_problem(where: str, replicas: int, env: Mapping[str, str]) -> Problem | None:
    """Why only one of several replicas has an adapter that a client loads; None if all find it.

    Args:
        where: What has the replicas, for the sentence.
        replicas: The largest number of replicas.
        env: Variables of the engine's container that are known.
    """
    if replicas < 2 or any(name in env for name in _RESOLVERS):
        return None
    return Problem(
        where=where,
        text=f"has up to {replicas} replicas and {{runtime_lora_loading}}, but only the replica "
        "that answers loads an adapter, and the others do not know it",
        advice="give {lora_adapters}, one replica, or a folder for vLLM's resolver "
        "(VLLM_LORA_RESOLVER_CACHE_DIR in {env})",
    )


def name_problem(modules: Iterable[object], served: Iterable[str]) -> Problem | None:
    """Why clients could not reach an adapter or the model by its name; None if they can.

    Args:
        modules: The values of `--lora-modules`.
        served: The names of the model in requests.

    Raises:
        VllmConstructsError: vLLM cannot parse one of them.
    """
    seen = set(served)
    for module in modules:
        name = _name_of(str(module))
        if name in seen:
            return Problem(
                where="EngineArgs.lora_modules",
                text=f"has the name {escaped(repr(name))}, which the model or another adapter has "
                "already",
                value=repr(name),
                advice="give it another name",
            )
        seen.add(name)
    return None


def _name_of(module: str) -> str:
    """The name of an adapter, which is given as `name=path` or as JSON (`LoRAParserAction`)."""
    if "$(" in module:
        # The value of a variable is not known here.
        return module
    if "=" in module and "," not in module:
        return module.partition("=")[0]
    try:
        found = json.loads(module)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in _KEYS):
        where, allowed = "EngineArgs.lora_modules", "'name=path', or JSON with a name and a path"
        refuse(
            Problem(
                where=where,
                text=f"has {escaped(require.shown(module))}, which vLLM cannot parse",
                value=require.shown(module),
                allowed=allowed,
            )
        )
    return str(found["name"])


def _check_runtime(pod: CheckedPod) -> None:
    """Reject run-time loading with several API servers; warn if it needs no API key."""
    ranks = pod.engine.data_parallel_size or 1
    problem = servers_problem(pod.engine.api_server_count, ranks)
    if problem is not None:
        refuse(problem)
    if pod.api_key is None:
        warn(
            Problem(
                where="runtime_lora_loading",
                text=f"is True without an {{api_key}}, so {OPEN}",
                advice="give {api_key}",
            )
        )


def servers_problem(servers: int | None, ranks: int) -> Problem | None:
    """Why clients cannot load adapters with several API servers; None if there is one.

    Args:
        servers: `api_server_count`, if it is given.
        ranks: The number of servers that vLLM starts otherwise.
    """
    if (servers if servers is not None else ranks) < 2:
        return None
    why = f"{{data_parallel_size}} is {ranks}" if servers is None else f"it is {servers}"
    return Problem(
        where="runtime_lora_loading",
        text=f"is True with several API servers ({why}), and vLLM does not start with that",
        advice="give {EngineArgs.api_server_count=1}",
    )
