"""What all constructs share: their place in the app, and how a manifest gets into the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cdk8s import ApiObject, ApiObjectMetadata, Chart, JsonPatch
from constructs import Construct

from vllm_constructs import require
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.kube.kubernetes import CONTEXT, Kubernetes

_CLUSTER_SCOPED = frozenset({"Namespace"})
_TOP = ("apiVersion", "kind", "metadata")


@dataclass
class _App:
    """What is known of one app, to see what must be unique in it."""

    objects: dict[tuple[str, str | None, str], str] = field(default_factory=dict)
    models: dict[tuple[str | None, str], list[Any]] = field(default_factory=dict)
    fronts: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a construct stands: facts of its chart, asked of Node once per chart."""

    namespace: str | None
    labels: dict[str, str]
    kubernetes: Kubernetes
    app: _App

    def need_namespace(self, what: str) -> str:
        """The namespace; refused where the chart has none."""
        if self.namespace is None:
            refuse(
                f"{what} needs the namespace, and the chart has none; "
                "give it: Chart(app, id, namespace='llm')."
            )
        return self.namespace

    def key(self, manifest: dict[str, Any]) -> tuple[str, str | None, str]:
        """What is unique of an object in a cluster."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        own = None if kind in _CLUSTER_SCOPED else metadata.get("namespace", self.namespace)
        return (kind, own, metadata["name"])

    def check_free(self, *manifests: dict[str, Any]) -> None:
        """Refuse objects whose kind, namespace and name another construct has already."""
        for manifest in manifests:
            kind, namespace, name = key = self.key(manifest)
            if key in self.app.objects:
                where = f" in namespace {namespace!r}" if namespace else ""
                refuse(
                    f"{kind} {name!r}{where} is made twice, first by {self.app.objects[key]}, and "
                    "one would overwrite the other; give one of them another name=."
                )


# Keyed by jsii's number of the object: a chart that came back from JavaScript is another Python
# object each time.
_places: dict[str, Place] = {}
_apps: dict[str, _App] = {}


def place_of(scope: object, id: object) -> Place:
    """The place of a construct to be; refuses what is no scope or id."""
    if not isinstance(scope, Construct):
        require.wrong("scope", scope, "a Chart, or a construct in one")
    require.text("id", id, "a text that is not empty")
    try:
        chart = scope if isinstance(scope, Chart) else Chart.of(scope)
        number = chart.__jsii_ref__.ref  # type: ignore[attr-defined]
        if number not in _places:
            _places[number] = _ask(chart)
    except RuntimeError as error:
        raise VllmConstructsError(
            f"{id!r} is not inside of a Chart; make one: Chart(app, 'qwen', namespace='llm')."
        ) from error
    return _places[number]


def _ask(chart: Chart) -> Place:
    node = chart.node
    release = node.try_get_context(CONTEXT)
    app = node.root.__jsii_ref__.ref  # type: ignore[attr-defined]
    return Place(
        namespace=chart.namespace,
        labels=dict(sorted(chart.labels.items())),
        kubernetes=Kubernetes() if release is None else Kubernetes(release),
        app=_apps.setdefault(app, _App()),
    )


class Room(Construct):
    """A construct of this library: its arguments are checked before it gets into the tree."""

    def __init__(self, scope: Construct, id: str, place: Place) -> None:
        self._place = place
        self._id = id
        try:
            super().__init__(scope, id)
        except RuntimeError as error:
            raise VllmConstructsError(
                f"{type(self).__name__} {id!r} cannot be added: the scope has a construct of that "
                "id already; give each its own id."
            ) from error

    @contextmanager
    def _all_or_nothing(self, scope: Construct) -> Iterator[None]:
        """Take this construct out of the tree again where one of its parts is refused."""
        app = self._place.app
        objects, models = dict(app.objects), {key: [*found] for key, found in app.models.items()}
        fronts = [*app.fronts]
        try:
            yield
        except Exception:
            app.objects, app.models, app.fronts = objects, models, fronts
            scope.node.try_remove_child(self.node.id)
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id!r}>"

    def _add(self, id: str, manifest: dict[str, Any]) -> ApiObject:
        """Put one manifest into the tree.

        A plain ApiObject with its body as one patch: a user's own patches are exact on it, and
        nothing is lost that an older schema does not know.
        """
        self._place.check_free(manifest)
        self._place.app.objects[self._place.key(manifest)] = repr(self)
        metadata = manifest["metadata"]
        kind = manifest["kind"]
        found = ApiObject(
            self,
            id,
            api_version=manifest["apiVersion"],
            kind=kind,
            metadata=ApiObjectMetadata(
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                labels=metadata.get("labels") or None,
                annotations=metadata.get("annotations") or None,
            ),
        )
        patches = [
            JsonPatch.add(f"/{key}", value) for key, value in manifest.items() if key not in _TOP
        ]
        if kind in _CLUSTER_SCOPED and self._place.namespace is not None:
            patches.append(JsonPatch.remove("/metadata/namespace"))
        if patches:
            found.add_json_patch(*patches)
        return found
