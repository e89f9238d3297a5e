"""Parts: what a pod has beside its engine, and what a user adds to the engine's container."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import pod_security_problems, validate
from vllm_constructs import (
    Container,
    EngineArgs,
    EnvFromSource,
    EnvVarSource,
    ExistingClaim,
    GpuPodSpec,
    MigSlice,
    PodSecurity,
    TimeSlicedGpu,
    Volume,
    WholeGpu,
)
from vllm_constructs.kube.pod_security_standards import need_of

CHECKSUM = "vllm-constructs.dev/engine-checksum"
CA = Volume.from_config_map("ca")


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


def spec_of(found: GpuPodSpec) -> strategies.Manifest:
    """Return the `spec` of a pod, which every release takes, as its ConfigMap."""
    config = found.config_map("files")
    assert config is None or validate(strategies.in_namespace(config)) == []
    spec = found.manifest(config_map=None if config is None else "files")
    metadata = {"name": "qwen", "namespace": "llm"}
    assert validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}) == []
    return spec


def engine_of(**fields: Any) -> strategies.Manifest:
    """Return the engine's container of a small pod with these fields."""
    container: strategies.Manifest = spec_of(pod(**fields))["containers"][0]
    return container


def test_defaults() -> None:
    """Without options nothing is added to the engine's container."""
    found = engine_of()

    assert found["command"] == ["vllm", "serve"]
    assert found["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    assert sorted(found["resources"]["limits"]) == ["memory", "nvidia.com/gpu"]
    assert [one["name"] for one in found["volumeMounts"]] == ["shm", "model-cache", "home"]
    assert "envFrom" not in found
    assert "imagePullPolicy" not in found
    assert pod().config_map("files") is None


def test_command() -> None:
    """The command is what stands before the model and its flags, which stay the same."""
    command = ["/opt/venv/bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model"]
    engine = EngineArgs(max_model_len=4096)
    found = engine_of(command=command, engine=engine)

    assert found["command"] == command
    assert found["args"] == engine_of(engine=engine)["args"] == ["gpt2", "--max-model-len=4096"]
    assert engine_of(command=("vllm", "")) == engine_of() | {"command": ["vllm", ""]}


@pytest.mark.parametrize(
    "command",
    [
        ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        ["/opt/venv/bin/python", "/app/api_server.py"],
    ],
)
def test_module(command: list[str]) -> None:
    """Only `vllm serve` takes the model by its place; others have a default of their own."""
    assert ["--model=gpt2"] == engine_of(command=command)["args"]


@pytest.mark.parametrize("path", ["/usr", "/usr/local/lib", "/etc"])
def test_hidden_programs(path: str) -> None:
    """A volume that hides what the image has is rejected; one below is taken."""
    sentence = strategies.refusal(lambda: pod(volumes={path: Volume.from_empty_dir()}))
    assert sentence.startswith(f"volumes['{path}'] hides the programs of the image")
    pod(volumes={f"{path}/x": Volume.from_empty_dir()})


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent", "Never"])
def test_image_pull_policy(policy: Any) -> None:
    """The engine's image is pulled when the user says."""
    assert engine_of(image_pull_policy=policy)["imagePullPolicy"] == policy


def test_ports() -> None:
    """The port of the API comes first, then those of the user by their names."""
    ports = {"side-channel": 5600, "debug": 5678}
    found = engine_of(port=9000, ports=ports)["ports"]

    assert [(one["name"], one["containerPort"]) for one in found] == [
        ("http", 9000),
        ("debug", 5678),
        ("side-channel", 5600),
    ]
    assert found == engine_of(port=9000, ports=strategies.shuffled(ports))["ports"]
    assert engine_of(port=9000, ports={"old": 8000})["ports"][1]["containerPort"] == 8000


def test_resources() -> None:
    """Extended resources are requested beside cores, memory and the GPU."""
    extended = {"rdma/ib": 1, "hugepages-2Mi": "1Gi"}
    found, plain = engine_of(resources=extended)["resources"], engine_of()["resources"]

    added = {"rdma/ib": "1", "hugepages-2Mi": "1Gi"}
    assert found == {kind: plain[kind] | added for kind in ("limits", "requests")}


@pytest.mark.parametrize(
    "gpu",
    [
        WholeGpu("NVIDIA-L4"),
        MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3"),
        TimeSlicedGpu("NVIDIA-L4", renamed=True),
    ],
)
def test_resource_of_gpu(gpu: Any) -> None:
    """The resource of the GPU follows from the GPU."""
    sentence = strategies.refusal(lambda: pod(gpu=gpu, resources={gpu.resource: 1}))

    assert sentence == f"resources[{gpu.resource!r}] is set by gpu; leave it out."
    assert gpu.resource in spec_of(pod(gpu=gpu))["containers"][0]["resources"]["limits"]


def test_files() -> None:
    """Each file is mounted by itself, read-only, and its content is in the ConfigMap."""
    found = pod(
        files={"/etc/vllm/chat.jinja": "{{ x }}\n", "/opt/key.bin": b"\xff", "/a/nul": "\0"}
    )
    spec, config = spec_of(found), found.config_map("files")

    assert config is not None
    assert config["data"] == {"chat.jinja": "{{ x }}\n"}
    assert config["binaryData"] == {"key.bin": "/w==", "nul": "AA=="}
    assert {"name": "engine", "configMap": {"name": "files"}} in spec["volumes"]
    mounts = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "engine"]
    assert mounts == [
        {"name": "engine", "mountPath": path, "subPath": key, "readOnly": True}
        for path, key in (
            ("/a/nul", "nul"),
            ("/etc/vllm/chat.jinja", "chat.jinja"),
            ("/opt/key.bin", "key.bin"),
        )
    ]


