"""Buckets: what vLLM is told to stream from them, and what gives it access."""

import json
import warnings
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    AmdGpu,
    AzureContainer,
    Cpu,
    EngineArgs,
    EnvFromSource,
    EnvVarSource,
    GcsBucket,
    GpuPodSpec,
    IntelGpu,
    S3Bucket,
    Tpu,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.kube.egress import merged
from vllm_constructs.workloads import egress

MODEL = "Qwen/Qwen2.5-7B-Instruct"
GPU = WholeGpu("NVIDIA-L40S")
KEYS = S3Bucket("s3://weights/qwen", secret="s3-keys")
BUCKETS: Any = [(S3Bucket, "s3"), (GcsBucket, "gs"), (partial(AzureContainer, account="abc"), "az")]


class Named:
    """An object with a name and a namespace."""

    name = "keys"
    namespace = "other"


def pod(**fields: Any) -> GpuPodSpec:
    """Return a pod with these fields."""
    return GpuPodSpec(**{"model": MODEL, "gpu": GPU, **fields})


def reasons(**fields: Any) -> str:
    """Return why a pod with these fields is refused."""
    return strategies.refusal(lambda: pod(**fields))


def warned(**fields: Any) -> list[str]:
    """Return what a pod with these fields is warned about."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", VllmConstructsWarning)
        pod(**fields)
    return [str(one.message) for one in found]


def container(**fields: Any) -> dict[str, Any]:
    """Return the container of the engine; its pod is valid, and as safe as any other."""
    spec = pod(**fields).manifest()
    metadata = {"name": "a", "namespace": "llm"}
    assert_valid({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert [] == pod_security_problems(spec)
    found: dict[str, Any] = spec["containers"][0]
    return found


def variables(**fields: Any) -> dict[str, Any]:
    """Return the variables of the engine: values, or names and keys of Secrets."""
    found: dict[str, Any] = {}
    for one in container(**fields)["env"]:
        source = one.get("valueFrom", {}).get("secretKeyRef", {})
        found[one["name"]] = one.get("value", (source.get("name"), source.get("key")))
    return found


def targets(**fields: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return where a pod may connect to."""
    given_pod = pod(**fields)
    assert not egress.needs_https(given_pod)
    return [
        (one.namespace or one.cidr or "any", tuple(one.ports))
        for one in merged(egress.rules_of(given_pod))
    ]


