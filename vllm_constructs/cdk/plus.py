"""The edge to cdk8s-plus-27: what it asks of a model, in its own types.

Loading cdk8s-plus takes longer than most apps take in all, so it is loaded only where an app
uses it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jsii
from constructs import IValidation

from vllm_constructs.container import NAME, PORT_NAME
from vllm_constructs.errors import VllmConstructsError, VllmConstructsWarning
from vllm_constructs.scaling import Replicas

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus

    from .deployment import ModelDeployment

_NAME = "cdk8s_plus_27"


def implement(kind: type[ModelDeployment]) -> None:
    """Declare to jsii which interfaces of cdk8s-plus a model implements.

    jsii takes interfaces of loaded libraries only, when an object is made, so this happens
    before each model is made, and does nothing in an app without cdk8s-plus.
    """
    if _NAME not in sys.modules:
        return
    import cdk8s_plus_27 as kplus

    if kplus.IScalable not in getattr(kind, "__jsii_ifaces__", ()):
        jsii.implements(kplus.IScalable, kplus.IPodSelector, kplus.INetworkPolicyPeer)(kind)


def service(model: ModelDeployment, manifest: dict[str, Any]) -> kplus.Service:
    """The model's Service."""
    import cdk8s_plus_27 as kplus
    from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch

    metadata = manifest["metadata"]
    port = model.pod.port
    found = kplus.Service(
        model,
        "service",
        metadata=ApiObjectMetadata(
            name=metadata["name"],
            labels=metadata["labels"],
            annotations=metadata.get("annotations"),
        ),
        ports=[
            kplus.ServicePort(
                port=port, target_port=port, name=PORT_NAME, protocol=kplus.Protocol.TCP
            )
        ],
    )
    for key, value in model.selector.items():
        found.select_label(key, value)
    ApiObject.of(found).add_json_patch(JsonPatch.remove("/spec/externalIPs"))
    return found


def scaling_target(model: ModelDeployment) -> kplus.ScalingTarget:
    """The Deployment and its container."""
    import cdk8s_plus_27 as kplus

    pod = model.pod
    container = kplus.Container(name=NAME, image=pod.image, port_number=pod.port)
    return kplus.ScalingTarget(
        api_version="apps/v1",
        kind="Deployment",
        name=model.name,
        containers=[container],
        replicas=None if model.scaler else model.replicas,
    )


def scaler_range(model: ModelDeployment) -> Replicas | None:
    """The range of the HorizontalPodAutoscaler of cdk8s-plus, of any line, that has the model."""
    for node in model.node.root.node.find_all():
        kind = str(getattr(node, "__jsii_type__", ""))
        found: Any = node
        if kind.endswith(".HorizontalPodAutoscaler") and found.target is model:
            return Replicas(
                scaler="HorizontalPodAutoscaler",
                minimum=int(found.min_replicas),
                maximum=int(found.max_replicas),
            )
    return None


@jsii.implements(IValidation)
class RangeCheck:
    """Checks that range at synthesis, since it is not known before."""

    def __init__(self, model: ModelDeployment) -> None:
        self._model = model

    def validate(self) -> list[str]:
        """The sentence of a refusal; raising in here would end in an unreadable error."""
        try:
            replicas = scaler_range(self._model)
            if replicas is not None:
                self._model.check_range(replicas)
        except (VllmConstructsError, VllmConstructsWarning) as error:
            return [str(error)]
        return []


def pod_selector(model: ModelDeployment) -> kplus.PodSelectorConfig:
    """The model's pods."""
    import cdk8s_plus_27 as kplus

    return kplus.PodSelectorConfig(label_selector=kplus.LabelSelector.of(labels=model.selector))


def network_policy_peer(model: ModelDeployment) -> kplus.NetworkPolicyPeerConfig:
    """The model's pods, as a peer of a NetworkPolicy."""
    import cdk8s_plus_27 as kplus

    return kplus.NetworkPolicyPeerConfig(pod_selector=pod_selector(model))
