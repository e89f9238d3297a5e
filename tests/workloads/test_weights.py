"""Weights: where they come from, if it is not the Hugging Face Hub itself."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import strategies
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    AmdGpu,
    Cpu,
    EngineArgs,
    EnvVarSource,
    ExistingClaim,
    GpuPodSpec,
    HuggingFaceMirror,
    HuggingFaceToken,
    Kubernetes,
    ModelScope,
    OciImage,
    S3Bucket,
    Volume,
    WholeGpu,
)
from vllm_constructs.kube.egress import merged
from vllm_constructs.workloads import egress
from vllm_constructs.workloads.weights import DownloadedWeights, weights_of

MODEL = "Qwen/Qwen2.5-7B-Instruct"
GPU = WholeGpu("NVIDIA-L40S")
NEW = Kubernetes("1.35")
COMMIT = "a" * 40
CLAIM = ExistingClaim("weights")
DOWNLOADED = DownloadedWeights(model=MODEL, revision=COMMIT, cache=CLAIM, marker=".downloads/x")
MIRROR = HuggingFaceMirror("https://hf-mirror.com/")
IMAGE = OciImage("registry.example.com/qwen:v1")


def pod(**fields: Any) -> GpuPodSpec:
    """Return a pod with these fields."""
    return GpuPodSpec(**{"model": MODEL, "gpu": GPU, **fields})


def reasons(**fields: Any) -> str:
    """Return why a pod with these fields is refused."""
    return strategies.refusal(lambda: pod(**fields))


def spec(**fields: Any) -> dict[str, Any]:
    """Return the spec of a pod, which is valid and as safe as any other."""
    found = pod(**fields).manifest(kubernetes=NEW)
    metadata = {"name": "a", "namespace": "llm"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": found}
    assert_valid(whole, releases=strategies.covered(NEW))
    assert [] == pod_security_problems(found)
    return found


def variables(**fields: Any) -> dict[str, Any]:
    """Return the variables of the engine that have a value."""
    env = spec(**fields)["containers"][0]["env"]
    assert len({one["name"] for one in env}) == len(env)
    return {one["name"]: one["value"] for one in env if "value" in one}


class TestKinds:
    """What is taken as weights."""

    def test_default(self) -> None:
        """Without weights a model is downloaded from the Hub."""
        assert None is weights_of(None, MODEL)
        assert None is weights_of(None, "/model-cache/qwen")
        assert (MODEL, False) == (pod().source, pod().is_streamed)
        assert S3Bucket() == weights_of(None, "s3://a/b")

    def test_construct(self) -> None:
        """A construct that provides weights stands for them."""

        class Download:
            weights = DOWNLOADED

        assert weights_of(Download(), MODEL) is DOWNLOADED

    @pytest.mark.parametrize(
        "wrong", ["s3://a/b", 7, [], S3Bucket, object(), CLAIM, {"weights": MIRROR}, True]
    )
    def test_wrong(self, wrong: object) -> None:
        """Anything else is refused with what is taken."""
        sentence = reasons(weights=wrong)
        assert sentence.startswith("weights is ")
        assert "expected an S3Bucket, GcsBucket, AzureContainer, OciImage, ModelScope," in sentence


class TestMirror:
    """A mirror of the Hub."""

    def test_variables(self) -> None:
        """Downloads go to the mirror by plain HTTP, and nowhere else."""
        token = HuggingFaceToken.from_secret("hf")
        found = variables(weights=MIRROR, hf_token=token)
        assert ("https://hf-mirror.com", "1") == (
            found["HF_ENDPOINT"],
            found["HF_HUB_DISABLE_XET"],
        )
        assert MODEL == pod(weights=MIRROR).source
        inside = pod(weights=HuggingFaceMirror("http://mirror.mirrors.svc:8080/hf"))
        assert not egress.needs_https(inside)
        assert [("mirrors", (8080,))] == [
            (one.namespace, tuple(one.ports)) for one in merged(egress.rules_of(inside))
        ]

    @pytest.mark.parametrize(
        "url", ["hf-mirror.com", "ftp://x", "https://", "https://a b", "https://x?a=b", None, 7]
    )
    def test_refused(self, url: Any) -> None:
        """What is no URL of a server is refused."""
        assert "HuggingFaceMirror.url is" in strategies.refusal(lambda: HuggingFaceMirror(url))

    def test_credentials(self) -> None:
        """Credentials in a URL are refused, and not shown."""
        sentence = strategies.refusal(lambda: HuggingFaceMirror("https://me:0123@x.example"))
        assert "HuggingFaceMirror.url looks like the secret itself" in sentence
        assert "0123" not in sentence

    def test_variable(self) -> None:
        """The variable that does the same is given once, and one that is stronger not at all."""
        assert "env['HF_ENDPOINT'] is set by weights; leave one of them out." == (
            reasons(weights=MIRROR, env={"HF_ENDPOINT": "https://x.example"})
        )
        assert (
            "env['VLLM_USE_MODELSCOPE'] makes vLLM download from ModelScope, but weights is given; "
            "leave one of them out."
        ) == reasons(weights=MIRROR, env={"VLLM_USE_MODELSCOPE": "1"})


class TestModelScope:
    """ModelScope."""

    def test_variables(self) -> None:
        """VLLM asks ModelScope, and keeps what it downloads in the cache."""
        found = variables(weights=ModelScope())
        assert ("True", "/model-cache/modelscope") == (
            found["VLLM_USE_MODELSCOPE"],
            found["MODELSCOPE_CACHE"],
        )
        assert egress.needs_https(pod(weights=ModelScope()))

    def test_read_only(self) -> None:
        """From a cache that cannot be written nothing is downloaded."""
        cache = ExistingClaim("weights", access="ReadOnlyMany")
        assert "1" == variables(weights=ModelScope(), cache=cache)["HF_HUB_OFFLINE"]
        assert not egress.needs_https(pod(weights=ModelScope(), cache=cache))

    def test_token(self) -> None:
        """A token is a variable from a Secret."""
        token = EnvVarSource.from_secret("scope", key="token")
        (found,) = [
            one
            for one in spec(weights=ModelScope(token=token))["containers"][0]["env"]
            if one["name"] == "MODELSCOPE_API_TOKEN"
        ]
        assert {"name": "scope", "key": "token"} == found["valueFrom"]["secretKeyRef"]

    @pytest.mark.parametrize("token", ["0123", 7, HuggingFaceToken.from_secret("x")])
    def test_wrong_token(self, token: Any) -> None:
        """A token in clear is refused, and not shown."""
        sentence = strategies.refusal(lambda: ModelScope(token=token))
        assert sentence.startswith("ModelScope.token is a ")
        assert "0123" not in sentence
        assert "expected EnvVarSource.from_secret(name of a Secret, key=...)" in sentence

    def test_image(self) -> None:
        """Only the image for CUDA has the library; another image may."""
        amd = AmdGpu("AMD_Instinct_MI300X_OAM")
        assert (
            "weights is ModelScope, which the image for ROCm cannot read; use "
            "weights=HuggingFaceMirror(...), or an image of your own."
        ) == reasons(weights=ModelScope(), gpu=amd)
        pod(weights=ModelScope(), gpu=amd, image="registry.example.com/vllm:1", vllm="0.33.0")


@pytest.mark.parametrize("model", ["/model-cache/qwen", "s3://weights/qwen"])
@pytest.mark.parametrize("weights", [MIRROR, ModelScope()])
def test_not_named(model: str, weights: Any) -> None:
    """What is downloaded by a name has one."""
    assert (
        f"weights is {type(weights).__name__}, but model is {model!r}, which is not downloaded by "
        "its name; leave one of them out."
    ) == reasons(model=model, weights=weights)


class TestImage:
    """An OCI image."""

    def test_mount(self) -> None:
        """The model is loaded from the image, and served under its name."""
        weights = OciImage("r.example/q@sha256:" + "0" * 64, path="qwen", pull_policy="Always")
        found = spec(weights=weights)
        (volume,) = [one for one in found["volumes"] if one["name"] == "weights"]
        assert {"reference": weights.reference, "pullPolicy": "Always"} == volume["image"]
        (mount,) = [
            one for one in found["containers"][0]["volumeMounts"] if one["name"] == "weights"
        ]
        assert {"name": "weights", "mountPath": "/weights", "subPath": "qwen"} == {
            key: value for key, value in mount.items() if key != "readOnly"
        }
        args = found["containers"][0]["args"]
        assert ("/weights", MODEL) == (args[0], args[args.index("--served-model-name") + 1])
        assert not egress.needs_https(pod(weights=weights))
        assert [] == [*egress.rules_of(pod(weights=weights))]

    def test_old_cluster(self) -> None:
        """Kubernetes mounts images since 1.35."""
        sentence = strategies.refusal(lambda: pod(weights=IMAGE).manifest())
        assert "volumes['/weights'] is a volume of kind 'image'" in sentence

    @pytest.mark.parametrize(
        "reference",
        ["x", "r/x", "localhost:5000/x", "", None, 7, "u:p@r/x:1", "r/x:", "oci://r/x:1"],
    )
    def test_reference(self, reference: Any) -> None:
        """An image has a tag or a digest."""
        sentence = strategies.refusal(lambda: OciImage(reference))
        assert sentence.startswith("OciImage.reference is ")
        assert "expected an image with a tag or digest" in sentence

    @pytest.mark.parametrize(
        "reference",
        ["x:1", "r.example:5000/a/x:v1.2_3", "r/x:1@sha256:" + "a" * 64, "r/x@sha256:" + "a" * 64],
    )
    def test_references(self, reference: str) -> None:
        """All usual spellings are taken."""
        assert reference == OciImage(reference).reference

    def test_refused(self) -> None:
        """So are folder and policy checked."""
        assert "OciImage.path is '../x'; expected a relative path without '..'" in (
            strategies.refusal(lambda: OciImage("r/x:1", path="../x"))
        )
        wrong: Any = "never"
        assert "OciImage.pull_policy is 'never'; expected one of" in (
            strategies.refusal(lambda: OciImage("r/x:1", pull_policy=wrong))
        )

    def test_taken(self) -> None:
        """The path is the library's, and the model no bucket."""
        volumes = {"/weights": Volume.from_claim("x")}
        assert "volumes['/weights'] is set by weights; leave one of them out." == (
            reasons(weights=IMAGE, volumes=volumes)
        )
        assert (
            "weights is an OciImage, but model is the bucket 's3://a/b'; leave one of them out."
        ) == reasons(weights=IMAGE, model="s3://a/b")


