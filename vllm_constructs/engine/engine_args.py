"""EngineArgs: what `vllm serve` is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from vllm_constructs import require
from vllm_constructs.errors import VllmConstructsError, refuse, warn
from vllm_constructs.releases.release import (
    NEWEST,
    VllmRelease,
    built_in,
    catalogue,
    other_spelling,
    releases,
)

from . import conflicts as contradictions
from .flag_types import Json, check_json, check_value, is_number
from .flags import COMMON, Flags
from .reserved_flags import DERIVED

if TYPE_CHECKING:
    from dataclasses import dataclass

    from vllm_constructs.releases.release import Flag
else:
    from .keywords import dataclass

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class EngineArgs(Flags):
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

    extra: Mapping[str, str | int | float | bool | Sequence[Json] | Mapping[str, Json]] = field(
        default_factory=dict
    )
    delivery: Literal["args", "config-map"] = "args"

    def __post_init__(self) -> None:
        require.choice("EngineArgs.delivery", self.delivery, ("args", "config-map"))
        self._check_typed()
        self._check_extra()
        self._check_together()

    @staticmethod
    def _refuse_keyword(keyword: str) -> NoReturn:
        name = keyword.replace("_", "-")
        if name in DERIVED:
            refuse(f"EngineArgs.{keyword} is derived by this library; {DERIVED[name]}.")
        known, flag = catalogue(), f"--{name}"
        had = [one for one in releases() if flag in catalogue(one)["flags"]]
        head = f"EngineArgs has no keyword {keyword!r}"
        if had or flag in known["removed"]:
            advice = known["removed"].get(flag, "leave it out")
            old = f"; for an image up to vLLM {had[-1]} give extra={{{name!r}: ...}}" if had else ""
            refuse(f"{head}, since vLLM {NEWEST} no longer has that flag; {advice}{old}.")
        other = (other_spelling(known, flag) or other_spelling(known, f"-{name}")).replace("-", "_")
        if other:
            refuse(f"{head}; it is another spelling of {other}=.")
        near = require.nearest(keyword, EngineArgs.__annotations__)
        refuse(f"{head}, nor has vLLM {NEWEST} such a flag; {near or 'look at its documentation.'}")

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not self.extra:
            del given["extra"]
        return f"EngineArgs({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def _typed(self) -> Iterator[tuple[str, Any]]:
        for name, value in vars(self).items():
            if value is not None and name not in ("extra", "delivery"):
                yield name, value

    def _check_typed(self) -> None:
        for name, value in self._typed():
            where = f"EngineArgs.{name}"
            _check_any(where, f"--{name.replace('_', '-')}", value)
            if name in _LOWEST and not isinstance(value, str):
                most = 2**32 - 1 if name == "seed" else 2**31 - 1
                require.integer(where, value, _LOWEST[name], most)
        self._check_numbers()
        if self.delivery == "config-map" and not isinstance(self.middleware, (str, type(None))):
            refuse(
                "EngineArgs.middleware is a list, which vLLM's --config file cannot hold; give one "
                "text, or delivery='args'."
            )
        self._check_built_in((NEWEST,), releases)

    def _check_numbers(self) -> None:
        if self.gpu_memory_utilization is not None:
            require.ratio("EngineArgs.gpu_memory_utilization", self.gpu_memory_utilization)
        limits = self.limit_mm_per_prompt
        for kind, limit in limits.items() if isinstance(limits, Mapping) else ():
            if not isinstance(limit, Mapping) and not is_number(limit, whole=True):
                require.integer(f"EngineArgs.limit_mm_per_prompt[{kind!r}]", limit, 0, 2**31 - 1)
        if self.cpu_offload_gb is not None and self.cpu_offload_gb < 0:
            require.wrong("EngineArgs.cpu_offload_gb", self.cpu_offload_gb, "0 GiB or more")
        if self.max_model_len == -1:
            allowed = "a number of tokens, or 'auto' for what fits"
            require.wrong("EngineArgs.max_model_len", -1, allowed)
        if self.max_model_len not in (None, "auto"):
            require.integer("EngineArgs.max_model_len", self.max_model_len, 1, 2**31 - 1, "tokens")
        ahead = (self.speculative_config or {}).get("num_speculative_tokens")
        if isinstance(ahead, int):
            where = "EngineArgs.speculative_config['num_speculative_tokens']"
            require.integer(where, ahead, 1, 1024, "tokens")

    def _check_built_in(
        self, known: tuple[str, ...], others: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        """Refuse a name that none of the releases has; a file of the user's may add any."""
        transfer = self.kv_transfer_config or {}
        is_own = transfer.get("kv_connector_module_path")
        connector = None if is_own else transfer.get("kv_connector")
        # vLLM takes "none" for no parser.
        reasoning = None if str(self.reasoning_parser).lower() == "none" else self.reasoning_parser
        given = [
            ("tool_call_parser", self.tool_call_parser, self.tool_parser_plugin),
            ("reasoning_parser", reasoning, self.reasoning_parser_plugin),
            ("kv_transfer_config['kv_connector']", connector, is_own),
        ]
        for (name, value, plugin), kind in zip(given, _BUILT_IN, strict=True):
            if value is None or plugin is not None:
                continue
            has = any(value in built_in(release, kind) for release in (*known, *others()))
            if not has:
                require.choice(f"EngineArgs.{name}", value, built_in(known[-1], kind))

    def _check_extra(self) -> None:
        if not isinstance(self.extra, Mapping):
            require.wrong("EngineArgs.extra", self.extra, "a dict of flags and values")
        typed = vars(self)
        for name, value in self.extra.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                plain = str(name).strip("-").replace("_", "-")
                is_near = isinstance(name, str) and _NAME.fullmatch(plain)
                allowed = "the name of a flag, with dashes inside of it and none in front"
                advice = f"write {plain!r}" if is_near else ""
                require.wrong("a key of EngineArgs.extra", name, allowed, advice)
            where = f"EngineArgs.extra[{name!r}]"
            if name in DERIVED:
                refuse(f"{where} is derived by this library; {DERIVED[name]}.")
            if name.replace("-", "_") in typed:
                refuse(f"{where} has a keyword of its own; give {name.replace('-', '_')}= instead.")
            if value is None:
                require.wrong(where, value, "a value", "leave the flag out for vLLM's default")
            check_json(where, value)

    def _check_together(self) -> None:
        contradictions.check(dict(self._typed()))
        if self.trust_remote_code and self.revision is None:
            warn(
                "EngineArgs.trust_remote_code is True without revision: code from the model's "
                "repository runs here and may change at any restart; pin revision= to a commit."
            )

    def check(self, release: VllmRelease) -> None:
        """Refuse what the vLLM release of the image does not take."""
        for name, value in self._typed():
            self._check_in(release, f"EngineArgs.{name}", name.replace("_", "-"), value)
        for name, value in self.extra.items():
            self._check_in(release, f"EngineArgs.extra[{name!r}]", name, value)
        self._check_built_in(release.known_releases)
        # Its wheels no longer ask for Ray since 0.22 (METADATA), and the images follow them.
        is_without_ray = release.is_official and (release.version or ()) >= (0, 22, 1)
        if self.distributed_executor_backend == "ray" and is_without_ray:
            warn(
                f"EngineArgs.distributed_executor_backend is 'ray', and {release.image!r} has no "
                "Ray; leave it out, or take an image of your own that has it."
            )

    @staticmethod
    def _check_in(release: VllmRelease, where: str, name: str, value: object) -> None:
        """Refuse a value that none of the catalogues of the release takes."""
        refused: VllmConstructsError | None = None
        for flag in release.flags(where, name):
            try:
                check_value(where, flag, value)
            except VllmConstructsError as error:
                refused = refused or error
            else:
                _warn_of_plugin(release, where, name, value)
                return
        if refused is not None and release.known_releases == (NEWEST,):
            raise refused
        if refused is not None:
            refuse(f"{refused} The image has {release.called}.")

    def options(self, derived: Mapping[str, Any]) -> dict[str, Any]:
        """All flags and values, in a stable order.

        First those that most engines are given, then what the library derives, then all others
        by their names.
        """
        given = {name.replace("_", "-"): value for name, value in self._typed()}
        first = [name.replace("_", "-") for name in list(vars(self))[:COMMON]]
        found = {name: given.pop(name) for name in first if name in given}
        found.update(derived)
        found.update(sorted((given | dict(self.extra)).items()))
        return found


