"""Rules on pods and containers."""

from collections.abc import Iterator
from typing import Any

from .rules_meta import double_problems, exactly_one
from .syntax import (
    dns_label_problems,
    dns_subdomain_problems,
    env_name_problems,
    label_problems,
    label_value_problems,
    port_name_problems,
    port_problems,
    qualified_name_problems,
    quantity,
    twice,
    words,
)
from .walk import Node, rule

_NATIVE_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_FIELD_PATHS = words(
    "metadata.name metadata.namespace metadata.uid spec.nodeName spec.serviceAccountName "
    "status.hostIP status.hostIPs status.podIP status.podIPs",
)
_DEFAULT_GRACE = 30


@rule("PodSpec")
def _pod(node: Node) -> Iterator[str]:
    containers = [*node.get("initContainers", ()), *node.get("containers", ())]
    if not node.get("containers"):
        yield f"{node.at('containers')}: a pod needs a container"
    for name in twice([one.get("name") for one in containers]):
        yield f"{node.at('containers')}: {name!r} stands here twice"
    for field in ("volumes", "imagePullSecrets", "resourceClaims"):
        yield from double_problems(node, field, "name")
    yield from node.say(label_problems(node.get("nodeSelector", {})), "nodeSelector")
    for field in ("serviceAccountName", "priorityClassName", "runtimeClassName", "schedulerName"):
        if field in node.value:
            yield from node.say(dns_subdomain_problems(node.value[field]), field)
    pairs = [
        (one.get("topologyKey"), one.get("whenUnsatisfiable"))
        for one in node.get("topologySpreadConstraints", ())
    ]
    for pair in twice(pairs):
        yield f"{node.at('topologySpreadConstraints')}: {pair} stands here twice"
    if node.get("dnsPolicy") == "None" and not node.get("dnsConfig", {}).get("nameservers"):
        yield f"{node.at('dnsConfig')}: dnsPolicy None needs name servers"


@rule("PodSpec")
def _restart_policy(node: Node) -> Iterator[str]:
    policy = node.get("restartPolicy", "Always")
    workload = ("DeploymentSpec", "ReplicaSetSpec", "StatefulSetSpec", "DaemonSetSpec")
    if node.inside(*workload) and policy != "Always":
        yield f"{node.at('restartPolicy')}: only Always is possible here, not {policy!r}"
    if node.inside("JobSpec") and policy == "Always":
        yield f"{node.at('restartPolicy')}: a Job's pods take OnFailure or Never"


@rule("PodSpec")
def _references(node: Node) -> Iterator[str]:
    volumes = {one.get("name") for one in node.get("volumes", ())}
    owner = node.inside("StatefulSetSpec")
    for template in owner.get("volumeClaimTemplates", ()) if owner else ():
        volumes.add(template.get("metadata", {}).get("name"))
    claims = {one.get("name") for one in node.get("resourceClaims", ())}
    for field in ("initContainers", "containers"):
        for index, container in node.items(field):
            for mounts in ("volumeMounts", "volumeDevices"):
                for number, mount in enumerate(container.get(mounts, ())):
                    if mount.get("name") not in volumes:
                        where = node.at(field, index, mounts, number, "name")
                        yield f"{where}: the pod has no volume {mount.get('name')!r}"
            for claim in container.get("resources", {}).get("claims", ()):
                if claim.get("name") not in claims:
                    where = node.at(field, index, "resources", "claims")
                    yield f"{where}: the pod has no resource claim {claim.get('name')!r}"


@rule("PodSpec")
def _init_containers(node: Node) -> Iterator[str]:
    for index, container in node.items("initContainers"):
        if container.get("restartPolicy") == "Always":
            continue
        for field in {*_PROBES, "lifecycle"}.intersection(container):
            where = node.at("initContainers", index, field)
            yield f"{where}: only an init container that restarts always has this"
    for index, container in node.items("containers"):
        if "restartPolicy" in container:
            where = node.at("containers", index, "restartPolicy")
            yield f"{where}: only init containers have this in every release"


@rule("PodSpec")
def _grace(node: Node) -> Iterator[str]:
    grace = node.get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    for index, container in node.items("containers"):
        for hook, handler in container.get("lifecycle", {}).items():
            seconds = handler.get("sleep", {}).get("seconds", 0) if isinstance(handler, dict) else 0
            if seconds > grace:
                where = node.at("containers", index, "lifecycle", hook, "sleep")
                yield f"{where}: {seconds} s are more than the grace period of {grace} s"


