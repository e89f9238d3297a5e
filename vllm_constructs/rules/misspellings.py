"""Names that are probably meant to be others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from vllm_constructs import require

_WORDS = re.compile(r"[^a-z0-9]+")
_SHORTEST = 4
_LONGEST = 80
# Each takes as many entries as it has letters.
_MOST = 10_000


class Names:
    """Names that there are, to find the one that another is probably meant to be."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_form: dict[str, list[str]] = defaultdict(list)
        for name in islice(dict.fromkeys(names), _MOST):
            for form in _forms(name):
                self._by_form[form].append(name)

    def near(self, name: str) -> str | None:
        """The name that this one is probably meant to be; None if there is none.

        It differs in case and separators only, or in one letter of a longer word. Another digit,
        or another short word, makes another name: `llama-7b` is none for `llama-8b`.

        Args:
            name: The name.
        """
        for form in _forms(name):
            for one in self._by_form.get(form, ()):
                if is_misspelt(name, one):
                    return one
        return None


def is_misspelt(name: str, other: str) -> bool:
    """Whether a name is probably meant to be another one; see `Names.near`.

    Args:
        name: The name.
        other: The other one.
    """
    words, others = _WORDS.split(name.lower()), _WORDS.split(other.lower())
    if name == other:
        return False
    if "".join(words) == "".join(others):
        return True
    return len(words) == len(others) and all(map(_is_near, words, others))


def _forms(name: str) -> Iterator[str]:
    """Strings of which names have one in common if they are one letter apart."""
    plain = _WORDS.sub("", name.lower())
    yield plain
    if len(plain) <= _LONGEST:
        for i in range(len(plain)):
            yield plain[:i] + plain[i + 1 :]


def _is_near(word: str, other: str) -> bool:
    if word == other:
        return True
    is_long = min(len(word), len(other)) >= _SHORTEST
    digits, more = (re.sub(r"[^0-9]", "", one) for one in (word, other))
    return is_long and digits == more and require.is_one_letter_off(word, other)
