"""Adapters: their names and sources, and the room that vLLM keeps for them."""

import json
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    ApiKey,
    AzureContainer,
    Container,
    EngineArgs,
    ExistingClaim,
    GcsBucket,
    GpuPodSpec,
    IntelGpu,
    Kubernetes,
    LoraAdapter,
    ModelScope,
    PodSecurity,
    S3Bucket,
    Tpu,
    VllmConstructsWarning,
    Volume,
    WholeGpu,
)
from vllm_constructs.kube.egress import merged
from vllm_constructs.workloads import egress
from vllm_constructs.workloads.lora_adapter import ADAPTERS, RANKS

MODEL = "Qwen/Qwen2.5-7B-Instruct"
GPU = WholeGpu("NVIDIA-L40S")
HUB = "jeeejeee/llama32-3b-text2sql-spider"
CLAIM = Volume.from_claim("adapters", sub_path="sql", read_only=True)
BUCKET = S3Bucket("s3://adapters/sql", secret="s3")
KEY = ApiKey.from_secret("clients")
NEW = Kubernetes("1.35")
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)


def pod(*adapters: LoraAdapter, **fields: Any) -> GpuPodSpec:
    """Return a pod with these adapters and fields."""
    own = {"model": MODEL, "gpu": GPU, "lora_adapters": adapters}
    return GpuPodSpec(**{**own, **fields})


def reasons(*adapters: LoraAdapter, **fields: Any) -> str:
    """Return why a pod is refused."""
    return strategies.refusal(lambda: pod(*adapters, **fields))


def engine(**flags: Any) -> dict[str, Any]:
    """Return flags as a field of the pod."""
    return {"engine": EngineArgs(**flags)}


