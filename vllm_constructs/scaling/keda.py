"""The ScaledObject of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.kube.peers import OPENSHIFT_PROMETHEUS
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.metrics.series import ModelSeries
from vllm_constructs.workloads.workload import Workload

from .keda_authentication import KedaAuthentication
from .pace import Replicas, ScalingPace
from .trigger import Trigger
from .triggers import IN_FLIGHT, PrometheusQuery

_ADDRESS = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:\d{1,5})?(/[\w./-]*)?", re.ASCII)
_SHORT = re.compile(r"https?://(?P<host>[A-Za-z0-9-]+)(:\d{1,5})?([/?].*)?", re.ASCII)
_LONGEST_NAME = 54


def check_address(where: str, address: object) -> str:
    """An address of Prometheus that KEDA's operator can resolve from its own namespace."""
    allowed = "an address such as 'http://prometheus-operated.monitoring.svc:9090'"
    if not (isinstance(address, str) and _ADDRESS.fullmatch(address)):
        require.wrong(where, address, allowed)
    problem = address_problem(where, address)
    if problem is not None:
        warn(problem)
    return str(address)


def address_problem(where: str, address: str, namespace: str = "") -> Problem | None:
    """Why KEDA's operator may not resolve an address; None if it has a namespace or a domain.

    Args:
        where: The option or field that has it.
        address: The address.
        namespace: The namespace of its Service. Default: not known.
    """
    match = _SHORT.fullmatch(address)
    if match is None or match["host"] == "localhost":
        return None
    host = match["host"]
    right = address.replace(host, f"{host}.{namespace or '<namespace>'}.svc", 1)
    return Problem(
        where=where,
        text=escaped(f"is {require.shown(address)}, which KEDA looks up in its own namespace"),
        value=require.shown(address),
        advice=escaped(f"give the namespace too: {require.shown(right)}"),
    )


def name_problem(where: str, name: str, advice: str = "") -> Problem | None:
    """Why KEDA cannot make an HPA for a ScaledObject of a name; None if it can.

    Args:
        where: The option or field that has it.
        name: The name.
        advice: What to do. Default: to shorten it.
    """
    if len(name) <= _LONGEST_NAME:
        return None
    shown = require.shown(name)
    return Problem(
        where=where,
        text=escaped(
            f"is {shown}, {len(name)} characters long, and KEDA puts 'keda-hpa-' before it to "
            "name its HPA"
        ),
        value=shown,
        allowed=f"at most {_LONGEST_NAME} characters",
        advice=advice,
    )


def zero_problem(where: str, given: str, advice: str) -> Problem:
    """What is wrong with 0 replicas where all triggers read metrics of the pods themselves.

    Args:
        where: The option or field with the minimum.
        given: That it is 0, in words.
        advice: What to do.
    """
    return Problem(
        where=where,
        text=f"{given}, but all triggers read metrics of the model's own pods, which are gone at 0 "
        "replicas, so nothing could activate the scaler",
        value="0",
        advice=advice,
    )


def floor_problem(where: str, floor: int, limit: str, maximum: int, advice: str) -> Problem | None:
    """Why a cron trigger never reaches its replicas; None if it does.

    Args:
        where: The option or field that has them.
        floor: The replicas of its time.
        limit: The option or field with the maximum, as a template.
        maximum: The maximum.
        advice: What to do, as a template.
    """
    if floor <= maximum:
        return None
    return Problem(
        where=where,
        text=f"is {floor}, above {limit} ({maximum}), so it could never be reached",
        value=str(floor),
        advice=advice,
    )


def scraper_of(address: str) -> str | None:
    """The namespace of the Prometheus that scrapes the models, as far as an address tells.

    It is that of the Service, `http://<service>.<namespace>.svc`. OpenShift's Thanos answers for
    the Prometheus that scrapes the users' pods too, which is in another namespace (OpenShift docs,
    "Monitoring", user-defined projects).
    """
    match = _ADDRESS.fullmatch(address)
    parts = match["host"].split(".") if match else []
    if parts[2:3] != ["svc"]:
        return None
    return OPENSHIFT_PROMETHEUS if parts[1] == "openshift-monitoring" else parts[1]


