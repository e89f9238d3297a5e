"""Services: addresses, families and load balancers."""

from typing import Any

import pytest

from .both import Missing, changed, live, sample, upgraded, verdict

ADDRESS = ("spec", "clusterIP")
HEADLESS = "Service headless"
BALANCER = "Service load balancer"


@pytest.mark.parametrize(
    ("title", "path", "value", "file"),
    [
        ("Service", ADDRESS, "None", "refused"),
        ("Service", ADDRESS, "10.0.0.9", "doubtful"),
        ("Service", ADDRESS, "", "nothing"),
        ("Service", ("spec", "ports", 0, "port"), 81, "changed"),
        ("Service", ("spec", "type"), "NodePort", "changed"),
        ("Service", ("spec", "type"), "LoadBalancer", "changed"),
        ("Service", ("spec", "ipFamilies"), ["IPv6"], "doubtful"),
        ("Service", ("spec", "ipFamilyPolicy"), "PreferDualStack", "changed"),
        (HEADLESS, ADDRESS, "10.0.0.9", "refused"),
        (HEADLESS, ADDRESS, Missing, "nothing"),
        (HEADLESS, ("spec", "clusterIPs"), ["None"], "nothing"),
        (HEADLESS, ("spec", "ipFamilies"), ["IPv6"], "changed"),
        (BALANCER, ("spec", "loadBalancerClass"), "example.com/other", "refused"),
        (BALANCER, ("spec", "loadBalancerClass"), Missing, "refused"),
        (BALANCER, ("spec", "ipFamilies"), ["IPv6", "IPv4"], "refused"),
        (BALANCER, ("spec", "ipFamilies"), ["IPv4"], "refused"),
        (BALANCER, ("spec", "ipFamilies"), Missing, "nothing"),
        (BALANCER, ("spec", "healthCheckNodePort"), 30001, "doubtful"),
        (BALANCER, ("spec", "externalTrafficPolicy"), "Cluster", "changed"),
    ],
)
def test_service(title: str, path: tuple[str | int, ...], value: Any, file: str) -> None:
    """What cannot be changed once it is set, by whomever."""
    old = sample(title)

    assert file == verdict(upgraded(old, changed(old, *path, to=value)))


def test_live() -> None:
    """Of a cluster, the address is known."""
    new = sample("Service")
    old = live(changed(new, *ADDRESS, to="10.0.0.1"))

    assert "nothing" == verdict(upgraded(old, new))
    assert "nothing" == verdict(upgraded(old, changed(new, *ADDRESS, to="10.0.0.1")))
    assert "refused" == verdict(upgraded(old, changed(new, *ADDRESS, to="10.0.0.9")))
    assert "refused" == verdict(upgraded(old, changed(new, *ADDRESS, to="None")))


def test_known() -> None:
    """An address and a port of health checks that were given are known."""
    old = changed(sample("Service"), *ADDRESS, to="10.0.0.1")
    port = changed(sample(BALANCER), "spec", "healthCheckNodePort", to=30001)

    assert "refused" == verdict(upgraded(old, changed(old, *ADDRESS, to="10.0.0.2")))
    assert "nothing" == verdict(upgraded(old, sample("Service")))
    assert "refused" == verdict(upgraded(port, changed(port, "spec", "healthCheckNodePort", to=1)))


def test_class() -> None:
    """A class may be the one that a webhook has set."""
    new = sample(BALANCER)
    old = changed(new, "spec", "loadBalancerClass", to=Missing)

    (found,) = upgraded(old, new).doubtful
    assert "example.com/nlb is the class that it has" == found.unless


def test_elsewhere() -> None:
    """A Service may become a name for a host elsewhere, and the other way round."""
    old, new = sample(HEADLESS), sample("Service elsewhere")

    assert "changed" == verdict(upgraded(old, new))
    assert "changed" == verdict(upgraded(new, old))


def test_families() -> None:
    """The second family is given back with the policy that says so."""
    old = sample(BALANCER)
    new = sample(BALANCER, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")

    assert "changed" == verdict(upgraded(old, new))
