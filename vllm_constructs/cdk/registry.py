"""The registry of an app: names that must be unique, and the settings of its charts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import jsii
from cdk8s import Chart
from constructs import Construct, IValidation

from vllm_constructs import require
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.kubernetes import CONTEXT, Kubernetes
from vllm_constructs.kube.references import namespace_of

CLUSTER_SCOPED = frozenset({"Namespace"})


class _Measured(Protocol):
    is_measured: bool


class _Renders(Protocol):
    def render(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One host and path of a controller or Gateway, and the model behind it."""

    entry: str
    host: str
    path: str
    model: tuple[str | None, str]
    served_name: str


@dataclass
class AppRegistry:
    """The objects, models and endpoints of one app.

    Args:
        objects: The construct that made an object, by kind, namespace and name.
        models: The links of the models of one namespace and served name.
        endpoints: Hosts and paths through which models are reached.
        late: Objects whose bodies are made when the app is rendered.
    """

    objects: dict[tuple[str, str | None, str], str] = field(default_factory=dict)
    models: dict[tuple[str | None, str], list[_Measured]] = field(default_factory=dict)
    endpoints: list[Endpoint] = field(default_factory=list)
    late: list[_Renders] = field(default_factory=list)


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
        if is_known and namespace != self.namespace:
            refuse(
                f"{where} is in namespace {namespace!r}, and this chart is in {self.namespace!r}; "
                "put both into charts of one namespace."
            )

    def key(self, manifest: dict[str, Any]) -> tuple[str, str | None, str]:
        """The identity of an object in a cluster: kind, namespace and name."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        own = None if kind in CLUSTER_SCOPED else metadata.get("namespace", self.namespace)
        return (kind, own, metadata["name"])

    def check_free(self, *manifests: dict[str, Any]) -> None:
        """Reject objects whose kind, namespace and name another construct has already."""
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
_charts: dict[str, ChartContext] = {}
_apps: dict[str, AppRegistry] = {}


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
    try:
        chart = scope if isinstance(scope, Chart) else Chart.of(scope)
        number = chart.__jsii_ref__.ref  # type: ignore[attr-defined]
        if number not in _charts:
            _charts[number] = _ask(chart)
    except RuntimeError as error:
        raise VllmConstructsError(
            f"{id!r} is not inside of a Chart; make one: Chart(app, 'qwen', namespace='llm')."
        ) from error
    return _charts[number]


def _ask(chart: Chart) -> ChartContext:
    node = chart.node
    release = node.try_get_context(CONTEXT)
    root = node.root
    app = root.__jsii_ref__.ref  # type: ignore[attr-defined]
    if app not in _apps:
        _apps[app] = AppRegistry()
        root.node.add_validation(_Rendering(_apps[app]))
    namespace = chart.namespace
    if namespace is not None:
        names.label("the namespace of the chart", namespace)
    return ChartContext(
        namespace=namespace,
        labels=dict(sorted(chart.labels.items())),
        kubernetes=Kubernetes() if release is None else Kubernetes(release),
        app=_apps[app],
    )


@jsii.implements(IValidation)
class _Rendering:
    """Makes the bodies of all objects that constructs may have changed until now.

    cdk8s validates before it renders, and the root first, so one validation is enough for all.
    """

    def __init__(self, app: AppRegistry) -> None:
        self._app = app

    def validate(self) -> list[str]:
        """No problem: what is rendered was checked when it was made."""
        while self._app.late:
            self._app.late[-1].render()
            self._app.late.pop()
        return []
