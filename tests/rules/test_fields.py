"""Why fields are rendered as they are."""

from pathlib import Path

import pytest

from tests.support import load_yaml
from vllm_constructs import VllmConstructsError
from vllm_constructs.rules import fields

ROOT = Path(__file__).parents[2]
FILES = [
    path
    for pattern in ("dist/*.yaml", "examples/*/dist/*.yaml")
    for path in sorted(ROOT.glob(pattern))
]
# Names that the app gives, and what operators' own charts have.
SAID = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
OTHERS = {
    *(
        "ConfigMap",
        "HelmRelease",
        "HelmRepository",
        "OCIRepository",
        "Application",
        "ClusterPolicy",
    ),
    *("Secret", "ResourceQuota", "LimitRange"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rendered(path: Path) -> None:
    """Every field that is rendered is explained, or a part of one that is, or said by the app."""
    missing = {
        name
        for item in load_yaml(path)
        if item["kind"] not in OTHERS
        for name, place in fields.paths(item, item["kind"])
        if not isinstance(_value(item, place), (dict, list))
        and ".".join(map(str, place)) not in SAID
        and fields.field(name) is None
    }
    assert set() == missing


def _value(item: object, place: tuple[str | int, ...]) -> object:
    for step in place:
        item = item[step]  # type: ignore[index]  # where it was found
    return item


def test_used() -> None:
    """Every path of the page is one that something renders, or that a pod may have."""
    rendered = {
        fields.general(name)
        for path in FILES
        for item in load_yaml(path)
        for name, _ in fields.paths(item, item["kind"])
    }
    unused = set(fields.fields()) - rendered
    assert unused <= {
        "Pod.spec.affinity",
        "Pod.spec.initContainers",
        "Pod.spec.containers.env[VLLM_API_KEY]",
        "ScaledObject.spec.initialCooldownPeriod",
    }


@pytest.mark.parametrize("one", fields.fields().values(), ids=lambda one: one.path)
def test_sections(one: fields.Field) -> None:
    """A section is a sentence with what it is derived from and a source."""
    assert one.why.endswith(".")
    assert one.derived
    assert one.source
    assert one.path == fields.general(one.path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Deployment.spec.template.spec.enableServiceLinks", "Pod.spec.enableServiceLinks"),
        ("StatefulSet.spec.template.spec.tolerations[3].key", "Pod.spec.tolerations"),
        ("Pod.spec.containers[0].env[HF_HOME].value", "Pod.spec.containers.env[HF_HOME]"),
        ("Pod.spec.containers[0].env[OTHER]", "Pod.spec.containers.env"),
        ("Deployment.spec.strategy.rollingUpdate.maxSurge", "Deployment.spec.strategy"),
        ("Deployment.status", None),
    ],
)
def test_field(path: str, expected: str | None) -> None:
    """The nearest field above counts."""
    found = fields.field(path)
    assert expected == (None if found is None else found.path)


def test_explained() -> None:
    """A person gets the field, why, what it follows from, and the source."""
    text = fields.explained("Deployment.spec.template.spec.enableServiceLinks")
    assert "VLLM_PORT" in text
    assert "\nSource: vLLM, " in text
    assert ", a part of Deployment.spec.strategy\n" in fields.explained(
        "Deployment.spec.strategy.type"
    )
    with pytest.raises(VllmConstructsError, match="is no field that this library explains; did "):
        fields.explained("Deployments.spec.strategy")