def _whole_docstring(own: str, others: str) -> str:
    """Every keyword documented, in the order of the signature: generated ones before `extra`."""
    begin, indent, end = re.split(r"\n( +)extra: ", own)
    listed = re.findall(r"\n +(\w+: .+)", others.partition("Args:")[2])
    return "\n".join([begin, *(f"{indent}{one}" for one in listed), f"{indent}extra: {end}"])


if EngineArgs.__doc__ and Flags.__doc__:
    EngineArgs.__doc__ = _whole_docstring(EngineArgs.__doc__, Flags.__doc__)

_BUILT_IN = ("tool_call_parsers", "reasoning_parsers", "kv_connectors")

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
    "block_size": 1,
}


def _warn_of_plugin(release: VllmRelease, where: str, name: str, value: object) -> None:
    """Warn about a name that none of the releases has of its own, unless it is a class's."""
    options = {
        str(one) for known in release.catalogues for one in _known_of(known["flags"], f"--{name}")
    }
    taken = {one.lower() for one in options}
    if not options or not isinstance(value, str) or value.lower() in taken or "." in value:
        return
    hint = require.nearest(value, sorted(options))
    warn(
        f"{where} is {value!r}, which {release.called} does not have of its own, so that only a "
        f"plugin in the image can add it{f'; {hint}' if hint else '.'}"
    )


def _known_of(flags: Mapping[str, Flag], flag: str) -> Sequence[object]:
    if flag == "--attention-backend" and "--attention-config" in flags:
        # Another way to say the same, with a parser that takes any text.
        fields = flags["--attention-config"].get("fields", {})
        return fields["backend"].get("known", ()) if "backend" in fields else ()
    return flags[flag].get("known", ()) if flag in flags else ()


def _check_any(where: str, flag: str, value: object) -> None:
    """Refuse a value that no release takes; which one is in the image is not known here."""
    try:
        check_value(where, catalogue()["flags"][flag], value)
    except VllmConstructsError:
        for release in releases():
            known = catalogue(release)["flags"].get(flag)
            if release != NEWEST and known is not None and _takes(known, value):
                return
        raise


def _takes(flag: Any, value: object) -> bool:
    try:
        check_value("", flag, value)
    except VllmConstructsError:
        return False
    return True