def warned(*adapters: LoraAdapter, **fields: Any) -> list[str]:
    """Return what a pod is warned about."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", VllmConstructsWarning)
        pod(*adapters, **fields)
    return [str(one.message) for one in found]


def spec(*adapters: LoraAdapter, **fields: Any) -> dict[str, Any]:
    """Return the spec of a pod, which is valid and as safe as any other."""
    found = pod(*adapters, **fields).manifest(kubernetes=NEW)
    metadata = {"name": "a", "namespace": "llm"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": found}
    assert_valid(whole, releases=["1.37"])
    assert [] == pod_security_problems(found)
    return found


def modules(found: GpuPodSpec) -> list[dict[str, str]]:
    """Return what vLLM is told of the adapters."""
    return [json.loads(one) for one in found.options()["lora-modules"]]


class TestSources:
    """Where an adapter is."""

    def test_hub(self) -> None:
        """VLLM downloads a repository of the Hub itself."""
        found = pod(LoraAdapter("sql", HUB), served_name="qwen")
        assert [{"name": "sql", "path": HUB, "base_model_name": "qwen"}] == modules(found)
        assert {"enable-lora": True} == {
            name: value for name, value in found.options().items() if name == "enable-lora"
        }
        assert ((), {}) == (found.init_containers, dict(found.volumes))
        own = pod(LoraAdapter("sql", HUB), model="/model-cache/qwen", served_name="qwen")
        assert egress.needs_https(own)

    def test_path(self) -> None:
        """A path is one of the image, the cache or a volume; nothing else has files."""
        found = pod(LoraAdapter("sql", "/model-cache/sql", base_model_name="base"))
        assert [{"name": "sql", "path": "/model-cache/sql", "base_model_name": "base"}] == (
            modules(found)
        )
        volumes = {"/mine": Volume.from_claim("adapters")}
        assert [] == warned(LoraAdapter("sql", "/mine/sql"), volumes=volumes)
        (sentence,) = warned(LoraAdapter("sql", "/mine/sql"))
        assert "is '/mine/sql', which no volume of the pod has" in sentence

    @pytest.mark.parametrize("source", [CLAIM, Volume.from_image("r.example/sql:v1")])
    def test_volume(self, source: Volume) -> None:
        """A volume is mounted at a folder of the adapter's name."""
        adapter = LoraAdapter("sql", source)
        found = spec(adapter)
        (mount,) = [
            one
            for one in found["containers"][0]["volumeMounts"]
            if one["mountPath"].startswith(ADAPTERS)
        ]
        assert f"{ADAPTERS}/sql" == mount["mountPath"] == modules(pod(adapter))[0]["path"]
        assert mount["name"] in [one["name"] for one in found["volumes"]]
        assert not egress.needs_https(pod(adapter, model="/model-cache/x"))

    def test_bucket(self) -> None:
        """A container downloads from a bucket, with keys that the engine does not get."""
        found = spec(LoraAdapter("sql", BUCKET), LoraAdapter("fin", CLAIM))
        (pull,) = found["initContainers"]
        assert ["s3://adapters/sql/", "/adapters/sql"] == pull["args"]
        names = {one["name"] for one in pull["env"]}
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} < names
        assert not names & {one["name"] for one in found["containers"][0]["env"]} - {"HOME"}
        (shared,) = [one for one in found["volumes"] if one["name"] == "adapters"]
        assert {} == shared["emptyDir"]
        for one in (pull, found["containers"][0]):
            assert {"name": "adapters", "mountPath": "/adapters"} in one["volumeMounts"]
        assert "/adapters/fin" in [
            one["mountPath"] for one in found["containers"][0]["volumeMounts"]
        ]

    def test_buckets(self) -> None:
        """Buckets may have different keys and kinds."""
        own = AzureContainer("az://adapters/c", account="abc")
        adapters = (
            LoraAdapter("a", GcsBucket("gs://adapters/a", secret="one")),
            LoraAdapter("b", GcsBucket("gs://adapters/b", secret="two")),
            LoraAdapter("c", own),
        )
        found = spec(*adapters, service_account="reader", image_pull_policy="Always")
        assert ["Always"] * 3 == [one["imagePullPolicy"] for one in found["initContainers"]]
        secrets = {one["secret"]["secretName"] for one in found["volumes"] if "secret" in one}
        assert {"one", "two"} == secrets
        whole = pod(*adapters, service_account="reader", model="/model-cache/x")
        assert {"azure.workload.identity/use": "true"} == whole.added_labels
        assert ("any", (443,)) in [
            (one.cidr or "any", tuple(one.ports)) for one in merged(egress.rules_of(whole))
        ]

    def test_identity(self) -> None:
        """A bucket is read with a Secret or an account; the engine's variables do not count."""
        (sentence,) = warned(LoraAdapter("sql", S3Bucket("s3://adapters/sql")))
        assert sentence.startswith("LoraAdapter('sql').source is in an S3Bucket without a secret")
        env = {"AWS_SHARED_CREDENTIALS_FILE": "/aws/credentials"}
        assert 1 == len(warned(LoraAdapter("sql", S3Bucket("s3://adapters/sql")), env=env))
        assert [] == warned(LoraAdapter("sql", S3Bucket("s3://a/sql")), service_account="reader")

    def test_image(self) -> None:
        """The image for XPU cannot read buckets."""
        sentence = reasons(LoraAdapter("sql", BUCKET), gpu=IntelGpu())
        assert "LoraAdapter('sql').source is in a bucket, and the image for XPU has no" in sentence

    def test_read_only_root(self) -> None:
        """The container writes to volumes only."""
        found = spec(LoraAdapter("sql", BUCKET), security=PodSecurity(read_only_root=True))
        (pull,) = found["initContainers"]
        assert {"/adapters", "/tmp"} == {one["mountPath"] for one in pull["volumeMounts"]}  # noqa: S108 - a path in the container

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("", "LoraAdapter.source is ''; expected a repository such as"),
            ("sql", "LoraAdapter.source is 'sql'; expected a repository such as"),
            ("a/b/c", "LoraAdapter.source is 'a/b/c'; expected a repository such as"),
            ("/a/../b", "LoraAdapter.source is '/a/../b'; expected a repository such as"),
            ("../a", "LoraAdapter.source is '../a'; expected a repository such as"),
            ("s3://a/b", "a Volume or a bucket; give S3Bucket('s3://a/b')."),
            ("gs://a/b", "a Volume or a bucket; give GcsBucket('gs://a/b')."),
            ("az://a/b", "a Volume or a bucket; give AzureContainer('az://a/b')."),
            (None, "LoraAdapter.source is None; expected a repository, an absolute path, a Vol"),
            (ModelScope(), "LoraAdapter.source is ModelScope(token=None); expected a repository"),
            (ExistingClaim("x"), "LoraAdapter.source is ExistingClaim("),
            (S3Bucket(secret="x"), "LoraAdapter.source is an S3Bucket without a URL; give it one."),
        ],
    )
    def test_refused(self, source: Any, sentence: str) -> None:
        """Anything else is refused with what is taken."""
        assert sentence in strategies.refusal(lambda: LoraAdapter("sql", source))