def test_files_of_one_name() -> None:
    """Files of one name in two folders are two files."""
    found = pod(files={"/a/x.txt": "1", "/b/x.txt": "2"})
    spec, config = spec_of(found), found.config_map("files")

    assert config is not None
    mounts = spec["containers"][0]["volumeMounts"]
    content = {
        one["mountPath"]: config["data"][one["subPath"]] for one in mounts if "subPath" in one
    }
    assert content == {"/a/x.txt": "1", "/b/x.txt": "2"}


def test_file_is_read(tmp_path: Path) -> None:
    """A file is read when the pod is made, and a change of it is one of the pod."""
    path = tmp_path / "chat.jinja"
    path.write_text("old", encoding="utf-8")
    found = pod(files={"/etc/vllm/chat.jinja": path})
    path.write_text("new", encoding="utf-8")
    changed = pod(files={"/etc/vllm/chat.jinja": path})

    assert found.files == {"/etc/vllm/chat.jinja": "old"}
    assert found == pod(files={"/etc/vllm/chat.jinja": "old"})
    assert found.annotations()[CHECKSUM] != changed.annotations()[CHECKSUM]
    assert CHECKSUM not in pod().annotations()


def test_files_beside_flags() -> None:
    """The user's files and the one with the flags are in one ConfigMap."""
    engine = EngineArgs(delivery="config-map", max_model_len=4096)
    found = pod(engine=engine, files={"/etc/vllm/chat.jinja": "x"})
    config = found.config_map("files")

    assert config is not None
    assert config["data"] == {"chat.jinja": "x", "engine.yaml": "max-model-len: 4096\n"}
    paths = [one["mountPath"] for one in spec_of(found)["containers"][0]["volumeMounts"]]
    assert paths[-2:] == ["/etc/vllm/chat.jinja", "/etc/vllm/engine.yaml"]


