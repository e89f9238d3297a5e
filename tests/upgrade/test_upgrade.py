"""Upgrade: what is always so, whatever the manifests."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cluster.kinds import SAMPLES
from tests.cluster.variants import paths, put
from vllm_constructs.reading import files
from vllm_constructs.reading.graph import Graph
from vllm_constructs.upgrade import report
from vllm_constructs.upgrade.live import LAST_APPLIED
from vllm_constructs.upgrade.upgrade import Upgrade

Manifest = dict[str, Any]
ROOT = Path(__file__).parents[2]
ANY = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["25%", "1Gi", "None", "Recreate", "OnDelete", "x\ny", "\ud800", "[0]", ""]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["name", "spec", "metadata", "containers", "env", "type", "data"]),
                st.text(max_size=4),
                st.integers(0, 3),
                st.none(),
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, sample: Manifest) -> Manifest:
    """A manifest with values of any type anywhere."""
    found = deepcopy(sample)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(paths(found)) or [("spec",)]))
        found = put(found, path, draw(_VALUES))
    if draw(st.booleans()):
        found["metadata"] = draw(st.one_of(st.just(found.get("metadata")), _VALUES))
    if draw(st.booleans()):
        found["status"] = draw(_VALUES)
    return found


@st.composite
def broken(draw: st.DrawFn) -> tuple[Manifest, Manifest]:
    """Two versions of a manifest of some kind, both with values of any type anywhere."""
    sample = draw(st.sampled_from(sorted(SAMPLES.items())))[1]
    old, new = draw(changed(sample)), draw(changed(sample))
    if draw(st.booleans()) and isinstance(old["metadata"], dict):
        old["metadata"] |= {"uid": "a", "resourceVersion": "1"}
        if draw(st.booleans()):
            fields = st.dictionaries(
                st.sampled_from(
                    ["f:spec", "f:metadata", "f:data", "k:{}", 'k:{"name":"vllm"}', "."]
                ),
                _VALUES,
                max_size=2,
            )
            entry = {"operation": "Apply", "fieldsV1": draw(fields)}
            old["metadata"]["managedFields"] = draw(st.one_of(st.just([entry]), _VALUES))
        if draw(st.booleans()):
            text = draw(
                st.sampled_from(["", "{", "[]", '{"spec": 1}', '{"spec": {"template": []}}'])
            )
            old["metadata"]["annotations"] = {LAST_APPLIED: text}
    return old, new


def told(old: list[Manifest], new: list[Manifest]) -> dict[str, Any]:
    """What the report for programs says; both reports are made."""
    upgrade = Upgrade(Graph(old), Graph(new))
    assert report.text(upgrade)
    found = report.as_dict(upgrade)
    json.dumps(found)
    return found


def is_nothing(found: dict[str, Any]) -> bool:
    """Whether a report says nothing."""
    return not any(value for key, value in found.items() if key not in ("version", "not_compared"))


@ANY
@given(st.lists(broken(), max_size=4))
def test_itself(both: list[tuple[Manifest, Manifest]]) -> None:
    """Manifests beside themselves say nothing, whatever is in them, and are not changed."""
    manifests = [one[0] for one in both]
    before = repr(manifests)

    assert is_nothing(told(manifests, deepcopy(manifests)))
    assert before == repr(manifests)


@ANY
@given(st.lists(broken(), max_size=3))
def test_anything(both: list[tuple[Manifest, Manifest]]) -> None:
    """Whatever is in manifests, a report comes out."""
    told([one[0] for one in both], [one[1] for one in both])


@ANY
@given(st.lists(broken(), max_size=4), st.randoms(use_true_random=False))
def test_order(both: list[tuple[Manifest, Manifest]], random: Any) -> None:
    """The order of documents does not matter, each of which is another object."""
    for i, (old, new) in enumerate(both):
        for one in (old, new):
            one["metadata"] = {**(one["metadata"] if isinstance(one["metadata"], dict) else {})}
            one["metadata"]["name"] = f"x-{i}"
    sides = [one[0] for one in both], [one[1] for one in both]
    expected = told(*sides)
    shuffled = [random.sample(side, len(side)) for side in sides]

    found = told(*shuffled)

    assert set(expected) == set(found)
    for key, value in expected.items():
        assert normal(value) == normal(found[key]), key


def normal(value: Any) -> Any:
    """A part of a report without an order."""
    return sorted(map(json.dumps, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("folder", [ROOT / "dist", *sorted(ROOT.glob("examples/*/dist"))], ids=str)
def test_examples(folder: Path) -> None:
    """What this library renders is the same as itself, and appears as a whole."""
    objects = files.read(folder).objects

    assert Upgrade(Graph(objects), Graph(deepcopy(objects))).is_empty
    found = told([], objects)
    assert len(objects) == len(found["new"])
    assert not found["refused"]


class TestNotes:
    """What is said beside the changes."""

    def test_stays(self) -> None:
        """A field that an apply cannot remove is named, though nothing changes."""
        old, new = SAMPLES["Service headless"], deepcopy(SAMPLES["Service headless"])
        del new["spec"]["clusterIP"]
        upgrade = Upgrade(Graph([old]), Graph([new]))

        assert not upgrade.refused
        assert ["spec.clusterIP stays as it is: to leave it out does not remove it"] == [
            note for notes in upgrade.notes.values() for note in notes if "clusterIPs" not in note
        ]
        assert "stays as it is" in report.text(upgrade)
        assert not upgrade.is_empty

    def test_config(self) -> None:
        """A ConfigMap that pods have read already, and that do not roll with it."""
        old = [SAMPLES["ConfigMap"] | named("settings"), deepcopy(SAMPLES["Deployment"])]
        old[1]["spec"]["replicas"] = 1
        new = deepcopy(old)
        new[0]["data"]["a"] = "2"
        upgrade = Upgrade(Graph(old), Graph(new))

        text = "Deployment x does not roll, and reads it again only when pods start"
        assert [[text]] == [*upgrade.notes.values()]

        new[1]["spec"]["template"]["metadata"]["annotations"]["checksum"] = "2"
        assert not Upgrade(Graph(old), Graph(new)).notes

    def test_refused_rolls_not(self) -> None:
        """A workload that is refused does not roll either."""
        new = deepcopy(SAMPLES["Deployment"])
        new["spec"]["selector"]["matchLabels"]["tier"] = "gpu"
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
        upgrade = Upgrade(Graph([SAMPLES["Deployment"]]), Graph([new]))

        assert upgrade.refused
        assert not upgrade.rollouts
        assert not upgrade.plain

    def test_doubt(self) -> None:
        """What may be refused is told once, and not among the changes."""
        new = deepcopy(SAMPLES["PersistentVolumeClaim"])
        new["spec"]["resources"]["requests"]["storage"] = "300Gi"
        upgrade = Upgrade(Graph([SAMPLES["PersistentVolumeClaim"]]), Graph([new]))

        assert not upgrade.refused
        assert 1 == len(upgrade.doubtful)
        assert not upgrade.plain


def named(name: str) -> Manifest:
    """The metadata of an object of a name."""
    return {"metadata": {"name": name}}
