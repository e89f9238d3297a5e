"""MemoryPlan: whether a model fits on its GPUs, said before a pod exists.

The order is vLLM's own: what is asked for of the GPU, less weights, activations and CUDA graphs,
is the KV cache (vllm/v1/worker/gpu_worker.py); a request of `max_model_len` tokens has to fit
into it beside one block that stays empty (vllm/v1/core/kv_cache_planning.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import KINDS, MigSlice, TimeSlicedGpu, VirtualGpu
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import refuse, warn
from vllm_constructs.releases.release import VllmRelease

from .activations import GIB
from .budget import MemoryBudget, budget
from .options import Gpu, MemoryOptions, resolve
from .shapes import ModelShape

if TYPE_CHECKING:
    from .suggestions import Suggestion


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Where the memory of each GPU goes, and whether the model fits.

    All figures are bytes on one GPU, or counts of one engine. With pipeline parallelism they are
    those of the stage with the least room.

    Args:
        shape: The model's sizes.
        gpu: What a pod gets, as `ModelDeployment` takes it.
        engine: Flags of the engine; what is left out has the default that the server would take
            on this GPU. Default: no flags.
        release: The vLLM release. Default: the newest one that this library knows.

    Raises:
        VllmConstructsError: The model cannot be split like that, a size is not known, or the
            options contradict the model. A model that is merely too large is not refused here:
            ask `verdict`, or call `check`.
    """

    shape: ModelShape
    gpu: Gpu
    engine: EngineArgs = field(default_factory=EngineArgs)
    release: VllmRelease = field(default_factory=VllmRelease)

    def __post_init__(self) -> None:
        require.instance("MemoryPlan.shape", self.shape, ModelShape, "a ModelShape")
        allowed = "a WholeGpu, MigSlice, TimeSlicedGpu or VirtualGpu"
        require.instance("MemoryPlan.gpu", self.gpu, KINDS, allowed)
        require.instance("MemoryPlan.engine", self.engine, EngineArgs, "an EngineArgs")
        require.instance("MemoryPlan.release", self.release, VllmRelease, "a VllmRelease")
        self._budget  # noqa: B018  # refuses what cannot be planned here, not at the first question

    @cached_property
    def _options(self) -> MemoryOptions:
        return resolve(self.shape, self.gpu, self.engine, self.release)

    @cached_property
    def _budget(self) -> MemoryBudget:
        return budget(self.shape, self._options)

    @property
    def gpus(self) -> int:
        """GPUs of the pod."""
        return self.gpu.count

    @property
    def tensor_parallel_size(self) -> int:
        """GPUs that split each layer."""
        return self._options.split.tensor

    @property
    def pipeline_parallel_size(self) -> int:
        """Stages that split the layers."""
        return self._options.split.pipeline

    @property
    def data_parallel_size(self) -> int:
        """Engines in the pod; the counts below are those of one."""
        return self._options.split.data

    @property
    def max_model_len(self) -> int:
        """Tokens of the longest request; with `"auto"` the most that fit, by the estimates."""
        return self._budget.max_model_len

    @property
    def max_num_batched_tokens(self) -> int:
        """Tokens of one batch, given or the server's default on this GPU."""
        return self._options.batch.tokens

    @property
    def max_num_seqs(self) -> int:
        """Requests of one batch, given or the server's default on this GPU."""
        return self._options.batch.requests

    @property
    def gpu_memory(self) -> int:
        """Memory of one GPU, or of the pod's part of it, as CUDA reports it."""
        return self._options.memory

    @property
    def gpu_memory_utilization(self) -> float:
        """Share of the memory that vLLM asks for."""
        return self._options.utilization

    @property
    def requested(self) -> int:
        """What vLLM asks for of each GPU: memory times `gpu_memory_utilization`."""
        return ceil(self._options.memory * self._options.utilization)

    @property
    def weights(self) -> int:
        """Weights after loading, with LoRA adapters, less what is offloaded to the host."""
        return self._budget.tightest.weights

    @property
    def activations(self) -> int:
        """The most that a forward pass has at once: an estimate."""
        return self._budget.tightest.activations

    @property
    def cuda_graphs(self) -> int:
        """CUDA graphs: an estimate. Before vLLM 0.29 they came on top of what is asked for."""
        return self._budget.cuda_graphs

    @property
    def overhead(self) -> int:
        """What libraries keep beside PyTorch's allocator: an estimate."""
        return self._budget.overhead

    @property
    def kv_cache(self) -> int:
        """What is left for the KV cache; negative where weights alone are too much."""
        return self._budget.tightest.kv_cache

    @property
    def kv_bytes_per_token(self) -> int:
        """KV cache of one token in all layers of the stage that keep it."""
        return self._budget.tightest.per_token

    @property
    def kv_bytes_per_block(self) -> int:
        """KV cache of one block in all layers of the stage."""
        return self._budget.tightest.bytes_per_block

    @property
    def kv_bytes_needed(self) -> int:
        """KV cache that one request of `max_model_len` tokens takes, whole blocks."""
        return self._budget.tightest.needed

    @property
    def kv_bytes_at_least(self) -> int:
        """The smallest KV cache that vLLM starts with: one request, and an empty block."""
        return self.kv_bytes_needed + self.kv_bytes_per_block

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Tokens in a block of each group of layers."""
        return tuple(group.specs[0][1].block_size for group in self._budget.cache.groups)

    @property
    def layers_per_group(self) -> tuple[int, ...]:
        """Layers in each group that has a block table of its own."""
        return tuple(len({layer for layer, _ in one.specs}) for one in self._budget.cache.groups)

    @property
    def kv_blocks(self) -> int:
        """Blocks of the KV cache."""
        return self._budget.blocks

    @property
    def concurrency(self) -> float:
        """Requests of `max_model_len` tokens that run at once, as vLLM logs it."""
        return self._budget.concurrency

    @property
    def kv_tokens(self) -> int:
        """Tokens of KV cache, as vLLM logs them."""
        return int(self.concurrency * self.max_model_len)

    @property
    def spare(self) -> int:
        """Bytes to spare beyond what one request needs; negative where they are missing."""
        return self._budget.spare

    @property
    def margin(self) -> int:
        """How far the estimates together may be off."""
        return self._budget.margin

    @property
    def fits(self) -> bool:
        """Whether vLLM starts, by the estimates."""
        return self.spare >= 0

    @property
    def is_tight(self) -> bool:
        """Whether the estimates, within their margin, decide if it fits."""
        return abs(self.spare) < self.margin

    @property
    def verdict(self) -> Literal["fits", "tight", "too large"]:
        """`"fits"` and `"too large"` hold whatever the margin, `"tight"` depends on it."""
        if self.is_tight:
            return "tight"
        return "fits" if self.fits else "too large"

    @cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """The nearest changes with which the model fits, margin included; none where it does."""
        from .suggestions import suggestions

        if self.verdict == "fits":
            return ()
        return suggestions(self.shape, self.gpu, self.engine, self.release)

    @property
    def exact(self) -> MappingProxyType[str, int]:
        """The figures that follow from sizes and options alone."""
        names = ["kv_bytes_per_token", "kv_bytes_per_block"]
        # With "auto" the length is estimated, and so is what it needs.
        names += ["kv_bytes_needed"] if self._options.max_model_len is not None else []
        return MappingProxyType({name: getattr(self, name) for name in names})

    @property
    def estimated(self) -> MappingProxyType[str, int]:
        """The figures that only a run on the GPU could tell, and what follows from them.

        `weights` are off by under 1 % in all measured runs, `gpu_memory` by 200 MiB at most.
        """
        own = ("gpu_memory", "weights", "activations", "cuda_graphs", "overhead")
        is_auto = self._options.max_model_len is None
        names = (*own, "kv_cache", "kv_tokens", *(["kv_bytes_needed"] if is_auto else []))
        return MappingProxyType({name: getattr(self, name) for name in names})

    def as_dict(self) -> dict[str, object]:
        """All figures in JSON's own types, for a file or another program."""
        counts = ("gpus", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        limits = ("max_model_len", "max_num_batched_tokens", "max_num_seqs")
        memory = ("gpu_memory_utilization", "requested", "kv_bytes_at_least", "kv_blocks")
        result = ("concurrency", "spare", "margin", "verdict")
        found: dict[str, object] = {"model": self.shape.name, "parameters": self.shape.parameters}
        found |= {name: getattr(self, name) for name in (*counts, *limits, *memory, *result)}
        found["exact"], found["estimated"] = dict(self.exact), dict(self.estimated)
        found["suggestions"] = [
            {"kind": one.kind, "value": one.value, "text": one.text} for one in self.suggestions
        ]
        return found

    def check(self, where: str = "MemoryPlan") -> None:
        """Refuse a model that is too large, and warn about one that is tight.

        Args:
            where: Name of what is checked, for the sentence.

        Raises:
            VllmConstructsError: The model does not fit, whatever the margin.
        """
        if self.verdict == "too large":
            refuse(f"{where}: {self.sentence}")
        if self.verdict == "tight":
            warn(f"{where}: {self.sentence}")

    @property
    def sentence(self) -> str:
        """The verdict in one sentence: the numbers that decide it, and what does fit."""
        gpus = _called(self.gpu)
        request = f"one request of {self.max_model_len} tokens needs {_gib(self.kv_bytes_at_least)}"
        left = f"weights of {_gib(self.weights)} leave {_gib(self.kv_cache)} per GPU"
        if self._options.kv_cache_memory is not None:
            left = f"kv_cache_memory_bytes gives {_gib(self.kv_cache)}"
        reason = self._budget.problem or f"{request} of KV cache, and {left}"
        if not self._budget.problem and self.kv_cache < 0:
            reason = (
                f"weights take {_gib(self.weights)} of each GPU, and vLLM asks for "
                f"{_gib(self.requested)}"
            )
        if self.verdict == "fits":
            return f"{self.shape.name} fits on {gpus}: {reason}."
        ways = ", ".join(one.text for one in self.suggestions)
        ways = f"what fits: {ways}" if ways else "no GPU of the catalogue has the room"
        if self.verdict == "too large":
            return f"{self.shape.name} does not fit on {gpus}: {reason}; {ways}."
        how = "just fits" if self.fits else "does not quite fit"
        off = f"the estimates may be {_gib(self.margin)} off"
        return f"{self.shape.name} {how} on {gpus}: {reason}, and {off}; {ways}."

    def explain(self) -> str:
        """All figures as a text of several lines, for a person."""
        known, guessed = "exact", "estimate"
        request = known if "kv_bytes_needed" in self.exact else guessed
        rows = [
            ("memory as CUDA reports it", _gib(self.gpu_memory), guessed),
            (f"asked for ({self.gpu_memory_utilization:g})", _gib(self.requested), ""),
            ("weights", _gib(self.weights), "within 1 %"),
            ("activations", _gib(self.activations), guessed),
            ("CUDA graphs", _gib(self.cuda_graphs), guessed),
            ("other", _gib(self.overhead), guessed),
            ("left for the KV cache", _gib(self.kv_cache), guessed),
            ("KV cache of one token", f"{self.kv_bytes_per_token} bytes", known),
            (f"KV cache of {self.max_model_len} tokens", _gib(self.kv_bytes_needed), request),
            ("tokens in the KV cache", f"{self.kv_tokens}", guessed),
            ("requests at full length", f"{self.concurrency:.2f}", guessed),
            ("to spare", f"{_gib(self.spare)} +- {_gib(self.margin)}", guessed),
        ]
        head = f"{self.shape.name} on {_called(self.gpu)}: {self.verdict}"
        lines = [f"  {name:<32} {value:>22}  {kind}".rstrip() for name, value, kind in rows]
        ways = [f"  what fits: {one.text}" for one in self.suggestions]
        return "\n".join([head, "  each GPU:", *lines, *ways])


def _gib(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / GIB:.2f} GiB"


def _called(gpu: Gpu) -> str:
    """What a GPU is called in a sentence."""
    if isinstance(gpu, MigSlice):
        return f"MIG slice {gpu.profile} of {gpu.product or 'any GPU'}"
    if isinstance(gpu, TimeSlicedGpu):
        return f"{gpu.product} shared by {gpu.replicas} pods"
    if isinstance(gpu, VirtualGpu):
        return gpu.product or "a virtual GPU"
    return f"{gpu.count} x {gpu.product}"
