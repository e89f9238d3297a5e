"""The check at synth: the rules of `vllm-constructs check` over all objects of an app.

`synth` of an app is checked as a whole: the user's patches and own objects too. It runs once, in
Python: a validation of `constructs` would run for each chart, and lose the findings' places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from constructs import Construct

from vllm_constructs.errors import (
    Problem,
    escaped,
    refuse,
    warn,
    was_warned,
)

from . import tree

if TYPE_CHECKING:
    from vllm_constructs.kube.kubernetes import Kubernetes
    from vllm_constructs.rules.rule import Finding

_METHODS = ("synth", "synth_yaml")


class _Registry(Protocol):
    accepted: list[tuple[str, str]]
    overlaid: list[Construct]
    kubernetes: Kubernetes | None


def install(root: object, registry: _Registry) -> None:
    """Let an app check its manifests before it writes them.

    Args:
        root: The app; nothing happens to another construct, which has no synth.
        registry: The registry of the app.
    """
    for name in _METHODS:
        method = getattr(root, name, None)
        if callable(method) and isinstance(root, Construct):
            setattr(root, name, _checked(root, method, registry))


def _checked(app: Construct, method: Callable[..., Any], registry: _Registry) -> Callable[..., Any]:
    def synth(*args: Any, **options: Any) -> Any:
        try:
            check(app, registry)
            return method(*args, **options)
        except Exception:
            # What is mended then is not what was checked.
            tree.forget(app)
            raise

    synth.__doc__ = method.__doc__
    return synth


def check(app: Construct, registry: _Registry) -> None:
    """Check all manifests of an app.

    Args:
        app: The app.
        registry: Its registry.

    Raises:
        VllmConstructsError: The manifests have mistakes, all of which it names.
    """
    from vllm_constructs.reading.collector import without_gc

    with without_gc():
        _check(app, registry)


def _check(app: Construct, registry: _Registry) -> None:
    from vllm_constructs.formats.report import counted
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.reading.settings import Settings
    from vllm_constructs.rules import check as checks

    objects = tree.every(app)
    overlaid = [f"{one.node.path}/" for one in registry.overlaid]
    judged = [
        number
        for number, (path, is_own, _, _) in enumerate(objects)
        if is_own and not any(path.startswith(one) for one in overlaid)
    ]
    graph = Graph(
        (manifest for *_, manifest in objects),
        Settings(kubernetes=registry.kubernetes),
        judged,
        # A chart is a file.
        files=[chart for _, _, chart, _ in objects],
    )
    findings = [
        (path, one)
        for one in checks.check(graph, checks.rules_at_synth(graph))
        for path in [objects[one.manifest.number][0]]
        if not was_warned(one.problem) and not _is_accepted(path, one, registry.accepted)
    ]
    lines = [_line(path, one) for path, one in findings]
    errors = sum(one.level == "error" for _, one in findings)
    if errors:
        found = counted(errors, "error")
        found += f" and {counted(others, 'warning')}" if (others := len(lines) - errors) else ""
        refuse(Problem(text=escaped("\n  ".join([f"the manifests have {found}:", *lines]))))
    for line in lines:
        warn(Problem(text=escaped(line)))


def _is_accepted(path: str, finding: Finding, accepted: Sequence[tuple[str, str]]) -> bool:
    return any(
        rule == finding.rule.id and (not scope or path == scope or path.startswith(f"{scope}/"))
        for scope, rule in accepted
    )


def _line(path: str, finding: Finding) -> str:
    from vllm_constructs.formats.report import field_name
    from vllm_constructs.reading.spelling import as_fields

    place = f"{path}: {finding.manifest.title}, {field_name(finding.path)}"
    return f"{finding.level} {finding.rule.id} {place}: {finding.problem.sentence(as_fields)}"
