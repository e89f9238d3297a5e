"""Traefik as an ingress controller of a control plane, before a server on loopback."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdk8s import App, Chart

from vllm_constructs import ModelDeployment, StreamingIngress, TlsSecret, Traefik, WholeGpu

from . import binaries, streaming
from .bed import TOKEN, Bed, free_port
from .kubectl import wait_for
from .nginx_directives import FASTER
from .nodes import Manifest
from .streaming import HOST, Client

SECURE = "secure.example.com"
"""The host with TLS."""

CLASS: Manifest = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": Traefik().class_name},
    "spec": {"controller": "traefik.io/ingress-controller"},
}


@dataclass(frozen=True)
class Controller:
    """Traefik as it runs for a test.

    Args:
        plain: A client of its entry point `web`.
        secure: A client of its entry point `websecure`.
    """

    plain: Client
    secure: Client


def _objects(bed: Bed, namespace: str, server: int) -> list[Manifest]:
    """A model and its Ingresses with and without TLS, as rendered; and its certificate."""
    chart = Chart(App(), "test", namespace=namespace)
    gpu = WholeGpu("NVIDIA-L40S")
    model = ModelDeployment(chart, "qwen", model="a/b", gpu=gpu, port=server)
    certificate = TlsSecret("certificate")
    StreamingIngress(chart, "plain", target=model, host=HOST, controller=Traefik(), name="plain")
    StreamingIngress(
        chart,
        "secure",
        target=model,
        host=SECURE,
        controller=Traefik(),
        name="secure",
        tls=certificate,
    )
    found = [item for item in chart.to_json() if item["kind"] in ("Ingress", "Service")]
    for item in found:
        if item["kind"] == "Service":
            # There are no pods here, and no endpoint may be on loopback: the Service keeps its
            # name and port, and leads to the model server by name.
            spec = {"type": "ExternalName", "externalName": "localhost"}
            item["spec"] = spec | {"ports": item["spec"]["ports"]}
    made = bed.ca.issue_cert(SECURE)
    chain = b"".join(part.bytes() for part in made.cert_chain_pems)
    data = {"tls.crt": chain, "tls.key": made.private_key_pem.bytes()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": certificate.secret, "namespace": namespace},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    return [*found, secret]


@contextmanager
def running(bed: Bed, namespace: str, server: int, *, strict: bool = False) -> Iterator[Controller]:
    """Traefik, once it serves our Ingresses.

    Args:
        bed: The control plane.
        namespace: Of the model and its Ingresses.
        server: The port of the model server.
        strict: Whether it reads a path by its segments.

    Raises:
        binaries.MissingError: Traefik is not built.
    """
    program = binaries.find("traefik", "traefik")
    bed.kubectl.apply([CLASS, *_objects(bed, namespace, server)])
    try:
        with _started(bed, program, namespace, strict=strict) as found:
            yield found
    finally:
        bed.kubectl.delete([CLASS])


@contextmanager
def _started(bed: Bed, program: Path, namespace: str, *, strict: bool) -> Iterator[Controller]:
    web, websecure = free_port(), free_port()
    provider = {
        "endpoint": bed.address,
        "token": TOKEN,
        "certauthfilepath": str(bed.folder / "ca.crt"),
        "namespaces": namespace,
        "allowexternalnameservices": "true",
        "strictprefixmatching": str(strict).lower(),
        "throttleduration": "100ms",
    }
    arguments = ["--global.checknewversion=false", "--global.sendanonymoususage=false"]
    arguments += [
        "--providers.kubernetesingress=true",
        "--providers.providersthrottleduration=100ms",
    ]
    arguments += [f"--providers.kubernetesingress.{key}={one}" for key, one in provider.items()]
    for name, port in (("web", web), ("websecure", websecure)):
        timeouts = f"--entrypoints.{name}.transport.respondingtimeouts"
        arguments += [
            f"--entrypoints.{name}.address=127.0.0.1:{port}",
            # Its own defaults, as much faster as all times here.
            f"{timeouts}.readtimeout={60 * 1000 // FASTER}ms",
            f"{timeouts}.idletimeout={180 * 1000 // FASTER}ms",
        ]
    started = bed.start("traefik", program, arguments)
    trust = ssl.create_default_context()
    bed.ca.configure_trust(trust)
    found = Controller(Client(port=web), Client(port=websecure, host=SECURE, trust=trust))
    try:

        def is_ready() -> bool:
            started.check()
            return streaming.listens(web) and all(
                one.status("/v1/models") == 200 for one in (found.plain, found.secure)
            )

        wait_for("a route of Traefik", is_ready, 30, 0.1)
        yield found
    finally:
        bed.programs.remove(started)
        started.stop()
