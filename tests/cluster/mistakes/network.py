"""Network (N)."""

from __future__ import annotations

from .mistake import ANNOTATIONS, DEPLOYMENT, LEGAL, POD, Mistake, Step, annotation, drop, put

F5 = "nginx.org"
OTHER = "nginx.ingress.kubernetes.io"
TIMEOUT: tuple[Step, ...] = ("spec", "rules", 0, "timeouts")

MISTAKES = [
    Mistake(
        "N01",
        "service links on",
        DEPLOYMENT,
        drop(*POD, "enableServiceLinks"),
        admitted="it is Kubernetes' own default",
    ),
    Mistake(
        "N01",
        "a Service called vllm",
        "Service",
        put("metadata", "name", to="vllm"),
        admitted="the API server does not know which variables vLLM reads",
    ),
    Mistake(
        "N02",
        "off for F5's false",
        "Ingress",
        annotation(f"{F5}/proxy-buffering", "off"),
        admitted=ANNOTATIONS,
    ),
    Mistake(
        "N02",
        "false without quotes",
        "Ingress",
        annotation(f"{F5}/proxy-buffering", value=False),
        refused="cannot unmarshal bool into Go struct field ObjectMeta.metadata.annotations",
        by_kubectl=True,
    ),
    Mistake(
        "N02",
        "annotations of another controller",
        "Ingress",
        annotation(f"{OTHER}/proxy-read-timeout", "3600s"),
        admitted=ANNOTATIONS,
    ),
    Mistake(
        "N03",
        "a snippet",
        "Ingress",
        annotation(f"{OTHER}/configuration-snippet", "proxy_buffering off;"),
        admitted="only the webhook of ingress-nginx refuses it, where that is installed",
    ),
    Mistake(
        "N04",
        "a read timeout below the response timeout",
        "Ingress",
        annotation(f"{F5}/proxy-read-timeout", "60s"),
        admitted=ANNOTATIONS,
    ),
    Mistake(
        "N04",
        "buffering left on",
        "Ingress",
        drop("metadata", "annotations", f"{F5}/proxy-buffering"),
        admitted=ANNOTATIONS,
    ),
    Mistake(
        "N04",
        "a body of 1m",
        "Ingress",
        drop("metadata", "annotations", f"{F5}/client-max-body-size"),
        admitted=ANNOTATIONS,
    ),
    Mistake(
        "N05",
        "a fraction of an hour",
        "HTTPRoute",
        put(*TIMEOUT, "request", to="1.5h"),
        refused="spec.rules[0].timeouts.request in body should match",
    ),
    Mistake(
        "N05",
        "a timeout without its unit",
        "HTTPRoute",
        put(*TIMEOUT, "request", to="300"),
        refused="spec.rules[0].timeouts.request in body should match",
    ),
    Mistake(
        "N05",
        "a timeout that is a number",
        "HTTPRoute",
        put(*TIMEOUT, "request", to=300),
        refused="timeouts.request: expected string",
    ),
    Mistake(
        "N05",
        "more for the engine than for the request",
        "HTTPRoute",
        put(*TIMEOUT, "backendRequest", to="600s"),
        refused="backendRequest timeout cannot be longer than request timeout",
    ),
    Mistake(
        "N05",
        "a Service without its port",
        "HTTPRoute",
        drop("spec", "rules", 0, "backendRefs", 0, "port"),
        refused="Must have port for Service reference",
    ),
    Mistake(
        "N05",
        "timeouts on GKE",
        "HTTPRoute",
        put("spec", "parentRefs", 0, "name", to="gke-l7-global-external-managed"),
        admitted="only the controller knows what it supports",
    ),
    Mistake(
        "N06",
        "a policy that lets everybody in",
        "NetworkPolicy",
        put("spec", "ingress", to=[{}]),
        admitted=LEGAL,
    ),
    Mistake(
        "N06",
        "an ingress to everything",
        "Ingress",
        put("spec", "rules", 0, "http", "paths", 0, "path", to="/"),
        admitted=LEGAL,
    ),
    Mistake(
        "N07",
        "a monitor without its release",
        "ServiceMonitor",
        drop("metadata", "labels", "release"),
        admitted="which monitors an operator selects is in the operator's own configuration",
    ),
]
