"""StreamingIngress: how clients outside of the cluster reach a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, warn
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.traffic import ingress
from vllm_constructs.traffic.controllers import (
    CONTROLLERS,
    AwsAlb,
    GkeIngress,
    IngressController,
    ProxySettings,
)
from vllm_constructs.traffic.tls import ClusterIssuerRef, Tls, TlsSecret

from .base import VllmConstruct
from .endpoints import check_endpoints, endpoints_of
from .links import ModelLinks, links_of
from .registry import ChartContext, chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


def proxy_settings(
    models: Sequence[ModelLinks], max_body: object, tls: object, context: ChartContext
) -> ProxySettings:
    """The settings of a proxy, which suffice for all of its models."""
    if tls is not None and not isinstance(tls, (ClusterIssuerRef, TlsSecret)):
        require.wrong("tls", tls, "a ClusterIssuerRef(...) or TlsSecret(...)")
    context.check_reference("tls", tls)
    return ProxySettings(
        response_timeout=max(model.pod.response_timeout for model in models),
        drain=max(model.pod.drain_time.grace_period for model in models),
        max_body=require.integer("max_body", max_body, 1, 10_240, "MiB"),
        tls=tls,
    )


def warn_of_clear_keys(
    where: str, models: Sequence[ModelLinks], tls: object, controller: object
) -> None:
    """Warn about API keys that clients send without TLS.

    Args:
        where: Name of the construct.
        models: The models that it serves.
        tls: The certificate, if there is one.
        controller: The controller. An ALB finds a certificate by the host name.
    """
    named = [links.workload.name for links in models if links.pod.api_key is not None]
    if named and tls is None and not isinstance(controller, AwsAlb):
        warn(
            Problem(
                where=f"{where}.tls",
                text=f"is missing, so clients send the API key of {escaped(repr(named[0]))} in "
                "clear",
                advice="give {tls=ClusterIssuerRef(...)} or {tls=TlsSecret(...)}",
            )
        )


def service_annotations(controller: object, service: str) -> dict[str, str]:
    """What a controller needs on the Service: GKE's finds its BackendConfig there."""
    if not isinstance(controller, GkeIngress):
        return {}
    return {"cloud.google.com/backend-config": f'{{"default":"{service}"}}'}


def check_controller(where: str, controller: object) -> Any:
    """The controller; other values are rejected."""
    allowed = "one of " + ", ".join(f"{kind.__name__}(...)" for kind in CONTROLLERS)
    return require.instance(where, controller, CONTROLLERS, allowed)


class StreamingIngress(VllmConstruct):
    """An Ingress for one model that passes streamed responses on without buffering.

    Timeouts follow from the model's `response_timeout`.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        host: Host name.
        controller: The controller that serves it, whose annotations are used.
        tls: Certificate: `ClusterIssuerRef(...)` or `TlsSecret(...)`. Default: none.
        path: Path prefix. Default: `/v1`, the API: metrics, tokenizer and other endpoints need no
            API key in vLLM and are not exposed. `/` exposes them all; `/qwen/v1` is the API below
            a prefix, which vLLM then serves (`--root-path`).
        max_body: Size of the largest request in MiB; images in prompts are large. Default: 100.
        annotations: More annotations; snippets and derived ones are rejected.
        name: Name of the Ingress. Default: the model's.
        labels: More labels of the Ingress and its BackendConfig. Default: none.

    Attributes:
        ingress: The Ingress.
        backend_config: GKE's BackendConfig, or None.

    Raises:
        VllmConstructsError: An illegal host, path or annotation, or settings that the
            controller does not support.
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
        labels: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("StreamingIngress.target", target, context)
        controller = check_controller("StreamingIngress.controller", controller)
        service, port = target.service_name, target.service_port
        backend = ingress.Backend(
            host=names.host("StreamingIngress.host", host),
            path=ingress.check_path("StreamingIngress.path", path),
            service=service,
            port=port,
        )
        settings = proxy_settings([links], max_body, tls, context)
        warn_of_clear_keys("StreamingIngress", [links], tls, controller)
        body = ingress.manifest(
            name=links.workload.name if name is None else name,
            controller=controller,
            backends=[backend],
            settings=settings,
            annotations={} if annotations is None else annotations,
        )
        config = None
        if isinstance(controller, GkeIngress):
            config = controller.backend_config(service, port, settings)
        root_path = ingress.root_path_of("StreamingIngress.path", backend.path)
        if root_path is not None:
            links.check_root_path(root_path)
        endpoints = endpoints_of(controller, context, [links], [backend])
        check_endpoints(context, controller, endpoints)
        change = links.change(
            peers=controller.peers(),
            root_path=root_path,
            service_annotations=service_annotations(controller, service),
        )
        beside = {} if config is None else {"backend-config": config}
        mark("StreamingIngress", [body, *beside.values()], labels=labels)
        super().__init__(scope, id, context, {"Default": body, **beside}, [change])
        context.app.add_endpoints(endpoints)

    @property
    def ingress(self) -> ApiObject:
        """The Ingress."""
        return self._object("Default")

    @property
    def backend_config(self) -> ApiObject | None:
        """GKE's BackendConfig, or None."""
        return self._optional("backend-config")