@rule("Container")
def _container(node: Node) -> Iterator[str]:
    yield from node.say(dns_label_problems(node.get("name", "")), "name")
    image = node.get("image", "")
    if not image or any(letter.isspace() for letter in image):
        yield f"{node.at('image')}: {image!r} is not an image"
    for field, key in (("env", "name"), ("volumeMounts", "mountPath"), ("ports", "name")):
        yield from double_problems(node, field, key)
    ports = [
        (one.get("containerPort"), one.get("protocol", "TCP")) for one in node.get("ports", ())
    ]
    for port in twice(ports):
        yield f"{node.at('ports')}: {port} stands here twice"
    named = {one.get("name") for one in node.get("ports", ())}
    handlers = [(name, node.get(name)) for name in _PROBES]
    handlers += [(f"lifecycle.{name}", one) for name, one in node.get("lifecycle", {}).items()]
    for name, handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            port = handler.get(kind, {}).get("port") if isinstance(handler, dict) else None
            if isinstance(port, str) and port not in named:
                yield f"{node.at(name, kind, 'port')}: the container has no port {port!r}"


@rule("Container")
def _probes(node: Node) -> Iterator[str]:
    for name in ("startupProbe", "livenessProbe"):
        if node.get(name, {}).get("successThreshold", 1) != 1:
            yield f"{node.at(name, 'successThreshold')}: must be 1"
    if "terminationGracePeriodSeconds" in node.get("readinessProbe", {}):
        yield f"{node.at('readinessProbe')}: a readiness probe never terminates a container"


@rule("Probe")
def _probe(node: Node) -> Iterator[str]:
    yield from exactly_one(node, *_HANDLERS)


@rule("LifecycleHandler")
def _hook(node: Node) -> Iterator[str]:
    yield from exactly_one(node, "exec", "httpGet", "sleep")


@rule("HTTPGetAction", "TCPSocketAction")
def _probe_port(node: Node) -> Iterator[str]:
    yield from node.say(port_problems(node.get("port", 0)), "port")
    if node.type == "HTTPGetAction" and not node.get("path", "/").startswith("/"):
        yield f"{node.at('path')}: {node.get('path')!r} does not start with /"


@rule("ExecAction")
def _exec(node: Node) -> Iterator[str]:
    if not node.get("command"):
        yield f"{node.at('command')}: a command is needed"


@rule("ContainerPort")
def _container_port(node: Node) -> Iterator[str]:
    for field in ("containerPort", "hostPort"):
        if field in node.value:
            yield from node.say(port_problems(node.value[field], named=False), field)
    if "name" in node.value:
        yield from node.say(port_name_problems(node.value["name"]), "name")


@rule("EnvVar")
def _env(node: Node) -> Iterator[str]:
    yield from node.say(env_name_problems(node.get("name", "")), "name")
    if "value" in node.value and "valueFrom" in node.value:
        yield f"{node.at()}: value and valueFrom exclude each other"


@rule("EnvVarSource")
def _env_source(node: Node) -> Iterator[str]:
    yield from exactly_one(
        node,
        "configMapKeyRef",
        "secretKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "fileKeyRef",
    )


@rule("EnvFromSource")
def _env_from(node: Node) -> Iterator[str]:
    yield from exactly_one(node, "configMapRef", "secretRef")
    if "prefix" in node.value:
        yield from node.say(env_name_problems(node.value["prefix"]), "prefix")


@rule("ObjectFieldSelector")
def _field_path(node: Node) -> Iterator[str]:
    path = node.get("fieldPath", "")
    indexed = path.startswith(("metadata.labels['", "metadata.annotations['"))
    if path not in _FIELD_PATHS and not (indexed and path.endswith("']")):
        yield f"{node.at('fieldPath')}: {path!r} is not a field that a container can read"


@rule("VolumeMount")
def _mount(node: Node) -> Iterator[str]:
    if not node.get("mountPath") or ":" in node.get("mountPath", ""):
        yield f"{node.at('mountPath')}: {node.get('mountPath')!r} is not a mount path"
    for field in ("subPath", "subPathExpr"):
        path = node.get(field, "")
        if path.startswith("/") or ".." in path.split("/"):
            yield f"{node.at(field)}: {path!r} leaves the volume"
    if "subPath" in node.value and "subPathExpr" in node.value:
        yield f"{node.at()}: subPath and subPathExpr exclude each other"


