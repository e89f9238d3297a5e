"""Scheduling: which nodes a pod may run on, and how pods are spread over them."""

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import (
    Affinity,
    GpuPodSpec,
    NodeRequirement,
    PodAffinityTerm,
    Toleration,
    TopologySpread,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.workloads import scheduling

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

VALUES = st.lists(strategies.label_values().filter(bool), min_size=1, max_size=3)
TERMS = st.builds(
    PodAffinityTerm,
    labels=strategies.labels().filter(bool),
    topology_key=strategies.keys(),
    required=st.booleans(),
    namespaces=st.lists(strategies.names(), max_size=2),
)


def requirements() -> st.SearchStrategy[NodeRequirement]:
    """Requirements with each of the operators."""
    return st.one_of(
        st.builds(NodeRequirement, strategies.keys()),
        st.builds(NodeRequirement, strategies.keys(), operator=st.just("DoesNotExist")),
        st.builds(NodeRequirement, strategies.keys(), VALUES),
        st.builds(NodeRequirement, strategies.keys(), VALUES, operator=st.just("NotIn")),
        st.builds(
            NodeRequirement,
            strategies.keys(),
            st.integers(0, 10**6).map(lambda number: [str(number)]),
            operator=st.sampled_from(("Gt", "Lt")),
        ),
    )


def problems(fields: strategies.Manifest) -> list[str]:
    """Return what is wrong with a pod that has these fields, in the oldest and newest release."""
    found = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"containers": [{"name": "x", "image": "x:1"}], **fields},
    }
    return validate(found, releases=["1.27", "1.37"])


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (NodeRequirement("a"), {"operator": "Exists"}),
        (NodeRequirement("a", ()), {"operator": "Exists"}),
        (NodeRequirement("a", operator="DoesNotExist"), {"operator": "DoesNotExist"}),
        (NodeRequirement("a", ["b", "c"]), {"operator": "In", "values": ["b", "c"]}),
        (NodeRequirement("a", ["b"], operator="NotIn"), {"operator": "NotIn", "values": ["b"]}),
        (NodeRequirement("a", ("5",), operator="Gt"), {"operator": "Gt", "values": ["5"]}),
        (NodeRequirement("a", ("5",), operator="Lt"), {"operator": "Lt", "values": ["5"]}),
    ],
)
def test_requirement(requirement: NodeRequirement, expected: strategies.Manifest) -> None:
    """The operator follows from the values, unless it is given."""
    assert requirement.manifest() == {"key": "a", **expected}


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Affinity,
        nodes=st.lists(requirements(), max_size=2),
        preferred_nodes=st.lists(requirements(), max_size=2),
        near=st.lists(TERMS, max_size=2),
        apart_from=st.lists(TERMS, max_size=2),
    ),
    st.lists(requirements(), max_size=2),
)
def test_validity(affinity: Affinity, more: list[NodeRequirement]) -> None:
    """Whatever is required and preferred, Kubernetes takes it; without anything it is empty."""
    found = affinity.manifest(more)

    assert strategies.is_plain(found)
    assert problems({"affinity": found}) == []
    parts = (more, affinity.nodes, affinity.preferred_nodes, affinity.near, affinity.apart_from)
    assert bool(found) == any(parts)


def test_nodes() -> None:
    """All requirements stand in one term, so that a node has to meet all; preferences in own."""
    one, two = NodeRequirement("a", ["1"]), NodeRequirement("b")
    found = Affinity(nodes=[one, two], preferred_nodes=[two, one]).manifest(
        [NodeRequirement("gpu", ["l4", "l40s"])]
    )

    gpu = {"key": "gpu", "operator": "In", "values": ["l4", "l40s"]}
    required = [gpu, one.manifest(), two.manifest()]
    assert list(found) == ["nodeAffinity"]
    assert found["nodeAffinity"][REQUIRED] == {
        "nodeSelectorTerms": [{"matchExpressions": required}]
    }
    assert found["nodeAffinity"][PREFERRED] == [
        {"weight": 100, "preference": {"matchExpressions": [each.manifest()]}}
        for each in (two, one)
    ]


@pytest.mark.parametrize(
    ("option", "field"), [("near", "podAffinity"), ("apart_from", "podAntiAffinity")]
)
def test_pods(option: str, field: str) -> None:
    """Terms that are required stand by themselves, the others have a weight."""
    must = PodAffinityTerm(labels={"app": "db"}, topology_key=ZONE, required=True)
    may = PodAffinityTerm(labels={"b": "2", "a": "1"}, namespaces=["data", "llm"])
    fields: dict[str, Any] = {option: [may, must]}
    found = Affinity(**fields).manifest()

    assert problems({"affinity": found}) == []
    assert found == {
        field: {
            REQUIRED: [{"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": ZONE}],
            PREFERRED: [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "labelSelector": {"matchLabels": {"a": "1", "b": "2"}},
                        "topologyKey": HOST,
                        "namespaces": ["data", "llm"],
                    },
                }
            ],
        }
    }


