"""StreamingIngress and ModelRoute: how clients outside of the cluster reach a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.kube import names
from vllm_constructs.traffic import ingress, route
from vllm_constructs.traffic.ingress import (
    Backend,
    ClusterIssuer,
    Front,
    GkeIngress,
    IngressController,
    Tls,
    TlsSecret,
)
from vllm_constructs.traffic.route import Gateway

from . import endpoints as front_claims
from .base import Place, Room, place_of
from .deployment import model_of

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


def front_of(models: Sequence[ModelDeployment], max_body: object, tls: object) -> Front:
    """What a front has to do for all of its models."""
    if tls is not None and not isinstance(tls, (ClusterIssuer, TlsSecret)):
        require.wrong("tls", tls, "a ClusterIssuer(...) or TlsSecret(...)")
    return Front(
        longest_answer=max(model.pod.longest_answer for model in models),
        drain=max(model.pod.answers.grace_period for model in models),
        max_body=require.integer("max_body", max_body, 1, 10_240, "MiB"),
        tls=tls,
    )


def check_controller(where: str, controller: object) -> Any:
    """The controller, if it is one."""
    allowed = "one of " + ", ".join(f"{kind.__name__}(...)" for kind in ingress.CONTROLLERS)
    return require.instance(where, controller, ingress.CONTROLLERS, allowed)


def check_namespace(where: str, place: Place, models: Sequence[ModelDeployment]) -> None:
    """Refuse models whose Service the front cannot name: those of other namespaces."""
    for model in models:
        if model.namespace != place.namespace:
            refuse(
                f"{where} is in namespace {place.namespace!r} and {model.name!r} in "
                f"{model.namespace!r}; put both into charts of one namespace."
            )


class StreamingIngress(Room):
    """An Ingress for one model that passes streamed answers on at once.

    Timeouts follow from the model's `longest_answer`, so there is none to give here.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        host: Host name.
        controller: The controller that serves it, whose dialect is used.
        tls: Certificate: `ClusterIssuer(...)` or `TlsSecret(...)`. Default: none.
        path: Path prefix. Default `/v1`, the API: metrics, tokeniser and other endpoints have
            no key in vLLM and stay inside. `/` opens them all; `/qwen/v1` is the API below a
            prefix, at which vLLM then answers (`--root-path`).
        max_body: Size of the largest request in MiB; images in prompts are large. Default 100.
        annotations: More annotations; snippets and derived ones are refused.
        name: Name of the Ingress. Default: the model's.

    Attributes:
        ingress: The Ingress.
        backend_config: GKE's BackendConfig, or None.

    Raises:
        VllmConstructsError: An illegal host, path or annotation, or a front that the
            controller cannot make.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        host: str,
        controller: IngressController,
        tls: Tls | None = None,
        path: str = "/v1",
        max_body: int = 100,
        annotations: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        place = place_of(scope, id)
        model = model_of("StreamingIngress.target", target)
        check_namespace("StreamingIngress", place, [model])
        controller = check_controller("StreamingIngress.controller", controller)
        backend = Backend(
            host=names.host("StreamingIngress.host", host),
            path=ingress.check_path("StreamingIngress.path", path),
            service=model.service_name,
            port=model.pod.port,
        )
        front = front_of([model], max_body, tls)
        body = ingress.manifest(
            name=model.name if name is None else name,
            controller=controller,
            backends=[backend],
            front=front,
            annotations={} if annotations is None else annotations,
        )
        config = None
        if isinstance(controller, GkeIngress):
            config = controller.backend_config(model.service_name, model.pod.port, front)
        prefix = ingress.prefix_of("StreamingIngress.path", backend.path)
        if prefix is not None:
            model.check_prefix(prefix)
        wanted = front_claims.claims(controller, place, [model], [backend])
        front_claims.check(place, controller, wanted)
        place.check_free(body, *([config] if config else []))
        super().__init__(scope, id, place)
        front_claims.keep(place, wanted)
        model.allow(controller.peers())
        if prefix is not None:
            model.serve_under(prefix)
        self.ingress: ApiObject = self._add("Default", body)
        self.backend_config: ApiObject | None = None
        if config is not None:
            self.backend_config = self._add("backend-config", config)
            reference = f'{{"default":"{model.service_name}"}}'
            model.annotate_service("cloud.google.com/backend-config", reference)


class ModelRoute(Room):
    """An HTTPRoute of the Gateway API for one model.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        host: Host name.
        gateway: The Gateway that it hangs on.
        path: Path prefix. Default `/v1`, the API.
        name: Name of the HTTPRoute. Default: the model's.

    Attributes:
        route: The HTTPRoute.
        policies: What the implementation needs beside it.

    Raises:
        VllmConstructsError: An illegal host or path, or a Gateway that is none.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        host: str,
        gateway: Gateway,
        path: str = "/v1",
        name: str | None = None,
    ) -> None:
        place = place_of(scope, id)
        model = model_of("ModelRoute.target", target)
        check_namespace("ModelRoute", place, [model])
        gateway = require.instance("ModelRoute.gateway", gateway, Gateway, "a Gateway(...)")
        backend = Backend(
            host=names.host("ModelRoute.host", host),
            path=ingress.check_path("ModelRoute.path", path),
            service=model.service_name,
            port=model.pod.port,
        )
        own = model.name if name is None else name
        front = front_of([model], 1, None)
        body = route.manifest(name=own, gateway=gateway, backends=[backend], front=front)
        beside = route.policies(
            name=own, gateway=gateway, services=[model.service_name], front=front
        )
        prefix = ingress.prefix_of("ModelRoute.path", backend.path)
        if prefix is not None:
            model.check_prefix(prefix)
        wanted = front_claims.claims(gateway, place, [model], [backend])
        front_claims.check(place, gateway, wanted)
        place.check_free(body, *beside)
        super().__init__(scope, id, place)
        front_claims.keep(place, wanted)
        model.allow(gateway.peers())
        if prefix is not None:
            model.serve_under(prefix)
        self.route: ApiObject = self._add("Default", body)
        self.policies: list[ApiObject] = [
            self._add(f"policy-{i}", manifest) for i, manifest in enumerate(beside)
        ]
