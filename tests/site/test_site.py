"""The documentation in a browser, as a folder of files: `make docs` has built it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from .browser import ROOT
from .checks import broken, contrasts, overflows, pictures

SITE = ROOT / "build" / "site"
PICTURES = ROOT / "build" / "pictures"
# Servers show 404.html for addresses of any depth, so its links begin at their root.
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
PAGES = [name for name in PAGES if name != "404.html"]
WHOLE = ("index.html", "container.html", "decisions/index.html", "rules/R01.html")
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
Scheme = Literal["light", "dark"]
SCHEMES: dict[Scheme, str] = {"light": "default", "dark": "slate"}
"""What a reader may prefer, and the theme's name for it."""


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may load nothing from another host, and that reports no error."""
    with watched(context.new_page()) as made:
        yield made


@contextmanager
def watched(page: Page) -> Iterator[Page]:
    """Fail where a page loads something of another host, or reports an error."""
    wrong: list[str] = []
    page.on("request", lambda one: wrong.extend([one.url] * (not one.url.startswith("file:"))))
    page.on("requestfailed", lambda one: wrong.append(one.url))
    page.on("console", lambda one: wrong.extend([one.text] * (one.type == "error")))
    page.on("pageerror", lambda one: wrong.append(str(one)))
    yield page
    page.close()
    assert [] == wrong


def test_pages() -> None:
    """There is a page for each page of `docs/`."""
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert {path.with_suffix(".html").as_posix() for path in written} <= set(PAGES)


def test_links() -> None:
    """All links lead to a file and an anchor that are there."""
    assert [] == [line for line in broken(SITE) if not line.startswith("404.html: /")]


@pytest.mark.parametrize("name", PAGES)
def test_page(page: Page, name: str) -> None:
    """Nothing is too wide for a desktop or a phone, pictures are shown, and text can be read."""
    page.set_viewport_size(DESKTOP)
    page.goto((SITE / name).as_uri())
    assert [] == pictures(page)
    for scheme, theirs in SCHEMES.items():
        # As the theme does for a reader of whom `test_scheme` tells; not to load the page twice.
        page.evaluate(f"document.body.dataset.mdColorScheme = '{theirs}'")
        # The frame, which takes longer than most texts, is the same on all pages.
        assert [] == contrasts(page, "body" if name in WHOLE else "article"), scheme
        for kind, size in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(size)
            page.screenshot(path=(PICTURES / f"{kind}-{scheme}" / name).with_suffix(".png"))
            assert [] == overflows(page), kind
        page.set_viewport_size(DESKTOP)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme(chromium: Browser, scheme: Scheme) -> None:
    """A page is dark for those who prefer that."""
    page = chromium.new_page(color_scheme=scheme)
    page.goto((SITE / "index.html").as_uri())
    assert page.evaluate("document.body.dataset.mdColorScheme") == SCHEMES[scheme]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.strip("rgba()").split(",")[:3])
    assert (brightness < 3 * 128) == (scheme == "dark")
    page.close()


def test_search(chromium: Browser) -> None:
    """The search finds pages though there is no server."""
    with watched(chromium.new_page(viewport=DESKTOP)) as page:
        page.goto((SITE / "index.html").as_uri())
        page.keyboard.press("Control+k")
        page.keyboard.type("stabilizationWindowSeconds")
        page.get_by_role("option").first.click()
        page.wait_for_url(lambda url: "index.html" not in url)
        expect(page.locator("article")).to_contain_text("stabilizationWindowSeconds")


BAD = """<!doctype html><html lang="en"><body style="margin: 0; background: #fff"><article>
<p style="color: #bbb">Pale.</p><div style="width: 2000px; overflow: hidden">Wide.</div>
<img src="none.png" alt=""><a href="other.html">Gone.</a><a href="#none">Gone, too.</a>
</article></body></html>"""


def test_checks(context: BrowserContext, tmp_path: Path) -> None:
    """The checks find what is wrong."""
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    page = context.new_page()
    page.set_viewport_size(PHONE)
    page.goto((tmp_path / "bad.html").as_uri())

    assert ["the page", "<div> Wide."] == overflows(page)
    (pale,) = contrasts(page)
    assert "insufficient color contrast" in pale
    assert [(tmp_path / "none.png").as_uri()] == pictures(page)
    assert [
        "bad.html: none.png: no such file",
        "bad.html: other.html: no such file",
        "bad.html: #none: no such anchor",
    ] == list(broken(tmp_path))
    page.close()
