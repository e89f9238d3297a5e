"""Files: what a user puts into the container, through a ConfigMap."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs.workloads import files

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
MI = 2**20


def paths() -> st.SearchStrategy[str]:
    """Paths of files, several of which have the same name."""
    names = st.sampled_from(("a", "b.jinja", "B.jinja", ".hidden", "a b", "é", "-", "_", "x" * 250))
    return st.tuples(strategies.names(5), names).map("/{0[0]}/{0[1]}".format)


def contents() -> st.SearchStrategy[str | bytes]:
    """Contents of files: text, text that YAML cannot hold, and others."""
    text = st.text(st.characters(codec="utf-8"), max_size=20)
    return st.one_of(text, text.map("{}\r\n\0".format), st.binary(max_size=20))


def as_bytes(content: str | bytes) -> bytes:
    """Return what is in the file."""
    return content.encode() if isinstance(content, str) else content


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(paths(), contents(), min_size=1, max_size=5))
def test_config_map(given_files: dict[str, str | bytes]) -> None:
    """A ConfigMap is valid and has each file as it is, under a key of its own."""
    checked = files.check_files(given_files)
    keys = files.keys(checked)
    found = files.config_map("x", checked)

    assert [] == validate(strategies.in_namespace(found), releases=["1.27", "1.37"])
    assert strategies.is_plain(found)
    inside = {key: value.encode() for key, value in found.get("data", {}).items()}
    inside |= {key: b64decode(value) for key, value in found.get("binaryData", {}).items()}
    expected = {keys[path]: as_bytes(content) for path, content in given_files.items()}
    assert expected == inside
    assert len(given_files) == len(inside)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(paths(), contents(), min_size=1, max_size=5), st.data())
def test_checksum(given_files: dict[str, str | bytes], data: st.DataObject) -> None:
    """The checksum changes with each content and path, and not with the order."""
    checksum = files.checksum(given_files)
    path = data.draw(st.sampled_from(sorted(given_files)))

    assert checksum == files.checksum(strategies.shuffled(given_files))
    assert checksum == files.checksum({one: as_bytes(two) for one, two in given_files.items()})
    changed = given_files | {path: as_bytes(given_files[path]) + b"x"}
    assert checksum != files.checksum(changed)
    moved = {f"{one}x" if one == path else one: two for one, two in given_files.items()}
    assert checksum != files.checksum(moved)


def test_checksum_of_parts() -> None:
    """What is of the path and what is of the content make a difference."""
    found = [
        files.checksum(one)
        for one in ({}, {"/a": "bc"}, {"/ab": "c"}, {"/a": "b", "/c": ""}, {"/a": "", "/b": "c"})
    ]

    assert len(set(found)) == len(found)


def test_order() -> None:
    """Files are sorted by their paths, however they are given."""
    assert ["/a", "/b/c", "/d"] == list(files.check_files({"/d": "", "/a": "x", "/b/c/": b"y"}))
    assert {} == files.check_files({})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{{ x }}\n", "{{ x }}\n"),
        ("tab\there", "tab\there"),
        ("", ""),
        ("é", "é"),
        (b"text", b"text"),
        (b"\xff\0", b"\xff\0"),
        # Control characters have no place in YAML.
        ("a\r\nb", b"a\r\nb"),
        ("a\0b", b"a\0b"),
    ],
)
def test_contents(content: str | bytes, expected: str | bytes) -> None:
    """A file stays as it is; text that YAML cannot hold is kept as bytes."""
    assert {"/a": expected} == files.check_files({"/a": content})


@pytest.mark.parametrize(
    ("data", "expected"), [(b"{{ x }}\n", "{{ x }}\n"), (b"\xff\xfe", b"\xff\xfe"), (b"", "")]
)
def test_read(data: bytes, expected: str | bytes, tmp_path: Path) -> None:
    """A file of the user's is read when it is given, not later."""
    path = tmp_path / "chat.jinja"
    path.write_bytes(data)
    found = files.check_files({"/etc/vllm/chat.jinja": path})
    path.write_bytes(b"changed")

    assert {"/etc/vllm/chat.jinja": expected} == found


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "No such file or directory"), ("", "Is a directory")]
)
def test_unreadable(name: str, reason: str, tmp_path: Path) -> None:
    """A file that cannot be read is rejected with the reason."""
    path = tmp_path / name
    sentence = strategies.refusal(lambda: files.check_files({"/a": path}))

    assert sentence.startswith("files['/a'] is '")
    assert f"which cannot be read ({reason}); give the path of a file" in sentence


def test_braces(tmp_path: Path) -> None:
    """A path with braces is shown as it is."""
    path = tmp_path / "{x}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert "is '{x}', which cannot" in (
            strategies.refusal(lambda: files.check_files({"/a": Path(path.name)}))
        )


