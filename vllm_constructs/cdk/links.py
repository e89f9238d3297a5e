"""Links between constructs: what a scaler, monitor, budget or ingress changes in a model.

A construct checks everything first: each `check_...` rejects before anything is added. Then it
makes its changes as values, and one call puts its own objects and the changed ones into the tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from vllm_constructs import require
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.kube.pod_security_standards import LEVELS, Level, Need
from vllm_constructs.workloads.availability import Budget
from vllm_constructs.workloads.pod import GpuPodSpec
from vllm_constructs.workloads.workload import Workload

from .registry import ChartContext

if TYPE_CHECKING:
    from constructs import Construct

    from vllm_constructs.scaling.pace import Replicas


class _Facts(TypedDict, total=False):
    scaler: Replicas
    is_plus_scaled: bool
    is_measured: bool
    job: str
    root_path: str | None
    peers: Sequence[dict[str, Any]]
    service_annotations: Mapping[str, str]
    budget: tuple[str, Budget]


@dataclass(frozen=True, kw_only=True)
class LinkedFacts:
    """What the other constructs of an app have set on one model.

    Args:
        scaler: The range of its scaler; that of a cdk8s-plus HorizontalPodAutoscaler is known late.
        is_plus_scaled: Whether that scaler is one of cdk8s-plus.
        is_measured: Whether something reads the model's metrics.
        job: The job of the monitor that scrapes the pods.
        root_path: The path below which the API is served too.
        peers: More peers that reach the API's port.
        service_annotations: Annotations of the Service, which some controllers need.
        budget: The budget, and what it is called in a sentence.
    """

    scaler: Replicas | None = None
    is_plus_scaled: bool = False
    is_measured: bool = False
    job: str | None = None
    root_path: str | None = None
    peers: tuple[dict[str, Any], ...] = ()
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    budget: tuple[str, Budget] | None = None


class Renders(Protocol):
    """Makes the manifests of a model that depend on facts, by the ids of the objects."""

    def __call__(self, facts: LinkedFacts, names: AbstractSet[str]) -> dict[str, dict[str, Any]]:
        """Make those that depend on facts that have changed, which are named."""
        ...


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a model, which takes effect when the construct that makes it is in the tree."""

    links: ModelLinks
    facts: LinkedFacts
    manifests: dict[str, dict[str, Any]]

    def apply(self) -> None:
        """Note the facts."""
        self.links.facts = self.facts


