"""ServiceAccountToken: a token as a file of a projected volume."""

from tests import strategies
from vllm_constructs import ServiceAccountToken


def test_source() -> None:
    """The source has audience, file and lifetime; without an audience it is the API server's."""
    expected = {"audience": "sts.amazonaws.com", "path": "aws", "expirationSeconds": 7200}

    found = ServiceAccountToken(audience="sts.amazonaws.com", path="aws", expiration=7200)

    assert expected == found.source()
    assert {"path": "token", "expirationSeconds": 3600} == ServiceAccountToken().source()


def test_refusals() -> None:
    """Kubernetes issues no token for less than ten minutes, and no file above the volume."""
    assert "from 600" in strategies.refusal(lambda: ServiceAccountToken(expiration=599))
    assert "without '..'" in strategies.refusal(lambda: ServiceAccountToken(path="../token"))
