"""The rule of ports that refer to others: R09."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import MODEL, Manifest, engine, made, service, workload
from .findings import found, sentences

MONITORING = "monitoring.coreos.com/v1"
QWEN = workload()


def port(target: Any = None, *, number: int = 8000, name: str = "http") -> Manifest:
    """A port of a Service."""
    given = {} if target is None else {"targetPort": target}
    return {"name": name, "port": number, **given}


def to(*ports: Manifest, **fields: Any) -> Manifest:
    """A Service of the engine."""
    return service("qwen", None, *ports, **fields)


def scraped(target: Any, *containers: Manifest, **more: Any) -> list[Manifest]:
    """A Service and pods whose annotations let Prometheus ask a port."""
    given = {"prometheus.io/scrape": "true", "prometheus.io/port": target, **more}
    pods = workload("qwen", *containers)
    pods["spec"]["template"]["metadata"]["annotations"] = given
    behind = to()
    behind["metadata"]["annotations"] = given
    return [behind, pods]


def ingress(given: Any, name: str = "qwen") -> Manifest:
    """An Ingress to a port."""
    path = {"path": "/v1", "backend": {"service": {"name": name, "port": given}}}
    spec = {"rules": [{"http": {"paths": [path]}}]}
    return made("Ingress", "edge", spec, api="networking.k8s.io/v1")


def route(**backend: Any) -> Manifest:
    """A route to a backend, by two paths."""
    matches = [{"path": {"value": "/v1"}}, {"path": {"value": "/v2"}}]
    spec = {"rules": [{"matches": matches, "backendRefs": [{"name": "qwen", **backend}]}]}
    return made("HTTPRoute", "edge", spec, api="gateway.networking.k8s.io/v1")


def openshift(target: Any) -> Manifest:
    """A Route of OpenShift."""
    spec = {"to": {"kind": "Service", "name": "qwen"}, "port": {"targetPort": target}}
    return made("Route", "edge", spec, api="route.openshift.io/v1")


def pool_route() -> Manifest:
    """A route to a pool."""
    found = route(group="inference.networking.k8s.io", port=80)
    found["spec"]["rules"][0]["backendRefs"][0]["kind"] = "InferencePool"
    return found


def monitor(kind: str = "ServiceMonitor", **endpoint: Any) -> Manifest:
    """A monitor of the model."""
    field = "podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"
    spec = {"selector": {"matchLabels": {"app": "qwen"}}, field: [endpoint]}
    return made(kind, "qwen", spec, api=MONITORING)


def policy(given: Any) -> Manifest:
    """A NetworkPolicy that lets a port in."""
    selector = {"matchLabels": {"app": "qwen"}}
    spec = {"podSelector": selector, "ingress": [{"ports": [{"port": given}]}]}
    return made("NetworkPolicy", "qwen", spec, api="networking.k8s.io/v1")


@pytest.mark.parametrize(
    ("objects", "field", "says"),
    [
        ([QWEN, to(port("metrics"))], "targetPort", "have no port of that name"),
        ([QWEN, to(port("http"), port("pd-port-1", name="pd"))], "targetPort", "give 'http'"),
        (
            [workload("qwen", engine(ports=[])), to(port("http"))],
            "targetPort",
            "name the container",
        ),
        ([to(port("8000"))], "targetPort", "write 8000 without quotes"),
        ([to(port("http_api"))], "targetPort", "the API server rejects it"),
        ([to(port("a-very-long-port-name"))], "targetPort", "at most 15"),
        ([QWEN, to(port(8080))], "targetPort", "is 8080, and the engine of"),
        ([QWEN, to(port(number=80))], "targetPort", "is left out, which means the port"),
        (
            [workload("qwen", engine(MODEL, "--port", "9000", ports=[])), to(port(8000))],
            "targetPort",
            "listens on 9000",
        ),
        ([QWEN, to(), ingress({"number": 80})], "number", "no port of that number; give 8000"),
        ([QWEN, to(), ingress({"name": "api"})], "name", "no port of that name; give 'http'"),
        ([to(), ingress({"number": 80})], "number", "no port of that number"),
        ([to(), route(port=80)], "port", "no port of that number"),
        ([to(), openshift("api")], "targetPort", "no port of that name; give 'http'"),
        (
            [QWEN, to(), monitor(port="metrics")],
            "port",
            "Service llm/qwen has no port of that name",
        ),
        ([QWEN, to(), monitor(port="8000")], "port", "a number, and the name of a port is needed"),
        ([QWEN, to({"port": 8000}), monitor(port="http")], "port", "name the port of Service"),
        ([QWEN, to(), monitor(targetPort="metrics")], "targetPort", "no port of that name"),
        ([QWEN, monitor("PodMonitor", port="metrics")], "port", "give 'http'"),
        ([QWEN, policy("metrics")], "port", "no port of that name"),
        ([QWEN, monitor("PodMonitor", port="8000")], "port", "is '8000', a number"),
        ([monitor("PodMonitor", port="8000")], "port", "give the name of the container's port"),
        ([QWEN, monitor("PodMonitor", port=8000)], "port", "give 'http'"),
        ([scraped("8080")[0], QWEN], "prometheus.io/port", "is '8080', and the engine of"),
        (scraped("8080")[1:], "prometheus.io/port", "gets no metrics; give '8000'"),
        (scraped(8080)[1:], "prometheus.io/port", "is '8080'"),
    ],
)
def test_wrong(objects: list[Manifest], field: str, says: str) -> None:
    """A port that the other side does not have."""
    [one] = found(objects, "R09")

    assert field == one.path[-1]
    assert says in one.problem.sentence()


SIDECAR = {"name": "proxy", "image": "proxy:1", "ports": [{"name": "web", "containerPort": 9}]}
NATIVE = {**SIDECAR, "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([QWEN, to(), ingress({"name": "http"}), route(port=8000), monitor(port="http")], "right"),
        ([QWEN, to(port(8000, number=80))], "right"),
        ([QWEN, to(port())], "right"),
        ([workload("qwen", engine(), SIDECAR), to(port("web"))], "a port of a sidecar"),
        ([workload(pod={"initContainers": [NATIVE]}), to(port("web"))], "a native sidecar's"),
        ([workload("qwen", engine(), SIDECAR), to(port(8080))], "a sidecar may listen"),
        ([to(port("metrics"))], "pods of other manifests"),
        ([QWEN, to(port(8000), port(5600, number=5600, name="nixl"))], "another port of vLLM"),
        ([QWEN, to(port(5600), clusterIP="None")], "a headless Service"),
        (
            [
                workload(
                    "qwen", engine(env=[{"name": "VLLM_NIXL_SIDE_CHANNEL_PORT", "value": "5601"}])
                ),
                to(port(5601)),
            ],
            "a port that a variable names",
        ),
        (
            [workload("qwen", engine(MODEL, "--config", "/etc/vllm.yaml")), to(port(9000))],
            "the port may be in the file",
        ),
        (
            [
                workload("qwen", engine(command=["sh", "-c", f"ray start; vllm serve {MODEL}"])),
                to(port(6379)),
            ],
            "something else listens, too",
        ),
        (
            [workload("qwen", engine(MODEL, "--data-parallel-size", "2")), to(port(8001))],
            "ranks have ports of their own",
        ),
        ([QWEN, to(port("http")), workload("x", SIDECAR, labels={"app": "qwen"})], "one of both"),
        ([to(type="ExternalName"), ingress({"number": 80})], "no ports"),
        ([ingress({"number": 80}, "elsewhere"), to()], "a Service of other manifests"),
        ([ingress({"name": "use-annotation"}), to()], "an action of AWS' controller"),
        ([to(), pool_route()], "a pool"),
        ([to(), route(namespace="other", port=80)], "a Service of another namespace"),
        ([QWEN, monitor(port="metrics")], "a Service of other manifests"),
        ([QWEN, policy(8000), policy("http")], "right"),
        ([to(), openshift("http"), openshift(9000), openshift(None)], "right, or a pod's port"),
        (
            [QWEN, to(), to(port("http", name="metrics")), monitor(port="metrics")],
            "one of the Services has it",
        ),
        (scraped("8000"), "right"),
        (scraped("8080", engine(), SIDECAR), "a sidecar may have the metrics"),
        (scraped("15020"), "Istio's sidecar has them"),
        (scraped("8080", **{"prometheus.io/scrape": "false"}), "nothing is scraped"),
        (scraped("metrics"), "a name is not judged"),
        (scraped("8080", engine(MODEL, "--port=$(PORT)")), "the port is not known"),
        ([monitor("PodMonitor", portNumber=8000)], "a number in its own field"),
        ([monitor(port="8000")], "a port of a Service may have a number as its name"),
        ([made("Service", "qwen", {"template": {}}, api="serving.knative.dev/v1")], "Knative's"),
    ],
)
def test_right(objects: list[Manifest], why: str) -> None:
    """Ports that are there, or may be."""
    assert [] == sentences(objects, "R09"), why


def test_fix() -> None:
    """A number without its quotes is the only change that is sure."""
    [sure], [shown] = found([to(port("8000"))], "R09"), found([QWEN, to(port("api"))], "R09")

    assert sure.fix
    assert sure.fix.is_safe
    assert 8000 == sure.fix.edits[0].value
    assert shown.fix
    assert not shown.fix.is_safe
