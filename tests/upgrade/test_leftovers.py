"""Defaults that stay, and are refused."""

import pytest

from .both import changed, live, sample, upgraded, verdict

VOLUME = ("spec", "template", "spec", "volumes", 2)


def test_recreate() -> None:
    """The numbers of a rolling update stay, but not for client-side apply."""
    old = sample("Deployment of defaults")
    new = changed(old, "spec", "strategy", to={"type": "Recreate"})

    (found,) = upgraded(old, new).doubtful
    assert "it is applied client-side, without --server-side" == found.unless
    assert "doubtful" == verdict(upgraded(live(old), new))
    # What was applied goes.
    own = sample("Deployment")
    assert "changed" == verdict(
        upgraded(own, changed(own, "spec", "strategy", to={"type": "Recreate"}))
    )


def test_on_delete() -> None:
    """Of a StatefulSet, they stay for every apply."""
    old = sample("StatefulSet of defaults")
    shown = changed(
        old,
        "spec",
        "updateStrategy",
        to={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    )
    new = changed(old, "spec", "updateStrategy", to={"type": "OnDelete"})

    assert "refused" == verdict(upgraded(old, new))
    assert "doubtful" == verdict(upgraded(live(shown), new))


def test_daemon_set() -> None:
    """Of a DaemonSet, nobody minds."""
    old = sample("DaemonSet")

    assert "changed" == verdict(
        upgraded(old, changed(old, "spec", "updateStrategy", to={"type": "OnDelete"}))
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [(2, "doubtful"), (3, "changed"), (0, "changed")],
)
def test_volume(number: int, expected: str) -> None:
    """An empty directory that nobody asked for stays."""
    old = sample("Deployment of defaults")
    path = (*VOLUME[:-1], number)
    name = old["spec"]["template"]["spec"]["volumes"][number]["name"]
    new = changed(old, *path, to={"name": name, "secret": {"secretName": "a"}})

    assert expected == verdict(upgraded(old, new))
