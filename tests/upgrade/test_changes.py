"""What differs between two values."""

from typing import Any

import pytest

from vllm_constructs.upgrade.changes import Absent, changes, field_name, is_same, names_of


def fields(old: Any, new: Any) -> list[str]:
    """The fields that differ."""
    return [one.field for one in changes(old, new)]


class TestMappings:
    """Mappings, key by key."""

    def test_keys(self) -> None:
        """Keys that are added, removed and changed."""
        found = changes({"a": 1, "b": 2}, {"b": 3, "c": 4})

        assert [(("a",), 1, Absent), (("b",), 2, 3), (("c",), Absent, 4)] == [
            (one.path, one.old, one.new) for one in found
        ]

    def test_types(self) -> None:
        """A boolean is no number, and a string neither; not a number is the same as itself."""
        assert ["a"] == fields({"a": True}, {"a": 1})
        assert ["a"] == fields({"a": "1"}, {"a": 1})
        assert [] == fields({"a": 1}, {"a": 1.0})
        assert [] == fields({"a": float("nan")}, {"a": float("nan")})
        assert ["1"] == fields({1: "a"}, {1: "b"})
        assert ["a"] == fields({"a": {}}, {"a": []})


class TestLists:
    """Lists whose items have names, and others."""

    def test_named(self) -> None:
        """Items are compared by their names."""
        old = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
        new = [{"name": "c", "value": "3"}, {"name": "a", "value": "4"}]

        assert ["env[a].value", "env[b]", "env[c]"] == fields({"env": old}, {"env": new})

    def test_order(self) -> None:
        """The order of items that are on both sides matters, as it rolls pods."""
        items = [{"name": "a"}, {"name": "b"}]

        assert ["x"] == fields({"x": items}, {"x": items[::-1]})
        assert ["x[c]"] == fields({"x": items}, {"x": [{"name": "c"}, *items]})
        assert ["x"] == fields({"x": ["a", "b"]}, {"x": ["b", "a"]})

    def test_mounts(self) -> None:
        """Where the first field is the same twice, the next one names items."""
        old = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]
        new = [{"name": "v", "mountPath": "/a", "readOnly": True}, old[1]]

        assert ["[/a].readOnly"] == fields(old, new)

    def test_ports(self) -> None:
        """A port may be open for two protocols."""
        ports = [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}]

        assert [["80", "80/UDP"]] == names_of(ports)

    def test_unnamed(self) -> None:
        """Items without names are compared one by one."""
        assert ["[0].a", "[1]"] == fields([{"a": {}}], [{"a": []}, {"a": {}}])
        assert names_of([{"name": "a"}, {"name": "a"}]) is None
        assert names_of([{"name": True}]) is None
        assert names_of(["a"]) is None
        assert names_of([]) is None

    def test_words(self) -> None:
        """Words are compared by their sequence; a value is told with its flag."""
        old = ["serve", "a/b", "--max-model-len", "8192", "--port=8000"]
        new = ["serve", "a/b", "--max-model-len", "16384", "--port=8000", "--x"]
        found = changes({"args": old}, {"args": new})

        assert [
            (("--max-model-len", "8192"), ("--max-model-len", "16384")),
            (Absent, ("--x",)),
        ] == [(one.old, one.new) for one in found]

    def test_scripts(self) -> None:
        """Of a script among words, the script differs."""
        (found,) = changes({"args": ["-c", "a\nb"]}, {"args": ["-c", "a\nc"]})

        assert ("args", "[1]") == found.path

    def test_long(self) -> None:
        """Lists of thousands of words are compared as a whole."""
        words = [str(i) for i in range(5000)]

        assert ["x"] == fields({"x": words}, {"x": [*words, "more"]})


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (("resources", "limits", "memory"), "1Gi", "1024Mi", True),
        (("resources", "limits", "cpu"), "1500m", 1.5, True),
        (("resources", "limits", "nvidia.com/gpu"), 1, "1", True),
        (("resources", "requests", "storage"), "1Gi", "1G", False),
        (("resources", "limits", "memory"), "x", "y", False),
        (("resources", "limits", "memory"), True, 1, False),
        (("emptyDir", "sizeLimit"), "1Gi", "1024Mi", True),
        (("target", "averageValue"), "500m", "0.5", True),
        (("target", "value"), "1k", "1000", True),
        (("env", "[A]", "value"), "1k", "1000", False),
        (("data", "a"), "1Gi", "1024Mi", False),
        ((), "1Gi", "1024Mi", False),
    ],
)
def test_amounts(path: tuple[str, ...], old: object, new: object, *, expected: bool) -> None:
    """Amounts are the same however they are written, but only where they are amounts."""
    assert expected == is_same(old, new, path)


def test_field_name() -> None:
    """A path as people write it."""
    path = ("spec", "containers", "[vllm]", "resources", "limits", "nvidia.com/gpu")

    assert "spec.containers[vllm].resources.limits['nvidia.com/gpu']" == field_name(path)
    assert "" == field_name(())
