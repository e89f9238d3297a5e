"""What a scaler reads: Prometheus, prometheus-adapter, and API servers behind the API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from cdk8s import App, Chart

from vllm_constructs import FluxHelmRelease, PrometheusAdapter

from . import binaries
from .bed import Bed, free_port
from .kubectl import wait_for
from .nodes import Manifest, condition

GROUP = "custom.metrics.k8s.io"


@contextmanager
def prometheus(bed: Bed, namespace: str, *ports: int, pod: str = "a") -> Iterator[str]:
    """A Prometheus that scrapes ports of 127.0.0.1 every second; gives its address.

    Args:
        bed: The control plane with whose folder it ends.
        namespace: The label of all series.
        *ports: Where series come from.
        pod: The label of series that have none.

    Raises:
        binaries.MissingError: Prometheus is not on this machine.
    """
    program = binaries.find_debian("prometheus")
    targets = [f"127.0.0.1:{port}" for port in ports]
    scraped = {"targets": targets, "labels": {"namespace": namespace, "pod": pod}}
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "vllm", "honor_labels": True, "static_configs": [scraped]}],
    }
    port = free_port()
    name = f"prometheus-{port}"
    file = bed.folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{port}"
    started = bed.start(
        name,
        program,
        [
            f"--config.file={file}",
            f"--storage.tsdb.path={bed.folder / name}",
            f"--web.listen-address={address}",
        ],
    )
    try:
        yield f"http://{address}"
    finally:
        bed.programs.remove(started)
        started.stop()


def behind(name: str, group: str, version: str, port: int) -> list[Manifest]:
    """An API server behind the API server, on loopback."""
    where = {"name": name, "namespace": "default"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": where,
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {**where, "port": port},
                # The API server asks for <service>.<namespace>.svc.
                "insecureSkipTLSVerify": True,
            },
        },
    ]


@contextmanager
def adapter(bed: Bed, namespace: str, prometheus: str) -> Iterator[None]:
    """prometheus-adapter, with the address and the rules of a `PrometheusAdapter`.

    Its chart writes them to arguments and to a ConfigMap; it asks Prometheus for new series every
    second, where the chart says every minute.

    Raises:
        binaries.MissingError: prometheus-adapter is not built.
    """
    program = binaries.find("prometheus-adapter", "adapter")
    values = _values(prometheus)
    config = bed.folder / f"adapter-{namespace}.yml"
    config.write_text(yaml.safe_dump({"rules": values["rules"]["custom"]}), encoding="utf-8")
    certificates = bed.certificate(f"adapter-{namespace}")
    port = free_port()
    started = bed.start(
        f"adapter-{namespace}",
        program,
        [
            f"--config={config}",
            f"--prometheus-url={values['prometheus']['url']}:{values['prometheus']['port']}",
            "--metrics-relist-interval=1s",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            *(
                f"--{what}-kubeconfig={bed.kubeconfig}"
                for what in ("lister", "authentication", "authorization")
            ),
        ],
    )
    objects = behind("custom-metrics", GROUP, "v1beta1", port)

    def is_up() -> bool:
        started.check()
        found = bed.kubectl.get("apiservice", f"v1beta1.{GROUP}")
        return condition(found, "Available").get("status") == "True"

    try:
        bed.kubectl.apply(objects)
        try:
            wait_for("prometheus-adapter", is_up, 60)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{started.tail()}") from late
        yield
    finally:
        bed.kubectl.delete(objects)
        bed.programs.remove(started)
        started.stop()


def _values(prometheus: str) -> Manifest:
    chart = Chart(App(), "platform")
    PrometheusAdapter(
        chart, "prometheus-adapter", delivery=FluxHelmRelease(), prometheus=prometheus
    )
    (release,) = (item for item in chart.to_json() if item["kind"] == "HelmRelease")
    values: Manifest = release["spec"]["values"]
    return values