def test_affinity_of_pod() -> None:
    """A pod has an affinity where one is given, and none otherwise."""
    affinity = Affinity(apart_from=[PodAffinityTerm(labels={"app": "db"})])

    assert pod(affinity=affinity).manifest()["affinity"] == affinity.manifest()
    for nothing in (None, Affinity(), Affinity(nodes=[], near=())):
        assert "affinity" not in pod(affinity=nothing).manifest()
    assert Affinity().manifest() == {}


@pytest.mark.parametrize(
    ("spread", "key", "skew", "unsatisfiable"),
    [
        (TopologySpread(), HOST, 1, "ScheduleAnyway"),
        (TopologySpread(ZONE), ZONE, 1, "ScheduleAnyway"),
        (TopologySpread(ZONE, max_skew=3), ZONE, 3, "ScheduleAnyway"),
        (TopologySpread(required=True), HOST, 1, "DoNotSchedule"),
        (TopologySpread("example.com/rack", max_skew=1000), "example.com/rack", 1000, None),
    ],
)
def test_spread(spread: TopologySpread, key: str, skew: int, unsatisfiable: str | None) -> None:
    """A spread counts the pods of one revision that have the labels."""
    found = spread.manifest({"app": "qwen"})

    assert problems({"topologySpreadConstraints": [found]}) == []
    assert found == {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": unsatisfiable or "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "qwen"}},
        "matchLabelKeys": ["pod-template-hash"],
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.builds(TopologySpread, st.sampled_from(("a", "b", "c"))), max_size=4))
def test_spreads(spreads: list[TopologySpread]) -> None:
    """There is one spread for each label at most, in the order in which they are given."""
    keys = [one.topology_key for one in spreads]

    if len({*keys}) == len(keys):
        assert scheduling.check_spreads("here", spreads) == tuple(spreads)
    else:
        sentence = strategies.refusal(lambda: scheduling.check_spreads("here", spreads))
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        assert sentence == f"here has two spreads over {twice!r}; leave one out."


def test_tolerations() -> None:
    """Tolerations keep their order, after that of the GPU; an empty value is a value."""
    mine = [Toleration(key="z"), Toleration(key="a", value="", effect="PreferNoSchedule")]
    found = pod(tolerations=mine).manifest()["tolerations"]

    assert problems({"tolerations": found}) == []
    assert [one["key"] for one in found] == ["nvidia.com/gpu", "z", "a"]
    assert found[2] == {
        "key": "a",
        "operator": "Equal",
        "value": "",
        "effect": "PreferNoSchedule",
    }


EVERYTHING = [
    Toleration(key="a", value="b"),
    NodeRequirement("a", ["b"]),
    PodAffinityTerm(labels={"a": "b"}, namespaces=["c"]),
    Affinity(nodes=[NodeRequirement("a")], near=[PodAffinityTerm(labels={"a": "b"})]),
    TopologySpread(ZONE, max_skew=2),
]


@pytest.mark.parametrize("value", EVERYTHING)
def test_values(value: Any) -> None:
    """Values can be copied, pickled, compared and replaced, and not changed."""
    assert value == deepcopy(value) == replace(value)
    assert value == pickle.loads(pickle.dumps(value))  # noqa: S301  # its own bytes
    assert [other == value for other in EVERYTHING].count(True) == 1
    with pytest.raises(FrozenInstanceError):
        value.key = "c"


def test_copies() -> None:
    """Values keep copies: what a user changes afterwards changes nothing."""
    values, labels, namespaces = ["b"], {"a": "b"}, ["c"]
    nodes = [NodeRequirement("a", values)]
    near = [PodAffinityTerm(labels=labels, namespaces=namespaces)]
    found = Affinity(nodes=nodes, near=near)
    before = found.manifest()

    for given_ in (values, labels, namespaces, nodes, near):
        given_.clear()
    assert before == found.manifest()
    before["nodeAffinity"][REQUIRED]["nodeSelectorTerms"][0]["matchExpressions"].clear()
    before["podAffinity"][PREFERRED][0]["podAffinityTerm"]["labelSelector"]["matchLabels"].clear()
    assert found.manifest()["nodeAffinity"] != before["nodeAffinity"]
    assert found.manifest()["podAffinity"] != before["podAffinity"]


def test_places() -> None:
    """Only what a value is about is given by place; all others are options with a name."""
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (NodeRequirement, ("a", ["b"], "In")),
        (TopologySpread, (HOST, 2)),
        (PodAffinityTerm, ({"a": "b"},)),
        (Affinity, ([],)),
    ]
    for kind, places in calls:
        with pytest.raises(VllmConstructsError):
            kind(*places)


