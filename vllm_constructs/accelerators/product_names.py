"""Products by the names that clouds, NVIDIA's tools and people give them.

A node label has one spelling, such as `NVIDIA-H100-80GB-HBM3`. Others write `nvidia-h100-80gb`
(GKE), `a10g` (Karpenter), `NVIDIA H100 80GB HBM3` (nvidia-smi) or `h100 sxm`. What such a name
says, the model, the memory and the form, selects the products that it can mean; a name that says
anything else means none of them, so that no name leads to another generation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache

from vllm_constructs.dataclass import dataclass

# Labels of GKE say less than they mean (Google Cloud, "About GPUs in GKE": machine types).
_CLOUD = {
    "nvidia-tesla-a100": "NVIDIA-A100-SXM4-40GB",
    "nvidia-a100-80gb": "NVIDIA-A100-SXM4-80GB",
    "nvidia-h100-80gb": "NVIDIA-H100-80GB-HBM3",
    "nvidia-h100-mega-80gb": "NVIDIA-H100-80GB-HBM3",
    "nvidia-h200-141gb": "NVIDIA-H200",
}
_BRANDS = ("nvidia", "tesla", "geforce", "quadro")
# `mega` is GKE's word for the server with its own network cards.
_NOISE = {*_BRANDS, "gpu", "ac", "tensor", "core", "graphics", "mega"}
_FORMS = {"sxm": "sxm", "hbm": "sxm", "pcie": "pcie", "pci": "pcie", "nvl": "nvl"}
_FORM = re.compile(r"(sxm|hbm|pcie|pci|nvl)[0-9]?e?")
_MEMORY = re.compile(r"([1-9][0-9]{1,2})g(?:b|ib)?")
# Two parts of a name in one word: `h100sxm`, `a10080gb`, `hbm380gb`.
_GLUED = re.compile(
    r"((?:rtx)?[a-z]{0,2}[0-9]{1,4}[a-z]?|(?:sxm|hbm)[0-9]|pcie|nvl|[1-9][0-9]{1,2}gb)"
    r"((?:sxm|hbm|pcie|nvl|[1-9][0-9]{1,2}gb).*)"
)
# What GPU feature discovery adds to the label of a shared or sliced GPU.
_SUFFIX = re.compile(r"-(shared|mig-[0-9a-z.+]+)$")
# Products whose names do not say that they are modules for servers.
_MODULES = ("b200", "b300", "gb200", "gb300", "gh200", "h20", "h200", "h800")


@dataclass(frozen=True)
class _Said:
    """What a name says: the model, and its memory in GB and form where it says them."""

    model: str
    memory: int | None
    form: str | None


@cache
def _said(name: str) -> _Said:
    model, memory, form = "", None, None
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    while words:
        word = words.pop(0)
        if word in _NOISE or (not model and get_close_matches(word, _BRANDS, 1, 0.8)):
            continue
        if match := _FORM.fullmatch(word):
            form = _FORMS[match[1]]
        elif match := _MEMORY.fullmatch(word):
            memory = int(match[1])
        elif match := _GLUED.fullmatch(word):
            words[:0] = match.groups()
        else:
            model += word
    return _Said(model, memory, form)


def products_of(name: str, products: Mapping[str, int]) -> list[str]:
    """The products that a name can mean, in the order of their names.

    Args:
        name: What somebody calls a GPU.
        products: The memory of each product in MiB.
    """
    # As a label it is in lower case; written by hand, it says no more than other names.
    if name in _CLOUD:
        return [_CLOUD[name]]
    given = _SUFFIX.sub("", name.strip().lower())
    own = [product for product in products if product.lower() == given]
    if own:
        return own
    said = _said(given)
    return sorted(
        product for product, memory in products.items() if _can_mean(said, product, memory)
    )


def _can_mean(said: _Said, product: str, mebibytes: int) -> bool:
    known = _said(product)
    form = known.form or ("sxm" if known.model in _MODULES else "pcie")
    # Memory is sold in GB or GiB, and drivers keep some of it.
    sizes = (mebibytes / 1000, mebibytes / 1000 * 1.048576)
    return (
        _is_model(said.model, known.model)
        and said.form in (None, form)
        and (
            said.memory in (None, known.memory) or any(abs(said.memory - one) <= 4 for one in sizes)
        )
    )


def _is_model(said: str, known: str) -> bool:
    """Whether a name says a model: as it is, with letters for 0 and 1, or without its family."""
    forms = {said, f"rtx{said}"}
    if known in forms or _alike(said) == _alike(known):
        return True
    # The workstation cards have long names, of which people write the beginning: `rtx6000ada`. An
    # RTX 6000 alone is one of an older generation.
    return any(len(one) >= 9 and known.startswith(one) for one in forms)


def _alike(name: str) -> str:
    return name.translate(str.maketrans("oil", "011"))


def either(names: Iterable[str]) -> str:
    """`did you mean 'A' or 'B'?`; empty without names."""
    quoted = [repr(name) for name in names]
    if not quoted:
        return ""
    return f"did you mean {', '.join(quoted[:-1])}{' or ' if quoted[1:] else ''}{quoted[-1]}?"
