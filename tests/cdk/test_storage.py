from typing import Any, cast

import cdk8s_plus_27 as kplus
import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    CACHE,
    GPU,
    MODEL,
    chart,
    check_sample,
    container,
    model,
    only,
    pod,
    rejected,
    variants,
)
from vllm_constructs import (
    EngineArgs,
    EphemeralCache,
    ExistingClaim,
    GpuPodSpec,
    ModelCache,
    ModelDeployment,
    ModelShape,
    OciImage,
    S3Bucket,
    VllmConstructsError,
    VllmConstructsWarning,
    Volume,
)
from vllm_constructs.workloads.storage import AccessMode, Cache


@pytest.mark.parametrize(("kind", "variant"), variants("ModelCache"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_shared() -> None:
    """One cache serves several models, in several charts of its namespace."""
    app = App()
    first, second = (Chart(app, id, namespace="llm") for id in ("one", "two"))
    cache = ModelCache(first, "cache", size="200Gi")
    for scope, id in ((first, "a"), (first, "b"), (second, "c")):
        model(scope, id, cache=cache)
        (volume,) = [item for item in pod(scope, id)["volumes"] if item["name"] == "model-cache"]
        assert {"claimName": cache.name} == volume["persistentVolumeClaim"]


def test_bound_twice() -> None:
    """A volume binds to one claim, in any namespace."""
    app = App()
    first, second = (Chart(app, id, namespace=id) for id in ("a", "b"))
    ModelCache(first, "cache", size="1Ti", volume_name="nfs")
    with rejected(second, r"volume_name is 'nfs', to which <ModelCache 'cache'> binds already"):
        ModelCache(second, "cache", size="1Ti", volume_name="nfs")
    ModelCache(second, "cache", size="1Ti", volume_name="nfs-2")


def test_empty_volume() -> None:
    """A read-only claim that a new volume may fit is warned about."""
    scope = chart()
    with pytest.warns(VllmConstructsWarning, match="such as a new and empty one"):
        ModelCache(scope, "a", size="1Gi", access="ReadOnlyMany")
    for id, options in (
        ("b", {"storage_class": "nfs"}),
        ("c", {"volume_name": "x"}),
        ("d", {"selector": {"a": "b"}}),
    ):
        ModelCache(scope, id, size="1Gi", access="ReadOnlyMany", **cast("Any", options))


def test_one_pod() -> None:
    """A claim that one pod can mount serves one model."""
    scope = chart()
    cache = ModelCache(scope, "cache", size="200Gi", access="ReadWriteOncePod")
    model(scope, "a", cache=cache)
    with rejected(scope, "'b' mounts the claim 'cache', which is ReadWriteOncePod, as <ModelDepl"):
        model(scope, "b", cache=cache, served_name="b")
    with rejected(scope, "mounts the claim 'cache'"):
        model(scope, "b", served_name="b", volumes={"/x": Volume.from_claim(cache)})


@pytest.mark.parametrize("size", ["10GB", "64 Gi", "200", 200, "0Gi", "-1Gi", "", None])
def test_size(size: str) -> None:
    """A size is a quantity of bytes; what looks like one is named."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match=r"ModelCache\.size") as refusal:
        ModelCache(scope, "cache", size=size)
    assert {"10GB": "'10Gi'", "64 Gi": "'64Gi'"}.get(size, "") in str(refusal.value)


@pytest.mark.parametrize("name", ["Cache", "a_b", "a/b", "x" * 254, ""])
def test_name(name: str) -> None:
    """A name that Kubernetes refuses is rejected."""
    with pytest.raises(VllmConstructsError, match=r"ModelCache\.name"):
        ModelCache(chart(), "cache", size="1Gi", name=name)


def kept(cache: Cache | None) -> ExistingClaim | EphemeralCache:
    """The volume that a pod keeps of what it is given as a cache."""
    return GpuPodSpec(model=MODEL, gpu=GPU, cache=cache).cache


class TestClaims:
    """What a model takes as a cache."""

    def test_kinds(self) -> None:
        """A construct, a value or a cdk8s-plus claim; nothing is the node's disk."""
        scope = chart()
        assert EphemeralCache() == kept(None)
        assert EphemeralCache(size="1Gi") == kept(EphemeralCache(size="1Gi"))
        assert ExistingClaim("x") == kept(ExistingClaim("x"))
        cache = ModelCache(scope, "cache", size="1Gi", access="ReadOnlyMany", volume_name="weights")
        expected = ExistingClaim("cache", access="ReadOnlyMany", namespace="llm", size="1Gi")
        assert expected == cache.volume == kept(cache)

    def test_plus_by_name(self) -> None:
        """A cdk8s-plus claim that is only named is taken for one that all nodes can mount."""
        claim = kplus.PersistentVolumeClaim.from_claim_name(chart(), "pvc", "weights")
        assert ExistingClaim("weights", access="ReadWriteMany") == kept(claim)

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
    def test_plus_made(self, modes: list[str], expected: AccessMode) -> None:
        """A cdk8s-plus claim that is made here says its modes; the widest one counts."""
        scope = chart()
        claim = kplus.PersistentVolumeClaim(
            scope,
            "pvc",
            storage_class_name="fast",
            access_modes=[kplus.PersistentVolumeAccessMode[mode] for mode in modes] or None,
        )
        name = only(scope, "PersistentVolumeClaim")["metadata"]["name"]
        assert ExistingClaim(name, access=expected, namespace="llm") == kept(claim)

    def test_plus_refused(self) -> None:
        """A cdk8s-plus claim of one node is rejected for two replicas."""
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
        """Anything else is rejected, a bare name too."""
        with pytest.raises(VllmConstructsError, match="cache is"):
            model(chart(), cache=wrong)

    def test_wrong_construct(self) -> None:
        """An object of cdk8s-plus that is no claim is rejected."""
        scope = chart()
        with pytest.raises(VllmConstructsError, match="PersistentVolumeClaim"):
            model(scope, cache=kplus.Secret.from_secret_name(scope, "secret", "x"))


class TestElsewhere:
    """A pod mounts only claims of its own namespace."""

    @pytest.mark.parametrize("namespace", ["other", None])
    def test_cache(self, namespace: str | None) -> None:
        """A ModelCache of another namespace is rejected, and so is one that has none."""
        app = App()
        cache = ModelCache(Chart(app, "a", namespace=namespace), "cache", size="1Gi")
        scope = Chart(app, "b", namespace="llm")
        sentence = f"^cache is in namespace {namespace!r}, and this chart is in 'llm'; put both"
        with rejected(scope, sentence):
            model(scope, cache=cache)
        assert [] == scope.node.children

    def test_app(self) -> None:
        """A ModelCache of another app is rejected, though its namespace is the same."""
        scope = chart()
        with rejected(scope, "^cache is in another app; put both into one app"):
            model(scope, cache=ModelCache(chart(), "cache", size="1Gi"))

    def test_claim(self) -> None:
        """A claim that says its namespace is compared; one that does not is believed."""
        scope = chart()
        with rejected(scope, "^cache is in namespace 'other', and this chart is in 'llm'"):
            model(scope, cache=ExistingClaim("weights", namespace="other"))
        model(scope, "a", cache=ExistingClaim("weights", namespace="llm"))
        model(scope, "b", cache=ExistingClaim("weights"))

    @pytest.mark.parametrize("way", [ExistingClaim.from_claim, lambda claim: claim])
    def test_plus(self, way: Any) -> None:
        """A claim of cdk8s-plus says the namespace of its chart."""
        app = App()
        other, scope = (Chart(app, id, namespace=id) for id in ("other", "llm"))
        claim = kplus.PersistentVolumeClaim(other, "pvc", storage_class_name="fast")
        with rejected(scope, "^cache is in namespace 'other', and this chart is in 'llm'"):
            model(scope, cache=way(claim))
        model(other, cache=way(claim))


class TestSize:
    """Weights go into the cache."""

    @pytest.mark.parametrize(
        ("cache", "what"),
        [
            (
                EphemeralCache(size="14Gi"),
                r"14Gi of its EphemeralCache; give EphemeralCache\(size=",
            ),
            (ExistingClaim("w", size="10G"), "10G of its claim 'w'; give it '16Gi' or more"),
        ],
    )
    def test_too_small(self, cache: Cache, what: str) -> None:
        """A cache that is smaller than the weights is rejected with both sizes."""
        with rejected(chart(), f"'qwen' has 14.3 GiB of weights, more than the {what}"):
            model(chart(), cache=cache)

    def test_construct(self) -> None:
        """So is one that is made here."""
        scope = chart()
        cache = ModelCache(scope, "cache", size="10Gi")
        with rejected(scope, "more than the 10Gi of its claim 'cache'"):
            model(scope, cache=cache)

    def test_large_enough(self) -> None:
        """A size that is enough, or not known, passes; so does a model that is not known."""
        scope = chart()
        model(scope, "a", cache=EphemeralCache(size="15Gi"))
        model(scope, "b", cache=ExistingClaim("w"), served_name="b")
        model(scope, "c", model="my-org/mine", cache=EphemeralCache(size="1Gi"))
        model(scope, "d", model="/model-cache/mine", cache=ExistingClaim("x", size="1Gi"))

    def test_stored(self) -> None:
        """What is downloaded counts, not what flags make of it on the GPU."""
        scope = chart()
        with rejected(scope, "has 14.3 GiB of weights"):
            model(scope, engine=EngineArgs(quantization="fp8"), cache=EphemeralCache(size="10Gi"))
        small = ModelShape.named("Qwen/Qwen2.5-7B-Instruct-AWQ")
        model(scope, model="my-org/awq", shape=small, cache=EphemeralCache(size="6Gi"))

    @pytest.mark.parametrize(
        ("cache", "request_", "limit"),
        [
            (None, "16Gi", None),
            (EphemeralCache(size="50Gi"), "50Gi", "50Gi"),
            (CACHE, None, None),
        ],
    )
    def test_request(self, cache: Any, request_: str | None, limit: str | None) -> None:
        """A cache on the node's disk requests what the weights need, or its own size."""
        scope = chart()
        model(scope, cache=cache)
        resources = container(scope)["resources"]
        assert request_ == resources["requests"].get("ephemeral-storage")
        assert limit == resources["limits"].get("ephemeral-storage")

    @pytest.mark.parametrize(
        "options",
        [
            {"weights": S3Bucket("s3://weights/qwen", secret="s3")},
            {"weights": OciImage("registry.example.com/qwen:v1")},
            {
                "model": "s3://weights/qwen",
                "service_account": "reader",
                "shape": ModelShape.named("Qwen/Qwen2.5-7B-Instruct"),
            },
        ],
    )
    def test_elsewhere(self, options: dict[str, Any]) -> None:
        """Weights that do not go into the cache need no room there."""
        scope = chart("1.35")
        found = model(scope, **options)
        assert found.memory_plan is not None
        assert "ephemeral-storage" not in container(scope)["resources"]["requests"]
        model(chart("1.35"), cache=EphemeralCache(size="1Gi"), **options)

    def test_no_request(self) -> None:
        """Nothing is requested for weights that are not known, or are there already."""
        for name in ("my-org/mine", "/model-cache/mine"):
            scope = chart()
            model(scope, model=name)
            assert "ephemeral-storage" not in container(scope)["resources"]["requests"]