class TestPull:
    """The program that downloads an adapter, with a module of the test."""

    @staticmethod
    def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
        """Run it with a library that does this with `url` and `folder`."""
        (pull,) = spec(LoraAdapter("sql", BUCKET))["initContainers"]
        text = f"import os\ndef pull_files(url, folder):\n    {code}\n"
        (folder / "runai_model_streamer.py").write_text(text)
        assert ["python3", "-c"] == pull["command"][:2]
        command = [sys.executable, "-c", pull["command"][2], pull["args"][0], str(folder / "sql")]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(folder)},
            timeout=20,
        )

    def test_success(self, tmp_path: Path) -> None:
        """The folder of the bucket, with a slash, is copied into that of the adapter."""
        done = self.run(
            tmp_path,
            "os.mkdir(folder); open(folder + '/adapter_config.json', 'w').write(url)",
        )
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        assert "s3://adapters/sql/" == (tmp_path / "sql" / "adapter_config.json").read_text()

    def test_nothing(self, tmp_path: Path) -> None:
        """A folder without files is no adapter, though the library says nothing."""
        done = self.run(tmp_path, "pass")
        assert (1, "there is no adapter_config.json in s3://adapters/sql/\n") == (
            done.returncode,
            done.stderr,
        )

    def test_failure(self, tmp_path: Path) -> None:
        """A failure of the library is the container's."""
        done = self.run(tmp_path, "raise PermissionError('no access')")
        assert 0 != done.returncode
        assert "no access" in done.stderr


class TestNames:
    """Names of adapters, which clients give instead of the model's."""

    @pytest.mark.parametrize("name", ["", "a b", "a/b", ".a", "ä", "a" * 64, None, 7, "a\n"])
    def test_refused(self, name: Any) -> None:
        """A name is one for a folder and a request."""
        assert "LoraAdapter.name is" in strategies.refusal(lambda: LoraAdapter(name, HUB))

    def test_twice(self) -> None:
        """Each has a name of its own, which is not the model's (L02)."""
        assert "lora_adapters has two adapters with the name 'a'; give each its own name." == (
            reasons(LoraAdapter("a", HUB), LoraAdapter("a", CLAIM))
        )
        for served in ("qwen", ["x", "qwen"]):
            assert (
                "LoraAdapter('qwen').name is also a name of the model, so clients could no "
                "longer reach the model; give it another name."
            ) == reasons(LoraAdapter("qwen", HUB), served_name=served)
        assert "is also a name of the model" in reasons(LoraAdapter("gpt2", HUB), model="gpt2")

    @pytest.mark.parametrize("wrong", ["sql", LoraAdapter("a", HUB), ["sql"], {"a": HUB}, 7])
    def test_wrong(self, wrong: object) -> None:
        """Anything but a list of adapters is refused."""
        assert "LoraAdapter(name, source)" in reasons(lora_adapters=wrong)

    def test_containers(self) -> None:
        """Containers have legal names, each its own."""
        names = ["A.b_c", "a-b-c", "a_b.c", "a" * 63, "a" * 62 + "b", "-"]
        adapters = [LoraAdapter(name, BUCKET) for name in names[:-1]]
        found = [one["name"] for one in spec(*adapters)["initContainers"]]
        assert "adapter-a-b-c" == found[1]
        assert len({*found}) == len(adapters)

    def test_taken(self) -> None:
        """A container of that name is the user's to rename, and the path is the library's."""
        own = [Container(name="adapter-sql", image="r.example/x:1")]
        adapter = LoraAdapter("sql", BUCKET)
        assert "init_containers['adapter-sql'] is set by lora_adapters; leave one of them out." == (
            reasons(adapter, init_containers=own)
        )
        assert "has a container 'adapter-sql'" in reasons(adapter, sidecars=own)
        volumes = {"/adapters": Volume.from_claim("x")}
        assert "volumes['/adapters'] is set by lora_adapters; leave one of them out." == (
            reasons(adapter, volumes=volumes)
        )


