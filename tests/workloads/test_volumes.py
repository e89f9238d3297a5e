"""Volumes: what a pod mounts, under which name, and whether it can be written."""

from functools import partial
from typing import Any

import cdk8s
import cdk8s_plus_27 as kplus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import (
    EphemeralCache,
    ExistingClaim,
    Kubernetes,
    ServiceAccountToken,
    Volume,
)
from vllm_constructs.workloads.paths import check_path
from vllm_constructs.workloads.storage import ACCESS_MODES

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
CA, KEY = Volume.from_config_map("ca"), Volume.from_secret("key")


class Cache:
    """A construct that makes a claim."""

    volume = ExistingClaim("weights", access="ReadWriteOnce", namespace="llm")


class Named:
    """An object with a name and a namespace."""

    name = "shared"
    namespace = "llm"


def pod(volume: Volume, path: str = "/data") -> strategies.Manifest:
    """Return a Pod that mounts a volume."""
    container = {"name": "x", "image": "x:1", "volumeMounts": [volume.mount(path)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"containers": [container], "volumes": [volume.entry(path)]},
    }


VOLUMES: list[tuple[Volume, strategies.Manifest, object]] = [
    # The volume, its source and whether the container can write to it.
    (CA, {"configMap": {"name": "ca"}}, False),
    (
        Volume.from_config_map("ca", items={"b.pem": "b", "a": "sub/a"}, optional=True),
        {
            "configMap": {
                "name": "ca",
                "items": [{"key": "a", "path": "sub/a"}, {"key": "b.pem", "path": "b"}],
                "optional": True,
            }
        },
        False,
    ),
    (
        Volume.from_config_map("ca", default_mode=0o555),
        {"configMap": {"name": "ca", "defaultMode": 0o555}},
        False,
    ),
    (KEY, {"secret": {"secretName": "key"}}, False),
    (
        Volume.from_secret("key", items={"tls.key": "key"}, optional=True, default_mode=0o400),
        {
            "secret": {
                "secretName": "key",
                "items": [{"key": "tls.key", "path": "key"}],
                "optional": True,
                "defaultMode": 0o400,
            }
        },
        False,
    ),
    (Volume.from_claim("a.b"), {"persistentVolumeClaim": {"claimName": "a.b"}}, True),
    (Volume.from_empty_dir(), {"emptyDir": {}}, True),
    (
        Volume.from_empty_dir(size_limit="10Gi", in_memory=True),
        {"emptyDir": {"medium": "Memory", "sizeLimit": "10Gi"}},
        True,
    ),
    (Volume.from_empty_dir(name="shared", read_only=True), {"emptyDir": {}}, False),
    (
        Volume.from_host_path("/dev/infiniband/", type="Directory"),
        {"hostPath": {"path": "/dev/infiniband", "type": "Directory"}},
        True,
    ),
    (Volume.from_host_path("/mnt/x", read_only=True), {"hostPath": {"path": "/mnt/x"}}, False),
    (
        Volume.from_projection(
            [
                Volume.from_config_map("ca", items={"ca.pem": "ca.pem"}),
                Volume.from_secret("key", optional=True),
                ServiceAccountToken(audience="sts.amazonaws.com", expiration=600),
                ServiceAccountToken(path="own/token"),
            ],
            default_mode=0o440,
        ),
        {
            "projected": {
                "sources": [
                    {"configMap": {"name": "ca", "items": [{"key": "ca.pem", "path": "ca.pem"}]}},
                    {"secret": {"name": "key", "optional": True}},
                    {
                        "serviceAccountToken": {
                            "audience": "sts.amazonaws.com",
                            "path": "token",
                            "expirationSeconds": 600,
                        }
                    },
                    {"serviceAccountToken": {"path": "own/token", "expirationSeconds": 3600}},
                ],
                "defaultMode": 0o440,
            }
        },
        False,
    ),
    # As Kubernetes spells it.
    (
        Volume({"nfs": {"server": "nas", "path": "/models", "readOnly": True}}, read_only=True),
        {"nfs": {"server": "nas", "path": "/models", "readOnly": True}},
        False,
    ),
    (
        Volume({"csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": {"b": "x"}}}),
        {"csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": {"b": "x"}}},
        True,
    ),
    (
        Volume(
            {
                "downwardAPI": {
                    "items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
                }
            }
        ),
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        False,
    ),
]


