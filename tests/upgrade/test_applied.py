"""What a server-side apply makes of an object."""

from typing import Any

import pytest

from vllm_constructs.upgrade.applied import applied, with_families

from .both import Missing, changed, compared, sample

POD = ("spec", "template", "spec")


@pytest.mark.parametrize(
    ("before", "owned", "new", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {"c": 3}, {"b": 2, "c": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {}}, {"a": {"c": 2}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {}, {}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": None}, {}, {"a": 1}),
        (
            {"x": [{"name": "a", "b": 1, "c": 2}, {"name": "d"}, {"name": "e"}]},
            {"x": [{"name": "a", "b": 1}, {"name": "d"}]},
            {"x": [{"name": "f"}, {"name": "a"}]},
            {"x": [{"name": "f"}, {"name": "a", "c": 2}, {"name": "e"}]},
        ),
        (
            {"ports": [{"port": 80, "name": "http", "targetPort": 80}]},
            {"ports": [{"port": 80, "name": "http"}]},
            {"ports": [{"port": 81, "name": "http"}]},
            {"ports": [{"port": 81, "name": "http"}]},
        ),
    ],
)
def test_applied(before: Any, owned: Any, new: Any, expected: Any) -> None:
    """Fields are set, and removed if they were applied before; others stay."""
    assert expected == applied(before, owned, new)


def test_policy() -> None:
    """The policy of an image stays, though it would be another one for a new object."""
    old = sample("Deployment")
    one = compared(old, changed(old, *POD, "containers", 0, "image", to="a:latest"))

    assert ["spec.template.spec.containers[vllm].image"] == [it.field for it in one.changes]


def test_account() -> None:
    """The account of pods stays, which has two names."""
    old = sample("Deployment")
    one = compared(old, changed(old, *POD, "serviceAccountName", to=Missing))

    assert [] == one.changes
    assert [(*POD, "serviceAccountName")] == one.stays


def test_address() -> None:
    """The address of a Service stays, and its families."""
    old = sample("Service headless", ipFamilies=["IPv4"])
    new = sample("Service headless")
    del new["spec"]["clusterIP"]
    one = compared(old, new)

    assert [] == one.changes
    assert {("spec", "clusterIP"), ("spec", "ipFamilies")} == set(one.stays)
    elsewhere: dict[str, Any] = {"spec": {"type": "ExternalName"}}
    assert elsewhere == with_families(old, elsewhere)


def test_strings() -> None:
    """A key of a Secret stays that was given as a string."""
    old = sample("Secret")
    new = {key: one for key, one in old.items() if key != "stringData"}
    one = compared(old, new)

    assert [] == one.changes
    assert [("data", "b")] == one.stays


def test_policy_types() -> None:
    """Without its rules, a policy denies what they allowed: the type stays."""
    old = sample("NetworkPolicy")
    one = compared(old, changed(old, "spec", "egress", to=Missing))

    assert ["spec.egress"] == [it.field for it in one.changes]
    assert ["Ingress", "Egress"] == one.after["spec"]["policyTypes"]