class TestRoom:
    """Slots and ranks: what vLLM accepts, for all adapters."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(NAMES, st.integers(1, 512)), min_size=1, max_size=40),
        st.one_of(st.none(), st.integers(1, 50)),
        st.booleans(),
    )
    def test_any(self, given_ones: list[tuple[str, int]], slots: Any, is_bucket: bool) -> None:  # noqa: FBT001 - drawn
        """Any adapters start: their names differ, no rank is too high, no slot is missing."""
        ranks = dict(given_ones)
        assume(len({name.lower() for name in ranks}) == len(ranks))
        source = BUCKET if is_bucket else HUB
        adapters = [LoraAdapter(name, source, rank=rank) for name, rank in ranks.items()]
        found = pod(*adapters, served_name="m@m", **engine(max_loras=slots))
        flags = found.engine
        assert flags.enable_lora
        assert flags.max_lora_rank in RANKS
        assert flags.max_lora_rank >= max(ranks.values())
        loaded = flags.max_loras or 1
        assert loaded == (slots or min(len(ranks), 4))
        kept = loaded if flags.max_cpu_loras is None else flags.max_cpu_loras
        assert kept >= loaded
        assert kept >= len(ranks)
        assert [*ranks] == [one["name"] for one in modules(found)]
        containers = [one.name for one in found.init_containers]
        assert len({*containers}) == len(containers) == (len(ranks) if is_bucket else 0)

    def test_many(self) -> None:
        """Four of many share a batch; the others wait in the memory of the pod."""
        adapters = [LoraAdapter(f"a{at}", HUB, rank=8) for at in range(40)]
        options = pod(*adapters).options()
        assert (4, 40) == (options["max-loras"], options["max-cpu-loras"])
        assert 40 == len(options["lora-modules"])

    @pytest.mark.parametrize("rank", [0, 513, "16", True, 16.0, None])
    def test_rank(self, rank: Any) -> None:
        """A rank is a number up to vLLM's highest."""
        assert "LoraAdapter.rank is" in strategies.refusal(lambda: LoraAdapter("a", HUB, rank=rank))

    @pytest.mark.parametrize("name", ["", 7, " "])
    def test_base(self, name: Any) -> None:
        """The parent's name is a text."""
        assert "LoraAdapter.base_model_name is" in (
            strategies.refusal(lambda: LoraAdapter("a", HUB, base_model_name=name))
        )

    def test_flags(self) -> None:
        """Flags that are given are kept, or refused where adapters need others (L01)."""
        two = (LoraAdapter("a", HUB), LoraAdapter("b", HUB, rank=32))
        pod(*two, **engine(enable_lora=True, max_loras=8, max_lora_rank=64, max_cpu_loras=9))
        assert (
            "EngineArgs.max_lora_rank is 16, but the adapter 'b' has rank 32; leave it out to "
            "get what the adapters need."
        ) == reasons(*two, **engine(max_lora_rank=16))
        assert "EngineArgs.enable_lora is set by lora_adapters; leave one of them out." == (
            reasons(*two, **engine(enable_lora=False))
        )
        assert "EngineArgs.lora_modules is set by lora_adapters; leave one of them out." == (
            reasons(*two, **engine(enable_lora=True, lora_modules=["c=/model-cache/c"]))
        )
        assert (
            "EngineArgs.max_cpu_loras is 1, less than max_loras (2), and vLLM does not start with "
            "that; give 2 or more, or leave it out."
        ) == reasons(*two, **engine(max_cpu_loras=1))

    def test_offline(self) -> None:
        """With downloads off an adapter is there already."""
        cache = ExistingClaim("weights", access="ReadOnlyMany")
        assert (
            f"LoraAdapter('a').source is {HUB!r}, and downloads are off; give its path in the "
            "cache, or a Volume."
        ) == reasons(LoraAdapter("a", HUB), cache=cache)
        assert "downloads are off" in reasons(LoraAdapter("a", HUB), env={"HF_HUB_OFFLINE": "1"})
        pod(LoraAdapter("a", CLAIM), LoraAdapter("b", "/model-cache/b"), cache=cache)

    def test_modelscope(self) -> None:
        """With ModelScope repositories are those of ModelScope."""
        assert HUB == modules(pod(LoraAdapter("a", HUB), weights=ModelScope()))[0]["path"]


