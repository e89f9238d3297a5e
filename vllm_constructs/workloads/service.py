"""Service: the stable address of the pods of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names

from .engine_container import PORT_NAME

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """How the Service of a model is reached.

    Args:
        type: `"ClusterIP"` (default), `"NodePort"` or `"LoadBalancer"`. The latter two
            expose all endpoints of vLLM; prefer an ingress or a route.
        port: Port of the Service. Default: that of the pods.
        node_port: Port of the nodes, from 30000 to 32767; not with `"ClusterIP"`. Default: one
            that the cluster picks.
        load_balancer_class: Class of the load balancer, such as `service.k8s.aws/nlb`; only with
            `"LoadBalancer"`. Default: that of the cluster.
        headless: Whether its DNS name resolves to the addresses of all pods, for clients that
            balance the load themselves; only with `"ClusterIP"`. Default: False.
        labels: More labels of the Service. Default: none.
        annotations: More annotations of the Service. Default: none.

    Raises:
        VllmConstructsError: An option that the type does not have, or an invalid value.
    """

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: int | None = None
    node_port: int | None = None
    load_balancer_class: str | None = None
    headless: bool = False
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        require.choice("ServiceOptions.type", self.type, _TYPES)
        if self.port is not None:
            require.integer("ServiceOptions.port", self.port, 1, 65535)
        if self.node_port is not None:
            require.integer("ServiceOptions.node_port", self.node_port, 30000, 32767)
            self._need("node_port", "NodePort", "LoadBalancer")
        if self.load_balancer_class is not None:
            names.key("ServiceOptions.load_balancer_class", self.load_balancer_class)
            self._need("load_balancer_class", "LoadBalancer")
        if require.boolean("ServiceOptions.headless", self.headless):
            self._need("headless", "ClusterIP")
        labels = {} if self.labels is None else self.labels
        annotations = {} if self.annotations is None else self.annotations
        for name, found in (
            ("labels", names.label_map("ServiceOptions.labels", labels)),
            ("annotations", names.annotation_map("ServiceOptions.annotations", annotations)),
        ):
            object.__setattr__(self, name, FrozenDict(found))

    def _need(self, option: str, *types: str) -> None:
        if self.type not in types:
            refuse(
                Problem(
                    where=f"ServiceOptions.{option}",
                    text=f"is given with {{type={self.type!r}}}",
                    advice=f"leave it out, or give {{type={types[0]!r}}}",
                )
            )


def manifest(
    *,
    name: str,
    selector: Mapping[str, str],
    port: int,
    options: ServiceOptions,
    families: Sequence[str] = (),
) -> dict[str, Any]:
    """The Service.

    Its labels are those of the selector, by which a ServiceMonitor finds it.

    Args:
        name: Name of the Service.
        selector: Labels of the pods.
        port: Port of the pods.
        options: How it is reached.
        families: IP families, the first one first. Default: those of the cluster.

    Raises:
        VllmConstructsError: A label that selects, or a port that a headless Service cannot have.
    """
    for key in options.labels or {}:
        if key in selector:
            where = f"ServiceOptions.labels[{key!r}]"
            text = "is set by this library, for monitors to find the Service"
            refuse(Problem(where=where, text=text, advice="leave it out"))
    if options.headless and options.port not in (None, port):
        refuse(
            Problem(
                where="ServiceOptions.port",
                text=f"is {options.port}, but a headless Service translates no ports, and the pods "
                f"listen on {port}",
                value=str(options.port),
                advice=f"leave it out; clients use {port}",
            )
        )
    entry = {
        "name": PORT_NAME,
        "port": port if options.port is None else options.port,
        "protocol": "TCP",
        "targetPort": port,
    }
    if options.node_port is not None:
        entry["nodePort"] = options.node_port
    spec: dict[str, Any] = {
        "ports": [entry],
        "selector": dict(sorted(selector.items())),
        "type": options.type,
    }
    if options.headless:
        spec["clusterIP"] = "None"
    if options.load_balancer_class is not None:
        spec["loadBalancerClass"] = options.load_balancer_class
    if families:
        spec["ipFamilies"] = list(families)
        spec["ipFamilyPolicy"] = "SingleStack" if len(families) == 1 else "RequireDualStack"
    metadata = {"name": name, "labels": {**(options.labels or {}), **selector}}
    if options.annotations:
        metadata["annotations"] = dict(options.annotations)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