def test_volumes() -> None:
    """Volumes are mounted in the order of their paths, after those of the library."""
    volumes = {
        "/secrets": Volume.from_secret("keys", default_mode=0o400, name="own"),
        "/data/": Volume.from_claim("data", sub_path="a/b"),
        "/etc/ca": CA,
        "/scratch": Volume.from_empty_dir(name="scratch"),
    }
    spec = spec_of(pod(volumes=volumes))

    assert spec == spec_of(pod(volumes=strategies.shuffled(volumes)))
    assert spec["containers"][0]["volumeMounts"][3:] == [
        {"name": "claim-data", "mountPath": "/data", "subPath": "a/b"},
        {"name": "config-map-ca", "mountPath": "/etc/ca", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "own", "mountPath": "/secrets", "readOnly": True},
    ]
    assert [one["name"] for one in spec["volumes"][:3]] == ["shm", "model-cache", "home"]
    assert spec["volumes"][3:] == [
        {"name": "claim-data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "config-map-ca", "configMap": {"name": "ca"}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "own", "secret": {"secretName": "keys", "defaultMode": 0o400}},
    ]


def test_volume_at_two_paths() -> None:
    """One volume at two paths is in the pod once."""
    spec = spec_of(pod(volumes={"/a": CA, "/b": CA}))

    assert [one["name"] for one in spec["volumes"]].count("config-map-ca") == 1
    mounts = spec["containers"][0]["volumeMounts"][3:]
    assert [one["mountPath"] for one in mounts] == ["/a", "/b"]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(strategies.names(20), min_size=1, max_size=4, unique=True),
    st.sampled_from(("secret", "config_map", "claim")),
)
def test_many_volumes(objects: list[str], kind: str) -> None:
    """Whatever the objects are called, each volume has a legal name of its own."""
    make = getattr(Volume, f"from_{kind}")
    spec = spec_of(pod(volumes={f"/mnt/{name}": make(name) for name in objects}))

    names = [one["name"] for one in spec["volumes"]]
    assert len(names) == len({*names}) == 3 + len(objects)


def test_env_from() -> None:
    """All keys of Secrets and ConfigMaps are variables, in the order in which they are given."""
    found = engine_of(
        env_from=[
            EnvFromSource.from_secret("keys", optional=True),
            EnvFromSource.from_config_map("shared", prefix="SHARED_"),
        ],
        env={"A": "$(OTHER)"},
    )

    assert found["envFrom"] == [
        {"secretRef": {"name": "keys", "optional": True}},
        {"prefix": "SHARED_", "configMapRef": {"name": "shared"}},
    ]
    # The name may be one of theirs.
    assert found["env"][-1] == {"name": "A", "value": "$(OTHER)"}
    assert engine_of(env={"A": "$(OTHER)"})["env"][-1] == {"name": "A", "value": "$$(OTHER)"}


def test_copies() -> None:
    """A pod keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "command": ["vllm", "serve"],
        "ports": {"debug": 5678},
        "resources": {"rdma/ib": "1"},
        "files": {"/a": "x"},
        "volumes": {"/b": CA},
        "env_from": [EnvFromSource.from_secret("keys")],
        "sidecars": [Container(name="proxy", image="envoy:1")],
        "init_containers": [Container(name="fetch", image="fetch:1")],
    }
    found = pod(**given_)
    expected = {
        name: dict(value) if isinstance(value, dict) else tuple(value)
        for name, value in given_.items()
    }
    for value in given_.values():
        value.clear()

    assert {name: getattr(found, name) for name in given_} == expected


def placed(where: str, volume: Volume) -> dict[str, Any]:
    """Return the options of a pod of which one container mounts a volume."""
    if where == "engine":
        return {"volumes": {"/mnt": volume}}
    return {where: [Container(name="other", image="other:1", volumes={"/mnt": volume})]}


WHERE = pytest.mark.parametrize("where", ["engine", "sidecars", "init_containers"])
NFS = Volume({"nfs": {"server": "nfs.example.com", "path": "/weights"}})
ISCSI = Volume({"iscsi": {"targetPortal": "10.0.0.5", "iqn": "iqn.2001-04.com.x:a", "lun": 0}})


@WHERE
@pytest.mark.parametrize(
    ("volume", "level"),
    [
        (CA, "restricted"),
        (Volume.from_secret("keys"), "restricted"),
        (Volume.from_claim("data"), "restricted"),
        (Volume.from_empty_dir(in_memory=True), "restricted"),
        (Volume.from_projection([CA]), "restricted"),
        (Volume({"csi": {"driver": "csi.example.com"}}), "restricted"),
        (NFS, "baseline"),
        (ISCSI, "baseline"),
        (Volume.from_host_path("/mnt"), "privileged"),
    ],
)
def test_security_level(where: str, volume: Volume, level: str) -> None:
    """The level follows from the volumes of all containers, and is the least of all parts."""
    found = pod(**placed(where, volume))
    root = pod(security=PodSecurity(user="root"), **placed(where, volume))
    strong = PodSecurity(user="root", capabilities=["IPC_LOCK"])

    assert need_of(spec_of(found)).level == level
    assert (level == "restricted") == (pod_security_problems(spec_of(found)) == [])
    assert need_of(spec_of(root)).level == ("privileged" if level == "privileged" else "baseline")
    privileged = pod(security=strong, **placed(where, volume))
    assert need_of(spec_of(privileged)).level == "privileged"


@WHERE
@pytest.mark.parametrize(
    ("access", "shared"),
    [
        ("ReadWriteOnce", False),
        ("ReadWriteOncePod", False),
        ("ReadWriteMany", True),
        ("ReadOnlyMany", True),
    ],
)
def test_sharing(where: str, access: Any, shared: object) -> None:
    """More than one replica needs volumes that two nodes can mount."""
    volume = Volume.from_claim(ExistingClaim("data", access=access))
    found = pod(cache=ExistingClaim("weights"), **placed(where, volume))

    assert found.can_be_shared is shared
    found.check_sharing("Model", 1)
    if shared:
        found.check_sharing("Model", 2)
    else:
        sentence = strategies.refusal(lambda: found.check_sharing("Model", 2))
        option = "" if where == "engine" else f"{where}['other']."
        assert sentence.startswith(
            f"Model has up to 2 replicas, but {option}volumes['/mnt'] is a claim that is {access},"
        )


@pytest.mark.parametrize(("model", "warns"), [("gpt2", True), ("/model-cache/gpt2", False)])
def test_downloads(model: str, warns: object) -> None:
    """Replicas that each download the weights are warned about; a path is no download."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pod(model=model).check_sharing("Model", 2)

    assert bool(caught) is warns


