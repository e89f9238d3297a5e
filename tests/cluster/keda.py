"""KEDA's own programs beside a control plane."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import binaries
from .api import FailedError, RefusedError
from .bed import Bed, Program, free_port
from .kubectl import make_namespace, wait_for
from .metrics import behind
from .nodes import Manifest, condition


@contextmanager
def running(bed: Bed, namespace: str) -> Iterator[None]:
    """KEDA's operator, metrics adapter and admission webhooks, for ScaledObjects of a namespace.

    Raises:
        binaries.MissingError: KEDA is not built.
    """
    names = ("operator", "adapter", "webhooks")
    programs = {name: binaries.find("keda", name) for name in names}
    kubectl = bed.kubectl
    before = len(bed.programs)
    kubectl.apply(binaries.find("keda", "crds"))
    kubectl.run("wait", "--for=condition=Established", "crd", "--all")
    make_namespace(kubectl, "keda")
    try:
        with _started(bed, programs, namespace):
            yield
    finally:
        while len(bed.programs) > before:
            bed.programs.pop().stop()


@contextmanager
def _started(bed: Bed, programs: dict[str, Path], name: str) -> Iterator[None]:
    """Start KEDA's three programs, and make the API server use them."""
    certificates = bed.certificate(f"keda-{name}")
    grpc, api, hooks = free_port(), free_port(), free_port()
    environment = {"KEDA_CLUSTER_OBJECT_NAMESPACE": "keda", "POD_NAMESPACE": "keda"}
    environment["WATCH_NAMESPACE"] = ""
    started: list[Program] = []

    def local(flag: str) -> str:
        return f"{flag}=127.0.0.1:{free_port()}"

    folder = f"--cert-dir={certificates}"
    config = f"kubeconfig={bed.kubeconfig}"
    for program, arguments in (
        (
            "operator",
            [
                folder,
                local("--metrics-bind-address"),
                local("--health-probe-bind-address"),
                f"--metrics-service-bind-address=127.0.0.1:{grpc}",
            ],
        ),
        (
            "adapter",
            [
                folder,
                f"--tls-cert-file={certificates / 'tls.crt'}",
                f"--tls-private-key-file={certificates / 'tls.key'}",
                "--bind-address=127.0.0.1",
                f"--secure-port={api}",
                f"--port={free_port()}",
                f"--metrics-service-address=127.0.0.1:{grpc}",
                f"--lister-{config}",
                f"--authentication-{config}",
                f"--authorization-{config}",
            ],
        ),
        (
            "webhooks",
            [
                folder,
                f"--port={hooks}",
                local("--metrics-bind-address"),
                local("--health-probe-bind-address"),
            ],
        ),
    ):
        started.append(
            bed.start(f"keda-{program}-{name}", programs[program], arguments, environment)
        )
    group = "external.metrics.k8s.io"
    bundle = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
    url = f"https://127.0.0.1:{hooks}/validate-keda-sh-v1alpha1-scaledobject"
    rule = {"apiGroups": ["keda.sh"], "apiVersions": ["v1alpha1"], "resources": ["scaledobjects"]}
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "keda-admission"},
        "webhooks": [
            {
                "name": "vscaledobject.kb.io",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": url, "caBundle": bundle},
                # Where KEDA's own manifests say Ignore: here it must be asked.
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "rules": [{**rule, "operations": ["CREATE", "UPDATE"]}],
            }
        ],
    }
    objects = [*behind("keda-metrics-apiserver", group, "v1beta1", api), webhook]
    bed.kubectl.apply(objects)

    def is_up() -> bool:
        for program in started:
            program.check()
        service = bed.kubectl.get("apiservice", f"v1beta1.{group}")
        if condition(service, "Available").get("status") != "True":
            return False
        try:
            bed.kubectl.dry_run(_probe(name))
        except FailedError:
            return False
        except RefusedError as refused:
            return "connect" not in str(refused) and "EOF" not in str(refused)
        return True

    try:
        try:
            wait_for("KEDA", is_up, 60)
        except TimeoutError as late:
            raise TimeoutError("\n".join([str(late), *(one.tail() for one in started)])) from late
        yield
        bed.kubectl.delete_all("scaledobjects", name)
    finally:
        bed.kubectl.delete(objects)


def _probe(namespace: str) -> Manifest:
    """A ScaledObject that is only tried."""
    window = {"timezone": "UTC", "start": "0 9 * * *", "end": "0 10 * * *"}
    trigger = {"type": "cron", "metadata": {**window, "desiredReplicas": "1"}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {"scaleTargetRef": {"name": "probe"}, "triggers": [trigger]},
    }
