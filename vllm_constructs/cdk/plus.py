"""Support for cdk8s-plus: a model as a scaling target, pod selector and network policy peer.

cdk8s-plus has a package for each Kubernetes release, such as `cdk8s_plus_27`: a line. Types are
those of the line that the app uses. Loading a line takes longer than rendering most apps, so it is
loaded only if the app uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jsii
from constructs import Construct, IValidation

from vllm_constructs.errors import VllmConstructsError, VllmConstructsWarning
from vllm_constructs.kube.references import namespace_of
from vllm_constructs.workloads.container import NAME
from vllm_constructs.workloads.engine_container import PORT_NAME

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus

    from vllm_constructs.scaling.pace import Replicas

    from .links import ModelLinks

# Looking each up is faster than looking through all modules, for each model.
_LINES = tuple(f"cdk8s_plus_{number}" for number in range(20, 100))


def implement(kind: type[Construct]) -> bool:
    """Declare to jsii which interfaces of cdk8s-plus a model implements, of all lines in use.

    jsii takes interfaces of loaded libraries only, when an object is made, so this happens
    before each model is made, and does nothing in an app without cdk8s-plus.

    Returns:
        Whether the app uses `cdk8s_plus_27`, whose types this library returns.
    """
    for name in _LINES:
        line = sys.modules.get(name)
        if line is not None and line.IScalable not in getattr(kind, "__jsii_ifaces__", ()):
            jsii.implements(line.IScalable, line.IPodSelector, line.INetworkPolicyPeer)(kind)
    return "cdk8s_plus_27" in sys.modules


def _line(kind: type[Construct]) -> Any:
    """The line whose types jsii expects as return values: that of the first declared interfaces.

    Other lines accept them too: JavaScript has no types, and the fields are the same.
    """
    for interface in getattr(kind, "__jsii_ifaces__", ()):
        if interface.__module__ in _LINES:
            return sys.modules[interface.__module__]
    import cdk8s_plus_27

    return cdk8s_plus_27


def service(scope: Construct, manifest: dict[str, Any]) -> kplus.Service:
    """A Service with the content of a manifest."""
    import cdk8s_plus_27 as kplus
    from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch

    metadata, spec = manifest["metadata"], manifest["spec"]
    made = kplus.Service(
        scope,
        "service",
        # cdk8s-plus sets it after all patches.
        cluster_ip=spec.get("clusterIP"),
        metadata=ApiObjectMetadata(
            name=metadata["name"],
            labels=metadata["labels"],
            annotations=metadata.get("annotations"),
        ),
        ports=[
            kplus.ServicePort(
                port=port["port"],
                target_port=port["targetPort"],
                name=PORT_NAME,
                protocol=kplus.Protocol.TCP,
            )
            for port in spec["ports"]
        ],
    )
    for key, value in spec["selector"].items():
        made.select_label(key, value)
    own = ("ports", "selector")
    patches = [JsonPatch.add(f"/spec/{key}", spec[key]) for key in spec if key not in own]
    for at, port in enumerate(spec["ports"]):
        if "nodePort" in port:
            patches.append(JsonPatch.add(f"/spec/ports/{at}/nodePort", port["nodePort"]))
    ApiObject.of(made).add_json_patch(JsonPatch.remove("/spec/externalIPs"), *patches)
    return made


def scaling_target(kind: type[Construct], links: ModelLinks) -> kplus.ScalingTarget:
    """The workload and its container."""
    line, pod = _line(kind), links.pod
    container = line.Container(name=NAME, image=pod.image, port_number=pod.port)
    reference = links.workload.reference()
    target: kplus.ScalingTarget = line.ScalingTarget(
        api_version=reference["apiVersion"],
        kind=reference["kind"],
        name=reference["name"],
        containers=[container],
        replicas=None if links.facts.scaler else links.replicas,
    )
    return target


def _scaler(model: Construct) -> Any:
    """The HorizontalPodAutoscaler of cdk8s-plus, of any line, that has the model, or None."""
    for node in model.node.root.node.find_all():
        kind = str(getattr(node, "__jsii_type__", ""))
        scaler: Any = node
        if kind.endswith(".HorizontalPodAutoscaler") and scaler.target is model:
            return scaler
    return None


def _range(scaler: Any) -> Replicas:
    from vllm_constructs.scaling.pace import Replicas

    return Replicas(
        scaler="HorizontalPodAutoscaler",
        minimum=int(scaler.min_replicas),
        maximum=int(scaler.max_replicas),
    )


def unknown_range() -> Replicas:
    """The range of a scaler that is being made."""
    from vllm_constructs.scaling.pace import Replicas

    return Replicas(scaler="HorizontalPodAutoscaler", minimum=1, maximum=1)


def scaler_range(model: Construct) -> Replicas | None:
    """The range of the HorizontalPodAutoscaler of cdk8s-plus that has the model."""
    scaler = _scaler(model)
    return None if scaler is None else _range(scaler)


@jsii.implements(IValidation)
class ScalerCheck:
    """Checks the scaler at synthesis, since its range and its chart are not known before."""

    def __init__(self, model: Construct, links: ModelLinks) -> None:
        self._model = model
        self._links = links
        self._is_checked = False

    def validate(self) -> list[str]:
        """The problem in one sentence; an exception in here would end in an unreadable error."""
        try:
            # Another construct than cdk8s-plus' own may have marked the model.
            scaler = None if self._is_checked else _scaler(self._model)
            if scaler is not None:
                self._links.check_namespace("HorizontalPodAutoscaler", namespace_of(scaler))
                self._links.check_range(_range(scaler))
                self._is_checked = True
        except (VllmConstructsError, VllmConstructsWarning) as error:
            return [str(error)]
        return []


def pod_selector(kind: type[Construct], labels: Mapping[str, str]) -> kplus.PodSelectorConfig:
    """The pods with these labels."""
    line = _line(kind)
    selector = line.LabelSelector.of(labels=labels)
    config: kplus.PodSelectorConfig = line.PodSelectorConfig(label_selector=selector)
    return config


def network_policy_peer(
    kind: type[Construct], labels: Mapping[str, str]
) -> kplus.NetworkPolicyPeerConfig:
    """The pods with these labels, as a peer of a NetworkPolicy."""
    make = _line(kind).NetworkPolicyPeerConfig
    config: kplus.NetworkPolicyPeerConfig = make(pod_selector=pod_selector(kind, labels))
    return config
