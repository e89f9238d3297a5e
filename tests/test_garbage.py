"""Whatever a user gives to a construct, only the library's own error comes out."""

import enum
import inspect
import json
import string
from collections import OrderedDict, UserString
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cdk8s import App, Chart
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import vllm_constructs
from tests.cdk.samples import SAMPLES, chart, manifests, model, options, unwarned, variants
from tests.support import crds_available, validate
from vllm_constructs import VllmConstructsError


class Mute:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Mode(enum.StrEnum):
    """A user's own names for what the library spells as texts."""

    MANY = "ReadWriteMany"
    NAME = "qwen"


class Size(enum.IntEnum):
    """A user's own names for numbers."""

    TWO = 2


class Named:
    """An object with a name that is none."""

    name = 5


_LOOP: list[Any] = []
_LOOP.append(_LOOP)

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 10),
    st.floats(),
    st.text(max_size=20),
    st.text(string.printable, max_size=80),
    st.characters(categories=["Cs", "Cc", "Zl"]),
    st.binary(max_size=5),
    st.sampled_from(
        ["a" * 300, "{{ .Values.x }}", "$(HOME)", "a\nb", "10GB", "-1", "1e400", "null"]
    ),
)
_OBJECTS = st.sampled_from(
    [
        Mode.MANY,
        Mode.NAME,
        Size.TWO,
        Named(),
        UserString("qwen"),
        Decimal("NaN"),
        Fraction(1, 2),
        Path("/tmp"),  # noqa: S108  # a value, nothing is written there
        timedelta(seconds=5),
        object(),
        object,
        print,
        {"a", "b"},
        frozenset({1}),
        MappingProxyType({"a": "b"}),
        OrderedDict(a="b"),
        range(3),
        10**400,
        _LOOP,
        {"a": _LOOP},
        iter("ab"),
    ]
)
GARBAGE = st.recursive(
    _SCALARS | _OBJECTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    ),
    max_leaves=5,
)

KEYWORDS = [
    (kind, variant, keyword)
    for kind, variant in variants()
    if variant in ("minimal", "everything")
    for keyword in options(kind)
    if (variant == "minimal") == (options(kind)[keyword].default is inspect.Parameter.empty)
]

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(scope: Chart) -> None:
    """What was accepted renders, as plain JSON that a cluster takes."""
    for item in manifests(scope):
        json.dumps(item, allow_nan=False)
        found = validate(item, releases=["1.37"], require_namespace=False)
        assert [] == found or not crds_available(), item["kind"]


@pytest.mark.parametrize(("kind", "variant", "keyword"), KEYWORDS)
@FEW
@given(garbage=GARBAGE)
@example(garbage=None)
@example(garbage=Mode.NAME)
@example(garbage=_LOOP)
@example(garbage={"": None, 0: None})
@example(garbage={"0": (None, None)})
def test_keyword(kind: str, variant: str, keyword: str, garbage: Any) -> None:
    """One keyword is garbage, the others are right."""
    scope = chart()
    with unwarned():
        given_ = SAMPLES[kind][variant](scope) | {keyword: garbage}
        try:
            getattr(vllm_constructs, kind)(scope, "sample", **given_)
        except VllmConstructsError as error:
            sentence = str(error)
            assert sentence.endswith((".", "?"))
            assert "\n" not in sentence
            assert len(sentence) < 1000
            return
    check(scope)


@pytest.mark.parametrize("kind", SAMPLES)
@FEW
@given(garbage=GARBAGE)
def test_scope(kind: str, garbage: Any) -> None:
    """The scope is garbage."""
    with unwarned():
        given_ = SAMPLES[kind]["minimal"](chart())
        with pytest.raises(VllmConstructsError):
            getattr(vllm_constructs, kind)(garbage, "sample", **given_)


@pytest.mark.parametrize("kind", SAMPLES)
@FEW
@given(garbage=GARBAGE)
def test_id(kind: str, garbage: Any) -> None:
    """The id is garbage."""
    scope = chart()
    with unwarned():
        given_ = SAMPLES[kind]["minimal"](scope)
        try:
            getattr(vllm_constructs, kind)(scope, garbage, **given_)
        except VllmConstructsError:
            return
    assert isinstance(garbage, str)
    check(scope)


@pytest.mark.parametrize("wrong", ["app", "chart", "model", "mute"])
def test_wrong_objects(wrong: str) -> None:
    """Constructs where values belong are refused, and what cannot even be shown."""
    app = App()
    own = Chart(app, "x", namespace="llm")
    given_ = {"app": app, "chart": own, "model": model(own), "mute": Mute()}[wrong]
    accepted = []
    for kind, variant, keyword in KEYWORDS:
        scope = chart()
        with unwarned():
            keywords = SAMPLES[kind][variant](scope) | {keyword: given_}
            try:
                getattr(vllm_constructs, kind)(scope, "sample", **keywords)
            except VllmConstructsError:
                continue
        accepted.append((kind, keyword))
    assert [] == [item for item in accepted if wrong != "model" or item[1] != "target"]