class TestStreaming:
    """What vLLM loads, and how."""

    @pytest.mark.parametrize(("kind", "scheme"), BUCKETS)
    def test_named_model(self, kind: Any, scheme: str) -> None:
        """A model with a name is loaded from the bucket, and served under its name."""
        url = f"{scheme}://weights/qwen"
        args = container(weights=kind(url, secret="x"))["args"]

        assert url == args[0]
        assert "--load-format=runai_streamer" in args
        assert 'memory_limit":8589934592' in " ".join(args)
        assert MODEL == args[args.index("--served-model-name") + 1]

    @pytest.mark.parametrize(("kind", "scheme"), BUCKETS)
    def test_url(self, kind: Any, scheme: str) -> None:
        """So is a model that is a URL, of which the bucket says only how it is read."""
        url = f"{scheme}://weights/qwen/"
        for weights in (kind(secret="x"), kind(url, secret="x")):
            args = container(model=url, served_name="qwen", weights=weights)["args"]
            assert (url, "qwen") == (args[0], args[args.index("--served-model-name") + 1])

    @pytest.mark.parametrize("url", ["s3://weights/qwen", "gs://weights"])
    def test_model_only(self, url: str) -> None:
        """A URL as the model suffices where the role of the pods gives access."""
        args = container(model=url, service_account="reader")["args"]
        assert "--load-format=runai_streamer" in args
        # A URL is no name that clients like, but the only one that is known.
        assert url == args[args.index("--served-model-name") + 1]

    def test_file(self) -> None:
        """With flags in a file, the model stays an argument."""
        engine = EngineArgs(delivery="config-map")
        spec = pod(weights=KEYS, engine=engine)
        assert ["s3://weights/qwen", "--config", "/etc/vllm/engine.yaml"] == (
            spec.manifest(config_map="x")["containers"][0]["args"]
        )
        assert "load-format: runai_streamer" in str(spec.config_files())

    def test_sharded(self) -> None:
        """The loader of shards takes no settings of the streamer, which has a variable."""
        found = container(weights=KEYS, engine=EngineArgs(load_format="runai_streamer_sharded"))
        assert "memory_limit" not in " ".join(found["args"])
        limit = {"name": "RUNAI_STREAMER_MEMORY_LIMIT", "value": str(8 * 2**30)}
        assert limit in found["env"]

    @pytest.mark.parametrize(
        ("options", "start"),
        [
            (
                {"weights": S3Bucket("s3://a/b", secret="x", buffer="32Gi")},
                "S3Bucket.buffer is '32Gi', not below the memory limit '32Gi'; lower it, or raise",
            ),
            (
                {"weights": KEYS, "gpu": Cpu(cores=8, memory_gib=8, kv_cache_gib=1)},
                "S3Bucket.buffer is '8Gi', not below the memory limit '8Gi'; lower it, or raise",
            ),
            (
                {
                    "weights": KEYS,
                    "engine": EngineArgs(model_loader_extra_config={"memory_limit": 10**11}),
                },
                "EngineArgs.model_loader_extra_config['memory_limit'] is 100000000000 bytes, not",
            ),
        ],
    )
    def test_large_buffer(self, options: dict[str, Any], start: str) -> None:
        """The buffer is below the memory that a pod has by default, and that of CPUs."""
        assert reasons(**options).startswith(start)

    @pytest.mark.parametrize("name", ["auto", "runai_streamer"])
    def test_format(self, name: Any) -> None:
        """A format that streams is kept, with the buffer."""
        args = container(weights=KEYS, engine=EngineArgs(load_format=name))["args"]
        assert "memory_limit" in " ".join(args)

    def test_other_format(self) -> None:
        """What others load from a bucket is theirs; most formats load from none."""
        args = container(weights=KEYS, engine=EngineArgs(load_format="modelexpress"))["args"]
        assert "memory_limit" not in " ".join(args)
        for name in ("safetensors", "tensorizer", "dummy"):
            sentence = reasons(weights=KEYS, engine=EngineArgs(load_format=name))
            assert f"EngineArgs.load_format is {name!r}, with which vLLM does not load" in sentence
            assert "or put the weights into a cache" in sentence

    def test_extra_configuration(self) -> None:
        """A configuration of the loader is the user's; the buffer is added, unless it is there."""
        for own, found in (
            ({"distributed": True}, {"distributed": True, "memory_limit": 8 * 2**30}),
            ({"memory_limit": 4 * 2**30}, {"memory_limit": 4 * 2**30}),
        ):
            engine = EngineArgs(model_loader_extra_config=own)
            text = json.dumps(found, separators=(",", ":"))
            args = container(weights=KEYS, engine=engine)["args"]
            assert f"--model-loader-extra-config={text}" in args

    def test_buffer(self) -> None:
        """The buffer of each GPU fits into a memory that is given."""
        args = container(weights=S3Bucket("s3://a/b", secret="x", buffer="20Gi"))["args"]
        assert f'"memory_limit":{20 * 2**30}' in " ".join(args)
        two = WholeGpu("NVIDIA-L40S", count=2)
        container(weights=KEYS, gpu=two, memory=("8Gi", "17Gi"))
        for memory in ("16Gi", ("8Gi", "16Gi")):
            assert (
                "S3Bucket.buffer is '8Gi' for each of 2 GPUs, not below the memory limit '16Gi'; "
                "lower it, or raise memory."
            ) == reasons(weights=KEYS, gpu=two, memory=memory)
        assert "S3Bucket.buffer is '8Gi', not below" in reasons(weights=KEYS, memory="8Gi")

    def test_again(self) -> None:
        """A pod can be made of its own options again."""
        found = pod(weights=KEYS)
        assert found == GpuPodSpec(
            **{
                name: getattr(found, name)
                for name in vars(found)
                if name in GpuPodSpec.__dataclass_fields__
            }
        )

    def test_image(self) -> None:
        """The images for XPU and TPU cannot stream; that for ROCm can."""
        container(weights=KEYS, gpu=AmdGpu("AMD_Instinct_MI300X_OAM"))
        for platform, gpu in (("XPU", IntelGpu()), ("TPU", Tpu("v6e", topology="1x1"))):
            start = f"weights is in a bucket, and the image for {platform} has no Run:ai Model"
            assert reasons(weights=KEYS, gpu=gpu).startswith(start)


