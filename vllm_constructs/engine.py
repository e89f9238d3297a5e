"""EngineArgs: what `vllm serve` is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _check
from .errors import refuse, warn
from .release import VllmRelease, catalogue

if TYPE_CHECKING:
    from .release import Flag

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

# Decimals only with the decimal units: vLLM refuses "1.5K".
_SIZE = re.compile(r"\d+[kKmMgGtT]?|\d+\.\d+[kmgt]", re.ASCII)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

# Flags that this library derives or that would contradict what it derives, and where the user
# says the same thing.
_DERIVED = {
    "model": "give ModelDeployment(model=...)",
    "served-model-name": "give ModelDeployment(served_name=...)",
    "port": "give ModelDeployment(port=...)",
    "host": "leave it out: the pod's address is the only one",
    "uds": "leave it out: the Service needs a port",
    "config": "give EngineArgs(delivery='config-map')",
    "root-path": "a ModelFleet gives each model its path",
    "shutdown-timeout": "give ModelDeployment(drain=Drain(seconds=...))",
    "api-key": "give ModelDeployment(api_key=ApiKey.from_secret(...)), which keeps it out of args",
    "hf-token": "give ModelDeployment(hf_token=...), which keeps it out of args",
    "ssl-keyfile": "end TLS at the ingress",
    "ssl-certfile": "end TLS at the ingress",
    "ssl-ca-certs": "end TLS at the ingress",
    "headless": "leave it out: probes and Service need the HTTP server",
    "grpc": "leave it out: probes and Service need the HTTP server",
    "nnodes": "leave it out: one pod holds one engine",
    "node-rank": "leave it out: one pod holds one engine",
    "data-parallel-rank": "leave it out: use replicas",
    "data-parallel-external-lb": "leave it out: use replicas",
    "data-parallel-size-local": "leave it out: all data-parallel ranks are in the pod",
    "download-dir": "give ModelDeployment(cache=...)",
}


@dataclass(frozen=True, kw_only=True)
class EngineArgs:
    """Flags of `vllm serve`; what is left out keeps vLLM's own default.

    A flag's value is checked against the vLLM release in the image. What this library derives
    (model, served name, port, shutdown timeout, tensor parallelism) is said elsewhere.

    Args:
        max_model_len: Tokens of prompt and answer together; `"auto"` takes what fits. Default:
            the model's own length.
        gpu_memory_utilization: Share of the GPU's memory for the engine, above 0 and up to 1.
            Default: vLLM's 0.92, on a time-sliced GPU the slice's share of 0.9.
        dtype: Data type of weights and activations.
        kv_cache_dtype: Data type of the KV cache, such as `"fp8"`.
        kv_cache_memory_bytes: Bytes of KV cache per GPU, instead of a share.
        quantization: Quantisation method, where the checkpoint does not say it.
        load_format: How weights are read, such as `"safetensors"` or `"runai_streamer"`.
        revision: Commit, tag or branch of the model repository.
        tokenizer: Another tokenizer than the model's.
        trust_remote_code: Run code from the model's repository. Warned about without
            `revision`, since the code may change under you.
        hf_overrides: Changes to the model's `config.json`.
        runner: `"generate"` or `"pooling"` (embeddings, ranking, classification).
        convert: How a generative model is adapted for pooling.
        seed: Seed of the sampler.
        enforce_eager: No CUDA graphs: starts faster, answers slower.
        max_num_seqs: Requests in one batch.
        max_num_batched_tokens: Tokens in one batch; at least `max_num_seqs`.
        max_num_queued_reqs: Requests that may wait; more are answered with 503.
        enable_chunked_prefill: On by default where supported.
        enable_prefix_caching: On by default where supported.
        cpu_offload_gb: GiB of weights per GPU kept in host memory.
        tensor_parallel_size: GPUs that split each layer. Default: the GPUs of the pod divided
            by the two sizes below.
        pipeline_parallel_size: GPUs that split the layers in stages. Default: 1.
        data_parallel_size: Engines in one pod. Default: 1; more replicas are usually better.
        enable_expert_parallel: Spread experts over the GPUs (mixture-of-experts models).
        distributed_executor_backend: How the workers of a pod are started.
        enable_auto_tool_choice: Let the model call tools; needs `tool_call_parser`.
        tool_call_parser: Parser of the model's tool calls.
        reasoning_parser: Parser of the model's reasoning.
        chat_template: Path of a chat template, or the template.
        generation_config: `"auto"` (the model's sampling defaults), `"vllm"` or a path.
        limit_mm_per_prompt: Most items per prompt and kind, such as `{"image": 2}`.
        enable_lora: Serve LoRA adapters.
        max_loras: LoRA adapters in one batch.
        max_lora_rank: Highest LoRA rank.
        lora_modules: Adapters loaded at start, each `name=path`.
        speculative_config: Speculative decoding, as vLLM's JSON.
        compilation_config: Compilation, as vLLM's JSON.
        structured_outputs_config: Structured outputs, as vLLM's JSON.
        kv_transfer_config: KV transfer connector, as vLLM's JSON.
        enable_log_requests: Log each request.
        disable_log_stats: Drop all vLLM metrics; refused beside a scaler or monitor.
        extra: Any other flag by its name without `--`, checked against the release: `True` is
            the bare flag, `False` its negation, a list its values, a dict its JSON.
        delivery: `"args"` puts the flags into the container's args (default). `"config-map"`
            puts them into a ConfigMap that vLLM reads with `--config`; a change of it rolls
            the pods, through a checksum in the pod template.

    Raises:
        VllmConstructsError: A flag that the release lacks, a value that it does not take, or
            flags that contradict each other.
    """

    max_model_len: int | Literal["auto"] | None = None
    gpu_memory_utilization: float | None = None
    dtype: Literal["auto", "bfloat16", "float", "float16", "float32", "half"] | None = None
    kv_cache_dtype: str | None = None
    kv_cache_memory_bytes: int | str | None = None
    quantization: str | None = None
    load_format: str | None = None
    revision: str | None = None
    tokenizer: str | None = None
    trust_remote_code: bool | None = None
    hf_overrides: Mapping[str, Json] | None = None
    runner: Literal["auto", "generate", "pooling", "draft"] | None = None
    convert: Literal["auto", "none", "embed", "classify"] | None = None
    seed: int | None = None
    enforce_eager: bool | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_queued_reqs: int | None = None
    enable_chunked_prefill: bool | None = None
    enable_prefix_caching: bool | None = None
    cpu_offload_gb: float | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    data_parallel_size: int | None = None
    enable_expert_parallel: bool | None = None
    distributed_executor_backend: Literal["mp", "ray", "uni", "external_launcher"] | None = None
    enable_auto_tool_choice: bool | None = None
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: str | None = None
    generation_config: str | None = None
    limit_mm_per_prompt: Mapping[str, Json] | None = None
    enable_lora: bool | None = None
    max_loras: int | None = None
    max_lora_rank: int | None = None
    lora_modules: Sequence[str] | None = None
    speculative_config: Mapping[str, Json] | None = None
    compilation_config: Mapping[str, Json] | None = None
    structured_outputs_config: Mapping[str, Json] | None = None
    kv_transfer_config: Mapping[str, Json] | None = None
    enable_log_requests: bool | None = None
    disable_log_stats: bool | None = None
    extra: Mapping[str, str | int | float | bool | Sequence[Json] | Mapping[str, Json]] = field(
        default_factory=dict
    )
    delivery: Literal["args", "config-map"] = "args"

    def __post_init__(self) -> None:
        _check.choice("EngineArgs.delivery", self.delivery, ("args", "config-map"))
        self._check_typed()
        self._check_extra()
        self._check_together()

    def _typed(self) -> Iterator[tuple[str, Any]]:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in ("extra", "delivery") and value is not None:
                yield item.name, value

    def _check_typed(self) -> None:
        known = catalogue()
        for name, value in self._typed():
            where = f"EngineArgs.{name}"
            _check_value(where, known["flags"][f"--{name.replace('_', '-')}"], value)
            if name in _LOWEST:
                _check.integer(where, value, _LOWEST[name], 2**31 - 1)
        if self.gpu_memory_utilization is not None:
            _check.ratio("EngineArgs.gpu_memory_utilization", self.gpu_memory_utilization)
        if self.max_model_len not in (None, "auto"):
            _check.integer("EngineArgs.max_model_len", self.max_model_len, 1, 2**31 - 1, "tokens")
        for name in ("tool_call_parser", "reasoning_parser"):
            if getattr(self, name) is not None:
                options = known[f"{name}s"]  # type: ignore[literal-required]
                _check.choice(f"EngineArgs.{name}", getattr(self, name), options)

    def _check_extra(self) -> None:
        if not isinstance(self.extra, Mapping):
            _check.wrong("EngineArgs.extra", self.extra, "a dict of flags and values")
        typed = {item.name for item in fields(self)}
        for name, value in self.extra.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                _check.wrong(
                    "a key of EngineArgs.extra",
                    name,
                    "a flag without dashes in front: 'max-logprobs'",
                )
            where = f"EngineArgs.extra[{name!r}]"
            if name in _DERIVED:
                refuse(f"{where} is derived by this library; {_DERIVED[name]}.")
            if name.replace("-", "_") in typed:
                refuse(f"{where} has a keyword of its own; give {name.replace('-', '_')}= instead.")
            if value is None:
                _check.wrong(where, value, "a value", "leave the flag out for vLLM's default")
            check_json(where, value)

    def _check_together(self) -> None:
        if self.enable_auto_tool_choice and not self.tool_call_parser:
            refuse(
                "EngineArgs.enable_auto_tool_choice is True without tool_call_parser, and vLLM "
                "does not start like that; give the parser of the model, for example 'hermes'."
            )
        tokens, seqs = self.max_num_batched_tokens, self.max_num_seqs
        if tokens is not None and seqs is not None and tokens < seqs:
            refuse(
                f"EngineArgs.max_num_batched_tokens is {tokens}, less than max_num_seqs "
                f"({seqs}), and vLLM does not start like that; raise it to at least {seqs}."
            )
        if self.lora_modules and not self.enable_lora:
            refuse("EngineArgs.lora_modules needs enable_lora=True; add it.")
        if self.trust_remote_code and self.revision is None:
            warn(
                "EngineArgs.trust_remote_code is True without revision: code from the model's "
                "repository runs here and may change at any restart; pin revision= to a commit."
            )

    def check(self, release: VllmRelease) -> None:
        """Refuse what the vLLM release of the image does not take."""
        for name, value in self.extra.items():
            where = f"EngineArgs.extra[{name!r}]"
            _check_value(where, release.flag(where, name), value)

    def options(self, derived: Mapping[str, Any]) -> dict[str, Any]:
        """All flags and values, in a stable order: typed, derived, then extra by name."""
        found = {name.replace("_", "-"): value for name, value in self._typed()}
        found.update(derived)
        found.update(sorted(self.extra.items()))
        return found


_LOWEST = {
    "max_num_seqs": 1,
    "max_num_batched_tokens": 1,
    "max_num_queued_reqs": 0,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "max_loras": 1,
    "max_lora_rank": 1,
    "seed": 0,
}


_UNSAYABLE = re.compile(r"[\x00\ud800-\udfff]")
_DEEPEST = 20


def check_json(where: str, value: object, depth: int = 0) -> None:
    """Refuse what JSON cannot say, NaN and infinity among it."""
    if depth > _DEEPEST:
        refuse(f"{where} is nested more than {_DEEPEST} deep; vLLM takes flatter JSON.")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_json(f"{where}[{_check.shown(key)}]", item, depth + 1)
            _check.text(f"a key of {where}", key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_json(where, item, depth + 1)
    else:
        _check_leaf(where, value)


def _check_leaf(where: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        _check.wrong(where, value, "a finite number")
    if isinstance(value, int) and abs(value) > 2**64:
        _check.wrong(where, value, "a number of at most 64 bits")
    if isinstance(value, str) and _UNSAYABLE.search(value):
        _check.wrong(where, value, "a text without control characters")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        _check.wrong(where, value, "a text, number, boolean, list or dict")


def _check_value(where: str, flag: Flag, value: object) -> None:
    """Refuse a value that the flag does not take."""
    kind = flag.get("type", "")
    if not kind:
        check_json(where, value)
    elif flag.get("nargs") == "+":
        found = _check.items(where, value, "a list")
        if not found:
            _check.wrong(where, value, "a list with at least one entry", "else leave it out")
        for item in found:
            _check_scalar(where, kind, item)
    elif kind == "json" or (kind == "json-or-str" and not isinstance(value, str)):
        _check_object(where, flag.get("fields"), value)
    else:
        _check_scalar(where, kind, value)
        options = flag.get("choices")
        if options and (value not in options or isinstance(value, bool)):
            near = _check.nearest(value, map(str, options))
            _check.wrong(where, value, _check.one_of(options), near)


def _check_object(where: str, fields: list[str] | None, value: object) -> None:
    """Refuse what is no JSON, or has a key that vLLM's own class lacks."""
    check_json(where, value)
    if not isinstance(value, (Mapping, list, tuple)):
        _check.wrong(where, value, "a dict (or list), which becomes the flag's JSON")
    if fields is None or not isinstance(value, Mapping):
        return
    for key in value:
        if key not in fields:
            near = _check.nearest(key, fields) or f"it takes {_check.one_of(fields)}."
            refuse(f"{where} has the key {_check.shown(key)}, which vLLM refuses there; {near}")


def _check_scalar(where: str, kind: str, value: object) -> None:
    if kind == "bool":
        _check.boolean(where, value)
    elif kind == "int":
        _check.integer(where, value, -(2**63), 2**63)
    elif kind.startswith("human-readable-int"):
        auto = kind.endswith("-or-auto") and value == "auto"
        if not auto and not (isinstance(value, str) and _SIZE.fullmatch(value)):
            _check.integer(where, value, -1, 2**63)
    elif kind == "float":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _check.wrong(where, value, "a number")
        _check_leaf(where, value)
    elif "|" in kind and isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_leaf(where, value)
    elif not isinstance(value, str) or not value or _UNSAYABLE.search(value):
        _check.wrong(where, value, "a text that is not empty")
    elif value.startswith("-"):
        _check.wrong(where, value, "a text without '-' in front, which vLLM takes for a flag")


def plain(value: Any) -> Any:
    """`value` in JSON's own types only, dicts sorted: no subclass, such as a member of an enum."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if isinstance(value, int) else float(value)
    return value


def as_text(value: Any) -> str:
    """One value as a command line takes it: JSON compact and sorted, numbers as in Python."""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(plain(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(plain(value))


def arguments(options: Mapping[str, Any]) -> list[str]:
    """The flags as arguments: `--flag=value`, booleans bare or negated, lists in one flag.

    `$(` is written `$$(`, since kubelet would take it for a variable of the container.
    """
    known = catalogue()["flags"]
    found: list[str] = []
    for name, value in options.items():
        flag = known.get(f"--{name}", {})
        if value is True:
            found.append(f"--{name}")
        elif value is False:
            if flag.get("negation") or not flag:
                found.append(flag.get("negation") or f"--no-{name}")
        elif flag.get("nargs") == "+" or (not flag and isinstance(value, (list, tuple))):
            found += [f"--{name}", *(as_text(item) for item in value)]
        else:
            found.append(f"--{name}={as_text(value)}")
    return [argument.replace("$(", "$$(") for argument in found]


def file_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as vLLM reads them from its `--config` file.

    It takes every list there for the values of one flag, so a list that is JSON becomes its text.
    """
    known = catalogue()["flags"]

    def entry(name: str, value: Any) -> Any:
        flag = known.get(f"--{name}", {})
        if isinstance(value, (list, tuple)) and flag and flag.get("nargs") != "+":
            return as_text(value)
        return plain(value)

    return {name: entry(name, value) for name, value in options.items()}
