"""Leftovers: defaults that stay as what they belong to changes, and that are refused with it.

An apply removes only what was applied before, and nobody has applied a default.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import pods_of

from .changes import Change
from .compared import Compared, Refusal
from .live import is_bare

SERVER_SIDE = "it is applied client-side, without --server-side"
WRITTEN = "rollingUpdate was written out before, so that it goes"


def leftovers(one: Compared) -> Iterator[Refusal]:
    """What is refused of a workload for the defaults that stay.

    Args:
        one: The workload before and after.
    """
    for kind, field, name in _STRATEGIES:
        strategy = mapping(one.after, "spec", field)
        if one.kind == kind and strategy.get("type") == name and "rollingUpdate" in strategy:
            unless = SERVER_SIDE if field == "strategy" else ""
            if not unless and is_bare(one.old):
                unless = WRITTEN
            for change in one.changed("spec", field, "type"):
                yield _refused(
                    one,
                    change,
                    f"spec.{field}.rollingUpdate stays with its defaults, and {name} allows none",
                    f"apply it once with rollingUpdate written out, and then with {name}",
                    unless,
                )
    for pod in pods_of(Manifest(one.after)):
        for volume in map(mapping, items(pod.spec.get("volumes"))):
            sources = set(volume) - {"name"}
            path = (*map(str, pod.path), "volumes", f"[{volume.get('name')}]")
            if len(sources) > 1 and "emptyDir" in sources:
                for change in one.changed(*path):
                    yield _refused(
                        one,
                        change,
                        "emptyDir stays, which it has by default, and a volume may have one source",
                        "give the volume another name",
                        SERVER_SIDE,
                    )


# By kind and field, the strategy that allows no numbers.
_STRATEGIES = (
    (("apps", "Deployment"), "strategy", "Recreate"),
    (("apps", "StatefulSet"), "updateStrategy", "OnDelete"),
)


def _refused(one: Compared, change: Change, reason: str, advice: str, unless: str) -> Refusal:
    return Refusal(manifest=one.new, change=change, reason=reason, advice=advice, unless=unless)