class TestUrls:
    """Which URLs are taken."""

    @pytest.mark.parametrize(("kind", "scheme"), BUCKETS)
    @pytest.mark.parametrize(
        "rest", ["", "a b/c", "a//b", "a/../b", "a/..", ".", "a?b=c", "a/b\n", "ä/b", "/a"]
    )
    def test_refused(self, kind: Any, scheme: str, rest: str) -> None:
        """What is no folder of a bucket is refused with an example."""
        sentence = strategies.refusal(lambda: kind(f"{scheme}://{rest}"))
        assert f".url is '{scheme}://" in sentence
        assert f"expected a URL such as '{scheme}://bucket/x'" in sentence

    @pytest.mark.parametrize(("kind", "scheme"), BUCKETS)
    @pytest.mark.parametrize("url", ["hf://a/b", "/weights", "qwen", 7, b"s3://a/b", ["s3://a"]])
    def test_others(self, kind: Any, scheme: str, url: object) -> None:
        """So is what is no URL, or one of another store."""
        assert f"such as '{scheme}://bucket/x'" in strategies.refusal(lambda: kind(url))

    def test_secret_in_url(self) -> None:
        """Credentials in a URL are refused, and not shown."""
        url = "s3://AKIAABCDEFGHIJKLMNOP:0123456789abcdef@weights/qwen"
        calls: list[strategies.Call] = [lambda: S3Bucket(url), lambda: pod(model=url)]
        for call in calls:
            sentence = strategies.refusal(call)
            assert "AKIA" not in sentence
            assert "0123456789" not in sentence

    @settings(max_examples=100, deadline=None)
    @given(
        st.sampled_from(["s3", "gs", "az"]),
        st.from_regex(r"[a-z0-9][a-z0-9.-]{1,30}", fullmatch=True),
        st.lists(st.from_regex(r"[A-Za-z0-9_-][\w.-]{0,20}", fullmatch=True), max_size=4),
    )
    def test_any(self, scheme: str, bucket: str, folders: list[str]) -> None:
        """Any folder of any bucket is a model and a bucket's URL; vLLM gets it as it is."""
        url = "/".join([f"{scheme}://{bucket}", *folders])
        if not url.isascii():
            return
        kind = {found: kind for kind, found in BUCKETS}[scheme]
        assert url == pod(model=url, weights=kind(secret="x")).source
        assert url == pod(weights=kind(url, secret="x")).source

    def test_two_buckets(self) -> None:
        """Model and bucket name one place."""
        assert (
            "S3Bucket.url is 's3://weights/qwen', but model is another bucket, 's3://weights/x'; "
            "leave one of them out."
        ) == reasons(model="s3://weights/x", weights=KEYS)
        assert (
            "weights is an S3Bucket without a URL, and model is 'gs://a/b'; give it a URL such as "
            "'s3://bucket/x'."
        ) == reasons(model="gs://a/b", weights=S3Bucket(secret="x"))
        assert "weights is a GcsBucket without a URL" in reasons(weights=GcsBucket(secret="x"))

    def test_account(self) -> None:
        """A URL of Azure does not name the account, so that it is asked for."""
        assert (
            "model is 'az://weights/qwen', whose storage account is not known; give "
            "weights=AzureContainer(account=...)."
        ) == reasons(model="az://weights/qwen")


