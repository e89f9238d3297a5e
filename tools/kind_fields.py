"""Makes `vllm_constructs/data/kind-fields.json` from the schemas of Kubernetes and of custom kinds.

Usage: python tools/kind_fields.py FOLDER

FOLDER has the CRDs, as the projects publish them. For each kind the file has its type, and for each
type its fields, in the notation of `deployment-fields.json`, whose types are not repeated. In
addition, `int-or-string` is a number or a string, and `string:A|B` is one of the strings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from deployment_fields import DATA, MINORS, definitions, reachable, short, type_of

BUILT_IN = [
    f"{version} {kind}"
    for version, kinds in {
        "apps/v1": "DaemonSet Deployment ReplicaSet StatefulSet",
        "autoscaling/v1": "HorizontalPodAutoscaler",
        "autoscaling/v2": "HorizontalPodAutoscaler",
        "batch/v1": "CronJob Job",
        "networking.k8s.io/v1": "Ingress IngressClass NetworkPolicy",
        "policy/v1": "PodDisruptionBudget",
        "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "resource.k8s.io/v1": "DeviceClass ResourceClaim ResourceClaimTemplate",
        "scheduling.k8s.io/v1": "PriorityClass",
        "storage.k8s.io/v1": "StorageClass",
        "v1": "ConfigMap LimitRange Namespace PersistentVolume PersistentVolumeClaim Pod "
        "ResourceQuota Secret Service ServiceAccount",
    }.items()
    for kind in kinds.split()
]
# By file, what the CRD is of; its version is named to those whose field it does not know.
CUSTOM = {
    "gateway.networking.k8s.io_gateways": "Gateway API 1.6",
    "gateway.networking.k8s.io_httproutes": "Gateway API 1.6",
    "gateway.networking.k8s.io_referencegrants": "Gateway API 1.6",
    "inference.networking.k8s.io_inferencepools": "Gateway API Inference Extension 1.6",
    "keda.sh_clustertriggerauthentications": "KEDA 2.20",
    "keda.sh_scaledobjects": "KEDA 2.20",
    "keda.sh_triggerauthentications": "KEDA 2.20",
    "leaderworkerset.x-k8s.io_leaderworkersets": "LeaderWorkerSet 0.10",
    "llm-d.ai_inferenceobjectives": "llm-d-router 0.10",
    "monitoring.coreos.com_podmonitors": "Prometheus Operator 0.93",
    "monitoring.coreos.com_prometheusrules": "Prometheus Operator 0.93",
    "monitoring.coreos.com_servicemonitors": "Prometheus Operator 0.93",
}
# Fields of the experimental channel of the Gateway API, which the standard one does not have.
EXPERIMENTAL = {
    "HTTPRoute.spec.rules": ("retry", "sessionPersistence"),
    "HTTPRoute.spec.rules.filters": ("cors", "externalAuth"),
    "HTTPRoute.spec": ("useDefaultGateways",),
    "Gateway.spec": ("backendTLS", "defaultScope", "tls"),
}
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def built_in_type(schema: Mapping[str, Any]) -> str:
    """The type of a field, with numbers that may be strings told from quantities."""
    kind = type_of(dict(schema))
    references = json.dumps(schema)
    return kind.replace("quantity", "int-or-string") if INT_OR_STRING in references else kind


def name_of(types: Mapping[str, Any], api_version: str, kind: str) -> str | None:
    """The definition of a kind; None if a release does not have it."""
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    return next(
        (
            name
            for name, schema in types.items()
            if wanted in schema.get("x-kubernetes-group-version-kind", ())
        ),
        None,
    )


def built_in() -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The built-in kinds, and their types of all releases that a Deployment does not have."""
    kinds: dict[str, str] = {}
    since: dict[tuple[str, str], int] = {}
    newest: dict[str, dict[str, str]] = {}
    for minor in MINORS:
        types = definitions(minor)
        roots = {key: name_of(types, *key.split(" ")) for key in BUILT_IN}
        kinds |= {key: name for key, name in roots.items() if name is not None}
        newest = fields_of(types, kinds.values())
        for name, fields in newest.items():
            for field in fields:
                since.setdefault((name, field), minor)
    known = reachable(definitions(MINORS[-1]))
    names = {name: short(name) for name in known}
    for name in sorted(newest):
        # Types of other groups and versions have the same names.
        is_taken = short(name) in names.values() and name not in names
        names.setdefault(name, ".".join(name.split(".")[-3:]) if is_taken else short(name))
    found: dict[str, dict[str, Any]] = {}
    for name, fields in newest.items():
        if fields and name not in known:
            found[names[name]] = entries = {}
            for field, kind in sorted(fields.items()):
                inner = kind.strip("[]{}")
                own = kind.replace(inner, names.get(inner, inner))
                first = since[name, field]
                entries[field] = own if first == MINORS[0] else [own, first]
    return {key: names[name] for key, name in kinds.items()}, found


