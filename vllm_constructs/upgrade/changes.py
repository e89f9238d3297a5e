"""Changes: what differs between two versions of an object, field by field.

Items of a list that have names are compared by their names; words, such as arguments, by their
sequence. Values that the API server takes for equal are equal: `1Gi` and `1024Mi`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube import quantity

Steps: TypeAlias = "tuple[str, ...]"
"""What leads to a field: keys, and items in brackets such as `[vllm]` or `[0]`."""


class Absent:
    """Stands for a field that is not there."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A field that differs.

    Args:
        path: What leads to it.
        old: Its value before; `Absent` if it is added.
        new: Its value after; `Absent` if it is removed.
    """

    path: Steps
    old: Any
    new: Any

    @property
    def field(self) -> str:
        """The field, as people write it: `spec.template.spec.containers[vllm].image`."""
        return field_name(self.path)

    def starts_with(self, *path: str) -> bool:
        """Whether the field is the one at a path, or in it.

        Args:
            *path: What leads to it.
        """
        return self.path[: len(path)] == path


class Order(tuple[Any, ...]):
    """The items of a list of which only the order differs."""

    __slots__ = ()


class Words(tuple[Any, ...]):
    """The words of a list that differ, with the flags that they belong to."""

    __slots__ = ()


# The field that names the items of a list, the first one that all items have and that differs.
_NAMES = ("name", "mountPath", "containerPort", "port", "key", "topologyKey", "id", "type", "kind")
# Where amounts are.
_AMOUNTS = {"capacity", "default", "defaultRequest", "hard", "limits", "max", "min", "requests"}
_AMOUNT_FIELDS = {"averageValue", "divisor", "sizeLimit", "storage"}
WIDEST = 70
"""Characters of a text that is compared as a whole."""
_LONGEST = 400
"""Words of a list that are compared one by one."""


def field_name(path: Sequence[str]) -> str:
    """A path as people write it, with keys that have dots in brackets.

    Args:
        path: What leads to the field.
    """
    text = ""
    for step in path:
        if step.startswith("["):
            text += step
        elif not re.fullmatch(r"[\w-]+", step):
            text += f"[{step!r}]"
        else:
            text += f".{step}" if text else step
    return text


def changes(old: object, new: object, path: Steps = ()) -> list[Change]:
    """What differs between two values.

    Args:
        old: The value before.
        new: The value after.
        path: What leads to them. Default: nothing.
    """
    return list(_changes(old, new, path))


def is_same(old: object, new: object, path: Steps = ()) -> bool:
    """Whether the API server takes two values for equal.

    Args:
        old: The value before.
        new: The value after.
        path: What leads to them. Default: nothing.
    """
    return next(_changes(old, new, path), None) is None


def names_of(*lists: Sequence[Any], keys: Sequence[str] | None = None) -> list[list[str]] | None:
    """The names of the items of lists; None if the items have none by which they differ.

    Args:
        *lists: The lists.
        keys: The fields that may have the names. Default: those that usually do.
    """
    every = [item for one in lists for item in one]
    if not every or not all(isinstance(item, dict) for item in every):
        return None
    for field in _NAMES if keys is None else keys:
        found = [[_name(item, field) for item in one] for one in lists]
        if all(all(one) and len(set(one)) == len(one) for one in found):
            return found
    return None


def _name(item: Mapping[str, Any], field: str) -> str:
    value = item.get(field)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        return ""
    # One port may be open for two protocols.
    more = f"/{item['protocol']}" if field.endswith("ort") and item.get("protocol") == "UDP" else ""
    return f"{value}{more}"


def _changes(old: object, new: object, path: Steps) -> Iterator[Change]:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _changes(old.get(key, Absent), new.get(key, Absent), (*path, str(key)))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path)
    elif not _is_equal(old, new) and not _is_same_amount(old, new, path):
        yield Change(path=path, old=old, new=new)


def _is_equal(old: object, new: object) -> bool:
    # Not a number is equal to nothing, even in the same manifest.
    is_bool = isinstance(old, bool), isinstance(new, bool)
    return is_bool[0] == is_bool[1] and (old == new or (old != old and new != new))  # noqa: PLR0124


def _is_same_amount(old: object, new: object, path: Steps) -> bool:
    is_amount = path[-1:] and (path[-1] in _AMOUNT_FIELDS or path[-2:] == ("target", "value"))
    if not (is_amount or (path[-2:-1] and path[-2] in _AMOUNTS)):
        return False
    if any(isinstance(one, bool) or not isinstance(one, (str, int, float)) for one in (old, new)):
        return False
    amounts = [quantity.parse(str(one)) for one in (old, new)]
    return amounts[0] is not None and amounts[0] == amounts[1]


def _of_lists(old: list[Any], new: list[Any], path: Steps) -> Iterator[Change]:
    names = names_of(old, new)
    if names is not None:
        yield from _of_named(old, new, names, path)
    elif any(isinstance(one, (dict, list)) for one in (*old, *new)):
        for i in range(max(len(old), len(new))):
            before = old[i] if i < len(old) else Absent
            after = new[i] if i < len(new) else Absent
            yield from _changes(before, after, (*path, f"[{i}]"))
    else:
        yield from _of_words(old, new, path)


def _of_named(
    old: list[Any], new: list[Any], names: list[list[str]], path: Steps
) -> Iterator[Change]:
    before = dict(zip(names[0], old, strict=True))
    after = dict(zip(names[1], new, strict=True))
    for name in dict.fromkeys((*before, *after)):
        step = (*path, f"[{name}]")
        yield from _changes(before.get(name, Absent), after.get(name, Absent), step)
    orders = [[name for name in one if name in before and name in after] for one in names]
    if orders[0] != orders[1]:
        yield Change(path=path, old=Order(orders[0]), new=Order(orders[1]))


def _of_words(old: list[Any], new: list[Any], path: Steps) -> Iterator[Change]:
    if sorted(map(repr, old)) == sorted(map(repr, new)):
        if any(not _is_equal(*both) for both in zip(old, new, strict=True)):
            yield Change(path=path, old=Order(old), new=Order(new))
        return
    if max(len(old), len(new)) > _LONGEST:
        yield Change(path=path, old=Words(old), new=Words(new))
        return
    before, after = list(map(repr, old)), list(map(repr, new))
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "replace" and j - i == m - k == 1 and _is_long(old[i], new[k]):
            yield Change(path=(*path, f"[{k}]"), old=old[i], new=new[k])
        elif tag != "equal":
            words = [_words(old, i, j) or Absent, _words(new, k, m) or Absent]
            yield Change(path=path, old=words[0], new=words[1])


def _is_long(old: object, new: object) -> bool:
    """Whether a word of a list is a script, of which only a part differs."""
    both = isinstance(old, str) and isinstance(new, str)
    return both and any("\n" in str(one) or len(str(one)) > WIDEST for one in (old, new))


def _words(words: list[Any], start: int, end: int) -> Words:
    """Words of a list, with the flag before them if they are its value."""
    flag = words[start - 1] if 0 < start < end else None
    is_value = isinstance(flag, str) and flag.startswith("--") and "=" not in flag
    is_value = is_value and not str(words[start]).startswith("-")
    return Words(words[start - is_value : end])
