"""VllmConstruct: the base class of all constructs of this library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vllm_constructs.arguments import explained
from vllm_constructs.errors import VllmConstructsError

from . import tree
from .registry import ChartContext

if TYPE_CHECKING:
    from inspect import Signature

    from cdk8s import ApiObject
    from constructs import Construct

    from .links import Change


def numbered(name: str, manifests: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Manifests by their ids: the first is what `ApiObject.of` finds, the others are numbered."""
    return {
        "Default" if i == 0 else f"{name}-{i}": manifest for i, manifest in enumerate(manifests)
    }


class _Signature:
    """What `inspect.signature` finds: jsii's metaclass would show `(*args, **kwargs)`."""

    def __get__(self, instance: object, owner: type) -> Signature:
        from inspect import signature

        found = signature(owner.__init__)  # type: ignore[misc]  # that of the class itself
        return found.replace(
            parameters=list(found.parameters.values())[1:], return_annotation=found.empty
        )


class VllmConstruct(tree.Manifests):
    """A construct of this library."""

    __signature__ = _Signature()

    def __init_subclass__(cls) -> None:
        """Reject wrong arguments of each construct with a sentence."""
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = explained(cls.__init__)  # type: ignore[method-assign]  # the same one

    def __init__(
        self,
        scope: Construct,
        id: str,
        context: ChartContext,
        manifests: Mapping[str, tree.Manifest] | None = None,
        changes: Sequence[Change] = (),
    ) -> None:
        """Put the construct and its objects into the tree.

        Args:
            scope: Chart or construct that it belongs to.
            id: Its id in the scope.
            context: The context of its chart.
            manifests: The manifests of its objects, by their ids. Default: none.
            changes: What it changes of models.

        Raises:
            VllmConstructsError: An object of that kind and name is there already, or a construct
                of that id; nothing is added or changed then.
        """
        own = {} if manifests is None else manifests
        self._context = context
        self._id = id
        self._objects: dict[str, ApiObject | None] = dict.fromkeys(own)
        claimed = context.check_free(*own.values())
        try:
            super().__init__(
                scope,
                id,
                {name: context.in_namespace(manifest) for name, manifest in own.items()},
                [
                    (change.links.construct, change.manifests)
                    for change in changes
                    if change.manifests
                ],
            )
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            if "already a Construct" in why:
                why = "the scope has a construct of that id already; give each its own id"
            raise VllmConstructsError(
                f"{type(self).__name__} {id!r} cannot be added: {why.rstrip('.')}."
            ) from None
        context.app.claim(claimed, repr(self))
        for change in changes:
            change.apply()

    def _claim(self, manifest: tree.Manifest) -> None:
        """Register kind, namespace and name of an object for this construct."""
        self._context.app.claim(self._context.check_free(manifest), repr(self))

    def _add(self, id: str, manifest: tree.Manifest) -> None:
        """Add another object."""
        self._claim(manifest)
        tree.add(self, {id: manifest})
        self._objects[id] = None

    def _object(self, id: str) -> ApiObject:
        """The object with an id, which is fetched when somebody first asks for it."""
        found = self._objects[id]
        if found is None:
            try:
                found = tree.child(self, id)
            except RuntimeError:
                raise VllmConstructsError(
                    f"{type(self).__name__} {self._id!r} has no object {id!r} any more: it was "
                    "removed from the tree; keep it before you remove it."
                ) from None
            self._objects[id] = found
        return found

    def _all_of(self, name: str) -> list[ApiObject]:
        """The objects that `numbered` has given their ids."""
        return [
            self._object(id) for id in self._objects if id == "Default" or id.startswith(f"{name}-")
        ]

    def _optional(self, id: str) -> ApiObject | None:
        """The object with an id, or None where the construct has none."""
        return self._object(id) if id in self._objects else None

    @contextmanager
    def _all_or_nothing(self, scope: Construct) -> Iterator[None]:
        """Remove this construct from the tree if one of its parts is rejected."""
        before = self._context.app.mark()
        try:
            yield
        except Exception:
            self._context.app.undo(before)
            scope.node.try_remove_child(self.node.id)
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id!r}>"