def fields_of(types: Mapping[str, Any], roots: Iterable[str]) -> dict[str, dict[str, str]]:
    """The fields of some types, and of the types that they have."""
    found: dict[str, dict[str, str]] = {}
    kinds = set(roots)
    waiting = sorted(kinds)
    while waiting:
        name = waiting.pop()
        if name in found or name not in types:
            continue
        found[name] = {
            field: "any" if field == "status" and name in kinds else built_in_type(schema)
            for field, schema in types[name].get("properties", {}).items()
        }
        waiting += [kind.strip("[]{}") for kind in found[name].values()]
    return found


class Types:
    """The types of a custom kind, named after their paths."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._by_fields: dict[str, str] = {}

    def type(self, path: str, schema: Mapping[str, Any]) -> str:
        """The type of a field."""
        kind, found = schema.get("type", "any"), ""
        if schema.get("x-kubernetes-int-or-string"):
            found = "quantity" if "pattern" in schema else "int-or-string"
        elif kind == "string" and "enum" in schema:
            found = "string:" + "|".join(schema["enum"])
        elif kind == "array":
            found = f"[{self.type(path, schema['items'])}]"
        elif kind == "object":
            found = self._object(path, schema)
        return found or str(kind)

    def _object(self, path: str, schema: Mapping[str, Any]) -> str:
        properties, more = schema.get("properties"), schema.get("additionalProperties")
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return "any"
        if properties:
            # A pod has the fields of Kubernetes, not those of the release that the CRD was made of.
            return "PodSpec" if "initContainers" in properties else self.named(path, properties)
        return f"{{{self.type(path, more)}}}" if isinstance(more, dict) else "any"

    def named(self, path: str, properties: Mapping[str, Any]) -> str:
        """The name of a type with these fields; types with the same fields are one."""
        fields = {
            name: "any" if name == "status" else self.type(f"{path}.{name}", schema)
            for name, schema in sorted(properties.items())
        }
        fields |= dict.fromkeys(EXPERIMENTAL.get(path, ()), "any")
        key = json.dumps(fields, sort_keys=True)
        name = self._by_fields.setdefault(key, path)
        self.found[name] = fields
        return name


def custom(folder: Path) -> Iterator[tuple[str, str, dict[str, dict[str, Any]], str]]:
    """The custom kinds: version and kind, type, types, and what they are of."""
    for file, owner in CUSTOM.items():
        document = yaml.safe_load((folder / f"{file}.yaml").read_text(encoding="utf-8"))
        spec = document["spec"]
        kind, group = spec["names"]["kind"], spec["group"]
        for version in spec["versions"]:
            if not version["served"]:
                continue
            types = Types()
            schema = version["schema"]["openAPIV3Schema"]["properties"]
            root = types.named(kind, {**schema, "metadata": {"type": "any"}})
            types.found[root]["metadata"] = "ObjectMeta"
            yield f"{group}/{version['name']} {kind}", root, types.found, owner


def rendered(folder: Path) -> str:
    """The text of the data file."""
    kinds, found = built_in()
    owners: dict[str, str] = {}
    for key, root, more, owner in custom(folder):
        kinds[key], owners[key.partition("/")[0]] = root, owner
        found |= more
    parts = {
        name: ",\n".join(
            f"{json.dumps(key)}:{json.dumps(one, separators=(',', ':'))}"
            for key, one in sorted(part.items())
        )
        for name, part in (("kinds", kinds), ("owners", owners), ("types", found))
    }
    return "{" + ",\n".join(f'"{name}":{{\n{text}\n}}' for name, text in parts.items()) + "}\n"


if __name__ == "__main__":
    (DATA / "kind-fields.json").write_text(rendered(Path(sys.argv[1])), encoding="utf-8")
