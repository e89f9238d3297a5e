"""The jsii module of this library: constructs whose objects are made in one call.

Each call into Node takes longer than making a manifest, and jsii walks through every value that is
passed; a string it passes on as it is. So a construct passes its manifests as one JSON string, and
Node makes the ApiObjects. They are fetched where somebody asks for them.

These classes are the Python side of `_jsii/index.ts`; `make tree` compiles that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import jsii
from cdk8s import ApiObject
from constructs import Construct

from vllm_constructs import require

if TYPE_CHECKING:
    from cdk8s import JsonPatch

ASSEMBLY = "@vllm-constructs/tree"
VERSION = "0.1.0"
jsii.JSIIAssembly.load(ASSEMBLY, VERSION, __package__, "tree.jsii.tgz")

Manifest = Mapping[str, Any]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class _Known(metaclass=jsii.JSIIMeta):
    """Registers an object that Node has made: jsii registers what a class gives when called."""

    def __new__(cls, made: ManifestObject) -> Any:
        return made


class ManifestObject(ApiObject, metaclass=jsii.JSIIMeta, jsii_type=f"{ASSEMBLY}.ManifestObject"):
    """An object of a construct. It is one Python object, however somebody comes to it."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; with its reference, the object becomes known to jsii."""
        super().__setattr__(name, value)
        if name == "__jsii_ref__":
            _Known(self)

    def add_json_patch(self, *ops: JsonPatch) -> None:
        """Apply patches to the manifest, after all that this library says.

        Args:
            *ops: The patches.

        Raises:
            VllmConstructsError: One of them is not a JsonPatch.
        """
        from cdk8s import JsonPatch

        for patch in ops:
            require.instance(
                "add_json_patch ops", patch, JsonPatch, "JsonPatch.add(...) and others"
            )
        super().add_json_patch(*ops)


class Manifests(Construct, metaclass=jsii.JSIIMeta, jsii_type=f"{ASSEMBLY}.Manifests"):
    """A construct with objects."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        manifests: Mapping[str, Manifest],
        changes: Sequence[tuple[Construct, Mapping[str, Manifest]]] = (),
    ) -> None:
        """Put the construct and its objects into the tree, and change those of others.

        Args:
            scope: The scope of the construct.
            id: Its id in the scope.
            manifests: The manifests, by the ids of the objects.
            changes: Constructs, and manifests for `replace`.

        Raises:
            RuntimeError: The scope has a child of that id.
        """
        jsii.create(
            self.__class__,
            self,
            [
                scope,
                id,
                _json(manifests),
                [construct for construct, _ in changes],
                _json([changed for _, changed in changes]),
            ],
        )


def chart(construct: Construct, context: str) -> dict[str, Any]:
    """Ask for the chart of a construct.

    Args:
        construct: The construct.
        context: Key of a context that is asked for too.

    Returns:
        Its `number`, which is the same for the same chart, that of its `app`, its `namespace` if it
        has one, its `labels`, and the `context` if there is one.

    Raises:
        RuntimeError: The construct is not in a chart.
    """
    found: dict[str, Any] = json.loads(jsii.sinvoke(Manifests, "chart", [construct, context]))
    return found


def number(construct: Construct) -> int:
    """The number of a construct, which is the same for the same construct.

    Args:
        construct: The construct.
    """
    return int(jsii.sinvoke(Manifests, "number", [construct]))


def every(construct: Construct) -> list[tuple[str, bool, str, dict[str, Any]]]:
    """All objects below a construct, of this library and of the user, with all patches.

    What is written next are these manifests, unless `forget` is called.

    Args:
        construct: The construct.

    Returns:
        The path of each object, whether its body is what this library has given, the path of its
        chart, and its manifest.

    Raises:
        RuntimeError: An object cannot be made, since a patch of the user does not apply.
    """
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="vllm-constructs-", suffix=".json") as file:
        jsii.sinvoke(Manifests, "all", [construct, file.name])
        found: list[tuple[str, bool, str, dict[str, Any]]] = json.load(file)
    return found


def forget(construct: Construct) -> None:
    """Forget the manifests that `every` has made, so that they are made anew when written.

    Args:
        construct: The construct.
    """
    jsii.sinvoke(Manifests, "forget", [construct])


def add(construct: Construct, manifests: Mapping[str, Manifest]) -> None:
    """Add objects to a construct.

    Args:
        construct: The construct.
        manifests: The manifests, by the ids of the objects.
    """
    jsii.sinvoke(Manifests, "add", [construct, _json(manifests)])


def replace(construct: Construct, manifests: Mapping[str, Manifest]) -> None:
    """Replace bodies of a construct's objects, and add annotations to them.

    Patches of the user apply to the new bodies.

    Args:
        construct: The construct.
        manifests: The manifests, by the ids of the objects. Of their metadata, annotations alone
            are used.
    """
    jsii.sinvoke(Manifests, "replace", [[construct], _json([manifests])])


def child(construct: Construct, id: str) -> ManifestObject:
    """Fetch an object of a construct.

    Args:
        construct: The construct.
        id: The id of the object.
    """
    return cast("ManifestObject", jsii.sinvoke(ManifestObject, "child", [construct, id]))
