"""Pod templates of all kinds of objects that run pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from .fields import items, mapping
from .lazy import lazy
from .manifest import Manifest, Path

Role: TypeAlias = Literal["", "leader", "worker", "both"]

_Templates: TypeAlias = "tuple[tuple[Role, Path], ...]"
_TEMPLATE: _Templates = (("", ("spec", "template")),)
_POD: _Templates = (("", ()),)
_GROUP: _Templates = (
    ("leader", ("spec", "leaderWorkerTemplate", "leaderTemplate")),
    ("worker", ("spec", "leaderWorkerTemplate", "workerTemplate")),
)
# By API group and kind, the paths of the pod templates.
_WHOLE: dict[tuple[str, str], _Templates] = {
    ("", "Pod"): _POD,
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("argoproj.io", "Rollout"): _TEMPLATE,
    ("batch", "CronJob"): (("", ("spec", "jobTemplate", "spec", "template")),),
    ("batch", "Job"): _TEMPLATE,
    ("extensions", "Deployment"): _TEMPLATE,
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): _GROUP,
}
# Kinds of operators that complete what is there, by the paths of the pods' specs.
_PARTIAL: dict[tuple[str, str], tuple[Path, ...]] = {
    ("serving.kserve.io", "ServingRuntime"): (("spec",),),
    ("serving.kserve.io", "ClusterServingRuntime"): (("spec",),),
    ("serving.kserve.io", "InferenceService"): (("spec", "predictor"),),
    ("serving.kserve.io", "LLMInferenceService"): (
        ("spec", "template"),
        ("spec", "worker"),
        ("spec", "prefill", "template"),
        ("spec", "prefill", "worker"),
    ),
}
# Lists of roles, each with pod templates of its own.
_ROLES: dict[tuple[str, str], tuple[Path, _Templates]] = {
    ("disaggregatedset.x-k8s.io", "DisaggregatedSet"): (("spec", "roles"), _GROUP),
    ("orchestration.aibrix.ai", "RoleSet"): (("spec", "roles"), (("", ("template",)),)),
    ("orchestration.aibrix.ai", "StormService"): (
        ("spec", "template", "spec", "roles"),
        (("", ("template",)),),
    ),
    ("workload.serving.volcano.sh", "ModelServing"): (
        ("spec", "template", "roles"),
        (("", ("entryTemplate",)),),
    ),
}


class Pod:
    """One pod template, or a pod of its own.

    Attributes:
        manifest: The object that has it.
        path: The fields that lead to the pod's `spec`.
        spec: The `spec` of the pod.
        metadata: The `metadata` of the pod.
        metadata_path: The fields that lead to it.
        role: What the pods are in a group of several: leader, worker, or both by one template;
            empty for pods that are no group.
        is_patch: Whether the object is only a part, such as a patch of Kustomize.
        is_whole: Whether all of the pod is here; otherwise an operator or a patched object
            completes it, and what is missing says nothing.
    """

    def __init__(
        self, manifest: Manifest, template: Path, role: Role = "", *, is_whole: bool = True
    ) -> None:
        """Read a template.

        Args:
            manifest: The object that has it.
            template: The fields that lead to it; to the pod's `spec` if it is not whole.
            role: What the pods are in a group. Default: there is no group.
            is_whole: Whether all of the pod is here. Default: True.
        """
        self.manifest = manifest
        self.role = role
        self.is_patch = manifest.is_patch
        self.is_whole = is_whole and not self.is_patch
        self.path: Path = (*template, "spec") if is_whole else template
        self.metadata_path: Path = (*template, "metadata")
        self.spec = mapping(manifest.at(*self.path))
        self.metadata = mapping(manifest.at(*self.metadata_path)) if is_whole else {}

    @property
    def namespace(self) -> str:
        """The namespace of the pods; empty if it is not given."""
        return self.manifest.namespace

    @lazy
    def labels(self) -> dict[str, Any]:
        """The labels of the pods; a set of groups adds its own."""
        own = mapping(self.metadata.get("labels"))
        if not self.role:
            return own
        prefix = "leaderworkerset.sigs.k8s.io"
        added = {f"{prefix}/name": self.manifest.name}
        if self.role == "leader":
            added |= {f"{prefix}/worker-index": "0", "role": own.get("role", "leader")}
        return {**own, **added}

    @lazy
    def group_size(self) -> int | None:
        """The pods of a group; None if they are no group, or the manifest does not say."""
        if not self.role:
            return None
        template = self.path[: self.path.index("leaderWorkerTemplate") + 1]
        size = mapping(self.manifest.at(*template)).get("size", 1)
        return size if isinstance(size, int) and not isinstance(size, bool) else None

    @lazy
    def group_variables(self) -> dict[str, str]:
        """The variables that a set of groups adds to all containers, as far as they are known."""
        found = {} if self.group_size is None else {"LWS_GROUP_SIZE": str(self.group_size)}
        return found | ({"LWS_WORKER_INDEX": "0"} if self.role == "leader" else {})

    @lazy
    def annotations(self) -> dict[str, Any]:
        """The annotations of the pods."""
        return mapping(self.metadata.get("annotations"))

    @lazy
    def containers(self) -> list[tuple[Path, dict[str, Any]]]:
        """The containers that run side by side, each with its path, sidecars included."""
        sidecars = [
            (path, one)
            for path, one in self.manifest.each(*self.path, "initContainers")
            if one.get("restartPolicy") == "Always"
        ]
        return [*self.manifest.each(*self.path, "containers"), *sidecars]

    @lazy
    def all_containers(self) -> list[tuple[Path, dict[str, Any]]]:
        """All containers, each with its path, init containers included."""
        return [
            *self.manifest.each(*self.path, "containers"),
            *self.manifest.each(*self.path, "initContainers"),
        ]

    @lazy
    def volumes(self) -> dict[str, tuple[Path, dict[str, Any]]]:
        """The volumes by name, each with its path."""
        return {
            str(one.get("name")): (path, one)
            for path, one in self.manifest.each(*self.path, "volumes")
        }

    @lazy
    def ports(self) -> dict[str, int]:
        """The numbers of the named ports of its containers."""
        return {
            str(port["name"]): port["containerPort"]
            for _, container in self.containers
            for port in map(mapping, items(container.get("ports")))
            if port.get("name") and isinstance(port.get("containerPort"), int)
        }

    def security(self, container: Mapping[str, Any], field: str) -> Any:
        """A field of a container's security context, or else of the pod's.

        Args:
            container: One of its containers.
            field: Name of the field.
        """
        own = mapping(container, "securityContext")
        return own[field] if field in own else mapping(self.spec, "securityContext").get(field)

    def __repr__(self) -> str:
        return f"<pods of {self.manifest.title}>"


def pods_of(manifest: Manifest) -> Iterator[Pod]:
    """The pod templates of an object; none if it runs no pods.

    Args:
        manifest: The object.
    """
    key = (manifest.group, manifest.kind)
    if key in _WHOLE:
        yield from _templates(manifest, (), _WHOLE[key])
    elif key in _PARTIAL:
        for path in _PARTIAL[key]:
            if mapping(manifest.at(*path)).get("containers"):
                yield Pod(manifest, path, is_whole=False)
    elif key in _ROLES:
        roles, templates = _ROLES[key]
        for path, role in manifest.each(*roles):
            # An engine over pods of two templates is one that only its operator understands.
            if not role.get("workerReplicas"):
                yield from _templates(manifest, path, templates)


def _templates(manifest: Manifest, before: Path, templates: _Templates) -> Iterator[Pod]:
    paths: list[tuple[Role, Path]] = [
        (role, (*before, *path))
        for role, path in templates
        if isinstance(manifest.at(*before, *path), dict)
    ]
    for role, path in paths:
        # Without a template of its own, the leader has that of the workers.
        is_both = role == "worker" and len(paths) == 1
        yield Pod(manifest, path, "both" if is_both else role)