def _activation(
    startup: int,
    polling_interval: int | None,
    cooldown: int | None,
    *,
    to_zero: bool,
    woken_by_requests: bool,
) -> dict[str, int]:
    """The fields that decide when KEDA scales from 0 and to 0.

    With a minReplicaCount above 0 they have no effect, and KEDA's admission webhook warns about
    them (apis/keda/v1alpha1/scaledobject_webhook.go).
    """
    # The signal of a request may have ended before the pod has loaded.
    idle = min(max(300, startup), 86400) if woken_by_requests else 300
    fields: dict[str, int] = {}
    for name, field, value, default, lowest, highest in (
        ("polling_interval", "pollingInterval", polling_interval, 15, 1, 3600),
        ("cooldown", "cooldownPeriod", cooldown, idle, 0, 86400),
    ):
        where = f"KedaScaler.{name}"
        given = default if value is None else value
        fields[field] = require.integer(where, given, lowest, highest, "seconds")
        if value is not None and not to_zero:
            warn(
                Problem(
                    where=where,
                    text=f"is {value}, which has no effect while {{min_replicas}} is above 0",
                    value=str(value),
                    advice="leave it out",
                )
            )
    if to_zero and woken_by_requests and cooldown is not None and cooldown < startup:
        warn(
            Problem(
                where="KedaScaler.cooldown",
                text=f"is {cooldown}, shorter than the {startup} seconds that a pod may load, so a "
                "pod that no further request wakes is removed before it is ready",
                value=str(cooldown),
                advice=f"give {startup} or more, or leave it out",
            )
        )
    return fields | {"initialCooldownPeriod": startup} if to_zero else {}


def manifest(
    *,
    name: str,
    target: Workload,
    replicas: Replicas,
    triggers: Sequence[Trigger],
    pace: ScalingPace,
    startup: int,
    series: ModelSeries,
    prometheus: str,
    polling_interval: int | None,
    cooldown: int | None,
    fallback: int,
    authentication: KedaAuthentication | None = None,
    paused_replicas: int | None = None,
) -> dict[str, Any]:
    """The ScaledObject.

    With a minReplicaCount of 0, a last trigger keeps the model from scaling to zero while requests
    wait or run: it is active above 0, and its threshold is out of reach, so it never asks for a
    second replica.
    """
    names.subdomain("KedaScaler.name", name)
    problems = [name_problem("KedaScaler.name", name, "give {KedaScaler.name=...}")]
    limit, advice = "{KedaScaler.max_replicas}", "lower it, or raise {max_replicas}"
    problems += [
        floor_problem("CronFloor.replicas", one.floor, limit, replicas.maximum, advice)
        for one in triggers
    ]
    for problem in filter(None, problems):
        refuse(problem)
    to_zero = replicas.minimum == 0
    if to_zero and not any(trigger.wakes for trigger in triggers):
        advice = (
            "add a CronFloor or a PrometheusQuery of a gateway's metric, or give {min_replicas=1}"
        )
        refuse(zero_problem("KedaScaler.min_replicas", "is 0", advice))
    # A missing series is an error, which `fallback` handles, and not 0 requests.
    entries = [
        trigger.keda_trigger(series, prometheus, ignore_null=to_zero) for trigger in triggers
    ]
    if to_zero:
        in_flight = PrometheusQuery(
            name=IN_FLIGHT,
            query=vllm_metrics.in_flight(series),
            threshold=1_000_000,
            metric_type="AverageValue",
        )
        entries.append(in_flight.keda_trigger(series, prometheus, ignore_null=True))
    if authentication is not None:
        own = authentication_name(name)
        entries = [authentication.authenticated(entry, own) for entry in entries]
    spec: dict[str, Any] = {
        "scaleTargetRef": target.reference(),
        "minReplicaCount": replicas.minimum,
        "maxReplicaCount": replicas.maximum,
        **_activation(
            startup,
            polling_interval,
            cooldown,
            to_zero=to_zero,
            woken_by_requests=any(trigger.wakes and not trigger.floor for trigger in triggers),
        ),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": pace.behavior(startup)}},
        "triggers": entries,
    }
    if any(trigger.reads_prometheus for trigger in triggers) and not to_zero:
        behavior = "currentReplicasIfHigher"
        spec["fallback"] = {"failureThreshold": 3, "replicas": fallback, "behavior": behavior}
    metadata: dict[str, Any] = {"name": name}
    if paused_replicas is not None:
        where = "KedaScaler.paused_replicas"
        count = require.integer(where, paused_replicas, 0, replicas.maximum, "pods")
        metadata["annotations"] = {"autoscaling.keda.sh/paused-replicas": str(count)}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": spec,
    }


def authentication_name(scaler: str) -> str:
    """Name of the TriggerAuthentication that a scaler makes."""
    return f"{scaler}-prometheus"
