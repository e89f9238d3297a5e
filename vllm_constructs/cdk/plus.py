"""The edge to cdk8s-plus-27: what it asks of a model, in its own types.

Loading cdk8s-plus takes longer than most apps take in all, so it is loaded only where an app
uses it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jsii

from vllm_constructs.pod import CONTAINER, PORT_NAME

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
    container = kplus.Container(name=CONTAINER, image=pod.image, port_number=pod.port)
    return kplus.ScalingTarget(
        api_version="apps/v1",
        kind="Deployment",
        name=model.name,
        containers=[container],
        replicas=None if model.scaler else model.replicas,
    )


def pod_selector(model: ModelDeployment) -> kplus.PodSelectorConfig:
    """The model's pods."""
    import cdk8s_plus_27 as kplus

    return kplus.PodSelectorConfig(label_selector=kplus.LabelSelector.of(labels=model.selector))


def network_policy_peer(model: ModelDeployment) -> kplus.NetworkPolicyPeerConfig:
    """The model's pods, as a peer of a NetworkPolicy."""
    import cdk8s_plus_27 as kplus

    return kplus.NetworkPolicyPeerConfig(pod_selector=pod_selector(model))