@pytest.mark.parametrize(
    "content",
    [
        TOKEN,
        f"token: {TOKEN}\n",
        f"key = '{TOKEN}'\r\n",
        TOKEN.encode(),
        b"\xff" + TOKEN.encode(),
        "redis://user:AbCdEf@redis.cache.svc",
        "Authorization: Bearer AbCdEf",
    ],
)
@pytest.mark.parametrize("is_read", [True, False])
def test_credentials(content: str | bytes, *, is_read: bool, tmp_path: Path) -> None:
    """A credential in a file is rejected and not repeated, not even in part."""
    path = tmp_path / "config"
    path.write_bytes(as_bytes(content))
    value = path if is_read else content
    sentence = strategies.refusal(lambda: files.check_files({"/etc/config": value}))

    assert sentence.startswith("files['/etc/config'] has what looks like a credential (not shown)")
    assert "mount a Secret: volumes={...: Volume.from_secret(...)}" in sentence
    assert "abcd" not in sentence.lower()


REFUSED: list[tuple[Any, tuple[str, ...]]] = [
    (None, ("files is None", "{'/etc/vllm/chat.jinja': Path('a.jinja')}")),
    (["/a"], ("files is ['/a']", "a dict of paths and contents")),
    ({"a": "x"}, ("a key of files is 'a'", "an absolute path")),
    ({"/": "x"}, ("a key of files is '/'", "an absolute path")),
    ({"/a/../b": "x"}, ("a key of files is '/a/../b'", "'..'")),
    ({"/a:b": "x"}, ("a key of files is '/a:b'",)),
    ({7: "x"}, ("a key of files is 7",)),
    ({Path("/a"): "x"}, ("a key of files is PosixPath('/a')",)),
    ({"/a": "\ud800"}, ("files['/a'] is no valid Unicode", "give bytes")),
    # The type is enough: the value may be a credential.
    ({"/a": None}, ("files['/a'] is of type NoneType (not shown)", "bytes or a Path")),
    ({"/a": 7}, ("files['/a'] is of type int (not shown)",)),
    ({"/a": [TOKEN]}, ("files['/a'] is of type list (not shown)",)),
    ({"/a": bytearray(b"x")}, ("files['/a'] is of type bytearray (not shown)",)),
]


@pytest.mark.parametrize(("value", "words"), REFUSED)
def test_refusals(value: Any, words: tuple[str, ...]) -> None:
    """What is no file is rejected with what is one."""
    sentence = strategies.refusal(lambda: files.check_files(value))

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    ("given_files", "size"),
    [
        ({"/a": "x" * MI}, MI),
        ({"/a": "x" * MI, "/b": "y"}, MI + 1),
        ({"/a": "é" * (MI // 2), "/b": b"y"}, MI + 1),
        ({"/a": b"x" * (MI + 7)}, MI + 7),
    ],
)
def test_size(given_files: dict[str, Any], size: int) -> None:
    """All files together have to fit into a ConfigMap, counted in bytes."""
    if size <= files.LARGEST:
        assert given_files == files.check_files(given_files)
    else:
        sentence = strategies.refusal(lambda: files.check_files(given_files))
        assert f"files has {size} bytes, more than the 1048576 of a ConfigMap" in sentence
        assert "mount large files with volumes" in sentence


def test_keys() -> None:
    """A key is the name of the file, unless another file has it too."""
    assert {"/a/x.jinja": "x.jinja", "/b/y": "y"} == files.keys({"/b/y": "", "/a/x.jinja": ""})
    assert {"/a/é b": "--b"} == files.keys({"/a/é b": ""})

    found = files.keys({"/a/x": "", "/b/x": "", "/c/y": ""})
    assert "y" == found["/c/y"]
    assert found["/a/x"] != found["/b/x"]
    assert all(found[path].endswith("-x") for path in ("/a/x", "/b/x"))
    # A key is that of its path, whatever else there is.
    assert found["/a/x"] == files.keys({"/a/x": "", "/d/x": ""})["/a/x"]


def test_empty_fields() -> None:
    """A ConfigMap has no field without files in it."""
    assert {"data": {"a": "x"}} == fields({"/a": "x"})
    assert {"binaryData": {"a": "/w=="}} == fields({"/a": b"\xff"})
    assert {"data": {"a": "x"}, "binaryData": {"b": "eQ=="}} == fields({"/a": "x", "/b": b"y"})


def fields(given_files: dict[str, str | bytes]) -> strategies.Manifest:
    """Return the fields of a ConfigMap that have the files."""
    found = files.config_map("x", given_files)
    assert {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}} == {
        key: found.pop(key) for key in ("apiVersion", "kind", "metadata")
    }
    return found
