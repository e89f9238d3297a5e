"""Namespace: where models run, with Pod Security labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.kube.pod_security_standards import Level
from vllm_constructs.platform import operators

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class Namespace(VllmConstruct):
    """A Namespace with Pod Security labels.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        name: Name of the Namespace. Default: the id, as a legal name.
        pod_security: Level that is enforced, warned about and audited. Default `restricted`,
            which every pod of this library passes unless its security or volumes ask for more;
            a model that the level does not admit is rejected.
        labels: More labels of the Namespace. Default: none.
        annotations: More annotations of the Namespace. Default: none.

    Attributes:
        namespace: The Namespace.

    Raises:
        VllmConstructsError: An illegal name or level.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str | None = None,
        pod_security: Level = "restricted",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        own = names.sanitized(id) if name is None else name
        body = operators.namespace(name=own, pod_security=pod_security)
        context.app.check_levels(own, pod_security)
        mark("Namespace", [body], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body})
        context.app.levels[own] = pod_security

    @property
    def namespace(self) -> ApiObject:
        """The Namespace."""
        return self._object("Default")
