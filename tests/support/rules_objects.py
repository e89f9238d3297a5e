"""Rules on Kubernetes' own kinds, beside pods."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from .rules_meta import double_problems, exactly_one
from .syntax import (
    data_key_problems,
    dns_label_problems,
    dns_subdomain_problems,
    host_problems,
    label_problems,
    path_segment_problems,
    percentage_problems,
    port_problems,
    quantity,
    twice,
)
from .walk import Node, rule

_OBJECT_LIMIT = 1024 * 1024
_METRIC_FIELDS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGET_FIELDS = {
    "AverageValue": "averageValue",
    "Utilization": "averageUtilization",
    "Value": "value",
}
_SECRET_KEYS = {
    "kubernetes.io/basic-auth": ("password",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector picks an object with these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", ()):
        has, values = one["key"] in labels, one.get("values", ())
        held = {
            "DoesNotExist": not has,
            "Exists": has,
            "In": has and labels.get(one["key"]) in values,
            "NotIn": labels.get(one["key"]) not in values,
        }
        if not held.get(one["operator"], False):
            return False
    return True


@rule("DeploymentSpec", "ReplicaSetSpec", "StatefulSetSpec", "DaemonSetSpec")
def _workload(node: Node) -> Iterator[str]:
    selector = node.get("selector", {})
    labels = node.get("template", {}).get("metadata", {}).get("labels", {})
    if not any(selector.values()):
        yield f"{node.at('selector')}: an empty selector"
    elif not selects(selector, labels):
        yield f"{node.at('selector')}: does not select the template's labels {labels}"


@rule("DeploymentSpec")
def _deadline(node: Node) -> Iterator[str]:
    deadline, ready = node.get("progressDeadlineSeconds", 600), node.get("minReadySeconds", 0)
    if deadline <= ready:
        yield f"{node.at('progressDeadlineSeconds')}: {deadline} is not above minReadySeconds"


@rule("DeploymentStrategy")
def _strategy(node: Node) -> Iterator[str]:
    if node.get("type") == "Recreate" and "rollingUpdate" in node.value:
        yield f"{node.at('rollingUpdate')}: not with Recreate"


@rule("RollingUpdateDeployment", "RollingUpdateStatefulSetStrategy", "RollingUpdateDaemonSet")
def _rolling_update(node: Node) -> Iterator[str]:
    for field in ("maxSurge", "maxUnavailable"):
        if field in node.value:
            yield from node.say(percentage_problems(node.value[field]), field)
    if {str(node.get(field)) for field in ("maxSurge", "maxUnavailable")} <= {"0", "0%"}:
        yield f"{node.at()}: maxSurge and maxUnavailable can not both be 0"


@rule("JobSpec")
def _job(node: Node) -> Iterator[str]:
    if "selector" in node.value and not node.get("manualSelector"):
        yield f"{node.at('selector')}: the API server makes it"


@rule("PodDisruptionBudgetSpec")
def _budget(node: Node) -> Iterator[str]:
    yield from exactly_one(node, "minAvailable", "maxUnavailable")
    for field in ("minAvailable", "maxUnavailable"):
        if field in node.value:
            yield from node.say(percentage_problems(node.value[field]), field)
    if not any(node.get("selector", {}).values()):
        yield f"{node.at('selector')}: an empty selector holds every pod of the namespace"


@rule("HorizontalPodAutoscalerSpec")
def _autoscaler(node: Node) -> Iterator[str]:
    low, high = node.get("minReplicas", 1), node.get("maxReplicas", 1)
    if low > high:
        yield f"{node.at('minReplicas')}: {low} is above maxReplicas {high}"


@rule("HPAScalingRules")
def _scaling_rules(node: Node) -> Iterator[str]:
    if node.get("policies") == []:
        yield f"{node.at('policies')}: at least one policy is needed"


@rule("MetricSpec")
def _metric(node: Node) -> Iterator[str]:
    field = _METRIC_FIELDS.get(node.get("type"), "")
    if set(node.value) - {"type"} != {field}:
        yield f"{node.at()}: type {node.get('type')!r} takes exactly the field {field!r}"
        return
    target = node.value[field].get("target", {}).get("type")
    if node.value["type"] == "Pods" and target != "AverageValue":
        yield f"{node.at(field, 'target', 'type')}: Pods metrics take only AverageValue"
    if node.value["type"] not in {"Resource", "ContainerResource"} and target == "Utilization":
        yield f"{node.at(field, 'target', 'type')}: only resources have a utilization"


@rule("MetricTarget")
def _metric_target(node: Node) -> Iterator[str]:
    field = _TARGET_FIELDS.get(node.get("type"), "")
    if set(node.value) - {"type"} != {field}:
        yield f"{node.at()}: type {node.get('type')!r} takes exactly the field {field!r}"
    for name in ("averageValue", "value"):
        try:
            if name in node.value and quantity(node.value[name]) <= 0:
                yield f"{node.at(name)}: must be above 0"
        except ValueError:
            # The rule on quantities says it already.
            continue


@rule("MetricIdentifier")
def _metric_name(node: Node) -> Iterator[str]:
    yield from node.say(path_segment_problems(node.get("name", "")), "name")


@rule("ServiceSpec")
def _service(node: Node) -> Iterator[str]:
    ports = node.get("ports", [])
    yield from node.say(label_problems(node.get("selector", {})), "selector")
    if node.get("type") == "ExternalName":
        yield from node.say(dns_subdomain_problems(node.get("externalName", "")), "externalName")
    elif not ports and node.get("clusterIP") != "None":
        yield f"{node.at('ports')}: a Service needs a port"
    if len(ports) > 1 and any("name" not in port for port in ports):
        yield f"{node.at('ports')}: several ports need names"
    yield from double_problems(node, "ports", "name")
    for pair in twice([(one.get("port"), one.get("protocol", "TCP")) for one in ports]):
        yield f"{node.at('ports')}: {pair} stands here twice"
    opens_nodes = node.get("type") in {"NodePort", "LoadBalancer"}
    if not opens_nodes and any("nodePort" in port for port in ports):
        yield f"{node.at('ports')}: nodePort only with NodePort or LoadBalancer"


@rule("ServicePort")
def _service_port(node: Node) -> Iterator[str]:
    for field, named in (("port", False), ("nodePort", False), ("targetPort", True)):
        if field in node.value:
            yield from node.say(port_problems(node.value[field], named=named), field)
    if "name" in node.value:
        yield from node.say(dns_label_problems(node.value["name"]), "name")


@rule("IngressSpec")
def _ingress(node: Node) -> Iterator[str]:
    if not node.get("rules") and "defaultBackend" not in node.value:
        yield f"{node.at()}: an Ingress needs rules or a default backend"
    for index, one in node.items("rules"):
        if "host" in one:
            yield from node.say(host_problems(one["host"]), "rules", index, "host")
    for index, one in node.items("tls"):
        for host in one.get("hosts", ()):
            yield from node.say(host_problems(host), "tls", index, "hosts")
        if "secretName" in one:
            yield from node.say(dns_subdomain_problems(one["secretName"]), "tls", index)


@rule("HTTPIngressRuleValue")
def _ingress_paths(node: Node) -> Iterator[str]:
    if not node.get("paths"):
        yield f"{node.at('paths')}: at least one path is needed"


@rule("HTTPIngressPath")
def _ingress_path(node: Node) -> Iterator[str]:
    path = node.get("path", "")
    if node.get("pathType") == "ImplementationSpecific":
        if path and not path.startswith("/"):
            yield f"{node.at('path')}: {path!r} does not start with /"
        return
    if not path.startswith("/"):
        yield f"{node.at('path')}: {path!r} does not start with /"
    for part in ("//", "/./", "/../", "%2f", "%2F"):
        if part in path:
            yield f"{node.at('path')}: {part!r} must not stand in {path!r}"
    if path.endswith(("/.", "/..")):
        yield f"{node.at('path')}: {path!r} ends in dots"


@rule("IngressBackend")
def _ingress_backend(node: Node) -> Iterator[str]:
    yield from exactly_one(node, "service", "resource")


@rule("IngressServiceBackend")
def _ingress_service(node: Node) -> Iterator[str]:
    yield from node.say(dns_subdomain_problems(node.get("name", "")), "name")
    if "port" not in node.value:
        yield f"{node.at('port')}: a Service backend needs a port"


@rule("ServiceBackendPort")
def _backend_port(node: Node) -> Iterator[str]:
    yield from exactly_one(node, "name", "number")
    if "name" in node.value:
        yield from node.say(port_problems(node.value["name"]), "name")
    if "number" in node.value:
        yield from node.say(port_problems(node.value["number"], named=False), "number")


@rule("NetworkPolicyPort")
def _policy_port(node: Node) -> Iterator[str]:
    port, end = node.get("port"), node.get("endPort")
    if port is not None:
        yield from node.say(port_problems(port), "port")
    if end is not None and not (isinstance(port, int) and port <= end):
        yield f"{node.at('endPort')}: {end} needs a number below it as port"


@rule("NetworkPolicyPeer")
def _policy_peer(node: Node) -> Iterator[str]:
    if not node.value:
        yield f"{node.at()}: an empty peer"
    if "ipBlock" in node.value and len(node.value) > 1:
        yield f"{node.at('ipBlock')}: excludes selectors"


@rule("IPBlock")
def _ip_block(node: Node) -> Iterator[str]:
    try:
        whole = ip_network(node.get("cidr", ""))
        parts = [ip_network(one) for one in node.get("except", ())]
    except ValueError as error:
        yield f"{node.at()}: {error}"
        return
    for part in parts:
        if part.version != whole.version or not part.subnet_of(whole):  # type: ignore[arg-type]
            yield f"{node.at('except')}: {part} is not inside {whole}"


@rule("PersistentVolumeClaimSpec")
def _claim(node: Node) -> Iterator[str]:
    modes = node.get("accessModes", [])
    if not modes:
        yield f"{node.at('accessModes')}: at least one mode is needed"
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield f"{node.at('accessModes')}: ReadWriteOncePod excludes other modes"
    if node.get("storageClassName"):
        yield from node.say(dns_subdomain_problems(node.value["storageClassName"]))
    size = node.get("resources", {}).get("requests", {}).get("storage")
    if size is None:
        yield f"{node.at('resources')}: a claim needs requests.storage"
        return
    try:
        if quantity(size) <= 0:
            yield f"{node.at('resources')}: requests.storage must be above 0"
    except ValueError:
        # The rule on quantities says it already.
        return


def _data_problems(node: Node, fields: tuple[str, str]) -> Iterator[str]:
    size = 0
    for field in fields:
        for key, value in node.get(field, {}).items():
            yield from node.say(data_key_problems(key), field)
            size += len(value.encode())
    if size > _OBJECT_LIMIT:
        yield f"{node.at(fields[0])}: {size} bytes are more than {_OBJECT_LIMIT}"


@rule("ConfigMap")
def _config_map(node: Node) -> Iterator[str]:
    yield from _data_problems(node, ("data", "binaryData"))
    for key in set(node.get("data", {})).intersection(node.get("binaryData", {})):
        yield f"data: {key!r} stands in binaryData too"


@rule("Secret")
def _secret(node: Node) -> Iterator[str]:
    yield from _data_problems(node, ("data", "stringData"))
    keys = {*node.get("data", {}), *node.get("stringData", {})}
    for key in _SECRET_KEYS.get(node.get("type", "Opaque"), ()):
        if key not in keys:
            yield f"data: a Secret of type {node.get('type')} needs {key!r}"