@pytest.mark.parametrize(("volume", "source", "can_write"), VOLUMES)
def test_manifest(volume: Volume, source: strategies.Manifest, can_write: object) -> None:
    """A volume has one source, and its mount says where it cannot be written."""
    entry, mount = volume.entry("/data"), volume.mount("/data")

    assert {"name": entry["name"], **source} == entry
    expected = {"name": entry["name"], "mountPath": "/data"}
    assert expected | ({} if can_write else {"readOnly": True}) == mount
    assert can_write is volume.can_write
    assert [volume.kind] == list(source)
    assert strategies.is_plain(entry)
    assert [] == validate(pod(volume), releases=["1.27", "1.37"])


@pytest.mark.parametrize("policy", [None, "Always", "IfNotPresent", "Never"])
def test_image(policy: Any) -> None:
    """An image is a read-only volume, and no cluster before 1.35 has it by default."""
    volume = Volume.from_image("registry.example.com/lora:1", pull_policy=policy)
    more = {} if policy is None else {"pullPolicy": policy}

    assert {"reference": "registry.example.com/lora:1", **more} == volume.entry("/data")["image"]
    assert not volume.can_write
    assert volume.mount("/data")["readOnly"] is True
    assert [] == validate(pod(volume), releases=["1.35", "1.37"])
    assert [] != validate(pod(volume), releases=["1.34"])


@pytest.mark.parametrize(
    "kind",
    [
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
    ],
)
def test_host_path(kind: Any) -> None:
    """What has to be on the node is one of the types that Kubernetes knows."""
    volume = Volume.from_host_path("/dev/x", type=kind)

    assert {"path": "/dev/x", "type": kind} == volume.entry("/data")["hostPath"]
    assert [] == validate(pod(volume), releases=["1.37"])


@pytest.mark.parametrize("minor", range(27, 38))
def test_target(minor: int) -> None:
    """A target release that does not have the kind of a volume is rejected."""
    target = Kubernetes(f"1.{minor}")
    for volume, _, _ in VOLUMES:
        volume.check_target("volumes['/a']", target)
    image = Volume.from_image("lora:1")

    if minor >= 35:
        image.check_target("volumes['/a']", target)
    else:
        sentence = strategies.refusal(lambda: image.check_target("volumes['/a']", target))
        assert sentence.startswith("volumes['/a'] is a volume of kind 'image'")
        assert f"since 1.35, and the target is 1.{minor}; call Kubernetes('1.35')" in sentence


@pytest.mark.parametrize(
    ("make", "source"),
    [
        (partial(Volume.from_config_map, "a"), {"configMap": {"name": "a"}}),
        (partial(Volume.from_secret, "a"), {"secret": {"secretName": "a"}}),
        (partial(Volume.from_claim, "a"), {"persistentVolumeClaim": {"claimName": "a"}}),
        (Volume.from_empty_dir, {"emptyDir": {}}),
        (partial(Volume.from_host_path, "/a"), {"hostPath": {"path": "/a"}}),
        (partial(Volume.from_image, "a"), {"image": {"reference": "a"}}),
        (
            partial(Volume.from_projection, [CA]),
            {"projected": {"sources": [{"configMap": {"name": "ca"}}]}},
        ),
    ],
)
def test_name_and_path(make: Any, source: strategies.Manifest) -> None:
    """Any volume may have a name of its own, and a path inside of it that is mounted."""
    volume = make(name="my-volume", sub_path="a/b.c")

    assert Volume(source, name="my-volume", sub_path="a/b.c") == volume
    assert {"name": "my-volume", **source} == volume.entry("/x")
    mount = volume.mount("/x")
    assert ("my-volume", "/x", "a/b.c") == (mount["name"], mount["mountPath"], mount["subPath"])
    assert "subPath" not in make().mount("/x")
    assert volume.can_write is make().can_write


