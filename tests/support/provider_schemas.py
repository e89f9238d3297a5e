"""Strict schemas of the provider kinds whose CRDs are not published beside the others."""

from typing import Any

Schema = dict[str, Any]

_NAME = {"type": "string", "minLength": 1, "maxLength": 253}
_SIZE = {"type": "string", "pattern": r"^\d{1,4}(k|m|g)?$"}
_TIME = {"type": "string", "pattern": r"^[0-9]{1,4}(ms|s|m|h)?$"}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _fields(*required: str, **properties: Any) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_DRAINING = _fields(drainingTimeoutSec=_whole(0, 3600))
_SERVICE_REF = _fields(
    "group",
    "kind",
    "name",
    group={"type": "string", "maxLength": 253},
    kind=_NAME,
    name=_NAME,
    namespace=_NAME,
)
_GCP_BACKEND_POLICY = _fields(
    "targetRef",
    default=_fields(
        connectionDraining=_DRAINING,
        logging=_fields(enabled={"type": "boolean"}, sampleRate=_whole(0, 1_000_000)),
        maxRatePerEndpoint=_whole(1, 1_000_000_000),
        securityPolicy=_NAME,
        sessionAffinity=_fields(
            type={
                "enum": [
                    "CLIENT_IP",
                    "CLIENT_IP_PORT_PROTO",
                    "CLIENT_IP_PROTO",
                    "GENERATED_COOKIE",
                    "HEADER_FIELD",
                    "HTTP_COOKIE",
                    "NONE",
                ],
            },
            cookieTtlSec=_whole(0, 1_209_600),
        ),
        timeoutSec=_whole(1, 2**31 - 1),
    ),
    targetRef=_SERVICE_REF,
)
_HTTP_HEALTH_CHECK = _fields(
    host={"type": "string", "maxLength": 2048},
    port=_whole(1, 65535),
    portName=_NAME,
    portSpecification={"enum": ["USE_FIXED_PORT", "USE_NAMED_PORT", "USE_SERVING_PORT"]},
    proxyHeader={"enum": ["NONE", "PROXY_V1"]},
    requestPath={"type": "string", "pattern": "^/", "maxLength": 2048},
    response={"type": "string", "maxLength": 1024},
)
_HEALTH_CHECK_POLICY = _fields(
    "targetRef",
    default=_fields(
        checkIntervalSec=_whole(1, 300),
        config=_fields(
            "type",
            http2HealthCheck=_HTTP_HEALTH_CHECK,
            httpHealthCheck=_HTTP_HEALTH_CHECK,
            httpsHealthCheck=_HTTP_HEALTH_CHECK,
            type={"enum": ["HTTP", "HTTP2", "HTTPS"]},
        ),
        healthyThreshold=_whole(1, 10),
        logConfig=_fields(enabled={"type": "boolean"}),
        timeoutSec=_whole(1, 300),
        unhealthyThreshold=_whole(1, 10),
    ),
    targetRef=_SERVICE_REF,
)
_BACKEND_CONFIG = _fields(
    connectionDraining=_DRAINING,
    healthCheck=_fields(
        checkIntervalSec=_whole(1, 300),
        healthyThreshold=_whole(1, 10),
        port=_whole(1, 65535),
        requestPath={"type": "string", "pattern": "^/"},
        timeoutSec=_whole(1, 300),
        type={"enum": ["HTTP", "HTTPS", "HTTP2"]},
        unhealthyThreshold=_whole(1, 10),
    ),
    logging=_fields(
        enable={"type": "boolean"},
        sampleRate={"type": "number", "minimum": 0, "maximum": 1},
    ),
    securityPolicy=_fields("name", name=_NAME),
    timeoutSec=_whole(1, 2**31 - 1),
)
_PROXY_SETTINGS_POLICY = _fields(
    "targetRefs",
    buffering=_fields(
        bufferSize=_SIZE,
        buffers=_fields("number", "size", number=_whole(2, 256), size=_SIZE),
        busyBuffersSize=_SIZE,
        disable={"type": "boolean"},
    ),
    targetRefs={
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "uniqueItems": True,
        "items": _fields(
            "group",
            "kind",
            "name",
            group={"const": "gateway.networking.k8s.io"},
            kind={"enum": ["Gateway", "GRPCRoute", "HTTPRoute"]},
            name=_NAME,
        ),
    },
    timeout=_fields(connect=_TIME, read=_TIME, send=_TIME),
)

SPECS: dict[tuple[str, str], Schema] = {
    ("cloud.google.com/v1", "BackendConfig"): _BACKEND_CONFIG,
    ("gateway.nginx.org/v1alpha1", "ProxySettingsPolicy"): _PROXY_SETTINGS_POLICY,
    ("networking.gke.io/v1", "GCPBackendPolicy"): _GCP_BACKEND_POLICY,
    ("networking.gke.io/v1", "HealthCheckPolicy"): _HEALTH_CHECK_POLICY,
}


def provider_schema(api_version: str, kind: str, metadata: Schema) -> Schema | None:
    """Return the schema of a provider's kind, or None."""
    spec = SPECS.get((api_version, kind))
    if spec is None:
        return None
    return _fields(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        apiVersion={"const": api_version},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )
