"""VllmConstruct: the base class of all constructs of this library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from constructs import Construct

from vllm_constructs.errors import VllmConstructsError

from .objects import add_object
from .registry import ChartContext

if TYPE_CHECKING:
    from cdk8s import ApiObject


class VllmConstruct(Construct):
    """A construct of this library."""

    def __init__(self, scope: Construct, id: str, context: ChartContext) -> None:
        self._context = context
        self._id = id
        try:
            super().__init__(scope, id)
        except RuntimeError as error:
            raise VllmConstructsError(
                f"{type(self).__name__} {id!r} cannot be added: the scope has a construct of that "
                "id already; give each its own id."
            ) from error

    @contextmanager
    def _all_or_nothing(self, scope: Construct) -> Iterator[None]:
        """Remove this construct from the tree if one of its parts is rejected."""
        app = self._context.app
        objects, endpoints, late = dict(app.objects), [*app.endpoints], [*app.late]
        models = {key: [*links] for key, links in app.models.items()}
        try:
            yield
        except Exception:
            app.objects, app.models, app.endpoints, app.late = objects, models, endpoints, late
            scope.node.try_remove_child(self.node.id)
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id!r}>"

    def _claim(self, manifest: dict[str, Any]) -> None:
        """Register kind, namespace and name of an object for this construct."""
        self._context.check_free(manifest)
        self._context.app.objects[self._context.key(manifest)] = repr(self)

    def _add(self, id: str, manifest: dict[str, Any]) -> ApiObject:
        """Put one manifest into the tree."""
        self._claim(manifest)
        return add_object(self, id, self._context, manifest)