class TestByHand:
    """Flags for adapters, given by hand: the same rules."""

    def test_not_enabled(self) -> None:
        """Adapters need the switch, and ranks are vLLM's (L01)."""
        sentence = "EngineArgs.lora_modules is given without enable_lora"
        for enabled in (None, False):
            flags: Any = {"lora_modules": ["a=/model-cache/a"], "enable_lora": enabled}
            assert sentence in strategies.refusal(partial(EngineArgs, **flags))
        rank: Any = 24
        assert "EngineArgs.max_lora_rank is 24; expected one of 1, 8, 16" in (
            strategies.refusal(lambda: EngineArgs(enable_lora=True, max_lora_rank=rank))
        )
        assert "EngineArgs.max_cpu_loras is 1, less than max_loras (2)" in (
            reasons(**engine(enable_lora=True, max_loras=2, max_cpu_loras=1))
        )

    @pytest.mark.parametrize(
        "given_ones",
        [
            ["qwen=/model-cache/a"],
            ["a=/model-cache/a", "a=/model-cache/b"],
            ['{"name":"qwen","path":"/model-cache/a"}'],
            ["a=/model-cache/a", '{"name": "a", "path": "/model-cache/b"}'],
        ],
    )
    def test_names(self, given_ones: list[str]) -> None:
        """Names differ, also from the model's (L02)."""
        sentence = reasons(served_name="qwen", **engine(enable_lora=True, lora_modules=given_ones))
        assert "which the model or another adapter has already; give it another name." in sentence

    @pytest.mark.parametrize(
        "module", ["a", "{a", '{"name":"a"}', '["a"]', '{"name":1,"path":"/x"}', "a=/b,c=/d"]
    )
    def test_unread(self, module: str) -> None:
        """What vLLM cannot read is refused."""
        sentence = reasons(**engine(enable_lora=True, lora_modules=[module]))
        assert "EngineArgs.lora_modules has " in sentence
        assert "which vLLM cannot parse; expected 'name=path', or JSON with a name" in sentence

    def test_read(self) -> None:
        """What vLLM reads, and what a variable has, is the user's."""
        pod(
            env={"ADAPTER": "a=/model-cache/a"},
            **engine(
                enable_lora=True,
                lora_modules=[
                    "$(ADAPTER)",
                    "b=/model-cache/b=1",
                    '{"name": "c", "path": "/model-cache/c", "is_3d_lora_weight": true}',
                ],
            ),
        )


