"""KEDA's chart; what it shares with other operators is tested with them."""

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import check_sample, variants


@pytest.mark.parametrize(("kind", "variant"), variants("KedaOperator"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)
