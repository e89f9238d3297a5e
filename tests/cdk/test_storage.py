import cdk8s_plus_27 as kplus
import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, model, only, pod, variants
from vllm_constructs import (
    EphemeralCache,
    ExistingClaim,
    ModelCache,
    ModelDeployment,
    VllmConstructsError,
)
from vllm_constructs.cdk.storage import claim_of


@pytest.mark.parametrize(("kind", "variant"), variants("ModelCache"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_shared() -> None:
    """One cache serves several models, in several charts."""
    scope = chart()
    cache = ModelCache(scope, "cache", size="200Gi")
    for id in ("a", "b"):
        model(scope, id, cache=cache)
        (volume,) = [item for item in pod(scope, id)["volumes"] if item["name"] == "model-cache"]
        assert {"claimName": cache.name} == volume["persistentVolumeClaim"]


@pytest.mark.parametrize("size", ["10GB", "64 Gi", "200", 200, "0Gi", "-1Gi", "", None])
def test_size(size: str) -> None:
    """A size is a quantity of bytes; what looks like one is named."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=r"ModelCache\.size") as refusal:
        ModelCache(scope, "cache", size=size)
    assert {"10GB": "'10Gi'", "64 Gi": "'64Gi'"}.get(size, "") in str(refusal.value)


@pytest.mark.parametrize("name", ["Cache", "a_b", "a/b", "x" * 254, ""])
def test_name(name: str) -> None:
    """A name that Kubernetes refuses is refused."""
    with pytest.raises(VllmConstructsError, match=r"ModelCache\.name"):
        ModelCache(chart(), "cache", size="1Gi", name=name)


class TestClaims:
    """What a model takes as a cache."""

    def test_kinds(self) -> None:
        """A construct, a value or a cdk8s-plus claim; nothing is the node's disk."""
        scope = chart()
        assert EphemeralCache() == claim_of(None)
        assert EphemeralCache(size="1Gi") == claim_of(EphemeralCache(size="1Gi"))
        assert ExistingClaim("x") == claim_of(ExistingClaim("x"))
        cache = ModelCache(scope, "cache", size="1Gi", access="ReadOnlyMany")
        assert ExistingClaim("cache", access="ReadOnlyMany") == claim_of(cache)

    def test_plus_by_name(self) -> None:
        """A cdk8s-plus claim that is only named is taken for one that all nodes can mount."""
        claim = kplus.PersistentVolumeClaim.from_claim_name(chart(), "pvc", "weights")
        assert ExistingClaim("weights", access="ReadWriteMany") == claim_of(claim)

    @pytest.mark.parametrize(
        ("modes", "expected"),
        [
            (["READ_WRITE_ONCE"], "ReadWriteOnce"),
            (["READ_WRITE_ONCE_POD"], "ReadWriteOncePod"),
            (["READ_ONLY_MANY"], "ReadOnlyMany"),
            (["READ_WRITE_MANY"], "ReadWriteMany"),
            (["READ_WRITE_ONCE", "READ_WRITE_MANY"], "ReadWriteMany"),
            (["READ_WRITE_ONCE", "READ_ONLY_MANY"], "ReadOnlyMany"),
            ([], "ReadWriteMany"),
        ],
    )
    def test_plus_made(self, modes: list[str], expected: str) -> None:
        """A cdk8s-plus claim that is made here says its modes; the widest one counts."""
        scope = chart()
        claim = kplus.PersistentVolumeClaim(
            scope,
            "pvc",
            storage_class_name="fast",
            access_modes=[kplus.PersistentVolumeAccessMode[mode] for mode in modes] or None,
        )
        found = claim_of(claim)
        assert isinstance(found, ExistingClaim)
        assert (only(scope, "PersistentVolumeClaim")["metadata"]["name"], expected) == (
            found.claim_name,
            found.access,
        )

    def test_plus_refused(self) -> None:
        """A cdk8s-plus claim of one node is refused for two replicas."""
        scope = chart()
        claim = kplus.PersistentVolumeClaim(
            scope,
            "pvc",
            storage_class_name="fast",
            access_modes=[kplus.PersistentVolumeAccessMode.READ_WRITE_ONCE],
        )
        with pytest.raises(VllmConstructsError, match="ReadWriteOnce"):
            model(scope, replicas=2, cache=claim)
        assert isinstance(model(scope, cache=claim), ModelDeployment)

    @pytest.mark.parametrize("wrong", ["weights", 1, True, object(), {"claimName": "x"}])
    def test_wrong(self, wrong: object) -> None:
        """Anything else is refused, a bare name too."""
        with pytest.raises(VllmConstructsError, match="cache is"):
            model(chart(), cache=wrong)

    def test_wrong_construct(self) -> None:
        """An object of cdk8s-plus that is no claim is refused."""
        scope = chart()
        with pytest.raises(VllmConstructsError, match="PersistentVolumeClaim"):
            model(scope, cache=kplus.Secret.from_secret_name(scope, "secret", "x"))