@pytest.mark.parametrize(
    ("volume", "path", "expected"),
    [
        (CA, "/x", "config-map-ca"),
        (KEY, "/x", "secret-key"),
        (Volume.from_claim("weights"), "/x", "claim-weights"),
        (Volume.from_secret("key", sub_path="a"), "/x", "secret-key"),
        (Volume({"secret": {"secretName": "key"}}), "/y", "secret-key"),
    ],
)
def test_names(volume: Volume, path: str, expected: str) -> None:
    """The name says the kind and the object, wherever and however it is mounted."""
    assert expected == volume.name_at(path)


def test_names_of_folders() -> None:
    """An empty folder is each path's own, unless a name makes it one."""
    one, other = Volume.from_empty_dir(), Volume.from_empty_dir(name="scratch")

    assert one.name_at("/a") == one.name_at("/a")
    assert one.name_at("/a") != one.name_at("/b")
    assert one.name_at("/a/b") != one.name_at("/a-b")
    assert "scratch" == other.name_at("/a") == other.name_at("/b")


DIFFERENT = [
    CA,
    KEY,
    Volume.from_config_map("key"),
    Volume.from_config_map("a.b"),
    Volume.from_config_map("a-b"),
    Volume.from_config_map("c" * 200),
    Volume.from_config_map("c" * 201),
    Volume.from_config_map("ca", items={"a": "a"}),
    Volume.from_config_map("ca", items={"a": "b"}),
    Volume.from_config_map("ca", optional=True),
    Volume.from_config_map("ca", default_mode=0o400),
    Volume.from_secret("ca"),
    Volume.from_claim("ca"),
    Volume.from_host_path("/ca"),
    Volume.from_host_path("/Ca"),
    Volume.from_host_path("/ca", type="Directory"),
    Volume.from_image("ca"),
    Volume.from_image("CA"),
    Volume.from_image("ca", pull_policy="Always"),
    Volume.from_projection([CA]),
    Volume.from_projection([KEY]),
    Volume({"csi": {"driver": "x.y", "volumeAttributes": {"a": "b"}}}),
    Volume({"csi": {"driver": "x.y", "volumeAttributes": {"a": "c"}}}),
    Volume({"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}),
]


def test_names_differ() -> None:
    """Sources that differ have names that differ, and a name follows from nothing else."""
    names = [volume.name_at("/x") for volume in DIFFERENT]

    assert len(set(names)) == len(DIFFERENT)
    assert names == [volume.name_at("/y") for volume in DIFFERENT]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(strategies.names(200), min_size=2, max_size=2, unique=True),
    st.sampled_from(("from_config_map", "from_secret", "from_claim")),
)
def test_names_of_any(objects: list[str], method: str) -> None:
    """Whatever the object is called, the volume's name is legal and no other's."""
    one, other = (getattr(Volume, method)(name) for name in objects)

    assert one.name_at("/x") != other.name_at("/x")
    assert [] == validate(pod(one), releases=["1.37"])


@pytest.mark.parametrize("access", ACCESS_MODES)
@pytest.mark.parametrize("read_only", [True, False])
def test_claims(access: Any, read_only: object) -> None:
    """A claim keeps what is known of it, and one that nobody can write to is read-only."""
    claim = ExistingClaim("weights", access=access, namespace="llm")
    volume = Volume.from_claim(claim, read_only=bool(read_only))

    assert ("llm", access) == (volume.namespace, volume.access)
    assert (read_only or access == "ReadOnlyMany") is not volume.can_write
    assert volume.can_write is ("readOnly" not in volume.mount("/data"))
    # Some drivers attach a volume to several nodes only with this.
    more = {"readOnly": True} if access == "ReadOnlyMany" else {}
    assert {"claimName": "weights", **more} == volume.entry("/data")["persistentVolumeClaim"]
    assert (access in ("ReadWriteMany", "ReadOnlyMany")) is volume.can_be_shared


def test_claim_of_construct() -> None:
    """A construct that makes a claim stands for it, and of a name nothing else is known."""
    volume = Volume.from_claim(Cache())
    assert ("llm", "ReadWriteOnce") == (volume.namespace, volume.access)
    assert Volume.from_claim(Cache.volume) == volume

    by_name = Volume.from_claim("weights")
    assert (None, None) == (by_name.namespace, by_name.access)
    assert by_name.can_be_shared
    assert volume.entry("/x") == by_name.entry("/x")


def test_objects() -> None:
    """An object stands for its name, and its namespace is known."""
    assert "llm" == Volume.from_secret(Named()).namespace
    assert "llm" == Volume.from_config_map(Named()).namespace
    assert {"name": "shared"} == Volume.from_config_map(Named()).source["configMap"]
    assert None is CA.namespace


def test_plus() -> None:
    """Objects of cdk8s-plus are taken, with their namespace, and those of other kinds are not."""
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart", namespace="llm")
    secret, config_map = kplus.Secret(chart, "secret"), kplus.ConfigMap(chart, "map")
    modes = [kplus.PersistentVolumeAccessMode.READ_ONLY_MANY]
    claim = kplus.PersistentVolumeClaim(chart, "claim", access_modes=modes)

    for volume, expected in (
        (Volume.from_secret(secret), {"secret": {"secretName": secret.name}}),
        (Volume.from_config_map(config_map), {"configMap": {"name": config_map.name}}),
    ):
        assert expected == volume.source
        assert "llm" == volume.namespace
    volume = Volume.from_claim(claim)
    assert claim.name == volume.source["persistentVolumeClaim"]["claimName"]
    assert ("llm", "ReadOnlyMany") == (volume.namespace, volume.access)
    assert not volume.can_write
    imported = kplus.ConfigMap.from_config_map_name(chart, "imported", "theirs")
    assert Volume.from_config_map("theirs") == Volume.from_config_map(imported)

    assert "expected the name of a ConfigMap" in (
        strategies.refusal(lambda: Volume.from_config_map(secret))
    )
    assert "expected the name of a Secret" in (
        strategies.refusal(lambda: Volume.from_secret(config_map))
    )


def test_kept() -> None:
    """A volume keeps copies, and neither it nor what it renders can change it."""
    attributes = {"bucket": "a"}
    volume = Volume({"csi": {"driver": "x", "volumeAttributes": attributes}})
    attributes["bucket"] = "b"
    volume.entry("/x")["csi"]["volumeAttributes"]["bucket"] = "c"

    assert {"bucket": "a"} == volume.entry("/x")["csi"]["volumeAttributes"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a", "/a"),
        ("/etc/vllm/", "/etc/vllm"),
        ("/a b/é", "/a b/é"),
        ("/..a/b..", "/..a/b.."),
        ("/.cache", "/.cache"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    """A path is absolute, and a slash at its end says nothing."""
    assert expected == check_path("x", path)


@pytest.mark.parametrize(
    "path", ["", "/", "a", "./a", "/a/../b", "/a/..", "/a:b", "/a\nb", "/a\0", "/" * 2000, None, 7]
)
def test_wrong_paths(path: Any) -> None:
    """What cannot be a mount path is rejected with one that can."""
    sentence = strategies.refusal(lambda: check_path("x", path))

    assert (
        "expected an absolute path such as '/etc/vllm', without '.', '..', '//' and ':'."
        in sentence
    )


@pytest.mark.parametrize(
    "call", [lambda: Volume.from_secret(TOKEN), lambda: Volume.from_config_map(TOKEN)]
)
def test_clear_text(call: strategies.Call) -> None:
    """A credential in place of its Secret is rejected and not repeated, not even in part."""
    sentence = strategies.refusal(call)

    assert "put it into a Secret" in sentence
    assert "abcd" not in sentence.lower()


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Volume({}), ("Volume.source is {}", "one source")),
    (lambda: Volume("x"), ("Volume.source is 'x'", "one source")),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume({"csi": {}, "nfs": {}}), ("expected one source",)),
    (lambda: Volume({"csi": None}), ("Volume.source['csi'] is None", "a dict of its fields")),
    (lambda: Volume({"configmap": {}}), ("is 'configmap'", "did you mean 'configMap'?")),
    (lambda: Volume({"gitRepo": {}}), ("the key of Volume.source is 'gitRepo'", "'emptyDir'")),
    (lambda: Volume({7: {}}), ("the key of Volume.source is 7",)),  # type: ignore[dict-item]  # the mistake
    (lambda: Volume({"emptyDir": {}}, name="A_b"), ("Volume.name is 'A_b'", "'a-b'")),
    (lambda: Volume({"emptyDir": {}}, name="a" * 64), ("Volume.name is", "at most 63")),
    (lambda: Volume({"emptyDir": {}}, namespace="A"), ("Volume.namespace is 'A'",)),
    (lambda: Volume({"emptyDir": {}}, read_only=1), ("Volume.read_only is 1",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume({"emptyDir": {}}, access="RWX"), ("Volume.access is 'RWX'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_secret("a", sub_path=""), ("Volume.sub_path is ''", "without '..'")),
    (lambda: Volume.from_secret("a", sub_path="/a"), ("Volume.sub_path is '/a'", "a relative")),
    (lambda: Volume.from_secret("a", sub_path=".."), ("Volume.sub_path is '..'",)),
    (lambda: Volume.from_secret("a", sub_path="a/../../b"), ("sub_path is 'a/../../b'",)),
    (lambda: Volume.from_config_map("A"), ("from_config_map config_map is 'A'", "'a'")),
    (lambda: Volume.from_config_map(7), ("config_map is 7", "the name of a ConfigMap")),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_config_map("a", items=["k"]), ("from_config_map items is ['k']",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_config_map("a", items={"k/": "x"}), ("items is 'k/'", "a key of")),
    (lambda: Volume.from_config_map("a", items={"k": "/x"}), ("items['k'] is '/x'",)),
    (lambda: Volume.from_config_map("a", items={"k": "../x"}), ("items['k'] is '../x'",)),
    (lambda: Volume.from_config_map("a", optional="no"), ("optional is 'no'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_config_map("a", default_mode=0o1000), ("default_mode is 512",)),
    (lambda: Volume.from_config_map("a", default_mode=-1), ("default_mode is -1",)),
    (
        lambda: Volume.from_config_map("a", default_mode=644),
        ("default_mode is 644", "write 0o644."),
    ),
    (lambda: Volume.from_secret("a", default_mode="0400"), ("write 0o400.",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_secret("a", default_mode="0400"), ("from_secret default_mode is '0400'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_secret("A"), ("Volume.from_secret secret is 'A'",)),
    (lambda: Volume.from_claim("A"), ("Volume.from_claim claim is 'A'",)),
    (lambda: Volume.from_claim(EphemeralCache()), ("claim is EphemeralCache", "a claim")),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_claim("a", read_only="no"), ("from_claim read_only is 'no'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_empty_dir(size_limit="1GB"), ("size_limit is '1GB'", "'1Gi'")),
    (lambda: Volume.from_empty_dir(size_limit="1"), ("size_limit is '1'", "a Kubernetes quantity")),
    (lambda: Volume.from_empty_dir(in_memory="Memory"), ("in_memory is 'Memory'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_host_path("mnt"), ("Volume.from_host_path path is 'mnt'", "absolute")),
    (lambda: Volume.from_host_path("/a/../etc"), ("path is '/a/../etc'",)),
    (lambda: Volume.from_host_path("/a", type="dir"), ("from_host_path type is 'dir'", "'File'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_host_path("/a", read_only=0), ("Volume.read_only is 0",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_image(""), ("Volume.from_image reference is ''",)),
    (lambda: Volume.from_image("a\nb"), ("Volume.from_image reference is 'a\\nb'",)),
    (lambda: Volume.from_image("a", pull_policy="always"), ("did you mean 'Always'?",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_projection([]), ("from_projection sources is []", "a list of")),
    (lambda: Volume.from_projection(CA), ("from_projection sources is", "a list of")),  # type: ignore[arg-type]  # the mistake
    (lambda: Volume.from_projection([Volume.from_claim("a")]), ("from_projection sources is",)),
    (lambda: Volume.from_projection([CA], default_mode=0o1000), ("default_mode is 512",)),
    (lambda: ServiceAccountToken(path="/t"), ("ServiceAccountToken.path is '/t'",)),
    (lambda: ServiceAccountToken(path="../t"), ("ServiceAccountToken.path is '../t'",)),
    (lambda: ServiceAccountToken(audience=""), ("ServiceAccountToken.audience is ''",)),
    (lambda: ServiceAccountToken(expiration=599), ("expiration is 599", "from 600 to")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a pod cannot mount is rejected with what it can."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