class ModelLinks:
    """The links between a model and the other constructs of an app.

    Args:
        workload: What runs the model's pods.
        pod: The pod.
        replicas: Number of pods, unless a scaler sets it.
        context: The context of its chart.
        render: Makes its manifests again.
        is_open: Whether pods of other namespaces reach it already, by `allow_from` or because
            there is no NetworkPolicy.
    """

    construct: Construct
    need: Need

    def __init__(
        self,
        *,
        workload: Workload,
        pod: GpuPodSpec,
        replicas: int,
        context: ChartContext,
        render: Renders,
        is_open: bool,
    ) -> None:
        self.workload = workload
        self.pod = pod
        self.replicas = replicas
        self.context = context
        self.facts = LinkedFacts()
        self._render = render
        self._is_open = is_open

    @property
    def is_measured(self) -> bool:
        """Whether something reads the model's metrics."""
        return self.facts.is_measured

    def change(self, **facts: Unpack[_Facts]) -> Change:
        """A change of facts, with the manifests that it changes; it takes no effect yet.

        Args:
            **facts: The facts, as `LinkedFacts` names them. Peers and annotations are added to
                those that there are, and None changes nothing.
        """
        own = self.facts
        given: dict[str, Any] = {name: fact for name, fact in facts.items() if fact is not None}
        if "is_measured" in given:
            given["is_measured"] |= own.is_measured
        if "peers" in given:
            more = (peer for peer in given["peers"] if peer not in own.peers)
            given["peers"] = (*own.peers, *more)
        if "service_annotations" in given:
            given["service_annotations"] = {
                **own.service_annotations,
                **given["service_annotations"],
            }
        after = replace(own, **given)
        changed = {name for name in given if getattr(after, name) != getattr(own, name)}
        return Change(links=self, facts=after, manifests=self._render(after, changed))

    @property
    def _who(self) -> str:
        return f"ModelDeployment {self.workload.name!r}"

    def check_reachable(self, where: str, context: ChartContext) -> None:
        """Reject a construct of another app or namespace, which cannot refer to the model."""
        if context.app is not self.context.app:
            refuse(f"{where} is in another app than {self._who}; put both into one app.")
        self.check_namespace(where, context.namespace)

    def check_namespace(self, where: str, namespace: str | None) -> None:
        """Reject an object of another namespace, which cannot refer to the model."""
        own = self.context.namespace
        if namespace is None and own is not None:
            refuse(
                f"{where} is in a chart without a namespace, and {self.workload.name!r} in "
                f"{own!r}; give it: Chart(app, id, namespace={own!r})."
            )
        if namespace != own:
            refuse(
                f"{where} is in namespace {namespace!r} and {self.workload.name!r} in {own!r}; put "
                "both into charts of one namespace."
            )

    def check_scaler(self, replicas: Replicas, *, reads_metrics: bool) -> None:
        """Reject a second scaler, and one that cannot work with cache, metrics or budget."""
        self.check_only_scaler()
        if reads_metrics:
            self.need_metrics(replicas.scaler)
        self.check_range(replicas)

    def check_level(self, level: Level) -> None:
        """Reject a Pod Security level that does not admit the pods."""
        need = self.need
        if LEVELS.index(need.level) > LEVELS.index(level):
            namespace = self.context.namespace
            refuse(
                f"{self._who} needs the Pod Security level {need.level!r}, because of "
                f"{need.field}, but Namespace {namespace!r} enforces {level!r}; give "
                f"Namespace(pod_security={need.level!r}), or change the model's security=, "
                "volumes= or overlay=."
            )

    def check_only_scaler(self) -> None:
        """Reject a second scaler."""
        scaler = self.facts.scaler
        if scaler is not None:
            refuse(
                f"{self._who} has a {scaler.scaler} already, and two scalers of one "
                f"{self.workload.kind.kind} undo each other; leave one out."
            )

    def check_range(self, replicas: Replicas) -> None:
        """Reject a range that the cache does not allow, or with which a budget blocks drains."""
        self.check_sharing(replicas.maximum)
        if self.facts.budget is not None:
            where, budget = self.facts.budget
            least, most = replicas.minimum, replicas.maximum
            budget.check(where, least, scaler=replicas.scaler, most=most)

    def check_sharing(self, replicas: int) -> None:
        """Reject more replicas than can mount the cache and the volumes, or share a device."""
        self.pod.check_sharing(self._who, replicas)
        gpu, claim = self.pod.gpu, self.resource_claim
        if not isinstance(gpu, DeviceClaim) or claim is None:
            return
        same = self.context.app.of_claim(self.context.namespace, claim)
        others = sum(other.most for other in same if other is not self)
        if others and others + max(1, replicas) > gpu.shared_by:
            refuse(
                f"{self._who} has up to {max(1, replicas)} pod{'s' * (replicas > 1)}, and other "
                f"models of the ResourceClaim {claim!r} up to {others}, but it is for "
                f"{gpu.shared_by}; raise DeviceClaim(shared_by=) of all of them, so that each "
                "takes a smaller part of the memory."
            )

    @property
    def resource_claim(self) -> str | None:
        """The existing ResourceClaim that the pods use, if they do."""
        return getattr(self.pod.gpu, "resource_claim", None)

    @property
    def most(self) -> int:
        """Pods at most, as far as it is known, and at least one."""
        scaler = self.facts.scaler
        return max(1, self.replicas if scaler is None else scaler.maximum)

    def need_metrics(self, reader: str) -> None:
        """Reject a reader of metrics that are not exposed."""
        if self.pod.engine.disable_log_stats:
            refuse(
                f"EngineArgs.disable_log_stats is True, so {self.workload.name!r} has no metrics, "
                f"which {reader} reads; leave it out."
            )

    def warn_of_scraper(self, where: str, address: str) -> None:
        """Warn about metrics that nobody may scrape, as far as the app says.

        Args:
            where: The option with the address from which a scaler gets them.
            address: The address, which names no namespace.
        """
        if not self._is_open and not self.facts.peers:
            warn(
                Problem(
                    where=where,
                    text=f"is {address!r}, which does not tell the namespace of the Prometheus "
                    f"that scrapes {self.workload.name!r}, and its NetworkPolicy admits no other "
                    "namespace than its own",
                    value=repr(address),
                    advice="give the model {allow_from=['monitoring']} with that namespace, or "
                    "make its ModelMonitor before the scaler",
                )
            )

    def check_monitor(self) -> None:
        """Reject a second monitor, and one of a model without metrics."""
        self.need_metrics("ModelMonitor")
        if self.facts.job is not None:
            refuse(f"{self._who} has a ModelMonitor already; leave one out.")

    def check_budget(self, where: str, budget: Budget, replicas: tuple[int, int]) -> None:
        """Reject a second budget, and one that the replicas cannot meet."""
        if self.facts.budget is not None:
            refuse(f"{self._who} has a budget already; leave one out.")
        scaler = self.facts.scaler
        name = None if scaler is None else scaler.scaler
        budget.check(where, replicas[0], scaler=name, most=replicas[1])

    def check_root_path(self, path: str) -> None:
        """Reject a second root path."""
        own = self.facts.root_path
        if own not in (None, path):
            refuse(
                f"{self._who} is served under {own!r} already, and an engine has one "
                "prefix; use domain= for the second fleet."
            )


def links_of(where: str, target: object, context: ChartContext) -> ModelLinks:
    """The links of the model that a construct is given, if it can refer to it.

    Args:
        where: Name of the option, such as `KedaScaler.target`.
        target: What the user gave.
        context: The context of the construct's chart.
    """
    links = getattr(target, "_links", None)
    if not isinstance(links, ModelLinks):
        require.wrong(where, target, "a ModelDeployment")
    links.check_reachable(where.partition(".")[0], context)
    return links
