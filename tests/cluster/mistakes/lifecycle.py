"""Probes and lifecycle (P)."""

from __future__ import annotations

from .mistake import (
    DEPLOYMENT,
    ENGINE,
    LEGAL,
    POD,
    Mistake,
    Step,
    argue,
    both,
    drop,
    put,
)

STARTUP: tuple[Step, ...] = (*ENGINE, "startupProbe")
LIVENESS: tuple[Step, ...] = (*ENGINE, "livenessProbe")
READINESS: tuple[Step, ...] = (*ENGINE, "readinessProbe")
PRE_STOP: tuple[Step, ...] = (*ENGINE, "lifecycle", "preStop")

MISTAKES = [
    Mistake("P01", "no startup probe", DEPLOYMENT, drop(*STARTUP), admitted=LEGAL),
    Mistake(
        "P01",
        "a budget of 30 seconds",
        DEPLOYMENT,
        put(*STARTUP, "failureThreshold", to=3),
        admitted="the API server does not know how long a model loads",
    ),
    Mistake(
        "P01",
        "a success threshold of 2 for the startup probe",
        DEPLOYMENT,
        put(*STARTUP, "successThreshold", to=2),
        refused="successThreshold: Invalid value: 2: must be 1",
    ),
    Mistake(
        "P02",
        "a probe timeout of one second",
        DEPLOYMENT,
        put(*LIVENESS, "timeoutSeconds", to=1),
        admitted="it is Kubernetes' own default",
    ),
    Mistake(
        "P02",
        "a window of 2 seconds",
        DEPLOYMENT,
        both(put(*LIVENESS, "periodSeconds", to=1), put(*LIVENESS, "failureThreshold", to=2)),
        admitted=LEGAL,
    ),
    Mistake(
        "P02",
        "zero seconds for an answer",
        DEPLOYMENT,
        put(*LIVENESS, "timeoutSeconds", to=0),
        admitted="zero silently becomes the default of one second",
    ),
    Mistake(
        "P02",
        "a negative timeout",
        DEPLOYMENT,
        put(*LIVENESS, "timeoutSeconds", to=-1),
        refused="must be greater than or equal to 0",
    ),
    Mistake(
        "P03",
        "a probe on another port",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "port", to=8080),
        admitted="any port number may be probed",
    ),
    Mistake(
        "P03",
        "a probe on a port name that is not there",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "port", to="metrics"),
        admitted="names of probed ports are not looked up",
    ),
    Mistake(
        "P03",
        "a probe on port 0",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "port", to=0),
        refused="must be between 1 and 65535",
    ),
    Mistake(
        "P03",
        "an invalid port name",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "port", to="vllm-http-server"),
        refused="must be no more than 15 characters",
    ),
    Mistake(
        "P03",
        "a scheme in lower case",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "scheme", to="https"),
        refused='supported values: "HTTP", "HTTPS"',
    ),
    Mistake(
        "P03",
        "HTTPS for an engine without a certificate",
        DEPLOYMENT,
        put(*READINESS, "httpGet", "scheme", to="HTTPS"),
        admitted="the API server does not know what the engine speaks",
    ),
    Mistake(
        "P03",
        "/v1/models behind an API key",
        DEPLOYMENT,
        both(put(*READINESS, "httpGet", "path", to="/v1/models"), argue("--api-key=$(KEY)")),
        admitted=LEGAL,
    ),
    Mistake(
        "P04",
        "a deadline below the startup budget",
        DEPLOYMENT,
        put("spec", "progressDeadlineSeconds", to=600),
        admitted="only minReadySeconds is compared with it",
    ),
    Mistake(
        "P04",
        "a deadline below minReadySeconds",
        DEPLOYMENT,
        both(
            put("spec", "progressDeadlineSeconds", to=600), put("spec", "minReadySeconds", to=900)
        ),
        refused="must be greater than minReadySeconds",
    ),
    Mistake(
        "P05",
        "the default grace period",
        DEPLOYMENT,
        drop(*POD, "terminationGracePeriodSeconds"),
        admitted="it does not read what preStop executes",
    ),
    Mistake(
        "P05",
        "preStop sleeps longer than the grace period",
        DEPLOYMENT,
        both(
            put(*POD, "terminationGracePeriodSeconds", to=30),
            put(*PRE_STOP, to={"sleep": {"seconds": 60}}),
        ),
        refused="must be non-negative and less than terminationGracePeriodSeconds (30)",
    ),
    Mistake(
        "P05",
        "preStop waits longer than the grace period",
        DEPLOYMENT,
        both(
            put(*POD, "terminationGracePeriodSeconds", to=30),
            put(*PRE_STOP, "exec", "command", 5, to="60"),
        ),
        admitted="it does not read what preStop executes",
    ),
    Mistake("P06", "no preStop", DEPLOYMENT, drop(*ENGINE, "lifecycle"), admitted=LEGAL),
    Mistake(
        "P06",
        "no drain",
        DEPLOYMENT,
        put(*PRE_STOP, "exec", "command", 5, to="0"),
        admitted="it does not read what preStop executes",
    ),
    Mistake(
        "P06",
        "an empty preStop",
        DEPLOYMENT,
        put(*PRE_STOP, to={}),
        refused="must specify a handler type",
    ),
    Mistake(
        "P07",
        "a probe that executes true",
        DEPLOYMENT,
        put(*READINESS, to={"exec": {"command": ["true"]}, "periodSeconds": 10}),
        admitted="it does not read what a probe executes",
    ),
    Mistake(
        "P07",
        "true beside an HTTP probe",
        DEPLOYMENT,
        put(*READINESS, "exec", to={"command": ["true"]}),
        refused="may not specify more than 1 handler type",
    ),
]
