"""Rule S06: fields of scalers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences

WAITING = of.prometheus(of.WAITING)


def said(*objects: dict[str, Any]) -> str:
    """All findings of S06 as one text."""
    return "\n".join(sentences(objects, "S06"))


def test_good() -> None:
    """A ScaledObject with both limits, and an HPA, have nothing wrong."""
    scaler = of.scaled(WAITING, of.prometheus(of.USAGE, "0.85", "Value"), of.cron())

    assert said(of.deployment(), scaler, of.hpa(of.cpu())) == ""


@pytest.mark.parametrize(
    ("value", "right"),
    [(5, "5"), (0.85, "0.85"), (True, "true"), (1_000_000, "1000000"), ([], None), ({}, None)],
)
def test_strings(value: object, right: str | None) -> None:
    """The API server takes strings only."""
    (one,) = found([of.scaled(of.prometheus(of.WAITING, unsafeSsl=value))], "S06")

    assert one.path == ("spec", "triggers", 0, "metadata", "unsafeSsl")
    assert "metadata has strings only" in one.problem.sentence()
    assert (one.fix is None) is (right is None)
    if one.fix is not None:
        assert one.fix.is_safe
        assert one.fix.edits[0].value == right


def test_strings_of_others() -> None:
    """It holds for triggers of any type."""
    assert "lagThreshold is 5" in said(
        of.scaled({"type": "kafka", "metadata": {"lagThreshold": 5}})
    )


def test_left_out() -> None:
    """The defaults are 0 and 100 pods, which is no matter for others than engines."""
    trigger = of.prometheus("sum(gateway_requests)")
    both = of.scaled(trigger, minReplicaCount=None, maxReplicaCount=None)

    text = said(of.deployment(), both)
    assert "minReplicaCount is left out, which means 0" in text
    assert "maxReplicaCount is left out, which means 100 pods" in text
    assert said(both) == ""
    by_query = of.scaled(WAITING, maxReplicaCount=None)
    assert "maxReplicaCount" in said(by_query)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minReplicaCount": 5}, "minReplicaCount is 5, above maxReplicaCount (4)"),
        ({"minReplicaCount": 200, "maxReplicaCount": None}, "(100, the default)"),
        ({"minReplicaCount": 0, "maxReplicaCount": 0}, "maxReplicaCount is 0"),
        ({"maxReplicaCount": -1}, "maxReplicaCount is -1"),
        ({"minReplicaCount": 2, "idleReplicaCount": 2}, "below minReplicaCount (2)"),
        ({"minReplicaCount": 2, "idleReplicaCount": 3}, "below minReplicaCount (2)"),
        ({"minReplicaCount": None, "idleReplicaCount": 0}, "which is 0 by default"),
        ({"minReplicaCount": 3, "idleReplicaCount": 1}, "KEDA is made for 0 only"),
    ],
)
def test_order(fields: dict[str, Any], words: str) -> None:
    """Idle is below the minimum, which is not above the maximum."""
    assert words in said(of.scaled(of.cron(), **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"minReplicaCount": 4},
        {"idleReplicaCount": 0},
        {"minReplicaCount": 0, "idleReplicaCount": 0},
        {"minReplicaCount": "${MIN}", "maxReplicaCount": "${MAX}"},
    ],
)
def test_order_quiet(fields: dict[str, Any]) -> None:
    """Equal limits, 0 beside an explicit minimum, and variables are accepted."""
    assert said(of.scaled(of.cron(), **fields)) == ""


def test_hpa() -> None:
    """An HPA has limits too."""
    assert "minReplicas is 5, above maxReplicas (4)" in said(of.hpa(of.cpu(), minReplicas=5))
    assert "maxReplicas is 0" in said(of.hpa(of.cpu(), maxReplicas=0))
    assert said(of.hpa(of.cpu(), minReplicas=0)) == ""


def test_removed() -> None:
    """Keys that KEDA 2.12 removed; other types have a metricName of their own."""
    (one,) = found([of.scaled(of.prometheus(of.WAITING, metricName="queue"))], "S06")

    assert one.path[-1] == "metricName"
    assert one.fix is not None
    assert one.fix.is_safe
    assert "X-Scope-OrgID" in said(of.scaled(of.prometheus(of.WAITING, cortexOrgID="a")))
    assert said(of.scaled({"type": "azure-monitor", "metadata": {"metricName": "x"}})) == ""


def test_names() -> None:
    """KEDA names an HPA after the ScaledObject."""
    config = {"horizontalPodAutoscalerConfig": {"name": "qwen"}}

    assert "55 characters long" in said(of.scaled(WAITING, name="x" * 55))
    for quiet in (
        of.scaled(WAITING, name="x" * 54),
        of.scaled(WAITING, name="x" * 55, advanced=config),
        of.scaled(WAITING, name="{{ .Release.Name }}" * 4),
    ):
        assert said(quiet) == ""
    assert "scaleTargetRef.name" in said(of.scaled(WAITING, scaleTargetRef={}))


def test_triggers() -> None:
    """At least one trigger, with names of their own."""
    named = {**WAITING, "name": "queue"}

    assert "triggers is empty" in said(of.scaled())
    assert "triggers is missing" in said(of.scaled(triggers=None))
    (one,) = found([of.scaled(named, named)], "S06")
    assert one.path == ("spec", "triggers", 1, "name")
    assert said(of.scaled(WAITING, WAITING, {**WAITING, "name": "a"})) == ""
    assert "useCachedMetrics" in said(of.scaled({**of.cron(), "useCachedMetrics": True}))
    assert said(of.scaled({**WAITING, "useCachedMetrics": True})) == ""


@pytest.mark.parametrize("key", ["serverAddress", "query", "threshold"])
def test_missing(key: str) -> None:
    """A prometheus trigger without one of its keys does nothing."""
    trigger = of.prometheus(of.WAITING)
    del trigger["metadata"][key]

    assert f"metadata.{key}: {key} is missing" in said(of.scaled(trigger))


def test_formula() -> None:
    """A formula needs a target, and makes thresholds superfluous."""
    trigger = of.prometheus(of.WAITING)
    del trigger["metadata"]["threshold"]
    good = {"scalingModifiers": {"formula": "a", "target": "5"}}

    assert said(of.scaled(trigger, advanced=good)) == ""
    for part, other in (("formula", "target"), ("target", "formula")):
        text = said(of.scaled(WAITING, advanced={"scalingModifiers": {part: "5"}}))
        assert f"scalingModifiers.{other}: {other} is missing" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [("five", "is no number"), ("5m", "is no number"), ("0", "above 0"), ("-1", "above 0")],
)
def test_threshold(value: str, words: str) -> None:
    """A threshold is a number above 0."""
    assert words in said(of.scaled(of.prometheus(of.WAITING, value)))


@pytest.mark.parametrize("value", ["5", " 5 ", "0.85", "1e3", ".5", "${THRESHOLD}", "{{ .x }}"])
def test_threshold_quiet(value: str) -> None:
    """Numbers as KEDA reads them, and variables."""
    assert said(of.scaled(of.prometheus(of.WAITING, value))) == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"desiredReplicas": "0"}, "desiredReplicas is 0, which KEDA refuses"),
        ({"desiredReplicas": "9"}, "above maxReplicaCount (4)"),
        ({"desiredReplicas": 2}, "metadata has strings only"),
        ({"start": "0 9 * *"}, "start is '0 9 * *'"),
        ({"start": "0 25 * * *"}, "hour"),
        ({"end": "@daily"}, "end is '@daily'"),
        ({"end": "0 9 * * *"}, "KEDA needs two times"),
        ({"timezone": "Asia/Nowhere"}, "timezone is 'Asia/Nowhere'"),
        ({"timezone": None}, "timezone is missing"),
        ({"start": ""}, "start is missing"),
    ],
)
def test_cron(fields: dict[str, Any], words: str) -> None:
    """Times, zone and replicas of a cron trigger."""
    assert words in said(of.scaled(of.cron(**{"replicas": "1", **_renamed(fields)})))


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {"replicas" if key == "desiredReplicas" else key: one for key, one in fields.items()}


def test_cron_quiet() -> None:
    """More spaces, lists, steps and variables are fine."""
    good = of.cron(start="0  9 * * MON-FRI", end="*/30 22,23 1-5 * ?", timezone="Etc/UTC")
    variables = of.cron("${N}", start="${START}", end="${START}", timezone="{{ .zone }}")

    assert said(of.scaled(good, variables)) == ""