class TestS3:
    """Access to S3 and its like."""

    def test_keys(self) -> None:
        """Keys come from the Secret, whatever their names there are."""
        found = variables(weights=KEYS)
        assert ("s3-keys", "AWS_ACCESS_KEY_ID") == found["AWS_ACCESS_KEY_ID"]
        assert ("s3-keys", "AWS_SECRET_ACCESS_KEY") == found["AWS_SECRET_ACCESS_KEY"]
        # Otherwise the client asks the node for a role first.
        assert "true" == found["AWS_EC2_METADATA_DISABLED"]
        assert not {"AWS_REGION", "AWS_ENDPOINT_URL"} & found.keys()
        own = S3Bucket("s3://a/b", secret="x", access_key_id="id", secret_access_key="key")
        found = variables(weights=own)
        assert (("x", "id"), ("x", "key")) == (
            found["AWS_ACCESS_KEY_ID"],
            found["AWS_SECRET_ACCESS_KEY"],
        )
        assert [("any", (443,))] == targets(weights=KEYS)

    def test_minio(self) -> None:
        """Another store has its address in both variables, and the bucket in the path."""
        store = S3Bucket("s3://a/b", secret="x", endpoint="http://minio.minio.svc:9000")
        found = variables(weights=store)
        assert "http://minio.minio.svc:9000" == found["AWS_ENDPOINT_URL"]
        assert "http://minio.minio.svc:9000" == found["RUNAI_STREAMER_S3_ENDPOINT"]
        assert "0" == found["RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING"]
        # Nothing else is opened.
        assert [("minio", (9000,))] == targets(weights=store)

    @pytest.mark.parametrize(
        ("endpoint", "style", "expected"),
        [
            (None, None, False),
            (None, True, True),
            ("https://s3.example.com", None, True),
            ("https://oss-cn-hangzhou.aliyuncs.com", False, False),
        ],
    )
    def test_path_style(self, endpoint: Any, style: Any, expected: object) -> None:
        """The bucket is in the path of a store's URLs unless it is said to be in the host."""
        store = S3Bucket("s3://a/b", secret="x", endpoint=endpoint, path_style=style)
        found = variables(weights=store)
        assert expected is ("RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING" in found)

    def test_role(self) -> None:
        """A role needs no variables, but the servers that hand it out."""
        bucket = S3Bucket("s3://a/b", region="eu-central-1")
        found = variables(weights=bucket, service_account="reader")
        assert "eu-central-1" == found["AWS_REGION"]
        assert not [name for name in found if name.startswith("AWS_") and name != "AWS_REGION"]
        expected = [("169.254.170.23/32", (80,)), ("any", (443,))]
        assert expected == sorted(targets(weights=bucket, service_account="reader"))

    def test_node(self) -> None:
        """Without a role of its own a pod uses that of the node, which is warned about."""
        bucket = S3Bucket("s3://a/b")
        (sentence,) = warned(weights=bucket)
        assert (
            "weights is in an S3Bucket without a secret, and the pod has no service_account, so "
            "the bucket is read with the role of the node or of the ServiceAccount 'default', if "
            "either has one; give service_account, or S3Bucket.secret."
        ) == sentence
        assert 1 == len(warned(model="s3://a/b"))
        with pytest.warns(VllmConstructsWarning, match="role of the node"):
            found = merged(egress.rules_of(pod(weights=bucket)))
        assert "169.254.169.254/32" in [one.cidr for one in found]

    @pytest.mark.parametrize(
        "fields",
        [
            {"service_account": "reader"},
            {"env_from": [EnvFromSource.from_secret("keys")]},
            {"env": {"AWS_ACCESS_KEY_ID": EnvVarSource.from_secret("keys", key="id")}},
            {"env": {"AWS_SHARED_CREDENTIALS_FILE": "/aws/credentials"}},
        ],
    )
    def test_own_access(self, fields: dict[str, Any]) -> None:
        """Access that is given in another way is not asked for again."""
        assert [] == warned(weights=S3Bucket("s3://a/b"), **fields)

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"secret": "A_b"}, "S3Bucket.secret is 'A_b'; expected at most 253"),
            ({"secret": 7}, "S3Bucket.secret is 7; expected the name of a Secret"),
            ({"secret": "hf_AbCdEfGhIjKl"}, "S3Bucket.secret looks like the secret itself"),
            ({"access_key_id": "a b"}, "S3Bucket.access_key_id is no key of a Secret"),
            (
                {"access_key_id": "AKIAABCDEFGHIJKLMNOP"},
                "S3Bucket.access_key_id looks like the secret itself (20 characters, not shown)",
            ),
            ({"secret_access_key": None}, "S3Bucket.secret_access_key is None; expected a key"),
            ({"region": "eu central"}, "S3Bucket.region is 'eu central'; expected a region such"),
            ({"region": 1}, "S3Bucket.region is 1; expected a region such as 'eu-central-1'"),
            ({"endpoint": "minio:9000"}, "S3Bucket.endpoint is 'minio:9000'; expected a URL such"),
            ({"endpoint": "http://"}, "S3Bucket.endpoint is 'http://'; expected a URL such as"),
            ({"endpoint": "http://a b"}, "S3Bucket.endpoint is 'http://a b'; expected a URL"),
            ({"endpoint": 1}, "S3Bucket.endpoint is 1; expected a URL such as"),
            ({"endpoint": "http://a:pass@b"}, "S3Bucket.endpoint looks like the secret itself"),
            ({"path_style": 1}, "S3Bucket.path_style is 1; expected True or False"),
            ({"buffer": "8GB"}, "S3Bucket.buffer is '8GB'; expected a Kubernetes quantity"),
            ({"buffer": None}, "S3Bucket.buffer is None; expected a Kubernetes quantity"),
        ],
    )
    def test_refused(self, fields: dict[str, Any], sentence: str) -> None:
        """A wrong value is refused; none that may be a credential is shown."""
        found = strategies.refusal(lambda: S3Bucket("s3://a/b", **fields))
        assert found.startswith(sentence)
        assert "pass" not in found

    @pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"])
    def test_own_variable(self, name: str) -> None:
        """A variable that the bucket has, too, is given once; the same value is no matter."""
        bucket = S3Bucket("s3://a/b", secret="x", region="x", endpoint="http://minio:9000")
        value = EnvVarSource.from_secret("y", key="id") if "KEY" in name else "http://y"
        sentence = f"env[{name!r}] is set by weights; leave one of them out."
        assert sentence == reasons(weights=bucket, env={name: value})
        pod(weights=bucket, env={"AWS_REGION": "x"})


