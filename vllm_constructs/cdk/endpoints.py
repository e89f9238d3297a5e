"""Fronts: who is served at which host and path, so that no request reaches another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vllm_constructs.errors import refuse
from vllm_constructs.traffic.ingress import Backend, F5Nginx, IngressController
from vllm_constructs.traffic.route import Gateway

if TYPE_CHECKING:
    from .base import Place
    from .deployment import ModelDeployment


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One host and path of one front, and the model behind it."""

    way: str
    host: str
    path: str
    model: tuple[str | None, str]
    served_name: str


def claims(
    way: IngressController | Gateway,
    place: Place,
    models: Sequence[ModelDeployment],
    backends: Sequence[Backend],
) -> list[Claim]:
    """What a front is about to serve."""
    if isinstance(way, Gateway):
        front = f"Gateway {way.namespace or place.namespace}/{way.gateway_name}"
    else:
        front = f"class {way.class_name}"
    return [
        Claim(
            way=front,
            host=backend.host,
            path=backend.path,
            model=(model.namespace, model.name),
            served_name=model.served_name,
        )
        for model, backend in zip(models, backends, strict=True)
    ]


def check(place: Place, way: IngressController | Gateway, wanted: Sequence[Claim]) -> None:
    """Refuse a path that is taken, and one served name for two models of one host."""
    for new in wanted:
        for old in place.app.fronts:
            if (old.way, old.host) != (new.way, new.host):
                continue
            name = old.model[1]
            if isinstance(way, F5Nginx):
                refuse(
                    f"host {new.host!r} belongs to the Ingress of {name!r} already, and F5's "
                    "controller gives a host to one Ingress; use ModelFleet for several models of "
                    "one host, or another host."
                )
            if old.path == new.path:
                refuse(
                    f"{new.host + new.path!r} leads to {name!r} already; give another host or "
                    "path, or use ModelFleet for several models of one host."
                )
            if old.served_name == new.served_name and old.model != new.model:
                refuse(
                    f"{new.host!r} serves {name!r} and {new.model[1]!r} both as "
                    f"{new.served_name!r}; give one another served_name= or another host."
                )


def keep(place: Place, made: Sequence[Claim]) -> None:
    """Remember what a front serves."""
    place.app.fronts.extend(made)
