"""Mounts: what is mounted where, by whom, and each volume once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import PodSecurity, Volume
from vllm_constructs.releases.image import CUDA, family_of
from vllm_constructs.workloads import mounts

CA, KEY = Volume.from_config_map("ca"), Volume.from_secret("key")
FOLDER, SHARED = Volume.from_empty_dir(), Volume.from_empty_dir(name="shared")
LARGE = Volume.from_empty_dir(name="shared", size_limit="1Gi")


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        (PodSecurity(), {"home": "/home/vllm"}),
        (PodSecurity(user="platform"), {"home": "/home/vllm"}),
        (PodSecurity(user=1234, group=5678), {"home": "/home/vllm"}),
        (PodSecurity(user="root"), {}),
        (PodSecurity(read_only_root=True), {"home": "/home/vllm", "tmp": "/tmp"}),  # noqa: S108  # the path of a volume
        (PodSecurity(user="root", read_only_root=True), {"home": "/root", "tmp": "/tmp"}),  # noqa: S108  # as above
    ],
)
def test_writable(security: PodSecurity, expected: dict[str, str]) -> None:
    """The engine can write to its home, and to `/tmp` where the image is read-only."""
    assert expected == mounts.writable_paths(security, CUDA)
    own = mounts.own_paths(security, CUDA)
    assert {"/dev/shm", "/model-cache", "/etc/vllm/engine.yaml", *expected.values()} == set(own)  # noqa: S108  # as above
    assert len(set(own)) == len(own)


def test_family() -> None:
    """The home is that of the image's family."""
    family = family_of("vllm/vllm-openai-rocm:v0.33.0")

    assert {"home": family.home} == mounts.writable_paths(PodSecurity(), family)
    assert family.home in mounts.own_paths(PodSecurity(), family)


def test_check() -> None:
    """Volumes are sorted by their paths, whose last slash says nothing."""
    found = mounts.check_volumes("volumes", {"/etc/key/": KEY, "/etc/ca": CA, "/a": FOLDER}, ())

    assert [("/a", FOLDER), ("/etc/ca", CA), ("/etc/key", KEY)] == list(found.items())
    assert {} == mounts.check_volumes("volumes", {}, ("/a",))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(strategies.names(10).map("/{}".format), st.sampled_from([CA, KEY, FOLDER])))
def test_order(volumes: dict[str, Volume]) -> None:
    """The order in which volumes are given is not the order in which they are mounted."""
    found = mounts.check_volumes("volumes", volumes, ())
    again = mounts.check_volumes("volumes", strategies.shuffled(volumes), ())

    assert volumes == found
    assert list(found) == sorted(volumes)
    assert list(found) == list(again)


REFUSED: list[tuple[Any, tuple[str, ...]]] = [
    ([CA], ("volumes is [Volume(", "a dict of paths and volumes")),
    (None, ("volumes is None", "{'/etc/ca': Volume.from_config_map('ca')}")),
    (CA, ("volumes is Volume(", "a dict of paths and volumes")),
    ({"/a": None}, ("volumes['/a'] is None", "a Volume, made by a Volume.from_")),
    ({"/a": "ca"}, ("volumes['/a'] is 'ca'", "a Volume")),
    ({"/a": {"configMap": {"name": "ca"}}}, ("volumes['/a'] is {'configMap'", "a Volume")),
    ({"a": CA}, ("a key of volumes is 'a'", "an absolute path")),
    ({"/": CA}, ("a key of volumes is '/'", "an absolute path")),
    ({"/a/../b": CA}, ("a key of volumes is '/a/../b'", "'..'")),
    ({7: CA}, ("a key of volumes is 7", "an absolute path")),
    ({"/taken": CA}, ("volumes['/taken'] is a path at which something is mounted already",)),
    ({"/taken/": CA}, ("volumes['/taken/'] is a path at which", "take another path")),
    ({"/a": CA, "/a/": KEY}, ("volumes['/a/'] is a path at which", "take another path")),
]


@pytest.mark.parametrize(("value", "words"), REFUSED)
def test_refusals(value: Any, words: tuple[str, ...]) -> None:
    """What cannot be mounted, or not there, is rejected with what can."""
    sentence = strategies.refusal(lambda: mounts.check_volumes("volumes", value, ("/taken",)))

    assert [word for word in words if word not in sentence] == [], sentence


def test_below_taken() -> None:
    """A path below one that is taken, or beside it, is another path."""
    volumes = {"/taken/a": CA, "/taken-too": KEY, "/tak": FOLDER}

    assert volumes == mounts.check_volumes("volumes", volumes, ("/taken",))


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([("/a", CA)], ["config-map-ca"]),
        # Mounted twice, even in parts and by several containers, it is one volume.
        ([("/a", CA), ("/b", CA), ("/a", CA)], ["config-map-ca"]),
        ([("/a", CA), ("/b", Volume.from_config_map("ca", sub_path="x"))], ["config-map-ca"]),
        ([("/a", SHARED), ("/b", SHARED)], ["shared"]),
        # An empty folder without a name is each path's own, and the same at the same path.
        ([("/a", FOLDER), ("/b", FOLDER)], [FOLDER.name_at("/a"), FOLDER.name_at("/b")]),
        ([("/a", FOLDER), ("/a", FOLDER)], [FOLDER.name_at("/a")]),
        ([("/b", KEY), ("/a", CA), ("/c", LARGE)], ["secret-key", "config-map-ca", "shared"]),
    ],
)
def test_rendered(volumes: list[tuple[str, Volume]], expected: list[str]) -> None:
    """Each volume of a pod is there once, however often it is mounted."""
    found = mounts.rendered(("volumes", path, volume) for path, volume in volumes)

    assert [] == mounts.rendered([])
    assert expected == [one["name"] for one in found]
    entries = [volume.entry(path) for path, volume in volumes]
    assert [] == [one for one in entries if one not in found]
    containers = [
        {"name": f"x{number}", "image": "x:1", "volumeMounts": [volume.mount(path)]}
        for number, (path, volume) in enumerate(volumes)
    ]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"containers": containers, "volumes": found},
    }
    assert [] == validate(manifest, releases=["1.27", "1.37"])


@pytest.mark.parametrize(
    "other",
    [
        LARGE,
        Volume.from_empty_dir(name="shared", in_memory=True),
        Volume.from_config_map("shared", name="shared"),
        Volume.from_claim("shared", name="shared"),
    ],
)
def test_one_name(other: Volume) -> None:
    """Two volumes of one name that differ are rejected, at the second of them."""
    volumes = [("volumes", "/a", SHARED), ("sidecars['x'].volumes", "/b", other)]
    sentence = strategies.refusal(lambda: mounts.rendered(volumes))

    assert sentence.startswith("sidecars['x'].volumes['/b'] is the volume 'shared'")
    assert "give one of them another Volume.name" in sentence
