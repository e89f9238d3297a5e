"""ModelDeployment: one model on Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from vllm_constructs import require
from vllm_constructs.arguments import with_options
from vllm_constructs.engine.flag_types import Json
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names, peers
from vllm_constructs.kube.egress import EgressRule
from vllm_constructs.kube.pod_security_standards import Level, need_of
from vllm_constructs.memory import fit
from vllm_constructs.scaling.pace import ReplicaRange
from vllm_constructs.workloads import storage
from vllm_constructs.workloads.availability import Rollout
from vllm_constructs.workloads.kv_offload import for_hybrid
from vllm_constructs.workloads.plan_annotations import make_plan_annotations
from vllm_constructs.workloads.pod import GpuPodSpec
from vllm_constructs.workloads.pod_facts import reject_unknown
from vllm_constructs.workloads.pod_options import PodOptions
from vllm_constructs.workloads.service import ServiceOptions
from vllm_constructs.workloads.workload import Workload

from . import plus, tree
from .base import VllmConstruct
from .links import ModelLinks
from .lmcache_server import LmCacheServer
from .model_objects import ModelObjects
from .registry import ChartContext, Key, chart_context

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus
    from cdk8s import ApiObject
    from constructs import Construct

    from vllm_constructs.memory.plan import MemoryPlan
    from vllm_constructs.memory.shapes import ModelShape
    from vllm_constructs.metrics.series import ModelSeries

_OWN = [
    "name",
    "service_name",
    "service_options",
    "replicas",
    "rollout",
    "labels",
    "annotations",
    "network_policy",
    "allow_from",
    "allow_to",
    "shape",
    "overlay",
]


def _pod(options: PodOptions, shape: ModelShape | None) -> GpuPodSpec:
    """The pod; where the model is hybrid, what it offloads takes more memory."""
    if fit.is_hybrid(options.get("model"), shape):
        offload = for_hybrid(options.get("kv_offload"), options.get("engine"))
        options = {**options, "kv_offload": offload}
    return GpuPodSpec(**options)


class ModelDeployment(VllmConstruct):
    """One model: a Deployment of vLLM engines, its Service and its NetworkPolicy.

    It can be given to cdk8s-plus as it is: as the target of a `HorizontalPodAutoscaler`, as the
    selector of a `Service` and as a peer of `connections.allow_to`; import `cdk8s_plus_27` before
    you make the model. `ApiObject.of(model)` is the Deployment.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        name: Name of the Deployment and, as `app.kubernetes.io/instance`, of its pods. Default:
            the id, as a legal name.
        service_name: Name of the Service. Default: `name`.
        service_options: Type, port and metadata of the Service. Default: a ClusterIP on the port
            of the pods.
        replicas: Number of pods, unless a scaler sets it; 0 parks the model. A
            `ReplicaRange(...)` leaves it to an autoscaler outside of this app. Default: 1.
        rollout: The resources that a rollout may use. Default: no spare GPUs.
        labels: More labels of the pods and of all objects of the model; never in the selector.
        annotations: More annotations of all objects of the model.
        network_policy: Whether to make the NetworkPolicy. Default: True.
        allow_from: More namespaces whose pods may reach the API, and address ranges such as
            `10.0.0.0/8`.
        allow_to: More addresses that the pods may connect to, such as `"redis.cache.svc:6379"` or
            `EgressRule(...)`. Default: those that flags and variables name, and HTTPS where
            weights are downloaded.
        shape: Sizes of the model, for its memory plan: a model that is too large is rejected, and
            one that barely fits causes a warning. Default: the sizes in the catalog if it has
            `model`; otherwise no plan is made.
        overlay: What no option has, as a part of the Deployment's manifest. It is merged as a
            strategic merge patch: containers, volumes, variables and ports by their names. Fields
            that Kubernetes does not have, and values that contradict derived ones, are rejected.
        **pod: The options of the pod, each a keyword: `PodOptions` lists them. `model` and `gpu`
            are required.

    Attributes:
        deployment: The Deployment.
        service_name: Name of the Service.
        service_port: Port of the Service.
        network_policy: The NetworkPolicy, or None.
        config_map: The ConfigMap of the engine's flags, or None.
        pod: The pod as a value.
        workload: The Deployment as a value: kind, name and labels.
        memory_plan: The MemoryPlan of one pod, or None where it could not be made: the shape or
            the GPU's memory is not known, or a flag has an effect that plans do not count.
        name: Name of the Deployment.
        replicas: Number of pods, unless a scaler sets it.
        rollout: The resources that a rollout may use.

    Raises:
        VllmConstructsError: An invalid value or combination; nothing is added to the tree then.
    """

    _links: ModelLinks
    _plus_service: kplus.Service | None = None

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str | None = None,
        service_name: str | None = None,
        service_options: ServiceOptions | None = None,
        replicas: int | ReplicaRange = 1,
        rollout: Rollout | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        network_policy: bool = True,
        allow_from: Sequence[str] = (),
        allow_to: Sequence[str | EgressRule] = (),
        shape: ModelShape | None = None,
        overlay: Mapping[str, Json] | None = None,
        **pod: Unpack[PodOptions],
    ) -> None:
        context = chart_context(scope, id)
        reject_unknown("ModelDeployment", pod, dict.fromkeys(_OWN))
        self.name = names.sanitized(id) if name is None else names.label("name", name)
        self.service_name = names.service(
            "service_name", self.name if service_name is None else service_name
        )
        options = ServiceOptions() if service_options is None else service_options
        require.instance("service_options", options, ServiceOptions, "ServiceOptions(...)")
        self.pod = _pod(pod, shape)
        self.service_port = self.pod.port if options.port is None else options.port
        self._check_references(context, pod)
        self.workload = Workload(name=self.name)
        self.memory_plan: MemoryPlan | None = fit.check_fit(
            f"ModelDeployment {self.name!r}", self.pod, shape
        )
        scaler = replicas.replicas() if isinstance(replicas, ReplicaRange) else None
        self.replicas = require.integer("replicas", scaler.minimum if scaler else replicas, 0, 1000)
        self.rollout = require.instance(
            "rollout",
            Rollout() if rollout is None else rollout,
            Rollout,
            "Rollout(spare_gpus=...)",
        )
        allowed = _sources(allow_from, options, has_policy=network_policy)
        require.boolean("network_policy", network_policy)
        objects = ModelObjects(
            workload=self.workload,
            service_name=self.service_name,
            service_options=options,
            pod=self.pod,
            replicas=self.replicas,
            rollout=self.rollout,
            labels=self._labels(context.labels, labels),
            annotations=_checked_annotations(annotations),
            plan_annotations=make_plan_annotations(
                gpu=self.pod.gpu,
                nodes=self.pod.all_node_labels,
                vllm=self.pod.vllm,
                shape=fit.name_in_catalog(shape),
                replicas=None if scaler is None else (scaler.minimum, scaler.maximum),
            ),
            kubernetes=context.kubernetes,
            allow_from=allowed if network_policy else None,
            allow_to=[
                one if isinstance(one, EgressRule) else EgressRule.to_address("allow_to", one)
                for one in require.items("allow_to", allow_to, "a list of addresses")
            ],
            weights=self._stored_weights(shape),
            overlay=frozen(overlay),
        )
        links = ModelLinks(
            workload=self.workload,
            pod=self.pod,
            replicas=self.replicas,
            context=context,
            render=objects.changed,
            is_open=bool(allowed) or not network_policy,
        )
        if scaler is not None:
            links.facts = replace(links.facts, scaler=scaler)
        links.check_sharing(self.replicas if scaler is None else scaler.maximum)
        made = objects.all(links.facts)
        context.check_free(*made.values())
        served = self.pod.name_in_metrics
        if any(other.is_measured for other in context.app.models(context.namespace, served)):
            refuse(
                f"ModelDeployment {self.name!r} is served as {served!r}, like another model of its "
                "namespace whose metrics a scaler or monitor reads already; make it before that "
                "one, so that queries tell the two apart by their pods, or change the served_name=."
            )
        alone = self._mounted(context)
        behind = {}
        if plus.implement(ModelDeployment):
            # The Service is an object of cdk8s-plus then; the order of objects stays the same.
            behind = {key: made.pop(key) for key in ("service", "network-policy") if key in made}
        links.need = need_of(made["Default"]["spec"]["template"]["spec"])
        links.check_level(context.app.levels.get(context.namespace, "privileged"))
        super().__init__(scope, id, context, made)
        context.app.claim(alone, repr(self))
        self._links, links.construct = links, self
        context.app.add_model(context.namespace, served, links)
        if overlay:
            context.app.overlaid.append(self)
        if behind:
            self._claim(behind["service"])
            self._plus_service = plus.service(self, behind.pop("service"))
        for key, manifest in behind.items():
            self._add(key, manifest)

    def _stored_weights(self, shape: ModelShape | None) -> int | None:
        """Bytes of the weights in the cache; None if they are not known, or not there."""
        weights = fit.stored_weights(self.pod.model, shape)
        if weights is None:
            return None
        where = f"ModelDeployment {self.name!r}"
        self.pod.startup.check(where, weights)
        if self.pod.source != self.pod.model or self.pod.is_streamed:
            # They are streamed, or in a volume of their own.
            return None
        storage.check_size(where, self.pod.cache, weights)
        return weights

    def _mounted(self, context: ChartContext) -> list[Key]:
        """The claims that no other pod may mount."""
        found: list[Key] = [
            ("mounted claim", context.namespace, claim) for claim in self.pod.exclusive_claims
        ]
        for claim in found:
            other = context.app.maker(claim)
            if other is not None:
                refuse(
                    f"ModelDeployment {self.name!r} mounts the claim {claim[2]!r}, which is "
                    f"ReadWriteOncePod, as {other} does; give each its own claim."
                )
        return found

    def _check_references(self, context: ChartContext, pod: PodOptions) -> None:
        """Reject objects of other namespaces and apps, which pods cannot refer to."""
        for option in ("cache", "weights", "kv_offload", "hf_token", "api_key", "service_account"):
            context.check_reference(option, pod.get(option))
        server = pod.get("kv_offload")
        if isinstance(server, LmCacheServer):
            server.check_nodes(f"ModelDeployment {self.name!r}", self.pod.all_node_labels)
        for secret in pod.get("image_pull_secrets") or ():
            context.check_reference("image_pull_secrets", secret)
        for option, reference in self.pod.references():
            context.check_reference(option, reference)

    @property
    def deployment(self) -> ApiObject:
        """The Deployment."""
        return self._object("Default")

    @property
    def network_policy(self) -> ApiObject | None:
        """The NetworkPolicy, or None."""
        return self._optional("network-policy")

    @property
    def config_map(self) -> ApiObject | None:
        """The ConfigMap of the engine's flags, or None."""
        return self._optional("engine")

    def _labels(self, chart: Mapping[str, str], labels: Mapping[str, str] | None) -> dict[str, str]:
        """The labels of Deployment and pods: the chart's, and the user's over them."""
        own = names.label_map("labels", {} if labels is None else labels)
        for key in self.workload.selector:
            if key in own:
                refuse(f"labels has {key!r}, which selects the pods; leave it out.")
        return {**chart, **self.pod.added_labels, **own}

    @property
    def service(self) -> kplus.Service:
        """The Service as a cdk8s-plus object, for an Ingress or a binding of your own.

        Raises:
            VllmConstructsError: cdk8s-plus was not imported before the model was made.
        """
        if self._plus_service is None:
            refuse(
                "ModelDeployment.service is an object of cdk8s-plus, which was not loaded when "
                f"{self.name!r} was made; put `import cdk8s_plus_27` before it."
            )
        return self._plus_service

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select the model's pods."""
        return self.workload.selector

    @property
    def served_name(self) -> str:
        """The name that clients send, and the `model_name` of all metrics."""
        return self.pod.name_in_metrics

    @property
    def namespace(self) -> str | None:
        """The namespace of the chart."""
        return self._context.namespace

    @property
    def series(self) -> ModelSeries:
        """What selects the model's series: its namespace and its name in metrics.

        Where another model of the namespace has the same name, the names of its pods do, too.

        Raises:
            VllmConstructsError: The chart has no namespace.
        """
        from vllm_constructs.metrics.series import ModelSeries

        namespace = self._context.need_namespace(f"a query for {self.served_name!r}")
        same = self._context.app.models(self._context.namespace, self.served_name)
        pods = self.workload.pod_names if len(same) > 1 else None
        return ModelSeries(namespace=namespace, model_name=self.served_name, pods=pods)

    @property
    def gpus(self) -> tuple[int, int]:
        """GPUs (or slices) in use at least and at most, outside of a rollout."""
        low, high = self.replica_range
        return low * self.pod.gpu.count, high * self.pod.gpu.count

    @property
    def rollout_gpus(self) -> int:
        """GPUs (or slices) that a rollout at the highest number of replicas needs to complete.

        Pods that drain keep theirs until they end. Where more GPUs are free than
        `Rollout.spare_gpus`, or a cluster autoscaler adds some, those come on top: one pod's,
        where loading takes longer than draining.
        """
        gpu = self.pod.gpu.count
        surge = self.rollout.surge(gpus=gpu, can_share_cache=self.pod.can_be_shared)
        return (self.replica_range[1] + surge) * gpu

    @property
    def pod_security_level(self) -> Level:
        """The strictest level of the Pod Security Standards that admits the pods."""
        return self._links.need.level

    @property
    def replica_range(self) -> tuple[int, int]:
        """Replicas at least and at most: the scaler's range, or `replicas` for both."""
        scaler = self._links.facts.scaler
        if self._links.facts.is_plus_scaled:
            scaler = plus.scaler_range(self) or scaler
        if scaler is None:
            return self.replicas, self.replicas
        return scaler.minimum, scaler.maximum

    # The interfaces of cdk8s-plus: IScalable, IPodSelector and INetworkPolicyPeer.

    @property
    def has_autoscaler(self) -> bool:
        """Whether a scaler sets the replicas."""
        return self._links.facts.scaler is not None

    @has_autoscaler.setter
    def has_autoscaler(self, value: bool) -> None:
        # The interface of cdk8s-plus has a setter, so type checkers want one.
        if value and self._links.facts.scaler is None:
            self.mark_has_autoscaler()

    def mark_has_autoscaler(self) -> None:
        """Called by a cdk8s-plus HorizontalPodAutoscaler that targets this model.

        It is being made then, and its range and namespace are not known yet, so those are checked
        at synthesis.
        """
        links = self._links
        links.check_only_scaler()
        change = links.change(scaler=plus.unknown_range(), is_plus_scaled=True)
        tree.replace(self, change.manifests)
        change.apply()
        self.node.add_validation(plus.ScalerCheck(self, links))

    def to_scaling_target(self) -> kplus.ScalingTarget:
        """The Deployment, for a cdk8s-plus HorizontalPodAutoscaler."""
        return plus.scaling_target(ModelDeployment, self._links)

    def to_pod_selector_config(self) -> kplus.PodSelectorConfig:
        """The model's pods."""
        return plus.pod_selector(ModelDeployment, self.selector)

    def to_network_policy_peer_config(self) -> kplus.NetworkPolicyPeerConfig:
        """The model's pods, as a peer of a NetworkPolicy."""
        return plus.network_policy_peer(ModelDeployment, self.selector)

    def to_pod_selector(self) -> kplus.IPodSelector:
        """This model."""
        return self


def _checked_annotations(annotations: Mapping[str, str] | None) -> dict[str, str]:
    """The user's annotations, none of which is one of this library."""
    given = names.annotation_map("annotations", {} if annotations is None else annotations)
    for annotation in given:
        if annotation.startswith(f"{names.PREFIX}/"):
            refuse(f"annotations has {annotation!r}, which this library sets; leave it out.")
    return given


def _sources(
    allow_from: object, options: ServiceOptions, *, has_policy: bool
) -> list[dict[str, Any]]:
    """The peers that may reach the API; a Service for clients outside should name some."""
    allowed = "a list of namespaces or address ranges"
    found = [
        peers.from_source("allow_from", item)
        for item in require.items("allow_from", allow_from, allowed)
    ]
    if has_policy and options.type != "ClusterIP" and not any(map(peers.is_block, found)):
        warn(
            Problem(
                where="ServiceOptions.type",
                text=f"is {options.type!r}, but the NetworkPolicy lets no address from outside of "
                "the cluster in",
                value=repr(options.type),
                advice="give the ranges of clients and load balancers, such as "
                "{allow_from=['10.0.0.0/8']}",
            )
        )
    return found


with_options(ModelDeployment.__init__, PodOptions)
