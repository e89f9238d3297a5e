"""Links between constructs: what a scaler, monitor, budget or ingress changes in a model.

Each `check_...` rejects before anything is added; the method that then makes the change rejects
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads import storage
from vllm_constructs.workloads.availability import Budget
from vllm_constructs.workloads.pod import GpuPodSpec
from vllm_constructs.workloads.workload import Workload

from .registry import ChartContext

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus
    from cdk8s import ApiObject

    from .objects import LateObject


class ModelLinks:
    """What the other constructs of an app have set on one model.

    Args:
        workload: What runs the model's pods.
        pod: The pod.
        replicas: Number of pods, unless a scaler sets it.
        context: The context of its chart.
    """

    def __init__(
        self, *, workload: Workload, pod: GpuPodSpec, replicas: int, context: ChartContext
    ) -> None:
        self.workload = workload
        self.pod = pod
        self.replicas = replicas
        self.context = context
        self.objects: list[LateObject] = []
        # The range of the scaler; that of a cdk8s-plus HorizontalPodAutoscaler is known late.
        self.scaler: Replicas | None = None
        self.is_plus_scaled = False
        # Whether something reads the model's metrics, which must then be no other model's too.
        self.is_measured = False
        self.job: str | None = None
        self.root_path: str | None = None
        self.peers: list[dict[str, Any]] = []
        self.service: ApiObject | kplus.Service | None = None
        self._budget: tuple[str, Budget] | None = None

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
        if namespace != own:
            refuse(
                f"{where} is in namespace {namespace!r} and {self.workload.name!r} in {own!r}; put "
                "both into charts of one namespace."
            )

    def check_open(self, where: str) -> None:
        """Reject a construct that would change objects that are patched and rendered already."""
        if any(one.is_final for one in self.objects):
            refuse(
                f"{where} comes after {self._who} was patched and rendered, and would change it; "
                "make it before to_json() and synth()."
            )

    def _change(self) -> None:
        for one in self.objects:
            one.change()

    def check_scaler(self, replicas: Replicas, *, reads_metrics: bool) -> None:
        """Reject a second scaler, and one that cannot work with cache, metrics or budget."""
        self.check_only_scaler()
        if reads_metrics:
            self.need_metrics(replicas.scaler)
        self.check_range(replicas)

    def check_only_scaler(self) -> None:
        """Reject a second scaler."""
        if self.scaler is not None:
            refuse(
                f"{self._who} has a {self.scaler.scaler} already, and two scalers of one "
                f"{self.workload.kind.kind} undo each other; leave one out."
            )

    def attach_scaler(self, replicas: Replicas, *, reads_metrics: bool) -> None:
        """Let a scaler set the replicas."""
        self.scaler = replicas
        self.is_measured |= reads_metrics
        self._change()

    def check_range(self, replicas: Replicas) -> None:
        """Reject a range that the cache does not allow, or with which a budget blocks drains."""
        self.check_sharing(replicas.maximum)
        if self._budget is not None:
            where, budget = self._budget
            budget.check(where, replicas.minimum, autoscaled=True)

    def check_sharing(self, replicas: int) -> None:
        """Reject more replicas than can mount the cache."""
        downloads = not self.pod.model.startswith("/")
        storage.check_sharing(self._who, self.pod.cache, replicas, downloads=downloads)

    def need_metrics(self, reader: str) -> None:
        """Reject a reader of metrics that are not exposed or not this model's alone."""
        if self.pod.engine.disable_log_stats:
            refuse(
                f"EngineArgs.disable_log_stats is True, so {self.workload.name!r} has no metrics, "
                f"which {reader} reads; leave it out."
            )
        served = self.pod.name_in_metrics
        if len(self.context.app.models[self.context.namespace, served]) > 1:
            reject_same_name(served)

    def check_monitor(self) -> None:
        """Reject a second monitor, and one that finds no metrics of this model alone."""
        self.need_metrics("ModelMonitor")
        if self.job is not None:
            refuse(f"{self._who} has a ModelMonitor already; leave one out.")

    def attach_monitor(self, *, job: str) -> None:
        """Keep the job of the monitor that scrapes the pods."""
        self.job = job
        self.is_measured = True
        self._change()

    def check_budget(self, where: str, budget: Budget, minimum: int) -> None:
        """Reject a second budget, and one that the replicas cannot meet."""
        if self._budget is not None:
            refuse(f"{self._who} has a budget already; leave one out.")
        budget.check(where, minimum, autoscaled=self.scaler is not None)

    def attach_budget(self, where: str, budget: Budget) -> None:
        """Keep a budget, to check it again when a scaler comes."""
        self._budget = (where, budget)

    def allow(self, peers: Sequence[dict[str, Any]]) -> None:
        """Let more peers reach the API's port."""
        self.peers += [peer for peer in peers if peer not in self.peers]
        self._change()

    def check_root_path(self, path: str) -> None:
        """Reject a second root path."""
        if self.root_path not in (None, path):
            refuse(
                f"{self._who} is served under {self.root_path!r} already, and an engine has one "
                "prefix; use domain= for the second fleet."
            )

    def serve_below(self, path: str) -> None:
        """Serve the API below a path too, with `--root-path`."""
        self.root_path = path
        self._change()

    def annotate_service(self, key: str, value: str) -> None:
        """Put an annotation on the Service, which some controllers need."""
        if self.service is not None:
            self.service.metadata.add_annotation(key, value)


def reject_same_name(name: str) -> None:
    """Reject a second model of one served name, whose metrics something reads."""
    refuse(
        f"two models in one namespace are served as {name!r}, so their metrics cannot be told "
        "apart by a scaler or monitor; change the served_name= or the namespace of one."
    )


def links_of(
    where: str, target: object, context: ChartContext, *, changes: bool = True
) -> ModelLinks:
    """The links of the model that a construct is given, if it can refer to it.

    Args:
        where: Name of the option, such as `KedaScaler.target`.
        target: What the user gave.
        context: The context of the construct's chart.
        changes: Whether the construct changes the model's objects. Default: True.
    """
    links = getattr(target, "_links", None)
    if not isinstance(links, ModelLinks):
        require.wrong(where, target, "a ModelDeployment")
    construct = where.partition(".")[0]
    links.check_reachable(construct, context)
    if changes:
        links.check_open(construct)
    return links
