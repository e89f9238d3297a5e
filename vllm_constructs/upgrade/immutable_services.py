"""Immutable fields of Services: Kubernetes 1.37, pkg/apis/core/validation/validation.go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm_constructs.reading.fields import items, mapping

from .changes import Absent, Change
from .compared import Compared, Refusal

HEADLESS = "None"
_DELETE = "delete the Service first, which ends connections, or give it another name"


def service(one: Compared) -> Iterator[Refusal]:
    """What is refused of the changes of a Service.

    Args:
        one: The Service before and after.
    """
    kinds = one.both("spec", "type")
    if "ExternalName" not in kinds:
        yield from _address(one)
        yield from _families(one)
    if kinds == ("LoadBalancer", "LoadBalancer"):
        yield from _balancer(one)


def is_headless(body: dict[str, Any]) -> bool:
    """Whether a Service has no address of its own.

    Args:
        body: The Service.
    """
    return bool(_address_of(body) == HEADLESS)


def _address_of(body: dict[str, Any]) -> Any:
    """The first address of a Service; None if the cluster chooses it."""
    spec = mapping(body.get("spec"))
    return spec.get("clusterIP") or next(iter(items(spec.get("clusterIPs"))), None)


def _address(one: Compared) -> Iterator[Refusal]:
    before, after = _address_of(one.before), _address_of(one.after)
    # An address that is left out stays.
    if after is None or before == after:
        return
    unless = ""
    if before is None and after != HEADLESS and not one.is_live:
        unless = f"{after} is the address that it has"
    reason = "the address of a Service cannot be changed, nor headless be turned on or off"
    change = Change(path=("spec", "clusterIP"), old=Absent if before is None else before, new=after)
    yield _refused(one, change, reason, unless)


def _families(one: Compared) -> Iterator[Refusal]:
    if is_headless(one.before) or is_headless(one.after):
        return
    before, after = (
        items(mapping(body.get("spec")).get("ipFamilies")) for body in (one.before, one.after)
    )
    changed = one.changed("spec", "ipFamilies") if after else []
    if before[:1] != after[:1]:
        is_open = not before and not one.is_live
        unless = f"{after[0]} is the family that it has" if after and is_open else ""
        reason = "the first family of addresses cannot be changed"
        yield from (_refused(one, change, reason, unless) for change in changed)
    elif len(after) < len(before) and one.both("spec", "ipFamilyPolicy")[1] != "SingleStack":
        reason = "the second family is given back with ipFamilyPolicy: SingleStack only"
        yield from (_refused(one, change, reason, "") for change in changed)


def _balancer(one: Compared) -> Iterator[Refusal]:
    for change in one.changed("spec", "loadBalancerClass"):
        is_open = change.old is Absent and not one.is_live
        unless = f"{change.new} is the class that it has" if is_open else ""
        reason = "the class of a load balancer cannot be changed"
        yield _refused(one, change, reason, unless)
    policies = one.both("spec", "externalTrafficPolicy")
    for change in one.changed("spec", "healthCheckNodePort") if policies == ("Local",) * 2 else ():
        # A port that is left out stays.
        if change.new is not Absent:
            is_open = change.old is Absent and not one.is_live
            unless = f"{change.new} is the port that it has" if is_open else ""
            yield _refused(one, change, "the port of health checks cannot be changed", unless)


def _refused(one: Compared, change: Change, reason: str, unless: str) -> Refusal:
    return Refusal(manifest=one.new, change=change, reason=reason, advice=_DELETE, unless=unless)
