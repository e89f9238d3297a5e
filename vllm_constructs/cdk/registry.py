"""The registry of an app: names that must be unique, and the settings of its charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from constructs import Construct

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.kubernetes import CONTEXT, Kubernetes
from vllm_constructs.kube.pod_security_standards import Level
from vllm_constructs.kube.references import namespace_of

from . import checked_synth, tree

CLUSTER_SCOPED = frozenset({"Namespace"})

Key = tuple[str, str | None, str]


class _Model(Protocol):
    @property
    def is_measured(self) -> bool: ...

    @property
    def most(self) -> int: ...

    @property
    def resource_claim(self) -> str | None: ...

    def check_level(self, level: Level) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One host and path of a controller or Gateway, and the model behind it."""

    entry: str
    host: str
    path: str
    model: tuple[str | None, str]
    served_name: str


@dataclass(frozen=True)
class Mark:
    """How much an app had at some time."""

    objects: int
    models: int
    endpoints: int
    adapted: int


class AppRegistry:
    """The objects, models and endpoints of one app, and how to find each at once."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, str]] = []
        """Paths of constructs, and the ids of rules whose findings are accepted there."""
        self.overlaid: list[Construct] = []
        """Models with an overlay of the user."""
        self.kubernetes: Kubernetes | None = None
        """The oldest target of its charts; None without charts."""
        self.prometheus: str | None = None
        """Namespace of the Prometheus from which HPAs get vLLM's metrics."""
        self.adapted: list[Any] = []
        """The links of the models whose metrics an HPA reads."""
        self.levels: dict[str | None, Level] = {}
        """Pod Security levels of the app's namespaces."""
        self._makers: dict[Key, str] = {}
        self._models: list[tuple[tuple[str | None, str], _Model]] = []
        self._endpoints: list[Endpoint] = []
        self._models_of: dict[tuple[str | None, str], list[_Model]] = {}
        self._endpoints_of: dict[tuple[str, str], list[Endpoint]] = {}

    def check_levels(self, namespace: str, level: Level) -> None:
        """Reject a Namespace whose level does not admit a model.

        Args:
            namespace: The namespace.
            level: Its level.

        Raises:
            VllmConstructsError: A model needs another level.
        """
        for (where, _), model in self._models:
            if where == namespace:
                model.check_level(level)

    def claim(self, keys: Iterable[Key], maker: str) -> None:
        """Note which construct has made objects."""
        self._makers.update(dict.fromkeys(keys, maker))

    def maker(self, key: Key) -> str | None:
        """The construct that has made an object, or None."""
        return self._makers.get(key)

    def add_model(self, namespace: str | None, served_name: str, model: _Model) -> None:
        """Note a model."""
        key = (namespace, served_name)
        self._models.append((key, model))
        self._models_of.setdefault(key, []).append(model)

    def models(self, namespace: str | None, served_name: str) -> Sequence[_Model]:
        """The models of one namespace and served name."""
        return self._models_of.get((namespace, served_name), ())

    def of_claim(self, namespace: str | None, claim: str) -> list[_Model]:
        """The models of one namespace that use an existing ResourceClaim."""
        return [
            model
            for (space, _), model in self._models
            if space == namespace and model.resource_claim == claim
        ]

    def add_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """Note hosts and paths through which models are reached."""
        for endpoint in endpoints:
            self._endpoints.append(endpoint)
            self._endpoints_of.setdefault((endpoint.entry, endpoint.host), []).append(endpoint)

    def endpoints(self, entry: str, host: str) -> Sequence[Endpoint]:
        """The endpoints of one host of a controller or Gateway."""
        return self._endpoints_of.get((entry, host), ())

    def mark(self) -> Mark:
        """How much there is now, for `undo`."""
        return Mark(len(self._makers), len(self._models), len(self._endpoints), len(self.adapted))

    def undo(self, mark: Mark) -> None:
        """Forget what came after a mark."""
        del self.adapted[mark.adapted :]
        while len(self._makers) > mark.objects:
            self._makers.popitem()
        while len(self._models) > mark.models:
            self._models_of[self._models.pop()[0]].pop()
        while len(self._endpoints) > mark.endpoints:
            endpoint = self._endpoints.pop()
            self._endpoints_of[endpoint.entry, endpoint.host].pop()


