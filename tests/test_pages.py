"""The pages that a script makes."""

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest

import vllm_constructs

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "tools"))
    MAKER: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "make_pages.py"))
    RECIPES: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "recipes.py"))


def test_packaged() -> None:
    """The pages of rules are those of the package, and no other."""
    made = {name for name in MAKER["PAGES"] if name.startswith("rules/")}
    assert {f"rules/{path.name}" for path in (ROOT / "docs" / "rules").iterdir()} == made


@pytest.mark.parametrize("name", MAKER["PAGES"])
def test_current(name: str) -> None:
    """A page is what `make pages` makes."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert MAKER["PAGES"][name]() == text, "run `make pages` and look at the change"


def test_symbols() -> None:
    """Every public name has a page with its reference."""
    text = (ROOT / "docs" / "symbols.md").read_text(encoding="utf-8")
    missing = [name for name in vllm_constructs.__all__ if f"[`{name}`](" not in text]
    assert [] == missing


def test_types() -> None:
    """A type that is no public class is explained, and links lead there."""
    place = "types.md#vllm_constructs.scaling.triggers.KedaTrigger"
    assert f"([`Sequence[KedaTrigger]`]({place}))" in _page("scaling.md")
    text = _page("types.md")
    triggers = text.partition("### KedaTrigger\n\n")[2].partition("\n\n")[0]
    assert "- [`CronFloor`](triggers.md#vllm_constructs.CronFloor)" in triggers.splitlines()
    assert "ObjectMetric" not in triggers
    assert "- [`HasClaim`](#vllm_constructs.workloads.storage.HasClaim)" in text
    inherited = text.partition("### StreamingPod\n\n")[2].partition("<a")[0]
    assert "- `model`: `str`" in inherited
    assert '`"Always"`, `"IfNotPresent"`, `"Never"`' in text


def _page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_keywords() -> None:
    """Every keyword of a class is in its reference; those of pods are in that of PodOptions."""
    texts = {
        found[2].rpartition(".")[2]: found[0]
        for path in (ROOT / "docs").rglob("*.md")
        for found in MAKER["MARK"].finditer(path.read_text(encoding="utf-8"))
    }
    of_pod = set(vllm_constructs.PodOptions.__annotations__)
    missing = []
    for name in vllm_constructs.__all__:
        public = getattr(vllm_constructs, name)
        if isinstance(public, type) and not issubclass(public, dict | Exception):
            every = inspect.signature(public).parameters.values()
            listed = {one.name for one in every if one.kind is not one.VAR_KEYWORD} - of_pod
            missing += [f"{name}.{one}" for one in listed if f"`{one}`" not in texts[name]]
    missing += [one for one in of_pod if f"**`{one}`**" not in texts["PodOptions"]]
    assert [] == missing


def test_quickstart() -> None:
    """The quickstart has the app of its example."""
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    app = (ROOT / "examples" / "quickstart" / "main.py").read_text(encoding="utf-8")
    assert f"```python\n{app.split(chr(34) * 3)[2].lstrip()}```" in page


@pytest.mark.parametrize("family", RECIPES["FAMILIES"], ids=lambda family: family.name)
def test_parser(family: Any) -> None:
    """A parser that no release has is an error of the script."""
    other = type(family)(name="a", models=family.models, tools="none_of_them")
    with pytest.raises(LookupError, match="none_of_them"):
        list(RECIPES["_parser_lines"](other))
