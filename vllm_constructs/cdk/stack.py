"""ModelStack: a model with its cache, scaler, ingress and monitor, from a values file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import WholeGpu
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import refuse
from vllm_constructs.importers.guide_values import Values
from vllm_constructs.kube import names
from vllm_constructs.scaling.triggers import CpuUtilization, HpaTrigger, KvCacheUsage
from vllm_constructs.traffic.controllers import F5Nginx, IngressController, IngressNginx, Traefik
from vllm_constructs.traffic.tls import TlsSecret
from vllm_constructs.workloads.secrets import HuggingFaceToken
from vllm_constructs.workloads.storage import EphemeralCache

from .base import VllmConstruct
from .deployment import ModelDeployment
from .hpa_scaler import HpaScaler
from .ingress import StreamingIngress
from .monitoring import ModelMonitor
from .registry import chart_context
from .storage import ModelCache

if TYPE_CHECKING:
    from constructs import Construct

_COMMUNITY = "nginx.ingress.kubernetes.io/"
_F5 = "nginx.org/"

# Annotations that controllers derive, and their allowed values; those without any are read.
_DERIVED: dict[str, tuple[str, ...]] = {
    "client-max-body-size": (),
    "proxy-body-size": (),
    "proxy-buffering": ("off", "false"),
    "proxy-http-version": ("1.1",),
    "proxy-read-timeout": (),
    "proxy-request-buffering": ("off",),
    "proxy-send-timeout": (),
}


class ModelStack(VllmConstruct):
    """A model with cache, scaler, ingress and monitor, as a values file describes them.

    Create it with `ModelStack.from_values`. Its parts are the constructs of this library, so
    everything is derived and checked as in an app. The keys are those of the values file in the
    guide "Deploying vLLM on Kubernetes", from which this project started.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope, and the name of the model's objects.
        values: The values, as `from_values` reads them.

    Attributes:
        model: The model.
        cache: Its cache, or None.
        scaler: Its scaler, or None.
        ingresses: Its ingresses, one per host.
        monitor: Its monitor, or None.

    Raises:
        VllmConstructsError: An invalid value or combination; nothing is added to the tree then.
    """

    def __init__(self, scope: Construct, id: str, *, values: Values) -> None:
        context = chart_context(scope, id)
        allowed = "what ModelStack.from_values reads; use that"
        parts = _Parts(require.instance("ModelStack.values", values, Values, allowed))
        parts.check()
        super().__init__(scope, id, context)
        name = names.sanitized(id)
        with self._all_or_nothing(scope):
            self.cache = parts.cache(self, f"{name}-cache")
            self.model = parts.model(self, name, self.cache)
            self.scaler = parts.scaler(self, self.model)
            self.ingresses = parts.ingresses(self, self.model)
            self.monitor = parts.monitor(self, self.model)

    @classmethod
    def from_values(cls, scope: Construct, id: str, path: str | Path) -> ModelStack:
        """Make the stack that a values file describes.

        Args:
            scope: Chart or construct that it belongs to.
            id: Its id in the scope, and the name of the model's objects.
            path: The file, with the keys of the guide's section 12.4.2.

        Raises:
            VllmConstructsError: The file is not YAML, has a misspelled key or a wrong type, or
                contains an invalid value or combination.
        """
        return cls(scope, id, values=Values.from_file(path))


class _Parts:
    """The constructs, each from its section of the file."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def check(self) -> None:
        """Reject missing keys before anything is added to the tree."""
        for path in (("model", "name"), ("gpu", "type")):
            self.values.need(*path)
        if self.values.is_on("modelCache"):
            self.values.need("modelCache", "size")
        if self.values.is_on("autoscaling"):
            self.values.need("autoscaling", "maxReplicas")
        if self.values.is_on("ingress"):
            self.values.need("ingress", "hosts")

    def cache(self, scope: Construct, name: str) -> ModelCache | None:
        get = self.values.get
        if not self.values.is_on("modelCache"):
            return None
        return ModelCache(
            scope,
            "cache",
            name=name,
            size=get("modelCache", "size"),
            storage_class=get("modelCache", "storageClass"),
            access=get("modelCache", "accessMode", default="ReadWriteMany"),
        )

    def model(self, scope: Construct, name: str, cache: ModelCache | None) -> ModelDeployment:
        get = self.values.get
        token = None
        if self.values.is_on("hfToken"):
            token = HuggingFaceToken.from_secret(get("hfToken", "existingSecret") or "hf-token")
        repository = get("image", "repository", default="vllm/vllm-openai")
        options: dict[str, Any] = {}
        if "image" in self.values.tree:
            options["image"] = f"{repository}:{self.values.need('image', 'tag')}"
        timeout = self._timeout()
        if timeout is not None:
            options["response_timeout"] = timeout
        return ModelDeployment(
            scope,
            "Default",
            name=name,
            model=get("model", "name"),
            served_name=get("model", "servedName"),
            engine=EngineArgs(
                max_model_len=get("model", "maxModelLen"),
                gpu_memory_utilization=get("model", "gpuMemoryUtilization"),
                trust_remote_code=get("model", "trustRemoteCode"),
                revision=get("model", "revision"),
                dtype=get("model", "dtype"),
            ),
            gpu=WholeGpu(get("gpu", "type"), count=get("gpu", "count", default=1)),
            replicas=get("replicaCount", default=1),
            port=get("service", "port", default=8000),
            cpu=self.values.pair("cpu"),
            memory=self.values.pair("memory"),
            shared_memory=get("shmSize"),
            cache=EphemeralCache() if cache is None else cache,
            hf_token=token,
            **options,
        )

    def scaler(self, scope: Construct, model: ModelDeployment) -> HpaScaler | None:
        get = self.values.get
        if not self.values.is_on("autoscaling"):
            return None
        triggers: list[HpaTrigger] = []
        cpu = get("autoscaling", "targetCPUUtilizationPercentage")
        gpu = get("autoscaling", "targetGPUUtilizationPercentage")
        if cpu is not None:
            triggers.append(CpuUtilization(cpu))
        if gpu is not None:
            # A busy GPU says nothing about room for more requests; a full KV cache does.
            triggers.append(KvCacheUsage(gpu / 100))
        return HpaScaler(
            scope,
            "scaler",
            target=model,
            min_replicas=get("autoscaling", "minReplicas", default=1),
            max_replicas=get("autoscaling", "maxReplicas"),
            triggers=triggers,
        )

    def ingresses(self, scope: Construct, model: ModelDeployment) -> list[StreamingIngress]:
        if not self.values.is_on("ingress"):
            return []
        controller = self._controller()
        tls = {
            host: TlsSecret(item["secretName"])
            for item in self.values.get("ingress", "tls", default=[])
            for host in item.get("hosts", [])
        }
        ingresses = []
        for i, item in enumerate(self.values.get("ingress", "hosts")):
            paths = [entry.get("path", "/v1") for entry in item.get("paths", [{}])]
            if "host" not in item or len(paths) != 1:
                refuse(
                    f"{self.values.name}: ingress.hosts[{i}] needs a host and one path; "
                    "give each host one entry with one path."
                )
            ingresses.append(
                StreamingIngress(
                    scope,
                    f"ingress-{i}",
                    name=model.name if i == 0 else f"{model.name}-{i}",
                    target=model,
                    host=item["host"],
                    path=paths[0],
                    controller=controller,
                    tls=tls.get(item["host"]),
                    max_body=self._max_body(),
                    annotations=self._annotations(),
                )
            )
        return ingresses

    def monitor(self, scope: Construct, model: ModelDeployment) -> ModelMonitor | None:
        get = self.values.get
        on = get("monitoring", "serviceMonitor", "enabled", default=True)
        if not self.values.is_on("monitoring") or not on:
            return None
        return ModelMonitor(
            scope,
            "monitor",
            target=model,
            interval=get("monitoring", "serviceMonitor", "interval", default="15s"),
            labels=get("monitoring", "serviceMonitor", "labels"),
        )

    def _given(self) -> dict[str, str]:
        return dict(self.values.get("ingress", "annotations", default={}))

    def _controller(self) -> IngressController:
        """The controller: by its class, and with `nginx` by whose annotations are given."""
        if self.values.get("ingress", "className", default="nginx") == "traefik":
            return Traefik()
        if any(key.startswith(_F5) for key in self._given()):
            return F5Nginx()
        return IngressNginx()

    def _timeout(self) -> int | None:
        """The response timeout, which the guide has as the proxy's read timeout."""
        for key in (f"{_COMMUNITY}proxy-read-timeout", f"{_F5}proxy-read-timeout"):
            value = self._given().get(key)
            if value is None:
                continue
            digits = value.removesuffix("s") if key.startswith(_F5) else value
            if not digits.isdecimal():
                refuse(
                    f"{self.values.name}: ingress.annotations[{key!r}] is {value!r}; expected "
                    "seconds without a unit, such as '300'."
                )
            return int(digits)
        return None

    def _max_body(self) -> int:
        """The largest request in MiB, which nginx calls the body's size."""
        for key in (f"{_COMMUNITY}proxy-body-size", f"{_F5}client-max-body-size"):
            value = self._given().get(key, "100m")
            if not value.endswith("m") or not value[:-1].isdecimal():
                refuse(
                    f"{self.values.name}: ingress.annotations[{key!r}] is {value!r}; expected "
                    "megabytes, such as '100m'."
                )
            if key in self._given():
                return int(value[:-1])
        return 100

    def _annotations(self) -> dict[str, str]:
        """The annotations that are not derived; derived ones may stand there if they agree."""
        annotations = {}
        for key, value in self._given().items():
            name = key.rpartition("/")[2]
            if not key.startswith((_COMMUNITY, _F5)) or name not in _DERIVED:
                annotations[key] = value
            elif _DERIVED[name] and value not in _DERIVED[name]:
                refuse(
                    f"{self.values.name}: ingress.annotations[{key!r}] is {value!r}, which buffers "
                    "streamed responses; leave it out."
                )
        return annotations
