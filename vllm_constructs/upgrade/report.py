"""Report: an upgrade as text for people, or for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from vllm_constructs.reading.manifest import Manifest

from .changes import Change
from .compared import Refusal
from .gone import PRUNED
from .gpus import Gpus
from .rollout import Rollout
from .upgrade import Upgrade
from .wording import sentence

VERSION = 1
"""Version of the format for programs; it grows when a field changes its meaning."""
_MOST = 8
"""Changes of one object that are told one by one."""


def text(upgrade: Upgrade) -> str:
    """An upgrade as text.

    Args:
        upgrade: The upgrade.
    """
    blocks = [
        _block("refused", _refusals(upgrade.refused)),
        _block("may be refused", _refusals(upgrade.doubtful)),
        _block("pods", _rollouts(upgrade)),
        _block("GPUs of all that changes", _all_gpus(upgrade)),
        _block("lost requests", _losses(upgrade)),
        _block("disappears", _gone(upgrade)),
        _block("appears", [f"  {one.title}" for one in upgrade.appeared]),
        _block("changes", _plain(upgrade)),
    ]
    return "\n\n".join([*(block for block in blocks if block), summary(upgrade)])


def summary(upgrade: Upgrade) -> str:
    """The last lines: how much of what there is.

    Args:
        upgrade: The upgrade.
    """
    counts = (
        (len({one.manifest.number for one in upgrade.refused}), "refused"),
        (len({one.manifest.number for one in upgrade.doubtful}), "may be refused"),
        (sum(one.is_rolling for one in upgrade.rollouts), "roll"),
        (sum(not one.is_rolling for one in upgrade.rollouts), "scale or wait"),
        (len(upgrade.gone), "disappear"),
        (len(upgrade.appeared), "appear"),
        (len(upgrade.plain), "change"),
    )
    found = [f"{count} {what}" for count, what in counts if count]
    lines = [f"Objects: {', '.join(found)}." if found else "Nothing changes."]
    if upgrade.refused:
        lines.append("kubectl applies the other objects nevertheless.")
    if upgrade.unnamed:
        objects = "object" if upgrade.unnamed == 1 else "objects"
        lines.append(f"Not compared: {upgrade.unnamed} {objects} without a kind or name.")
    return "\n".join(lines)


def as_dict(upgrade: Upgrade) -> dict[str, Any]:
    """An upgrade in JSON's own types.

    Args:
        upgrade: The upgrade.
    """
    return {
        "version": VERSION,
        "refused": [_refusal(one) for one in upgrade.refused],
        "doubtful": [_refusal(one) for one in upgrade.doubtful],
        "rollouts": [_rollout(one) for one in upgrade.rollouts],
        "lost": [{**_identity(one.manifest), "reason": one.text} for one in upgrade.losses],
        "gone": [
            {**_identity(one.manifest), "losses": list(one.losses), "gpus": _counts(one.gpus)}
            for one in upgrade.gone
        ],
        "new": [_identity(one) for one in upgrade.appeared],
        "changed": [
            {
                **_identity(one.new),
                "changes": [_change(change, one.new) for change in changes],
                "notes": upgrade.notes.get(one.new.number, []),
            }
            for one, changes in upgrade.plain
        ],
        "gpus": _counts(upgrade.gpus),
        "not_compared": upgrade.unnamed,
    }


def _block(title: str, lines: Iterable[str]) -> str:
    found = list(lines)
    return "\n".join([f"{title}:", *found]) if found else ""


def _refusals(refusals: Iterable[Refusal]) -> Iterator[str]:
    for _, group in groupby(refusals, key=lambda one: one.manifest.number):
        found = list(group)
        yield f"  {found[0].manifest.title}"
        for refusal in found:
            yield f"    {_sentence(refusal.change, refusal.manifest)}"
        told = dict.fromkeys((one.reason, one.unless, one.by, one.advice) for one in found)
        for reason, unless, by, advice in told:
            doubt = f"unless {unless}, " if unless else ""
            yield f"    {doubt}refused by the {by}: {reason}; {advice}"


def _rollouts(upgrade: Upgrade) -> Iterator[str]:
    for one in upgrade.rollouts:
        yield f"  {one.manifest.title}: {how(one)}"
        for change in one.reasons[:_MOST]:
            yield f"    {_sentence(change, one.manifest)}"
        if len(one.reasons) > _MOST:
            yield f"    and {len(one.reasons) - _MOST} more changes of its pods"
        if one.note:
            yield f"    {one.note}"
        label = "GPUs at most" if one.is_most else "GPUs"
        yield from (f"    {label}: {_gpus(kind, gpus)}" for kind, gpus in one.gpus.items())


def _all_gpus(upgrade: Upgrade) -> Iterator[str]:
    """The sums, unless they are those of one workload."""
    if [upgrade.gpus] != [dict(one.gpus) for one in upgrade.rollouts if one.gpus]:
        yield from (f"  {_gpus(kind, gpus)}" for kind, gpus in upgrade.gpus.items())


def how(one: Rollout) -> str:
    """How the pods of a workload are replaced, in a few words.

    Args:
        one: The workload.
    """
    unit, strategy = one.unit, one.strategy
    number = f"its {unit}s"
    if one.before is not None and one.after is not None:
        most = "at most " if one.is_most else ""
        number = f"{most}{one.before} {unit}{'' if one.before == 1 else 's'}"
        number += f", {one.after} after" if one.after != one.before else ""
    if not one.reasons:
        return number
    if strategy is None:
        return f"rolls its {unit}s, as its operator does"
    if strategy.held:
        return f"does not roll now, as {strategy.held}"
    parts = [f"{strategy.surge} more at a time"] if strategy.surge else []
    parts += [f"{strategy.unavailable} fewer at a time"] if strategy.unavailable else []
    if strategy.name == "Recreate":
        parts = ["all stop before a new one starts"]
    return f"rolls {number} ({strategy.name}{': ' if parts else ''}{', '.join(parts)})"


def _gpus(kind: str, gpus: Gpus) -> str:
    more = gpus.peak - max(gpus.before, gpus.after)
    needed = gpus.peak - gpus.before
    free = f", so {needed} more {'has' if needed == 1 else 'have'} to be free" if needed else ""
    way = f"{gpus.peak} on the way, " if more else ""
    return f"{gpus.before} x {kind} now, {way}{gpus.after} after{free}"


def _losses(upgrade: Upgrade) -> Iterator[str]:
    for _, group in groupby(upgrade.losses, key=lambda one: one.manifest.number):
        found = list(group)
        yield f"  {found[0].manifest.title}"
        yield from (f"    {one.text}" for one in found)


def _gone(upgrade: Upgrade) -> Iterator[str]:
    for one in upgrade.gone:
        yield f"  {one.manifest.title}"
        yield from (f"    {loss}" for loss in one.losses)
    if upgrade.gone:
        yield f"  {PRUNED}."


def _plain(upgrade: Upgrade) -> Iterator[str]:
    for one, changes in upgrade.plain:
        yield f"  {one.new.title}"
        for change in changes[:_MOST]:
            yield f"    {_sentence(change, one.new)}"
        if len(changes) > _MOST:
            yield f"    and {len(changes) - _MOST} more"
        yield from (f"    {note}" for note in upgrade.notes.get(one.new.number, ()))


def _sentence(change: Change, manifest: Manifest) -> str:
    is_secret = manifest.kind == "Secret" and change.path[:1] == ("data",)
    return sentence(change, is_secret=is_secret)


def _identity(manifest: Manifest) -> dict[str, Any]:
    return {
        "object": {
            "apiVersion": manifest.api_version,
            "kind": manifest.kind,
            "namespace": manifest.namespace,
            "name": manifest.name,
        }
    }


def _change(change: Change, manifest: Manifest) -> dict[str, str]:
    return {"field": change.field, "message": _sentence(change, manifest)}


def _refusal(one: Refusal) -> dict[str, Any]:
    return {
        **_identity(one.manifest),
        **_change(one.change, one.manifest),
        "reason": one.reason,
        "unless": one.unless or None,
        "by": one.by,
        "advice": one.advice,
    }


def _rollout(one: Rollout) -> dict[str, Any]:
    strategy = one.strategy
    return {
        **_identity(one.manifest),
        "rolls": one.is_rolling,
        "strategy": None if strategy is None else strategy.name,
        "surge": None if strategy is None else strategy.surge,
        "unavailable": None if strategy is None else strategy.unavailable,
        "held": (strategy.held or None) if strategy is not None else None,
        "pods": {"before": one.before, "after": one.after, "at_most": one.is_most},
        "gpus": _counts(one.gpus),
        "changes": [_change(change, one.manifest) for change in one.reasons],
        "note": one.note or None,
    }


def _counts(gpus: Mapping[str, Gpus]) -> dict[str, dict[str, int]]:
    return {
        kind: {"before": one.before, "peak": one.peak, "after": one.after}
        for kind, one in gpus.items()
    }
