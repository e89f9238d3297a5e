"""ModelDeployment: one model on Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cdk8s import ApiObject, JsonPatch

from vllm_constructs import require
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.kube import names
from vllm_constructs.memory import fit
from vllm_constructs.metrics.metric import Scope
from vllm_constructs.releases.release import DEFAULT_IMAGE
from vllm_constructs.scaling.scalers import Replicas
from vllm_constructs.workloads import deployment, storage
from vllm_constructs.workloads import network_policy as network
from vllm_constructs.workloads.availability import Budget, Drain, Rollout, Startup
from vllm_constructs.workloads.plan_annotations import annotations_of
from vllm_constructs.workloads.pod import GpuPodSpec, Toleration
from vllm_constructs.workloads.secrets import name_of

from . import plus
from .base import Room, place_of
from .storage import Cache, claim_of

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus
    from constructs import Construct

    from vllm_constructs.memory.shapes import ModelShape
    from vllm_constructs.workloads.pod import Gpu
    from vllm_constructs.workloads.secrets import ApiKey, HasName, HuggingFaceToken


class ModelDeployment(Room):
    """One model: a Deployment of vLLM engines, its Service and its NetworkPolicy.

    It can be given to cdk8s-plus as it is: as the target of a `HorizontalPodAutoscaler`, as the
    selector of a `Service` and as a peer of `connections.allow_to`; import `cdk8s_plus_27` before
    you make the model. `ApiObject.of(model)` is the Deployment.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        model: Hugging Face id, or an absolute path in the image or cache.
        gpu: What each replica runs on.
        name: Name of the Deployment and, as `app.kubernetes.io/instance`, of its pods. Default:
            the id, as a legal name.
        service_name: Name of the Service. Default: `name`.
        served_name: Name that clients send, and `model_name` in all metrics. Default: `model`.
        image: vLLM image with a tag or digest. Default: the newest release known here.
        vllm: The release in the image, such as `"0.33.0"`, where its tag does not say it: an
            image of your own, or a digest. Default: what the tag says, else the newest.
        engine: Flags of `vllm serve`.
        replicas: Pods, where no scaler decides. Default 1.
        port: Port of the API, the Service and the metrics. Default 8000.
        cpu: Cores as request, or as (request, limit). Default: 4 per GPU, no limit.
        memory: Memory as request and limit in one, or as (request, limit). Default: 16Gi and
            32Gi per GPU.
        shared_memory: Size of `/dev/shm`. Default: what the workers and NCCL need.
        cache: Where weights are kept: a `ModelCache`, `ExistingClaim`, `EphemeralCache` or a
            cdk8s-plus claim (taken for one that pods on several nodes can mount, unless it says
            otherwise). Default: the node's disk.
        hf_token: Token for downloads. Default: none.
        api_key: Key that clients must send. Default: none.
        startup: How long loading may take. Default 15 minutes.
        drain: How long running answers get at the end. Default: `longest_answer`.
        rollout: What a rollout may use. Default: no spare GPUs.
        longest_answer: Seconds that the longest answer may take. Default 300.
        env: More variables of the container.
        labels: More labels of Deployment and pods; never in the selector.
        annotations: More annotations of the Deployment.
        pod_annotations: More annotations of the pods.
        node_selector: More labels that nodes must have.
        tolerations: More taints that are tolerated.
        priority_class: Name of a PriorityClass.
        runtime_class: Name of a RuntimeClass.
        service_account: Name of a ServiceAccount, or a cdk8s-plus one.
        image_pull_secrets: Secrets for the registry.
        network_policy: Whether to make the NetworkPolicy. Default True.
        allow_from: More namespaces whose pods may reach the API.
        run_as_root: Run as root. Default False.
        shape: The model's sizes, by which its memory is planned: a model that is too large is
            refused, a tight one warned about. Default: those of the catalogue, where it has
            `model`; else nothing is planned.

    Attributes:
        deployment: The Deployment.
        service: The Service, as a cdk8s-plus object.
        service_name: Name of the Service.
        network_policy: The NetworkPolicy, or None.
        config_map: The ConfigMap of the engine's flags, or None.
        pod: The pod as a value.
        memory_plan: The MemoryPlan of one pod, or None where it could not be made: the shape or
            the GPU's memory is not known, or a flag changes what no plan counts.
        name: Name of the Deployment.

    Raises:
        VllmConstructsError: Something that cannot work; nothing is added to the tree then.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        model: str,
        gpu: Gpu,
        name: str | None = None,
        service_name: str | None = None,
        served_name: str | None = None,
        image: str = DEFAULT_IMAGE,
        vllm: str | None = None,
        engine: EngineArgs | None = None,
        replicas: int = 1,
        port: int = 8000,
        cpu: str | tuple[str, str] | None = None,
        memory: str | tuple[str, str] | None = None,
        shared_memory: str | None = None,
        cache: Cache | None = None,
        hf_token: HuggingFaceToken | None = None,
        api_key: ApiKey | None = None,
        startup: Startup | None = None,
        drain: Drain | None = None,
        rollout: Rollout | None = None,
        longest_answer: int = 300,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        pod_annotations: Mapping[str, str] | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Toleration] = (),
        priority_class: str | None = None,
        runtime_class: str | None = None,
        service_account: str | HasName | None = None,
        image_pull_secrets: Sequence[str | HasName] = (),
        network_policy: bool = True,
        allow_from: Sequence[str] = (),
        run_as_root: bool = False,
        shape: ModelShape | None = None,
    ) -> None:
        place = place_of(scope, id)
        self.name = names.sanitised(id) if name is None else names.label("name", name)
        self.service_name = names.service(
            "service_name", self.name if service_name is None else service_name
        )
        self.pod = GpuPodSpec(
            model=model,
            gpu=gpu,
            served_name=served_name,
            image=image,
            vllm=vllm,
            engine=EngineArgs() if engine is None else engine,
            port=port,
            cpu=cpu,
            memory=memory,
            shared_memory=shared_memory,
            cache=claim_of(cache),
            hf_token=hf_token,
            api_key=api_key,
            startup=Startup() if startup is None else startup,
            drain=drain,
            longest_answer=longest_answer,
            env={} if env is None else env,
            node_selector={} if node_selector is None else node_selector,
            tolerations=tolerations,
            priority_class=priority_class,
            runtime_class=runtime_class,
            service_account=(
                None
                if service_account is None
                else name_of("service_account", service_account, "ServiceAccount")
            ),
            image_pull_secrets=[
                name_of("image_pull_secrets", secret, "Secret")
                for secret in require.items("image_pull_secrets", image_pull_secrets, "a list")
            ],
            pod_annotations={} if pod_annotations is None else pod_annotations,
            run_as_root=run_as_root,
        )
        self.memory_plan = fit.checked(f"ModelDeployment {self.name!r}", self.pod, shape)
        said = annotations_of(self.pod, fit.name_in_catalogue(shape))
        self.replicas = require.integer("replicas", replicas, 1, 1000)
        allowed = "Rollout(spare_gpus=...)"
        self.rollout = require.instance(
            "rollout", Rollout() if rollout is None else rollout, Rollout, allowed
        )
        self._check_sharing(replicas)
        own = names.label_map("labels", {} if labels is None else labels)
        for key in deployment.selector(self.name):
            if key in own:
                refuse(f"labels has {key!r}, which selects the pods; leave it out.")
        sources = tuple(names.label("allow_from", item) for item in _names(allow_from))
        config = deployment.config_map(f"{self.name}-engine", self.pod)
        body = deployment.manifest(
            name=self.name,
            pod=self.pod,
            replicas=self.replicas,
            rollout=self.rollout,
            labels=place.labels | own,
            annotations=said
            | names.annotation_map("annotations", {} if annotations is None else annotations),
            kubernetes=place.kubernetes,
            config_map_name=None if config is None else config["metadata"]["name"],
        )
        policy = network.policy(
            name=self.name,
            selector=self.selector,
            port=port,
            allow_from=sources,
            downloads=not self.pod.cache.is_read_only,
        )
        require.boolean("network_policy", network_policy)
        service = deployment.service(name=self.service_name, selector=self.selector, port=port)
        made = [body, service, *([config] if config else []), *([policy] if network_policy else [])]
        place.check_free(*made)
        same = place.app.models.setdefault((place.namespace, self.pod.name_in_metrics), [])
        if any(other.is_measured for other in same):
            _refuse_same_name(self.pod.name_in_metrics)

        plus.implement(ModelDeployment)
        super().__init__(scope, id, place)
        same.append(self)
        self.scaler: Replicas | None = None
        self._is_plus_scaled = False
        # Whether something reads the model's metrics, which must then be no other model's too.
        self.is_measured = False
        self.monitor: str | None = None
        self._budgets: list[tuple[str, Budget]] = []
        self._policy_peers: list[dict[str, Any]] = policy["spec"]["ingress"]
        self._prefix: str | None = None
        self.config_map: ApiObject | None = None if config is None else self._add("engine", config)
        self.deployment: ApiObject = self._add("Default", body)
        self._service = service
        self._service_object = self._add("service", service)
        self._plus_service: kplus.Service | None = None
        self.network_policy: ApiObject | None = (
            self._add("network-policy", policy) if network_policy else None
        )

    @property
    def service(self) -> kplus.Service:
        """The Service as a cdk8s-plus object, for an Ingress or a binding of your own.

        Loads cdk8s-plus when it is first asked for: the plain object that stood for the Service
        until then makes room for it, and the manifest stays the same.
        """
        if self._plus_service is None:
            self.node.try_remove_child("service")
            self._plus_service = plus.service(self, self._service)
        return self._plus_service

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select the model's pods."""
        return deployment.selector(self.name)

    @property
    def served_name(self) -> str:
        """The name that clients send, and the `model_name` of all metrics."""
        return self.pod.name_in_metrics

    @property
    def namespace(self) -> str | None:
        """The namespace of the chart."""
        return self._place.namespace

    @property
    def metrics_scope(self) -> Scope:
        """What selects the model's series: its namespace and its name in metrics.

        Raises:
            VllmConstructsError: The chart has no namespace.
        """
        namespace = self._place.need_namespace(f"a query for {self.served_name!r}")
        return Scope(namespace=namespace, model_name=self.served_name)

    @property
    def gpus(self) -> tuple[int, int]:
        """GPUs (or slices) in use at least and at most, outside of a rollout."""
        low, high = self._replica_range()
        return low * self.pod.gpu.count, high * self.pod.gpu.count

    @property
    def rollout_gpus(self) -> int:
        """GPUs (or slices) that a rollout at the highest number of replicas needs to complete.

        Pods that drain keep theirs until they end. Where more GPUs are free than
        `Rollout.spare_gpus` says, or a cluster autoscaler adds some, those come on top: one
        pod's, where loading takes longer than draining.
        """
        gpu = self.pod.gpu.count
        surge = self.rollout.surge(gpus=gpu, can_share_cache=self.pod.cache.can_be_shared)
        return (self._replica_range()[1] + surge) * gpu

    def _replica_range(self) -> tuple[int, int]:
        if self.scaler is None:
            return self.replicas, self.replicas
        self.look_up_range()
        return self.scaler.minimum, self.scaler.maximum

    def look_up_range(self) -> Replicas | None:
        """The range of the scaler, where it is known.

        That of a cdk8s-plus HorizontalPodAutoscaler has to be looked for in the app, once.
        """
        if self._is_plus_scaled:
            found = plus.scaler_range(self)
            if found is None:
                return None
            self.scaler, self._is_plus_scaled = found, False
        return self.scaler

    # What other constructs tell the model.

    # Each `check_` refuses before anything is made, and the `attach_` behind it refuses nothing.

    def check_scaler(self, replicas: Replicas, *, reads_metrics: bool) -> None:
        """Refuse a scaler that cannot work.

        Raises:
            VllmConstructsError: There is one already, the cache cannot be shared, no metrics
                are exposed, or a budget would block drains.
        """
        self._check_only_scaler()
        if reads_metrics:
            self.need_metrics(replicas.scaler)
        self.check_range(replicas)

    def attach_scaler(self, replicas: Replicas, *, reads_metrics: bool) -> None:
        """Hand the number of replicas over to a scaler; called by the scalers."""
        self.scaler = replicas
        self.is_measured |= reads_metrics
        self.deployment.add_json_patch(JsonPatch.remove("/spec/replicas"))

    def check_range(self, replicas: Replicas) -> None:
        """Refuse a scaler's range that the cache cannot bear, or that makes a budget block."""
        self._check_sharing(replicas.maximum)
        for where, budget in self._budgets:
            budget.check(where, replicas.minimum, autoscaled=True)

    def _check_only_scaler(self) -> None:
        if self.scaler is not None:
            refuse(
                f"ModelDeployment {self.name!r} has a {self.scaler.scaler} already, and two "
                "scalers of one Deployment undo each other; leave one out."
            )

    def _check_sharing(self, replicas: int) -> None:
        who = f"ModelDeployment {self.name!r}"
        downloads = not self.pod.model.startswith("/")
        storage.check_sharing(who, self.pod.cache, replicas, downloads=downloads)

    def need_metrics(self, reader: str) -> None:
        """Refuse a reader of metrics that are not exposed or not this model's alone."""
        if self.pod.engine.disable_log_stats:
            refuse(
                f"EngineArgs.disable_log_stats is True, so {self.name!r} has no metrics, which "
                f"{reader} reads; leave it out."
            )
        key = (self._place.namespace, self.served_name)
        if len(self._place.app.models[key]) > 1:
            _refuse_same_name(self.served_name)

    def check_monitor(self) -> None:
        """Refuse a second monitor, and one that finds no metrics of this model's alone."""
        self.need_metrics("ModelMonitor")
        if self.monitor is not None:
            refuse(f"ModelDeployment {self.name!r} has a ModelMonitor already; leave one out.")

    def attach_monitor(self, peers: Sequence[dict[str, Any]], *, job: str) -> None:
        """Let a monitor scrape the pods, and take the hints for other scrapers away.

        Both together would count every request twice.
        """
        self.monitor = job
        self.is_measured = True
        self.allow(peers)
        path = "/spec/template/metadata/annotations/prometheus.io~1"
        hints = [JsonPatch.remove(path + hint) for hint in ("scrape", "port", "path")]
        self.deployment.add_json_patch(*hints)

    def check_budget(self, where: str, budget: Budget) -> None:
        """Refuse a second budget, and one that the replicas cannot meet."""
        low, _ = self._replica_range()
        if self._budgets:
            refuse(f"ModelDeployment {self.name!r} has a budget already; leave one out.")
        budget.check(where, low, autoscaled=self.scaler is not None)

    def attach_budget(self, where: str, budget: Budget) -> None:
        """Keep a budget, to check it again when a scaler comes."""
        self._budgets.append((where, budget))

    def allow(self, peers: Sequence[dict[str, Any]]) -> None:
        """Let more peers reach the API's port."""
        for peer in peers:
            rule = network.rule(peer, self.pod.port)
            if rule not in self._policy_peers:
                self._policy_peers.append(rule)
                if self.network_policy is not None:
                    self.network_policy.add_json_patch(JsonPatch.add("/spec/ingress/-", rule))

    def check_prefix(self, prefix: str) -> None:
        """Refuse a second prefix."""
        if self._prefix not in (None, prefix):
            refuse(
                f"ModelDeployment {self.name!r} is served under {self._prefix!r} already, and an "
                "engine has one prefix; use domain= for the second fleet."
            )

    def serve_under(self, prefix: str) -> None:
        """Serve the API below a path prefix too, with `--root-path`; called by ModelFleet."""
        if self._prefix is None:
            self._prefix = prefix
            path = "/spec/template/spec/containers/0/args/-"
            self.deployment.add_json_patch(JsonPatch.add(path, f"--root-path={prefix}"))

    def annotate_service(self, key: str, value: str) -> None:
        """Put an annotation on the Service; called by dialects that need one."""
        self._service["metadata"]["annotations"] = {key: value}
        if self._plus_service is not None:
            self._plus_service.metadata.add_annotation(key, value)
        else:
            self._service_object.metadata.add_annotation(key, value)

    # What cdk8s-plus asks for: IScalable, IPodSelector and INetworkPolicyPeer.

    @property
    def has_autoscaler(self) -> bool:
        """Whether a scaler decides about the replicas."""
        return self.scaler is not None

    @has_autoscaler.setter
    def has_autoscaler(self, value: bool) -> None:
        # The interface of cdk8s-plus has a setter, so type checkers want one.
        if value and self.scaler is None:
            self.mark_has_autoscaler()

    def mark_has_autoscaler(self) -> None:
        """Called by a cdk8s-plus HorizontalPodAutoscaler that targets this model.

        It is being made then, and its range is not known yet, so that is checked at synthesis.
        """
        self._check_only_scaler()
        unknown = Replicas(scaler="HorizontalPodAutoscaler", minimum=1, maximum=1)
        self.attach_scaler(unknown, reads_metrics=False)
        self._is_plus_scaled = True
        self.node.add_validation(plus.RangeCheck(self))

    def to_scaling_target(self) -> kplus.ScalingTarget:
        """The Deployment, for a cdk8s-plus HorizontalPodAutoscaler."""
        return plus.scaling_target(self)

    def to_pod_selector_config(self) -> kplus.PodSelectorConfig:
        """The model's pods."""
        return plus.pod_selector(self)

    def to_network_policy_peer_config(self) -> kplus.NetworkPolicyPeerConfig:
        """The model's pods, as a peer of a NetworkPolicy."""
        return plus.network_policy_peer(self)

    def to_pod_selector(self) -> kplus.IPodSelector:
        """This model."""
        return self


def _names(value: object) -> tuple[object, ...]:
    return require.items("allow_from", value, "a list of namespaces")


def _refuse_same_name(name: str) -> None:
    refuse(
        f"two models in one namespace are served as {name!r}, so their metrics cannot be told "
        "apart by a scaler or monitor; give one another served_name= or namespace."
    )


def model_of(where: str, value: object) -> ModelDeployment:
    """The model that another construct is given."""
    if not isinstance(value, ModelDeployment):
        raise VllmConstructsError(f"{where} is {require.shown(value)}; it takes a ModelDeployment.")
    return value