def requirement(*values: Any, **fields: Any) -> NodeRequirement:
    """Return a requirement on the label `a`."""
    return NodeRequirement("a", list(values), **fields)


def term(**fields: Any) -> PodAffinityTerm:
    """Return a term with these fields."""
    return PodAffinityTerm(**{"labels": {"a": "b"}, **fields})


def affinity(**fields: Any) -> Affinity:
    """Return an affinity with these fields."""
    return Affinity(**fields)


def spread(*key: Any, **fields: Any) -> TopologySpread:
    """Return a spread with these fields."""
    return TopologySpread(*key, **fields)


def toleration(**fields: Any) -> Toleration:
    """Return a toleration with these fields."""
    return Toleration(**fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: NodeRequirement("a b"), ("NodeRequirement.key is 'a b'", "'example.com/team'")),
    (lambda: NodeRequirement("a", "b"), ("NodeRequirement.values is 'b'", "a list of strings")),
    (lambda: requirement(5), ("NodeRequirement.values is 5", "a list of strings")),
    (lambda: requirement("b c"), ("NodeRequirement.values['a'] is 'b c'", "at most 63")),
    (lambda: requirement("b" * 64), ("NodeRequirement.values['a'] is ", "at most 63")),
    (lambda: requirement(operator="in"), ("NodeRequirement.operator is 'in'", "'In'?")),
    (lambda: requirement(operator=5), ("NodeRequirement.operator is 5", "'Exists'")),
    (lambda: requirement(operator="In"), ("NodeRequirement.values is []", "values with 'In'")),
    (lambda: requirement(operator="NotIn"), ("values with 'NotIn'",)),
    (lambda: requirement("b", operator="Exists"), ("['b']", "no values with 'Exists'")),
    (lambda: requirement("b", operator="DoesNotExist"), ("no values with 'DoesNotExist'",)),
    (lambda: requirement(operator="Gt"), ("one integer with 'Gt'",)),
    (lambda: requirement("1", "2", operator="Lt"), ("['1', '2']", "one integer with 'Lt'")),
    (lambda: term(labels={}), ("PodAffinityTerm.labels is {}", "at least one label")),
    (lambda: term(labels=["a"]), ("PodAffinityTerm.labels is ['a']", "a dict of strings")),
    (lambda: term(labels={"a b": "c"}), ("a key of PodAffinityTerm.labels is 'a b'",)),
    (lambda: term(labels={"a": "b c"}), ("PodAffinityTerm.labels['a'] is 'b c'",)),
    (lambda: term(topology_key=""), ("PodAffinityTerm.topology_key is ''", "a key such as")),
    (lambda: term(topology_key=None), ("PodAffinityTerm.topology_key is None",)),
    (lambda: term(required="yes"), ("PodAffinityTerm.required is 'yes'", "True or False")),
    (lambda: term(namespaces="llm"), ("PodAffinityTerm.namespaces is 'llm'", "a list of")),
    (lambda: term(namespaces=["LLM"]), ("PodAffinityTerm.namespaces is 'LLM'", "'llm'")),
    (lambda: affinity(nodes=["a"]), ("Affinity.nodes[0] is 'a'", "NodeRequirement(...)")),
    (lambda: affinity(nodes=requirement()), ("Affinity.nodes is NodeRequirement(", "a list")),
    (lambda: affinity(preferred_nodes=[term()]), ("Affinity.preferred_nodes[0] is PodAff",)),
    (lambda: affinity(near=[requirement()]), ("Affinity.near[0] is Node", "PodAffinityTerm(...)")),
    (lambda: affinity(apart_from={"a": "b"}), ("Affinity.apart_from is {'a': 'b'}",)),
    (lambda: spread("a b"), ("TopologySpread.topology_key is 'a b'",)),
    (lambda: spread(None), ("TopologySpread.topology_key is None",)),
    (lambda: spread(max_skew=0), ("TopologySpread.max_skew is 0", "from 1 to 1000")),
    (lambda: spread(max_skew=1001), ("TopologySpread.max_skew is 1001",)),
    (lambda: spread(max_skew="2"), ("TopologySpread.max_skew is '2'", "without quotes")),
    (lambda: spread(required=1), ("TopologySpread.required is 1", "True or False")),
    (lambda: scheduling.check_spreads("x", ZONE), (f"x is {ZONE!r}", "TopologySpread(...)")),
    (lambda: scheduling.check_spreads("x", [ZONE]), (f"x[0] is {ZONE!r}", "TopologySpread(...)")),
    (lambda: toleration(key=""), ("Toleration.key is ''", "a key such as 'team'")),
    (lambda: toleration(key="a", value=5), ("Toleration['a'] is 5", "quote numbers")),
    (lambda: toleration(key="a", effect="noexecute"), ("did you mean 'NoExecute'?",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot be scheduled is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