class TestDownloaded:
    """What a Job has downloaded."""

    def test_waiting(self) -> None:
        """The pods wait for the Job, and then load the revision without the Hub."""
        found = spec(weights=DOWNLOADED, cache=CLAIM, image_pull_policy="Always")
        (waiting,) = found["initContainers"]
        (engine,) = found["containers"]
        assert (engine["image"], "Always") == (waiting["image"], waiting["imagePullPolicy"])
        (mount,) = waiting["volumeMounts"]
        assert {"name": "model-cache", "mountPath": "/model-cache", "readOnly": True} == mount
        assert f"--revision={COMMIT}" in engine["args"]
        assert MODEL == engine["args"][0]
        assert "1" == variables(weights=DOWNLOADED, cache=CLAIM)["HF_HUB_OFFLINE"]
        assert not egress.needs_https(pod(weights=DOWNLOADED, cache=CLAIM))

    def test_read_only(self) -> None:
        """The pods may mount the claim read-only, or a folder of it."""
        cache = ExistingClaim("weights", access="ReadOnlyMany")
        found = spec(weights=DOWNLOADED, cache=cache)
        assert 1 == sum("persistentVolumeClaim" in one for one in found["volumes"])
        assert "1" == variables(weights=DOWNLOADED, cache=cache)["HF_HUB_OFFLINE"]
        folder = ExistingClaim("weights", sub_path="hub")
        own = DownloadedWeights(model=MODEL, revision=COMMIT, cache=folder, marker="x")
        (waiting,) = spec(weights=own, cache=folder)["initContainers"]
        assert "hub" == waiting["volumeMounts"][0]["subPath"]
        assert "weights are in the folder 'hub' of the claim 'weights', which is not the cache" in (
            reasons(weights=own, cache=CLAIM)
        )

    @pytest.mark.slow
    def test_script(self, tmp_path: Path) -> None:
        """The container ends when the marker is there, and not before."""
        (waiting,) = spec(weights=DOWNLOADED, cache=CLAIM)["initContainers"]
        marker = tmp_path / "with space" / "x"
        assert ["/model-cache/.downloads/x"] == waiting["args"]
        command = [*waiting["command"], str(marker)]
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(command, check=True, timeout=0.5)
        marker.parent.mkdir()
        marker.touch()
        subprocess.run(command, check=True, timeout=5)

    def test_refused(self) -> None:
        """Another model, claim or revision than that of the Job is refused."""
        assert (
            f"weights is the download of {MODEL!r}, but model is 'a/b'; give the download of this "
            "model."
        ) == reasons(weights=DOWNLOADED, cache=CLAIM, model="a/b")
        sentence = "weights are in the claim 'weights', which is not the cache; give that claim as"
        for cache in (ExistingClaim("other"), None, ExistingClaim("weights", sub_path="a")):
            assert sentence in reasons(weights=DOWNLOADED, cache=cache)
        engine = EngineArgs(revision="b" * 40)
        assert "EngineArgs.revision is set by weights; leave one of them out." == (
            reasons(weights=DOWNLOADED, cache=CLAIM, engine=engine)
        )
        pod(weights=DOWNLOADED, cache=CLAIM, engine=EngineArgs(revision=COMMIT))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("VLLM_USE_MODELSCOPE", "1"),
            ("HF_HUB_CACHE", "/model-cache/x"),
            ("HUGGINGFACE_HUB_CACHE", "/model-cache/x"),
        ],
    )
    def test_variables(self, name: str, value: str) -> None:
        """Variables with which vLLM would not find the weights are refused."""
        assert (
            f"env[{name!r}] makes vLLM look elsewhere, but weights is given; leave one of them out."
        ) == reasons(weights=DOWNLOADED, cache=CLAIM, env={name: value})


def test_waiting_on_cpus() -> None:
    """The container that waits has equal limits on CPUs, or the pod would not be Guaranteed."""
    claim = ExistingClaim("weights")
    marker = DownloadedWeights(model="a/b", revision="a" * 40, cache=claim, marker="done")
    made = GpuPodSpec(
        model="a/b", gpu=Cpu(cores=8, memory_gib=32), cache=claim, weights=marker
    ).manifest()
    for one in (*made["initContainers"], *made["containers"]):
        assert one["resources"]["limits"].keys() >= {"cpu", "memory"}
        for name in ("cpu", "memory"):
            assert one["resources"]["limits"][name] == one["resources"]["requests"][name]


def test_path_beside_image() -> None:
    """A model's path is not looked for where an image has the weights."""
    image = OciImage("reg.example.com/a:v1")
    made = GpuPodSpec(model="/models/x", gpu=WholeGpu("NVIDIA-L4"), weights=image)
    assert "/weights" == made.source
