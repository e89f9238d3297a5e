"""MemoryPlan: whether a model fits on its GPUs, known before a pod exists.

The order is that of vLLM: the memory that it requests of a GPU, minus weights, activations and
CUDA graphs, is the KV cache (vllm/v1/worker/gpu_worker.py). A request of `max_model_len` tokens
must fit into it, beside one block that stays empty (vllm/v1/core/kv_cache_planning.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from vllm_constructs import require
from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.kinds import EXPECTED, KINDS, Gpu
from vllm_constructs.accelerators.nvidia import (
    MigSlice,
    NvidiaGpu,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
    catalog,
)
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.kv_offloading import host_cache
from vllm_constructs.errors import Problem, Spelling, escaped, python, refuse, spelt, warn
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.releases.release import VllmRelease

from .activations import GIB
from .budget import MemoryBudget, budget_of
from .options import MemoryOptions, loaded_shape, resolve
from .shapes import ModelShape
from .sizes import is_hybrid
from .weights import read_bytes

if TYPE_CHECKING:
    from .suggestions import Suggestion


# Figures that follow from the sizes of a model alone.
_OF_SIZES = ("kv_bytes_per_token", "kv_bytes_per_block")


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """The memory plan of a model: what takes the memory of each GPU, and whether the model fits.

    All figures are bytes on one GPU, or counts for one engine. With pipeline parallelism they are
    those of the stage with the least spare memory.

    Args:
        shape: The sizes of the model.
        gpu: GPU of the pod, as for `ModelDeployment`.
        engine: Flags of the engine; other flags have the default of the server on this GPU.
            Default: no flags.
        release: The vLLM release. Default: the newest one that this library knows.
        env: Environment variables of the container; those that choose the model runner and the
            estimate of CUDA graphs are read. Default: none.

    Raises:
        VllmConstructsError: The model cannot be split over these GPUs, a size is not known, or
            the options contradict the model. A model that is only too large is not rejected
            here: use `verdict` or `check()`.
    """

    shape: ModelShape
    gpu: Gpu
    engine: EngineArgs = field(default_factory=EngineArgs)
    release: VllmRelease = field(default_factory=VllmRelease)
    env: Mapping[str, str] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        require.instance("MemoryPlan.shape", self.shape, ModelShape, "a ModelShape")
        require.instance("MemoryPlan.gpu", self.gpu, KINDS, EXPECTED)
        require.instance("MemoryPlan.engine", self.engine, EngineArgs, "an EngineArgs")
        require.instance("MemoryPlan.release", self.release, VllmRelease, "a VllmRelease")
        variables = FrozenDict(require.text_map("MemoryPlan.env", self.env))
        object.__setattr__(self, "env", variables)
        self._budget  # noqa: B018  # what cannot be planned is rejected here, not at first use

    @cached_property
    def _options(self) -> MemoryOptions:
        return resolve(self.shape, self.gpu, self.engine, self.release, self.env)

    @cached_property
    def _budget(self) -> MemoryBudget:
        return budget_of(loaded_shape(self.shape, self.engine), self._options)

    @property
    def gpus(self) -> int:
        """GPUs of the pod."""
        return self.gpu.devices

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
        """Engines in the pod; all other counts are those of one engine."""
        return self._options.split.data

    @property
    def max_model_len(self) -> int:
        """Tokens of the longest request; with `"auto"` the most that fit by the estimates."""
        return self._budget.max_model_len

    @property
    def max_num_batched_tokens(self) -> int:
        """Tokens of one batch: as given, or the default of the server on this GPU."""
        return self._options.batch.tokens

    @property
    def max_num_seqs(self) -> int:
        """Requests of one batch: as given, or the default of the server on this GPU."""
        return self._options.batch.requests

    @property
    def gpu_memory(self) -> int:
        """Memory of one GPU, or of the pod's part of it, as CUDA reports it."""
        return self._options.memory

    @property
    def gpu_memory_utilization(self) -> float:
        """Share of the memory that vLLM requests."""
        return self._options.utilization

    @property
    def requested(self) -> int:
        """Memory that vLLM requests of each GPU: memory times `gpu_memory_utilization`."""
        return ceil(self._options.memory * self._options.utilization)

    @property
    def weights(self) -> int:
        """Weights after loading, with LoRA adapters, minus those offloaded to the host."""
        return self._budget.tightest.weights

    @property
    def host_memory(self) -> int:
        """Weights that the pod keeps in host memory, for all of its GPUs (`cpu_offload_gb`)."""
        gpus = self._options.gpus * self._options.split.data
        return gpus * max(stage.offloaded for stage in self._budget.stages)

    @property
    def host_kv_cache(self) -> int:
        """KV cache that the pod keeps in host memory, for all of its GPUs (`kv_offload`)."""
        found = host_cache(
            self.engine,
            self.release,
            self.env,
            gpus=self.gpu.devices,
            is_hybrid=is_hybrid(self.shape),
        )
        return 0 if found is None else found.size

    @property
    def activations(self) -> int:
        """Activations at the peak of a forward pass: an estimate."""
        return self._budget.tightest.activations

    @property
    def cuda_graphs(self) -> int:
        """CUDA graphs: an estimate.

        With the first model runner before 0.20, and with the second one before 0.29, they come on
        top of the requested memory; otherwise they are subtracted from the KV cache.
        """
        return self._budget.cuda_graphs

    @property
    def overhead(self) -> int:
        """Memory that libraries keep outside of PyTorch's allocator: an estimate."""
        return self._budget.overhead

    @property
    def kv_cache(self) -> int:
        """Memory that is left for the KV cache; negative if the weights alone are too large."""
        return self._budget.tightest.kv_cache

    @property
    def kv_bytes_per_token(self) -> int:
        """KV cache of one token in all layers of the stage that keep tokens."""
        return self._budget.tightest.per_token

    @property
    def kv_bytes_per_block(self) -> int:
        """KV cache of one block in all layers of the stage."""
        return self._budget.tightest.bytes_per_block

    @property
    def kv_bytes_needed(self) -> int:
        """KV cache of one request of `max_model_len` tokens, in whole blocks."""
        return self._budget.tightest.needed

    @property
    def kv_bytes_at_least(self) -> int:
        """The smallest KV cache with which vLLM starts: one request, and an empty block.

        With recurrent layers it has a block for each of `max_num_seqs` requests, if CUDA graphs of
        whole decode steps are captured.
        """
        tightest = self._budget.tightest
        return max(tightest.least, self.kv_bytes_needed + self.kv_bytes_per_block)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Tokens in a block, for each group of layers."""
        return tuple(group.specs[0][1].block_size for group in self._budget.cache.groups)

    @property
    def layers_per_group(self) -> tuple[int, ...]:
        """Layers in each group, whose layers share a block table."""
        groups = self._budget.cache.groups
        return tuple(len({layer for layer, _ in group.specs}) for group in groups)

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
    def token_seconds(self) -> float | None:
        """The least time that one token of one request takes: its weights are read once.

        None if the memory bandwidth of the GPU is not known, as for slices and shared GPUs.
        """
        known = catalog().get(self.gpu.product or "") if isinstance(self.gpu, WholeGpu) else None
        if known is None:
            return None
        options = self._options
        size = read_bytes(self.shape, options.split, options.quantization)
        return size / (known["memory_gb_per_second"] * 10**9)

    @property
    def spare(self) -> int:
        """Bytes beyond those that one request needs; negative if bytes are missing."""
        return self._budget.spare

    @property
    def margin(self) -> int:
        """Error margin of the estimates, in bytes."""
        return self._budget.margin

    @property
    def fits(self) -> bool:
        """Whether vLLM starts, according to the estimates."""
        return self.spare >= 0

    @property
    def is_tight(self) -> bool:
        """Whether the result depends on the estimates, within their margin."""
        return abs(self.spare) < self.margin

    @property
    def verdict(self) -> Literal["fits", "tight", "too large"]:
        """The result: `"tight"` depends on the margin, `"fits"` and `"too large"` do not."""
        if self.is_tight:
            return "tight"
        return "fits" if self.fits else "too large"

    @cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """The smallest changes with which the model fits with the margin; empty if it fits."""
        from .suggestions import suggest

        if self.verdict == "fits":
            return ()
        return suggest(self.shape, self.gpu, self.engine, self.release, self.env)

    @property
    def exact(self) -> MappingProxyType[str, int]:
        """The figures that follow only from sizes and options; none if not all sizes are read."""
        if self.shape.unread:
            return MappingProxyType({})
        names: list[str] = list(_OF_SIZES)
        is_given = self._options.kv_cache_memory is not None
        # With "auto" the length is an estimate, and so is the memory that it needs, unless the
        # cache is given.
        if self._options.max_model_len is not None or is_given:
            names.append("kv_bytes_needed")
        names += ["kv_cache", "kv_tokens"] if is_given else []
        return MappingProxyType({name: getattr(self, name) for name in names})

    @property
    def estimated(self) -> MappingProxyType[str, int]:
        """The figures that only a run on the GPU can measure, and what follows from them.

        In all measured runs the error of `weights` is below 1 %, and that of `gpu_memory` at most
        200 MiB.
        """
        own = ("gpu_memory", "weights", "activations", "cuda_graphs", "overhead")
        names = (*own, "kv_cache", "kv_tokens", "kv_bytes_needed", *_OF_SIZES)
        exact = self.exact
        return MappingProxyType({one: getattr(self, one) for one in names if one not in exact})

    def as_dict(self) -> dict[str, object]:
        """All figures as JSON types, for a file or another program."""
        counts = ("gpus", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        host = ("host_memory", "host_kv_cache")
        limits = ("max_model_len", "max_num_batched_tokens", "max_num_seqs")
        memory = ("gpu_memory_utilization", "requested", "kv_bytes_at_least", "kv_blocks")
        result = ("concurrency", "spare", "margin", "verdict")
        figures: dict[str, object] = {"model": self.shape.name, "parameters": self.shape.parameters}
        figures |= {
            name: getattr(self, name) for name in (*counts, *limits, *memory, *host, *result)
        }
        figures["exact"], figures["estimated"] = dict(self.exact), dict(self.estimated)
        figures["suggestions"] = [
            {"kind": one.kind, "value": one.value, "text": one.text} for one in self.suggestions
        ]
        return figures

    def check(self, where: str = "MemoryPlan") -> None:
        """Reject a model that is too large, and warn about a tight one.

        Args:
            where: Name of what is checked, for the sentence. Default: `MemoryPlan`.

        Raises:
            VllmConstructsError: The model does not fit, even with the whole margin.
        """
        problem = self.problem
        if problem is None:
            return
        named = replace(problem, text=f"{escaped(where)}: {problem.text}")
        if problem.kind == "does not fit":
            refuse(named)
        warn(named)

    def _reason(self) -> str:
        """The numbers that decide the verdict, with the names that the accelerator has for them."""
        if not isinstance(self.gpu, Cpu):
            return self._figures()
        figures = self._figures().replace("{kv_cache_memory_bytes}", "{Cpu.kv_cache_gib}")
        return figures.replace("GPU or share of a GPU", "NUMA node")

    def _figures(self) -> str:
        """The numbers that decide the verdict."""
        if self._budget.problem:
            return self._budget.problem
        if self.kv_cache < 0:
            return (
                f"weights take {_gib(self.weights)} of each {self.gpu.unit[:-1]}, but vLLM "
                f"requests {_gib(self.requested)}"
            )
        left = (
            f"weights of {_gib(self.weights)} leave {_gib(self.kv_cache)} per {self.gpu.unit[:-1]}"
        )
        if self._options.kv_cache_memory is not None:
            left = f"{{kv_cache_memory_bytes}} gives {_gib(self.kv_cache)}"
        request = self.kv_bytes_needed + self.kv_bytes_per_block
        need = f"one request of {self.max_model_len} tokens needs {_gib(request)} of KV cache"
        if self._budget.tightest.least > request:
            states = _gib(self._budget.tightest.least)
            need = (
                f"the recurrent states of {{max_num_seqs={self.max_num_seqs}}} requests need "
                f"{states} of KV cache"
            )
        return f"{need}, and {left}"

    @property
    def caveat(self) -> Problem | None:
        """Why no figure is exact, or all are estimates; None for NVIDIA's GPUs and known sizes."""
        if not self.shape.unread:
            return None if self.gpu.platform == "CUDA" else Problem(text=self._unmeasured)
        model = escaped(self.shape.name)
        return Problem(text=f"{model}: the plan is not exact, since {escaped(self._unread)}")

    @property
    def _unmeasured(self) -> str:
        """What the estimates of another platform rest on."""
        return (
            f"estimates for {self.gpu.platform} are those of NVIDIA's GPUs, and none was measured"
        )

    @property
    def _unread(self) -> str:
        """Why no figure is exact, in words."""
        keys = [repr(key) for key in self.shape.unread]
        shown = keys[:3] + ([f"{len(keys) - 3} others"] if len(keys) > 3 else [])
        listed = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
        return f"its config.json has sizes that are not read ({listed})"

    @property
    def problem(self) -> Problem | None:
        """Why the model does not fit or is tight, and what fits; None if the verdict is `"fits"`.

        Its kind is `"does not fit"` if the verdict is `"too large"`, and all sizes of the model
        are read.
        """
        if self.verdict == "fits":
            return None
        changes = ", ".join(one.change for one in self.suggestions)
        none = "take devices with more memory"
        if isinstance(self.gpu, (NvidiaGpu, Cpu)):
            is_cpu = isinstance(self.gpu, Cpu)
            none = "raise {Cpu.memory_gib}" if is_cpu else "no GPU in the catalog has enough memory"
        advice = f"what fits: {changes}" if changes else none
        reason = f"on {_description(self.gpu)}: {self._reason()}"
        model = escaped(self.shape.name)
        if self.shape.unread:
            reason += f"; the plan is not exact, since {escaped(self._unread)}"
        elif self.verdict == "too large":
            text = f"{model} does not fit {reason}"
            return Problem(text=text, advice=advice, kind="does not fit")
        verb = "probably fits" if self.fits else "probably does not fit"
        margin = f"the error margin of these estimates is {_gib(self.margin)}"
        return Problem(text=f"{model} {verb} {reason}, and {margin}", advice=advice)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence: the numbers that decide it, and what fits."""
        problem = self.problem
        if problem is None:
            model = escaped(self.shape.name)
            reason = self._reason()
            if self.shape.unread:
                reason += f"; the plan is not exact, since {escaped(self._unread)}"
            problem = Problem(text=f"{model} fits on {_description(self.gpu)}: {reason}")
        return problem.sentence()

    def _repr_svg_(self) -> str:
        """The plan as a picture, which notebooks show."""
        from .picture import picture

        return picture(self)

    def explain(self, spelling: Spelling = python) -> str:
        """All figures in several lines, for a person.

        Args:
            spelling: How options are written. Default: as in a Python app.
        """
        exact, estimate = "exact", "estimate"
        request = exact if "kv_bytes_needed" in self.exact else estimate
        sizes = estimate if self.shape.unread else exact
        cache = exact if "kv_cache" in self.exact else estimate
        rows = [
            (
                _MEMORY.get(self.gpu.platform, "memory of the device"),
                _gib(self.gpu_memory),
                estimate,
            ),
            (f"requested ({self.gpu_memory_utilization:g} of it)", _gib(self.requested), ""),
            ("weights", _gib(self.weights), estimate if self.shape.unread else "within 1 %"),
            ("activations", _gib(self.activations), estimate),
            *([("CUDA graphs", _gib(self.cuda_graphs), estimate)] if self.gpu.has_graphs else []),
            ("other", _gib(self.overhead), estimate),
            ("left for the KV cache", _gib(self.kv_cache), cache),
            ("KV cache of one token", f"{self.kv_bytes_per_token} bytes", sizes),
            (f"KV cache of {self.max_model_len} tokens", _gib(self.kv_bytes_needed), request),
            ("tokens in the KV cache", f"{self.kv_tokens}", cache),
            ("requests at full length", f"{self.concurrency:.2f}", cache),
            ("spare memory", f"{_gib(self.spare)} +- {_gib(self.margin)}", estimate),
        ]
        if self.host_memory:
            rows.append(("weights in the pod's memory", _gib(self.host_memory), ""))
        if self.host_kv_cache:
            rows.append(("KV cache in the pod's memory", _gib(self.host_kv_cache), ""))
        if self.token_seconds is not None:
            least = f"{1000 * self.token_seconds:.1f} ms"
            rows.append(("one token takes at least", least, estimate))
        if isinstance(self.gpu, WholeGpu) and self.gpu.count > 1 and self.gpu.product in catalog():
            link = "NVLink" if catalog()[self.gpu.product]["nvlink"] else "PCIe"
            rows.append(("links between GPUs", link, ""))
        head = f"{self.shape.name} on {_description(self.gpu)}: {self.verdict}"
        lines = [f"  {name:<32} {value:>22}  {kind}".rstrip() for name, value, kind in rows]
        notes = [f"  not exact: {self._unread}"] if self.shape.unread else []
        notes += [f"  {self._unmeasured}"] if self.gpu.platform != "CUDA" else []
        notes += [f"  what fits: {spelt(one.change, spelling)}" for one in self.suggestions]
        return "\n".join([head, f"  each {self.gpu.unit[:-1]}:", *lines, *notes])


_MEMORY = {"CUDA": "memory as CUDA reports it", "CPU": "memory of a NUMA node"}


def _gib(size: int) -> str:
    """Bytes as GiB."""
    return f"{size / GIB:.2f} GiB"


def _description(gpu: Gpu) -> str:
    """A GPU as it is named in a sentence."""
    if isinstance(gpu, MigSlice):
        return f"MIG slice {gpu.profile} of {gpu.product or 'any GPU'}"
    if isinstance(gpu, TimeSlicedGpu):
        return f"{gpu.product} shared by {gpu.replicas} pods"
    if isinstance(gpu, VirtualGpu):
        return gpu.product or "a virtual GPU"
    if isinstance(gpu, Cpu):
        return f"{gpu.cores} CPU cores"
    found = f"{gpu.count} x {gpu.product}"
    if isinstance(gpu, DeviceClaim):
        found = found if gpu.profile is None else f"MIG slice {gpu.profile} of {gpu.product}"
        found += f" shared by {gpu.shared_by} pods" * (gpu.shared_by > 1)
    return found
