"""Storage: caches that can be mounted where pods are, and shared memory that suffices."""

import enum
from functools import partial
from typing import Any

import cdk8s
import cdk8s_plus_27 as kplus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import quantity, validate
from vllm_constructs import EphemeralCache, ExistingClaim, VllmConstructsWarning
from vllm_constructs.workloads import storage

MI, GI = 2**20, 2**30


class Claim:
    """An object with a name."""

    name = "weights"


class Metadata:
    """Metadata of an object of cdk8s-plus."""

    namespace = "llm"


class PlusClaim:
    """A claim as cdk8s-plus has them: it says its kind, and its modes where it was made here."""

    __jsii_type__ = "cdk8s-plus-27.PersistentVolumeClaim"
    kind = "PersistentVolumeClaim"
    name = "weights"
    metadata = Metadata()

    def __init__(self, *modes: str) -> None:
        self.access_modes = [enum.Enum("Mode", {"IT": mode}).IT for mode in modes] or None  # type: ignore[attr-defined]  # made here


class Cache:
    """A construct that makes a claim."""

    volume = ExistingClaim("weights", access="ReadWriteOnce", namespace="llm")


@settings(max_examples=60, deadline=None)
@given(
    strategies.names(),
    st.sampled_from(("200Gi", "1Mi", "1.5Ti", "5e11")),
    st.one_of(st.none(), st.just(""), strategies.names()),
    st.sampled_from(storage.ACCESS_MODES),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"volume_name": strategies.names()}),
        st.fixed_dictionaries({"selector": st.just({"b": "1", "a": "2"})}),
    ),
)
def test_claim(
    name: str, size: str, storage_class: str | None, access: Any, volumes: dict[str, Any]
) -> None:
    """A claim is valid in all releases; without a class it has one only for volumes that exist."""
    found = storage.claim_manifest(
        name=name, size=size, storage_class=storage_class, access=access, **volumes
    )

    assert validate(strategies.in_namespace(found)) == []
    spec = found["spec"]
    assert spec["accessModes"] == [access]
    assert spec["resources"] == {"requests": {"storage": size}}
    derived = "" if volumes and storage_class is None else storage_class
    assert spec.get("storageClassName") == derived
    assert spec.get("volumeName") == volumes.get("volume_name")
    if "selector" in volumes:
        assert list(spec["selector"]["matchLabels"].items()) == [("a", "2"), ("b", "1")]


@pytest.mark.parametrize(
    ("access", "shared", "read_only"),
    [
        ("ReadWriteOnce", False, False),
        ("ReadWriteOncePod", False, False),
        ("ReadWriteMany", True, False),
        ("ReadOnlyMany", True, True),
    ],
)
def test_access(access: Any, shared: object, read_only: object) -> None:
    """The access mode says who can mount a claim, and whether it can be written."""
    claim = ExistingClaim("weights", access=access)

    assert claim.can_be_shared is shared
    assert claim.is_read_only is read_only
    assert claim.volume()["persistentVolumeClaim"].get("readOnly", False) is read_only
    assert ExistingClaim.from_claim(Claim(), access=access) == claim
    assert ExistingClaim.from_claim("weights", access=access) == claim


@pytest.mark.parametrize("cache", [ExistingClaim("weights"), EphemeralCache(size="1Gi")])
def test_claim_of_value(cache: Any) -> None:
    """A value is a cache as it is."""
    assert cache is storage.claim_of(cache)


def test_claim_of_construct() -> None:
    """A construct that makes a claim stands for that claim."""
    assert Cache.volume is storage.claim_of(Cache())


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ((), "ReadWriteMany"),
        (("READ_WRITE_ONCE",), "ReadWriteOnce"),
        (("READ_WRITE_ONCE", "READ_WRITE_MANY"), "ReadWriteMany"),
        (("READ_ONLY_MANY",), "ReadOnlyMany"),
        (("READ_WRITE_ONCE", "READ_ONLY_MANY"), "ReadOnlyMany"),
    ],
)
def test_claim_of_object(modes: tuple[str, ...], expected: Any) -> None:
    """A claim of cdk8s-plus has the best of its modes, and its namespace."""
    assert ExistingClaim("weights", access=expected, namespace="llm") == (
        storage.claim_of(PlusClaim(*modes))
    )