def test_references() -> None:
    """What the engine and the others refer to is known by the option in which it stands."""
    source = EnvVarSource.from_secret("keys", key="a")
    other = Container(name="other", image="other:1", env={"KEY": source})
    found = pod(
        volumes={"/etc/ca": CA},
        env={"KEY": source, "PLAIN": "x"},
        env_from=[EnvFromSource.from_secret("more")],
        init_containers=[other],
    ).references()

    assert [where for where, _ in found] == [
        "volumes['/etc/ca']",
        "env['KEY']",
        "env_from",
        "init_containers['other'].env['KEY']",
    ]


READ_ONLY = PodSecurity(read_only_root=True)
ROOT = PodSecurity(user="root")
READ_ONLY_ROOT = PodSecurity(user="root", read_only_root=True)


@pytest.mark.parametrize(
    ("path", "taken", "free"),
    [
        ("/dev/shm", [None, ROOT, READ_ONLY], []),  # noqa: S108  # the path of a volume
        ("/model-cache", [None, ROOT, READ_ONLY], []),
        ("/etc/vllm/engine.yaml", [None, ROOT, READ_ONLY], []),
        ("/home/vllm", [None, READ_ONLY, PodSecurity(user="platform")], [ROOT, READ_ONLY_ROOT]),
        ("/root", [READ_ONLY_ROOT], [None, ROOT, READ_ONLY]),
        ("/tmp", [READ_ONLY, READ_ONLY_ROOT], [None, ROOT]),  # noqa: S108  # the path of a volume
        ("/model-cache/qwen", [], [None]),
    ],
)
@pytest.mark.parametrize(("option", "value"), [("volumes", CA), ("files", "x")])
def test_own_paths(path: str, taken: list[Any], free: list[Any], option: str, value: Any) -> None:
    """A path at which the library mounts something is taken, and any other is free."""
    for security in taken:
        call = partial(pod, security=security, **{option: {path: value}})
        sentence = strategies.refusal(call)
        assert sentence == (
            f"{option}[{path!r}] is a path at which something is mounted already; "
            "take another path."
        )
    for security in free:
        found = engine_of(security=security, **{option: {path: value}})
        assert path in [one["mountPath"] for one in found["volumeMounts"]]


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: pod(command=[]), ("command is []", "at least one word")),
    (
        lambda: pod(command=["vllm", "serve", "gpt2"]),
        ("command has words behind 'serve'", "end it with 'serve', and give flags with engine."),
    ),
    (lambda: pod(command="vllm serve"), ("command is 'vllm serve'", "a list of strings")),
    (lambda: pod(command=["vllm", 1]), ("command is 1", "a list of strings")),
    (lambda: pod(command=["vllm\x1b"]), ("command is ", "without control characters")),
    (lambda: pod(command=["--token=hf_abcdefgh1234"]), ("command has a word", "(not shown)")),
    (lambda: pod(image_pull_policy="never"), ("image_pull_policy is 'never'", "'Never'?")),
    (lambda: pod(ports={"http": 9000}), ("ports['http'] is 9000", "take another one")),
    (lambda: pod(ports={"metrics": 8000}), ("ports['metrics'] is 8000", "take another one")),
    (lambda: pod(port=9000, ports={"a": 9000}), ("ports['a'] is 9000",)),
    (lambda: pod(ports={"Metrics": 1}), ("a key of ports is 'Metrics'", "at most 15")),
    (lambda: pod(ports=9100), ("ports is 9100", "{'metrics': 9100}")),
    (lambda: pod(resources={"cpu": "4"}), ("resources['cpu'] is not an extended", "give cpu.")),
    (lambda: pod(resources={"memory": "4Gi"}), ("is not an extended resource", "give memory.")),
    (lambda: pod(resources={"ephemeral-storage": "1Gi"}), ("leave it out",)),
    (lambda: pod(resources={"rdma": 1}), ("a key of resources is 'rdma'", "'rdma/ib'")),
    (lambda: pod(resources={"hugepages-2Mi": "1GB"}), ("'1GB'", "write '1Gi'")),
    (lambda: pod(resources="rdma/ib"), ("resources is 'rdma/ib'", "{'rdma/ib': 1}")),
    (lambda: pod(env_from="keys"), ("env_from is 'keys'", "EnvFromSource.from_secret(...)")),
    (lambda: pod(env_from=["keys"]), ("env_from[0] is 'keys'",)),
    (lambda: pod(volumes=CA), ("volumes is Volume(", "a dict of paths and volumes")),
    (lambda: pod(volumes={"etc": CA}), ("a key of volumes is 'etc'", "an absolute path")),
    (lambda: pod(volumes={"/a/../b": CA}), ("a key of volumes is '/a/../b'", "'..'")),
    (lambda: pod(volumes={"/a:b": CA}), ("a key of volumes is '/a:b'", "':'")),
    (lambda: pod(volumes={"/a": {"secret": {}}}), ("volumes['/a'] is ", "Volume.from_")),
    (lambda: pod(volumes={"/a": CA, "/a/": CA}), ("volumes['/a/'] is a path at which",)),
    (
        lambda: pod(volumes={"/a": CA, "/b": Volume.from_secret("x", name="config-map-ca")}),
        ("volumes['/b'] is the volume 'config-map-ca'", "give one of them another Volume.name"),
    ),
    (
        lambda: pod(volumes={"/a": Volume.from_secret("x", name="shm")}).manifest(),
        ("volumes has a volume 'shm'", "give it another Volume.name"),
    ),
    (
        lambda: pod(files={"/a": "x"}, volumes={"/a": CA}),
        ("volumes['/a'] is a path at which something is mounted already",),
    ),
    (lambda: pod(files=["/a"]), ("files is ['/a']", "a dict of paths and contents")),
    (lambda: pod(files={"a": "x"}), ("a key of files is 'a'", "an absolute path")),
    (lambda: pod(files={"/a": 5}), ("files['/a'] is of type int (not shown)", "a Path")),
    (lambda: pod(files={"/a": Path("/none/such")}), ("'/none/such'", "cannot be read")),
    (lambda: pod(files={"/a": "hf_abcdefgh1234"}), ("credential (not shown)", "from_secret")),
    (lambda: pod(files={"/a": "x" * (2**20 + 1)}), ("1048577 bytes", "mount large files")),
    (lambda: pod(files={"/a": "\ud800"}), ("files['/a'] is no valid Unicode", "give bytes")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
    assert "hf_abc" not in sentence