@dataclass(frozen=True)
class ChartContext:
    """The settings of a chart, which are read from Node once per chart."""

    namespace: str | None
    labels: dict[str, str]
    kubernetes: Kubernetes
    app: AppRegistry

    def need_namespace(self, what: str) -> str:
        """The namespace; a chart without one is rejected."""
        if self.namespace is None:
            refuse(
                f"{what} needs the namespace, and the chart has none; "
                "give it: Chart(app, id, namespace='llm')."
            )
        return self.namespace

    def check_reference(self, where: str, value: object) -> None:
        """Reject an object of another namespace or app, which pods and routes cannot refer to.

        Args:
            where: Name of the option, for the sentence.
            value: An object or reference; the namespace of a plain name is not known.
        """
        other = getattr(value, "_context", None)
        if isinstance(other, ChartContext) and other.app is not self.app:
            refuse(f"{where} is in another app; put both into one app.")
        namespace = other.namespace if isinstance(other, ChartContext) else namespace_of(value)
        is_known = isinstance(other, ChartContext) or namespace is not None
        if is_known and namespace is not None and self.namespace is None:
            refuse(
                f"{where} is in namespace {namespace!r}, and this chart has none; give it: "
                f"Chart(app, id, namespace={namespace!r})."
            )
        if is_known and namespace != self.namespace:
            refuse(
                f"{where} is in namespace {namespace!r}, and this chart is in {self.namespace!r}; "
                "put both into charts of one namespace."
            )

    def key(self, manifest: Mapping[str, Any]) -> Key:
        """The identity of an object in a cluster: kind, namespace and name."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        own = None if kind in CLUSTER_SCOPED else metadata.get("namespace", self.namespace)
        return (kind, own, metadata["name"])

    def check_free(self, *manifests: Mapping[str, Any]) -> list[Key]:
        """Reject objects whose kind, namespace and name another construct has already.

        Returns:
            The identities of the objects.
        """
        keys = [self.key(manifest) for manifest in manifests]
        for key in keys:
            maker = self.app.maker(key)
            if maker is not None:
                kind, namespace, name = key
                where = f" in namespace {namespace!r}" if namespace else ""
                option = "service_name" if kind == "Service" else "name"
                refuse(
                    f"{kind} {name!r}{where} is made twice, first by {maker}, and one would "
                    f"overwrite the other; give one of them another {option}=."
                )
        return keys

    @staticmethod
    def in_namespace(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The manifest, which says so if its object is in no namespace."""
        if manifest["kind"] not in CLUSTER_SCOPED:
            return manifest
        return {**manifest, "metadata": {**manifest["metadata"], "namespace": None}}


# By jsii's number of a scope, and by the number of a chart or app.
_contexts: dict[str, ChartContext] = {}
_charts: dict[int, ChartContext] = {}
_apps: dict[int, AppRegistry] = {}


def app_registry(scope: Construct) -> AppRegistry:
    """The registry of the app that a construct belongs to.

    Args:
        scope: The app, a chart or a construct.
    """
    root = cast("Construct", scope.node.root)
    number = tree.number(root)
    if number not in _apps:
        _apps[number] = AppRegistry()
        checked_synth.install(root, _apps[number])
    return _apps[number]


def chart_context(scope: object, id: object) -> ChartContext:
    """The context of the chart that a new construct belongs to.

    Args:
        scope: The construct's scope.
        id: Its id in the scope.

    Raises:
        VllmConstructsError: The scope is not in a Chart, or the id is not a string.
    """
    if not isinstance(scope, Construct):
        require.wrong("scope", scope, "a Chart, or a construct in one")
    require.text("id", id)
    number: str = scope.__jsii_ref__.ref  # type: ignore[attr-defined]
    if number not in _contexts:
        try:
            chart = tree.chart(scope, CONTEXT)
        except RuntimeError:
            raise VllmConstructsError(
                f"{id!r} is not inside of a Chart; make one: Chart(app, 'qwen', namespace='llm')."
            ) from None
        if chart["number"] not in _charts:
            if chart["app"] not in _apps:
                app_registry(scope)
            _charts[chart["number"]] = _context(chart)
        _contexts[number] = _charts[chart["number"]]
    return _contexts[number]


def _context(chart: dict[str, Any]) -> ChartContext:
    namespace, release = chart.get("namespace"), chart.get("context")
    if namespace is not None:
        names.label("the namespace of the chart", namespace)
    kubernetes = Kubernetes() if release is None else Kubernetes(release)
    app = _apps[chart["app"]]
    app.kubernetes = min(app.kubernetes or kubernetes, kubernetes, key=lambda one: one.minor)
    return ChartContext(
        namespace=namespace,
        labels=dict(sorted(chart["labels"].items())),
        kubernetes=kubernetes,
        app=app,
    )
