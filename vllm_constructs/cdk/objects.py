"""Objects in the tree: how a manifest gets there, at once or when the app is rendered.

An object is a plain ApiObject with its body as one patch: a user's own patches are exact on it, and
nothing is lost that an older schema does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from vllm_constructs import require

from .registry import CLUSTER_SCOPED, ChartContext

_TOP = ("apiVersion", "kind", "metadata")


def _metadata(manifest: dict[str, Any]) -> ApiObjectMetadata:
    metadata = manifest["metadata"]
    return ApiObjectMetadata(
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        labels=metadata.get("labels") or None,
        annotations=metadata.get("annotations") or None,
    )


def _body(manifest: dict[str, Any]) -> list[JsonPatch]:
    return [JsonPatch.add(f"/{key}", value) for key, value in manifest.items() if key not in _TOP]


def add_object(
    scope: Construct, id: str, context: ChartContext, manifest: dict[str, Any]
) -> ApiObject:
    """Put a manifest into the tree."""
    kind = manifest["kind"]
    made = ApiObject(
        scope, id, api_version=manifest["apiVersion"], kind=kind, metadata=_metadata(manifest)
    )
    patches = _body(manifest)
    if kind in CLUSTER_SCOPED and context.namespace is not None:
        patches.append(JsonPatch.remove("/metadata/namespace"))
    if patches:
        made.add_json_patch(*patches)
    return made


class LateObject(ApiObject):
    """An object whose body is made when the app is rendered, when all constructs are known.

    Other constructs of an app change a model after it is made: a scaler decides about its replicas,
    a fleet gives it a path. Until the body is made, patches of the user wait here, in their order;
    they are then applied to it as to any other object.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        context: ChartContext,
        manifest: dict[str, Any],
        make: Callable[[], dict[str, Any]],
    ) -> None:
        """Put the object into the tree.

        Args:
            scope: The construct that it belongs to.
            id: Its id in the scope.
            context: The context of its chart.
            manifest: The manifest as far as it is known now.
            make: Makes the manifest when the app is rendered; its metadata is not used.
        """
        super().__init__(
            scope,
            id,
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=_metadata(manifest),
        )
        self._manifest: dict[str, Any] | None = manifest
        self._make = make
        self._app = context.app
        self._waiting: list[JsonPatch] = []
        self._is_rendered = False
        self._is_patched = False
        self._is_current = False
        self._app.late.append(self)
        # On the object, not on the class: jsii makes Node call Python for methods that a class
        # overrides, for each object and with its whole JSON.
        vars(self).update(add_json_patch=self._patch, to_json=self._json)

    @property
    def is_rendered(self) -> bool:
        """Whether the body is made and nothing has changed since."""
        return self._is_current

    @property
    def is_final(self) -> bool:
        """Whether the body cannot be made again: patches of the user have been applied to it."""
        return self._is_rendered and self._is_patched

    def change(self) -> None:
        """Make the body again when the app is rendered."""
        self._manifest = None
        if self._is_current:
            self._is_current = False
            self._app.late.append(self)

    def render(self) -> None:
        """Make the body, unless nothing has changed since it was made."""
        if not self._is_current:
            manifest = self._make() if self._manifest is None else self._manifest
            ApiObject.add_json_patch(self, *_body(manifest), *self._waiting)
            self._manifest, self._waiting = manifest, []
            self._is_rendered = self._is_current = True

    def _patch(self, *patches: JsonPatch) -> None:
        for patch in patches:
            # Node would say so when the app is rendered, far from the user's line.
            require.instance(
                "add_json_patch ops", patch, JsonPatch, "JsonPatch.add(...) and others"
            )
        self._is_patched = True
        if self._is_rendered:
            self.render()
            ApiObject.add_json_patch(self, *patches)
        else:
            self._waiting.extend(patches)

    def _json(self) -> Any:
        self.render()
        return ApiObject.to_json(self)