class TestRuntime:
    """Adapters that clients load."""

    def test_variable(self) -> None:
        """The option sets variable and flag; the variable by itself is refused (L03)."""
        found = pod(runtime_lora_loading=True, api_key=KEY)
        assert "1" == found.env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"]
        assert found.options()["enable-lora"]
        assert (
            "env['VLLM_ALLOW_RUNTIME_LORA_UPDATING'] lets every client load adapters from any "
            "folder and repository; leave it out, or give runtime_lora_loading=True if that is "
            "meant."
        ) == reasons(env={"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"})
        assert "EngineArgs.enable_lora is set by runtime_lora_loading" in (
            reasons(runtime_lora_loading=True, api_key=KEY, **engine(enable_lora=False))
        )
        assert "runtime_lora_loading is 1; expected True or False" in (
            reasons(runtime_lora_loading=1)
        )

    def test_key(self) -> None:
        """Without a key every client may load, which is warned about (L03)."""
        (sentence,) = warned(runtime_lora_loading=True)
        assert (
            "runtime_lora_loading is True without an api_key, so every client that reaches "
            "the port can load any folder of the pod and any repository of the Hub; give api_key."
        ) == sentence
        assert [] == warned(runtime_lora_loading=True, api_key=KEY)

    def test_replicas(self) -> None:
        """A replica does not know what another one has loaded (L03)."""
        cache = ExistingClaim("weights")
        found = pod(runtime_lora_loading=True, api_key=KEY, cache=cache)
        found.check_sharing("Model 'a'", 1)
        with pytest.warns(VllmConstructsWarning, match="Model 'a' has up to 3 replicas and runt"):
            found.check_sharing("Model 'a'", 3)
        env = {"VLLM_LORA_RESOLVER_CACHE_DIR": "/model-cache/adapters"}
        pod(runtime_lora_loading=True, api_key=KEY, cache=cache, env=env).check_sharing("a", 3)
        pod(LoraAdapter("a", HUB), cache=cache).check_sharing("a", 3)

    @pytest.mark.parametrize(
        ("flags", "why"),
        [
            ({"api_server_count": 2}, "it is 2"),
            ({"data_parallel_size": 2}, "data_parallel_size is 2"),
            ({"data_parallel_size": 2, "api_server_count": 1}, ""),
        ],
    )
    def test_servers(self, flags: dict[str, Any], why: str) -> None:
        """One process answers: vLLM does not start with several that would not agree."""
        gpu = WholeGpu("NVIDIA-L40S", count=2)
        fields = {"gpu": gpu, "runtime_lora_loading": True, "api_key": KEY, **engine(**flags)}
        if why:
            assert (
                f"runtime_lora_loading is True with several API servers ({why}), and vLLM does "
                "not start with that; give EngineArgs(api_server_count=1)."
            ) == reasons(**fields)
        else:
            pod(**fields)

    @pytest.mark.parametrize(
        "name", ["VLLM_LORA_RESOLVER_CACHE_DIR", "VLLM_LORA_RESOLVER_HF_REPO_LIST"]
    )
    def test_resolver(self, name: str) -> None:
        """A resolver is asked only where adapters may be loaded."""
        env = {name: "/model-cache/adapters"}
        (sentence,) = warned(env=env)
        assert f"env[{name!r}] has no effect" in sentence
        assert [] == warned(env=env, runtime_lora_loading=True, api_key=KEY)

    @pytest.mark.parametrize(
        ("gpu", "plugins", "is_refused"),
        [
            (GPU, "lora_filesystem_resolver", False),
            (Tpu("tpu-v6e-slice", topology="1x1"), "lora_filesystem_resolver", True),
            (Tpu("tpu-v6e-slice", topology="1x1"), "lora_filesystem_resolver, tpu", False),
            (Tpu("tpu-v6e-slice", topology="1x1"), None, False),
        ],
    )
    def test_plugins(self, gpu: Any, plugins: str | None, *, is_refused: bool) -> None:
        """A list of plugins has that of the platform, if the platform is one (L04)."""
        env = {} if plugins is None else {"VLLM_PLUGINS": plugins}
        if is_refused:
            assert "without the plugin for TPU" in reasons(gpu=gpu, env=env)
        else:
            pod(gpu=gpu, env=env)


def test_empty_source() -> None:
    """An empty folder has no adapter."""
    sentence = strategies.refusal(lambda: LoraAdapter("sql", Volume.from_empty_dir()))
    assert sentence == (
        "LoraAdapter.source is an emptyDir, in which there is no adapter; give a repository, an "
        "absolute path, a Volume or a bucket."
    )
