"""PodAdditions: what options of a pod add to its flags, variables, volumes and containers."""

from __future__ import annotations

from functools import cached_property

from . import additions, lora_adapter
from .lora_adapter import LoraAdapter
from .pod_resources import PodResources
from .weights import WeightsSource


class PodAdditions(PodResources):
    """What follows from options that add to others; `PodFacts` has the fields."""

    model: str
    image: str
    image_pull_policy: str | None
    service_account: str | None
    weights: WeightsSource | None
    lora_adapters: tuple[LoraAdapter, ...]
    runtime_lora_loading: bool

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of the model in requests."""
        raise NotImplementedError

    @cached_property
    def _additions(self) -> tuple[additions.Additions, ...]:
        given = (self.weights, self.kv_offload)
        found = [one.additions(self) for one in given if one is not None]
        if self.gpu.variables:
            found.append(additions.Additions(option="gpu", env=self.gpu.variables))
        if self.lora_adapters:
            found.append(lora_adapter.additions(self, self.lora_adapters))
        if self.runtime_lora_loading:
            option, env = "runtime_lora_loading", {lora_adapter.RUNTIME: "1"}
            found.append(additions.Additions(option=option, engine={"enable_lora": True}, env=env))
        return tuple(found)

    @property
    def source(self) -> str:
        """What vLLM loads: the model by its name or path, or where its weights are instead."""
        return next((one.source for one in self._additions if one.source), self.model)

    @property
    def is_streamed(self) -> bool:
        """Whether weights are streamed from a bucket, and not stored in the cache."""
        return "://" in self.source

    @property
    def added_labels(self) -> dict[str, str]:
        """Labels that options of the pod need."""
        return {key: value for one in self._additions for key, value in one.labels.items()}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses that options of the pod connect to, beside those in flags and variables."""
        return tuple(address for one in self._additions for address in one.addresses)

    def check_sharing(self, where: str, replicas: int) -> None:
        """Reject volumes that the replicas cannot mount; warn about adapters that only one loads.

        Args:
            where: Name of the model, for the sentence.
            replicas: The largest number of replicas.

        Raises:
            VllmConstructsError: Only one node can mount a volume, and there may be several pods.
        """
        super().check_sharing(where, replicas)
        lora_adapter.check_replicas(where, self, replicas)