def test_size_of_object() -> None:
    """A claim of cdk8s-plus that is made in the app has a size, and others have what is given."""
    chart = cdk8s.Chart(cdk8s.Testing.app(), "storage")
    modes = [kplus.PersistentVolumeAccessMode.READ_WRITE_MANY]
    for size, expected in ((cdk8s.Size.gibibytes(20), "20Gi"), (cdk8s.Size.tebibytes(1), "1Ti")):
        claim = kplus.PersistentVolumeClaim(
            chart, f"weights-{expected}", access_modes=modes, storage=size
        )
        assert storage.claim_of(claim).size == expected
        assert ExistingClaim.from_claim(claim, size="9Gi").size == "9Gi"
        name = claim.name
        imported = kplus.PersistentVolumeClaim.from_claim_name(chart, f"i-{expected}", name)
        assert storage.claim_of(imported).size is None
    empty = kplus.PersistentVolumeClaim(chart, "empty", access_modes=modes)
    assert storage.claim_of(empty).size is None
    assert ExistingClaim.from_claim("weights").size is None


@pytest.mark.parametrize("cache", ["weights", None, 7, Claim(), {"volume": "x"}])
def test_claim_of_garbage(cache: object) -> None:
    """What is no cache is rejected with what is one."""
    assert "expected a ModelCache, ExistingClaim, EphemeralCache or a claim." in (
        strategies.refusal(lambda: storage.claim_of(cache))
    )


def test_ephemeral() -> None:
    """The node's disk is each pod's own, limited where a size is given."""
    assert EphemeralCache().volume() == {"emptyDir": {}}
    assert EphemeralCache(size="9Gi").volume() == {"emptyDir": {"sizeLimit": "9Gi"}}
    assert EphemeralCache().can_be_shared
    assert not EphemeralCache().is_read_only


def test_size() -> None:
    """A size is compared as a number of bytes, and one that is not known passes."""
    for cache in (
        EphemeralCache(),
        EphemeralCache(size="1Gi"),
        ExistingClaim("w"),
        ExistingClaim("w", size="1100M"),
    ):
        storage.check_size("a model", cache, 2**30)
    for cache in (EphemeralCache(size="1023Mi"), ExistingClaim("w", size="1G")):
        sentence = strategies.refusal(partial(storage.check_size, "a model", cache, 2**30))
        assert "a model has 1.0 GiB of weights, more than the" in sentence
        assert "'2Gi' or more" in sentence.replace("(size='2Gi')", "'2Gi'")


def test_disk_request() -> None:
    """The disk of the node is requested where it is used."""
    assert "15Gi" == storage.disk_request(EphemeralCache(), 14 * 2**30)
    assert "16Gi" == storage.disk_request(EphemeralCache(), 14 * 2**30 + 1)
    assert "50Gi" == storage.disk_request(EphemeralCache(size="50Gi"), 14 * 2**30)
    assert None is storage.disk_request(EphemeralCache(), None)
    assert None is storage.disk_request(ExistingClaim("w", size="50Gi"), 14 * 2**30)


@settings(max_examples=100, deadline=None)
@given(strategies.caches(), st.integers(1, 20))
def test_sharing(cache: Any, replicas: int) -> None:
    """More than one replica needs a cache that two nodes can mount."""
    if cache.can_be_shared or replicas == 1:
        storage.check_sharing("x", cache, replicas, downloads=False)
    else:
        sentence = strategies.refusal(
            lambda: storage.check_sharing("Model", cache, replicas, downloads=False)
        )
        for word in (f"up to {replicas} replicas", cache.access, "ReadWriteMany", "EphemeralCache"):
            assert word in sentence


