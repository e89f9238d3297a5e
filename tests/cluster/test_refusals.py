"""What a real API server refuses by itself, and what only a check can refuse."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.rules.check import every_rule

from .api import RefusedError
from .bed import Bed
from .conftest import CRDS
from .kubectl import Kubectl, make_namespace, remove_namespace
from .mistakes import CUSTOM, MISTAKES, NAMESPACE, Mistake, all_good, good, has

_numbers = itertools.count(1)


def identity(mistake: Mistake) -> str:
    """The name of a mistake's test."""
    words = f"{mistake.rule} {mistake.kind} {mistake.what}"
    return re.sub(r"\W+", "-", words).lower().strip("-")


def parametrize(mistakes: list[Mistake]) -> pytest.MarkDecorator:
    """One test for each mistake."""
    return pytest.mark.parametrize("mistake", mistakes, ids=identity)


@pytest.fixture(scope="module")
def restricted(bed: Bed) -> Iterator[Kubectl]:
    """The client, with one namespace for all good and bad manifests."""
    make_namespace(bed.kubectl, NAMESPACE)
    yield bed.kubectl
    remove_namespace(bed.kubectl, NAMESPACE)


def skip_without_crd(kind: str) -> None:
    """Skip where the API server does not know a kind."""
    if kind in CUSTOM and not CRDS.is_dir():
        pytest.skip(f"no CRD of {kind}: ../shared/crds is not there")


def test_good(restricted: Kubectl) -> None:
    """The manifests that mistakes are put into are admitted without a warning."""
    known = [item for item in all_good() if item["kind"] not in CUSTOM or CRDS.is_dir()]

    assert [] == restricted.dry_run(*known)


def refusal_of(kubectl: Kubectl, mistake: Mistake) -> str:
    """The words with which a mistake is refused."""
    skip_without_crd(mistake.kind)
    manifest = mistake.manifest()
    if mistake.standing is not None:
        before = good(mistake.kind)
        mistake.standing(before)
        name = f"standing-{next(_numbers)}"
        before["metadata"]["name"] = manifest["metadata"]["name"] = name
        kubectl.api.apply(before)
    with pytest.raises(RefusedError) as refusal:
        _ = kubectl.apply([manifest]) if mistake.by_kubectl else kubectl.dry_run(manifest)
    return str(refusal.value)


def warnings_of(kubectl: Kubectl, mistake: Mistake) -> list[str]:
    """The warnings with which a mistake is admitted."""
    skip_without_crd(mistake.kind)
    return kubectl.dry_run(mistake.manifest())


@parametrize([one for one in MISTAKES if not one.admitted])
def test_refused(restricted: Kubectl, mistake: Mistake) -> None:
    """A mistake that the API server can see is refused, in words that name it."""
    found = refusal_of(restricted, mistake)

    assert any(words in found for words in mistake.words), found


@parametrize([one for one in MISTAKES if not one.refused and not one.warned])
def test_admitted(restricted: Kubectl, mistake: Mistake) -> None:
    """A mistake that only a check can see is admitted, without a warning."""
    assert [] == warnings_of(restricted, mistake)


@parametrize([one for one in MISTAKES if one.warned])
def test_warned(restricted: Kubectl, mistake: Mistake) -> None:
    """A mistake that the API server only warns of is admitted all the same."""
    (warning,) = warnings_of(restricted, mistake)

    assert mistake.warned in warning


@parametrize([one for one in MISTAKES if one.admitted_from])
def test_difference(bed: Bed, restricted: Kubectl, mistake: Mistake) -> None:
    """What an older Kubernetes refuses, a newer one may admit: the target release matters."""
    if mistake.is_refused(bed.version):
        found = refusal_of(restricted, mistake)
        assert any(words in found for words in mistake.words), found
    else:
        assert [] == warnings_of(restricted, mistake)


@parametrize([one for one in MISTAKES if one.dropped_by])
def test_dropped(bed: Bed, restricted: Kubectl, mistake: Mistake) -> None:
    """A field whose feature gate is off is dropped without a word, strict validation or not."""
    if mistake.is_refused(bed.version):
        with pytest.raises(RefusedError):
            restricted.dry_run(mistake.manifest())
        return

    found = restricted.api.apply(mistake.manifest(), dry_run=True)

    assert [] == found.warnings
    assert (bed.version not in mistake.dropped_by) == has(found.shown, mistake.field)


@parametrize([one for one in MISTAKES if one.ours])
def test_ours(mistake: Mistake) -> None:
    """What this library can be asked for, it refuses before there is a manifest."""
    assert mistake.ours is not None
    with pytest.raises(VllmConstructsError):
        mistake.ours()


def test_rules() -> None:
    """Every mistake is of a rule that there is; rules that have no mistake yet are named."""
    known = {rule.id for rule in every_rule()}
    tried = {mistake.rule for mistake in MISTAKES}

    assert tried <= known
    if others := sorted(known - tried):
        pytest.skip(f"no mistake is tried for these rules yet: {', '.join(others)}")


def test_mapping(restricted: Kubectl) -> None:
    """Of a key that is in its mapping twice, kubectl keeps the last one without a word."""
    text = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: twice, namespace: {NAMESPACE}}}
data: {{first: kept}}
data: {{last: kept}}
"""
    told = restricted.run("apply", "-f", "-", given=text)

    assert "" == told.stderr
    assert {"last": "kept"} == restricted.get("configmap", "twice", NAMESPACE)["data"]


def test_verdicts() -> None:
    """Every mistake has one verdict, or two and the release that makes the difference."""
    for mistake in MISTAKES:
        verdicts = [bool(mistake.refused), bool(mistake.admitted)]
        assert [True] * 2 == verdicts if mistake.admitted_from else 1 == sum(verdicts), mistake
    assert len(MISTAKES) == len({identity(mistake) for mistake in MISTAKES})


def test_changes() -> None:
    """Every mistake differs from the good manifest that it is made of."""
    assert [] == [one for one in MISTAKES if one.manifest() == good(one.kind)]
