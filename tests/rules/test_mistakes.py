"""The mistakes of the control plane's tests: each is found, and by its rule alone."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.cluster.mistakes import MISTAKES, Mistake, all_good
from tests.cluster.test_refusals import identity
from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings

from .findings import found, sentences


def with_mistake(mistake: Mistake) -> list[dict[str, object]]:
    """All good manifests, with one mistake in one of them."""
    manifests = deepcopy(all_good())
    # The bare pod is there for what the API server says to pods.
    kinds = [one for one in manifests if one["kind"] != "Pod" or mistake.kind == "Pod"]
    changed = next(one for one in kinds if one["kind"] == mistake.kind)
    mistake.change(changed)
    return kinds


def test_good() -> None:
    """Nothing is found in the manifests that mistakes are put into."""
    assert [] == sentences(one for one in all_good() if one["kind"] != "Pod")


@pytest.mark.parametrize("mistake", MISTAKES, ids=identity)
def test_found(mistake: Mistake) -> None:
    """A mistake is found by its rule, and by no other."""
    # As at synth, where the target of the app is known, and one of those that the tests run.
    findings = found(with_mistake(mistake), settings=Settings(kubernetes=Kubernetes("1.34")))

    assert {mistake.rule} == {one.rule.id for one in findings}, sentences(with_mistake(mistake))
