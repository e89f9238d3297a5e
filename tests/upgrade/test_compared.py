"""An object before and after."""

from vllm_constructs.upgrade.changes import Absent

from .both import changed, compared, live, sample


def test_same() -> None:
    """The same manifests do not differ, and are not looked at any closer."""
    one = compared(sample("Deployment"), sample("Deployment"))

    assert [] == one.changes
    assert [] == one.stays
    assert "before" not in vars(one)


def test_both() -> None:
    """What stands before and after; nothing is not null."""
    one = compared(sample("Service"), sample("Service headless"))

    assert (Absent, "None") == one.both("spec", "clusterIP")
    assert (Absent, Absent) == one.both("spec", "ports", "a")
    assert one.sets("spec", "clusterIP")
    assert not one.sets("spec", "loadBalancerIP")


def test_changed() -> None:
    """Changes at a field, in it, and of what it is in."""
    old = sample("Deployment")
    inside = compared(old, changed(old, "spec", "selector", "matchLabels", "a", to="b"))
    whole = compared(old, {key: one for key, one in old.items() if key != "spec"})
    elsewhere = compared(old, changed(old, "spec", "paused", to=True))

    assert ["spec.selector.matchLabels.a"] == [
        one.field for one in inside.changed("spec", "selector")
    ]
    assert ["spec"] == [one.field for one in whole.changed("spec", "selector")]
    assert [] == whole.changed("spec", "nothing")
    assert [] == elsewhere.changed("spec", "selector")


def test_live() -> None:
    """The status counts if it is of a cluster."""
    claim = sample("PersistentVolumeClaim")

    assert {"phase": "Bound"} == compared(live(claim, {"phase": "Bound"}), claim).status
    assert {} == compared({**claim, "status": {"phase": "Bound"}}, claim).status