def test_repeated_downloads() -> None:
    """Replicas that each download the weights are warned about."""
    with pytest.warns(VllmConstructsWarning, match=r"up to 3 replicas .* downloads"):
        storage.check_sharing("Model", EphemeralCache(), 3, downloads=True)
    storage.check_sharing("Model", EphemeralCache(), 1, downloads=True)
    storage.check_sharing("Model", ExistingClaim("weights"), 3, downloads=True)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 16))
def test_shared_memory(gpus: int) -> None:
    """The workers' queues fit in, and NCCL's segments where there is more than one GPU."""
    needed = storage.shared_memory_needed(gpus)
    size = quantity(storage.shared_memory(gpus, None, "64Gi"))

    queues = (160 + 240 * gpus + 24) * MI
    assert needed == queues if gpus == 1 else needed > queues
    assert needed <= size < needed + GI


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 8), st.integers(1, 40 * 1024), st.integers(1, 40 * 1024))
def test_shared_memory_bounds(gpus: int, asked: int, limit: int) -> None:
    """A size is accepted exactly where it suffices and stays below the limit."""
    size, most = f"{asked}Mi", f"{limit}Mi"

    if storage.shared_memory_needed(gpus) <= asked * MI < limit * MI:
        assert storage.shared_memory(gpus, size, most) == size
    else:
        assert repr(size) in strategies.refusal(lambda: storage.shared_memory(gpus, size, most))


def claim(**fields: Any) -> strategies.Manifest:
    """Return a claim with these fields."""
    given_fields = {
        "name": "weights",
        "size": "200Gi",
        "storage_class": None,
        "access": "ReadWriteMany",
        **fields,
    }
    return storage.claim_manifest(**given_fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ExistingClaim("A"), ("ExistingClaim.claim_name is 'A'", "'a'")),
    (lambda: ExistingClaim("a", access="RWX"), ("'RWX'", "'ReadWriteMany'")),  # type: ignore[arg-type]  # the mistake
    (lambda: ExistingClaim("a", namespace="A_b"), ("ExistingClaim.namespace is 'A_b'",)),
    (lambda: ExistingClaim.from_claim(7), ("claim is 7", "the name of a")),  # type: ignore[arg-type]  # the mistake
    (lambda: EphemeralCache(size="10GB"), ("EphemeralCache.size is '10GB'", "write '10Gi'")),
    (lambda: EphemeralCache(size=100), ("EphemeralCache.size is 100", "'64Gi'")),  # type: ignore[arg-type]  # the mistake
    (lambda: claim(name="A"), ("ModelCache.name is 'A'", "'a'")),
    (lambda: claim(size="200 Gi"), ("ModelCache.size is '200 Gi'", "write '200Gi'")),
    (lambda: claim(size="200"), ("ModelCache.size is '200'", "'64Gi'")),
    (lambda: claim(storage_class="A"), ("ModelCache.storage_class is 'A'", "lower-case")),
    (lambda: claim(volume_name=""), ("ModelCache.volume_name is ''", "lower-case")),
    (lambda: claim(selector={}), ("ModelCache.selector is {}", "at least one label")),
    (lambda: claim(selector={"a": "b c"}), ("ModelCache.selector['a'] is 'b c'",)),
    (
        lambda: claim(volume_name="a", selector={"b": "c"}),
        ("ModelCache has both volume_name and selector", "ignores the selector", "leave one out"),
    ),
    (lambda: claim(access="ReadWriteman"), ("did you mean 'ReadWriteMany'?",)),
    (lambda: storage.shared_memory(1, "16GB", "32Gi"), ("'16GB'", "write '16Gi'")),
    (lambda: storage.shared_memory(4, "2Gi", "32Gi"), ("4 GPU", "at least '2168Mi'")),
    (lambda: storage.shared_memory(1, "32Gi", "32Gi"), ("not below", "'32Gi'", "raise memory")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot be mounted or does not suffice is refused with what would do."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_queues() -> None:
    """What NCCL needs comes on top of the queues, where there are several GPUs."""
    assert storage.queues(1) == storage.shared_memory_needed(1)
    assert 664 * 2**20 == storage.queues(2) < storage.shared_memory_needed(2)
    assert storage.LARGEST_QUEUE < storage.queues(1)