class TestGcs:
    """Access to Google Cloud Storage."""

    def test_key(self) -> None:
        """The key of a service account is a file of the Secret."""
        bucket = GcsBucket("gs://a/b", secret="sa", key="sa.json")
        spec = pod(weights=bucket).manifest()
        (volume,) = [one for one in spec["volumes"] if "secret" in one]
        assert {"secretName": "sa", "items": [{"key": "sa.json", "path": "key"}]} == (
            volume["secret"]
        )
        path = variables(weights=bucket)["GOOGLE_APPLICATION_CREDENTIALS"]
        mounts = spec["containers"][0]["volumeMounts"]
        assert path.rpartition("/")[0] in [one["mountPath"] for one in mounts]
        assert [("any", (443,))] == targets(weights=bucket)

    def test_identity(self) -> None:
        """Workload Identity is asked at the metadata server of GKE."""
        found = targets(weights=GcsBucket("gs://a/b"), service_account="reader")
        assert [
            ("169.254.169.252/32", (988,)),
            ("169.254.169.254/32", (80,)),
            ("any", (443,)),
        ] == sorted(found)
        assert "GcsBucket without a secret" in "".join(warned(weights=GcsBucket("gs://a/b")))

    def test_refused(self) -> None:
        """A key that is none is refused."""
        assert "GcsBucket.key is no key of a Secret" in (
            strategies.refusal(lambda: GcsBucket("gs://a/b", key="a b"))
        )


class TestAzure:
    """Access to Azure Blob Storage."""

    def test_secret(self) -> None:
        """A client secret is in three variables."""
        found = variables(weights=AzureContainer("az://a/b", account="abc", secret="sp"))
        assert "abc" == found["AZURE_STORAGE_ACCOUNT_NAME"]
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
            assert ("sp", name) == found[name]
        own = pod(weights=AzureContainer("az://a/b", account="abc", secret="sp"))
        assert {} == own.added_labels

    def test_identity(self) -> None:
        """Workload ID needs a label of the pods."""
        found = pod(weights=AzureContainer("az://a/b", account="abc"), service_account="reader")
        assert {"azure.workload.identity/use": "true"} == found.added_labels
        assert "AzureContainer without a secret" in (
            "".join(warned(weights=AzureContainer("az://a/b", account="abc")))
        )

    @pytest.mark.parametrize("account", ["", "ab", "Abc", "a-b-c", "a" * 25, None, 7])
    def test_account(self, account: Any) -> None:
        """The account is a name as Azure has them."""
        assert "AzureContainer.account is" in (
            strategies.refusal(lambda: AzureContainer("az://a/b", account=account))
        )

    def test_old_release(self) -> None:
        """VLLM reads these URLs since 0.18."""
        bucket = AzureContainer("az://a/b", account="abc", secret="x")
        pod(weights=bucket, image="vllm/vllm-openai:v0.18.0")
        assert (
            "AzureContainer is not yet in vLLM 0.17.0; use an image of vLLM 0.18 or newer."
        ) == reasons(weights=bucket, image="vllm/vllm-openai:v0.17.0")


def test_namespace() -> None:
    """A Secret that says its namespace keeps it, so that models of others are rejected."""
    for bucket in (S3Bucket("s3://a/b", secret=Named()), GcsBucket("gs://a/b", secret=Named())):
        found = [getattr(one, "namespace", None) for _, one in pod(weights=bucket).references()]
        assert {"other"} == {*found} - {None}