@rule("Volume")
def _volume(node: Node) -> Iterator[str]:
    yield from node.say(dns_label_problems(node.get("name", "")), "name")
    sources = sorted(set(node.value) - {"name"})
    if len(sources) != 1:
        yield f"{node.at()}: exactly one source, not {sources or 'none'}"


@rule("EmptyDirVolumeSource")
def _empty_dir(node: Node) -> Iterator[str]:
    medium = node.get("medium", "")
    if medium not in {"", "Memory", "HugePages"} and not medium.startswith("HugePages-"):
        yield f"{node.at('medium')}: {medium!r} is not one of Memory, HugePages"


@rule("PersistentVolumeClaimVolumeSource")
def _claim(node: Node) -> Iterator[str]:
    yield from node.say(dns_subdomain_problems(node.get("claimName", "")), "claimName")


@rule("ResourceRequirements", "VolumeResourceRequirements")
def _resources(node: Node) -> Iterator[str]:
    limits, requests = _amounts(node, "limits"), _amounts(node, "requests")
    of_pod = node.type == "ResourceRequirements"
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if of_pod:
                yield from node.say(_resource_problems(name, amount), field, name)
            if amount < 0:
                yield f"{node.at(field, name)}: a negative amount"
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and amount > limit:
            yield f"{node.at('requests', name)}: more than the limit"
        if of_pod and name not in _NATIVE_RESOURCES and amount != limit:
            yield f"{node.at('requests', name)}: must be equal to the limit of {name}"


def _amounts(node: Node, field: str) -> dict[str, Any]:
    found = {}
    for name, value in node.get(field, {}).items():
        try:
            found[name] = quantity(value)
        except ValueError:
            # The rule on quantities says it already.
            continue
    return found


def _resource_problems(name: str, amount: Any) -> Iterator[str]:
    if name == "cpu":
        if amount * 1000 % 1:
            yield "finer than 1m"
        return
    # Kubernetes takes 500m of memory, which is half a byte: never what somebody means.
    if amount % 1:
        yield "must be a whole number"
    if name in _NATIVE_RESOURCES or name.startswith("hugepages-"):
        return
    yield from qualified_name_problems(name)
    if "/" not in name:
        yield f"{name!r} is neither a resource of Kubernetes' own nor an extended one"


@rule("Toleration")
def _toleration(node: Node) -> Iterator[str]:
    operator = node.get("operator", "Equal")
    if operator == "Exists" and node.get("value"):
        yield f"{node.at('value')}: Exists takes no value"
    if not node.get("key") and operator != "Exists":
        yield f"{node.at('operator')}: without a key only Exists is possible"
    if "tolerationSeconds" in node.value and node.get("effect") != "NoExecute":
        yield f"{node.at('tolerationSeconds')}: only with the effect NoExecute"
    if node.get("key"):
        yield from node.say(qualified_name_problems(node.value["key"]), "key")
    yield from node.say(label_value_problems(node.get("value", "")), "value")


@rule("TopologySpreadConstraint", "PodAffinityTerm")
def _topology(node: Node) -> Iterator[str]:
    yield from node.say(qualified_name_problems(node.get("topologyKey", "")), "topologyKey")
    if "minDomains" in node.value and node.get("whenUnsatisfiable") != "DoNotSchedule":
        yield f"{node.at('minDomains')}: only with DoNotSchedule"


@rule("NodeSelector")
def _node_selector(node: Node) -> Iterator[str]:
    if not node.get("nodeSelectorTerms"):
        yield f"{node.at('nodeSelectorTerms')}: at least one term is needed"


@rule("SecurityContext")
def _security_context(node: Node) -> Iterator[str]:
    if node.get("allowPrivilegeEscalation") is False:
        added = node.get("capabilities", {}).get("add", ())
        if node.get("privileged") or {"SYS_ADMIN", "CAP_SYS_ADMIN"}.intersection(added):
            yield f"{node.at('allowPrivilegeEscalation')}: impossible for a privileged container"


@rule("SeccompProfile", "AppArmorProfile")
def _profile(node: Node) -> Iterator[str]:
    if (node.get("type") == "Localhost") != bool(node.get("localhostProfile")):
        yield f"{node.at('localhostProfile')}: needed with Localhost, and only there"
