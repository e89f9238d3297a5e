"""The edge to cdk8s-plus: what it asks of a model, in the types of the line that asks.

Loading cdk8s-plus takes longer than most apps take in all, so it is loaded only where an app
uses it.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import jsii
from constructs import IValidation

from vllm_constructs.errors import VllmConstructsError, VllmConstructsWarning
from vllm_constructs.scaling.scalers import Replicas
from vllm_constructs.workloads.container import NAME, PORT_NAME

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus

    from .deployment import ModelDeployment

_LINE = re.compile(r"cdk8s_plus_\d+")


def implement(kind: type[ModelDeployment]) -> None:
    """Declare to jsii which interfaces of cdk8s-plus a model implements, of all lines in use.

    jsii takes interfaces of loaded libraries only, when an object is made, so this happens
    before each model is made, and does nothing in an app without cdk8s-plus.
    """
    for name in sorted(filter(_LINE.fullmatch, sys.modules)):
        line = sys.modules[name]
        if line.IScalable not in getattr(kind, "__jsii_ifaces__", ()):
            jsii.implements(line.IScalable, line.IPodSelector, line.INetworkPolicyPeer)(kind)


def _line(model: ModelDeployment) -> Any:
    """The line whose types jsii wants as answers: that of the first interfaces declared.

    The others take them too, since in JavaScript only the shape counts.
    """
    for interface in getattr(type(model), "__jsii_ifaces__", ()):
        if _LINE.fullmatch(interface.__module__):
            return sys.modules[interface.__module__]
    import cdk8s_plus_27

    return cdk8s_plus_27


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
    line, pod = _line(model), model.pod
    container = line.Container(name=NAME, image=pod.image, port_number=pod.port)
    found: kplus.ScalingTarget = line.ScalingTarget(
        api_version="apps/v1",
        kind="Deployment",
        name=model.name,
        containers=[container],
        replicas=None if model.scaler else model.replicas,
    )
    return found


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
            replicas = self._model.look_up_range()
            if replicas is not None:
                self._model.check_range(replicas)
        except (VllmConstructsError, VllmConstructsWarning) as error:
            return [str(error)]
        return []


def pod_selector(model: ModelDeployment) -> kplus.PodSelectorConfig:
    """The model's pods."""
    line = _line(model)
    labels = line.LabelSelector.of(labels=model.selector)
    found: kplus.PodSelectorConfig = line.PodSelectorConfig(label_selector=labels)
    return found


def network_policy_peer(model: ModelDeployment) -> kplus.NetworkPolicyPeerConfig:
    """The model's pods, as a peer of a NetworkPolicy."""
    config = _line(model).NetworkPolicyPeerConfig
    found: kplus.NetworkPolicyPeerConfig = config(pod_selector=pod_selector(model))
    return found
