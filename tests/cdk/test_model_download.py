"""ModelDownload: a Job that fills a cache, and the models that wait for it."""

from typing import Any

import pytest
from cdk8s import App, Chart
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    GPU,
    MODEL,
    chart,
    check_sample,
    manifests,
    model,
    only,
    pod,
    rejected,
    variants,
)
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    EphemeralCache,
    ExistingClaim,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    ModelDownload,
    PodSecurity,
    VllmConstructsError,
)

COMMIT = "a" * 40
CLAIM = ExistingClaim("weights")


def download(scope: Chart, id: str = "download", **options: Any) -> ModelDownload:
    """A download of a commit into a claim."""
    own: dict[str, Any] = {"model": MODEL, "revision": COMMIT, "cache": CLAIM}
    return ModelDownload(scope, id, **{**own, **options})


@pytest.mark.parametrize(("kind", "variant"), variants("ModelDownload"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_objects() -> None:
    """There are a Job and the policy of its pod, with labels that do not collide with a model's."""
    scope = chart()
    made = download(scope, labels={"team": "search"}, annotations={"a.example/b": "c"})
    job, policy = only(scope, "Job"), only(scope, "NetworkPolicy")

    assert_valid(*manifests(scope))
    assert [] == pod_security_problems(job["spec"]["template"]["spec"])
    assert made.job.name == job["metadata"]["name"]
    assert made.network_policy is not None
    assert job["metadata"]["name"].startswith("download-")
    template = job["spec"]["template"]["metadata"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["labels"].items()
    for metadata in (job["metadata"], policy["metadata"], template):
        assert "search" == metadata["labels"]["team"]
        assert "c" == metadata["annotations"]["a.example/b"]


def test_no_policy() -> None:
    """Where the cluster has policies of its own, there is none."""
    scope = chart()
    assert download(scope, network_policy=False).network_policy is None
    assert ["Job"] == [one["kind"] for one in manifests(scope)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a" * 40, "b" * 40]),
            st.lists(st.sampled_from(["*.json", "*.safetensors", "x y"]), max_size=2, unique=True),
            st.sampled_from([None, {"team": "a"}, {"team": "b"}]),
        ),
        min_size=2,
        max_size=2,
    )
)
def test_name(both: list[Any]) -> None:
    """The name of a Job differs exactly when its pod does, which cannot be changed."""
    jobs = []
    for revision, include, labels in both:
        scope = chart()
        download(scope, revision=revision, include=include, labels=labels)
        jobs.append(only(scope, "Job"))
    names = [job["metadata"]["name"] for job in jobs]
    assert (both[0] == both[1]) is (names[0] == names[1])
    assert (both[0] == both[1]) is (jobs[0] == jobs[1])


class TestModels:
    """Models whose weights a Job downloads."""

    def test_several(self) -> None:
        """Several models, and replicas of them, wait for one download."""
        scope = chart()
        cache = ModelCache(scope, "cache", size="100Gi")
        made = download(scope, cache=cache)
        for name, replicas in (("a", 1), ("b", 3)):
            model(scope, name, served_name=name, replicas=replicas, cache=cache, weights=made)
            spec = pod(scope, name)
            (waiting,) = spec["initContainers"]
            (mount,) = waiting["volumeMounts"]
            (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
            assert {"claimName": "cache"} == volume["persistentVolumeClaim"]
            (args,) = [one["args"] for one in spec["containers"]]
            assert f"--revision={COMMIT}" in args
        env = only(scope, "Job")["spec"]["template"]["spec"]["containers"][0]["env"]
        (marker,) = [one["value"] for one in env if one["name"] == "MARKER"]
        assert [marker] == waiting["args"]
        # Downloads are off, so that nothing but DNS is open.
        (policy,) = [
            one
            for one in manifests(scope)
            if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "a"
        ]
        ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        assert {53, 5353} == ports

    def test_value(self) -> None:
        """The construct or its `weights` are given."""
        scope = chart()
        made = download(scope)
        model(scope, "a", cache=CLAIM, weights=made)
        model(scope, "b", cache=CLAIM, weights=made.weights, served_name="b")
        assert pod(scope, "a")["initContainers"] == pod(scope, "b")["initContainers"]

    def test_read_only(self) -> None:
        """The Job writes, and models may mount the same claim read-only."""
        scope = chart()
        made = download(scope)
        model(scope, "a", weights=made, cache=ExistingClaim("weights", access="ReadOnlyMany"))
        (volume,) = [one for one in pod(scope)["volumes"] if one["name"] == "model-cache"]
        assert volume["persistentVolumeClaim"]["readOnly"]

    @pytest.mark.parametrize("as_value", [False, True])
    def test_elsewhere(self, *, as_value: bool) -> None:
        """A claim of another namespace has other files, whatever its name is."""
        app = App()
        first, second = (Chart(app, id, namespace=id) for id in ("a", "b"))
        made = download(first)
        sentence = "^weights is in namespace 'a', and this chart is in 'b'; put both into charts"
        with rejected(second, sentence):
            model(second, cache=CLAIM, weights=made.weights if as_value else made)

    def test_app(self) -> None:
        """A download of another app is none of this one."""
        scope = chart()
        with rejected(scope, "^weights is in another app; put both into one app"):
            model(scope, cache=CLAIM, weights=download(chart()))

    def test_other_cache(self) -> None:
        """A model with another cache does not find the files."""
        scope = chart()
        made = download(scope)
        with rejected(scope, "^weights are in the claim 'weights', which is not the cache; give"):
            model(scope, weights=made)
        with rejected(scope, "^weights is the download of"):
            ModelDeployment(scope, "b", model="a/b", gpu=GPU, cache=CLAIM, weights=made)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cache": None}, "cache is None; expected a ModelCache, ExistingClaim"),
        (
            {"cache": EphemeralCache()},
            "ModelDownload.cache is empty for each pod, so no Job can fill it; give a ModelC",
        ),
        ({"cache": ExistingClaim("w", namespace="other")}, "ModelDownload.cache is in namespace"),
        (
            {"hf_token": HuggingFaceToken("hf", namespace="other")},
            "ModelDownload.hf_token is in namespace 'other'",
        ),
        (
            {"cache": ExistingClaim("w", size="10Gi")},
            "ModelDownload 'download' has 14.3 GiB of weights, more than the 10Gi of its claim 'w'",
        ),
        ({"service_account": 7}, "ModelDownload.service_account is 7; expected the name of a"),
        ({"network_policy": 1}, "ModelDownload.network_policy is 1; expected True or False"),
        ({"labels": 7}, "ModelDownload.labels is 7; expected a dict of strings"),
        ({"annotations": ["a"]}, "ModelDownload.annotations is ['a']; expected a dict of strings"),
        ({"labels": {"a": 7}}, "ModelDownload.labels"),
        ({"revision": "main"}, "ModelDownload.revision is 'main', whose commit can change"),
    ],
)
def test_refused(options: dict[str, Any], sentence: str) -> None:
    """A wrong option is rejected, and the chart stays as it was."""
    scope = chart()
    with pytest.raises(VllmConstructsError) as refusal:
        download(scope, **options)
    assert str(refusal.value).startswith(sentence)
    assert [] == scope.node.children


def test_part() -> None:
    """Of a part of the files the size is not known."""
    scope = chart()
    download(scope, cache=ExistingClaim("w", size="1Gi"), include=["config.json"])
    download(scope, "own", security=PodSecurity(user=1000, group=1000))
