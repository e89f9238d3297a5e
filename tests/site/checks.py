"""What is wrong with a page, as a browser shows it."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page

from .browser import PACKAGES

AXE = PACKAGES / "axe-core" / "axe.min.js"
_OVERFLOWS = """
() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      if (['auto', 'scroll'].includes(getComputedStyle(one).overflowX)) return true;
    }
    return false;
  };
  const found = document.documentElement.scrollWidth > width ? ['the page'] : [];
  for (const element of document.querySelectorAll('article *')) {
    const box = element.getBoundingClientRect();
    if (box.width > 0 && box.right > width + 1 && !scrolls(element)) {
      found.push(`<${element.localName}> ${element.textContent.trim().slice(0, 60)}`);
    }
  }
  return found.slice(0, 5);
}
"""
_CONTRAST = """
async (part) => {
  const options = { runOnly: ['color-contrast'], resultTypes: ['violations'] };
  const { violations } = await axe.run(part, options);
  return violations.flatMap((one) => one.nodes).slice(0, 5)
    .map((node) => `${node.target.join(' ')}: ${node.any[0].message}`);
}
"""
_PICTURES = """
() => [...document.images].filter((one) => !one.complete || !one.naturalWidth).map((one) => one.src)
"""


def overflows(page: Page) -> list[str]:
    """What is wider than the window, and cannot be scrolled by itself."""
    found: list[str] = page.evaluate(_OVERFLOWS)
    return found


def contrasts(page: Page, part: str = "body") -> list[str]:
    """Text that is hard to read on its background: WCAG 2's level AA, by axe-core.

    Args:
        page: The page.
        part: The element to look at.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_CONTRAST, part)
    return found


def pictures(page: Page) -> list[str]:
    """Pictures that are not shown."""
    found: list[str] = page.evaluate(_PICTURES)
    return found


class _Reader(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take them from the attributes of an element."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name in ("id", "name") and value is not None:
                self.anchors.add(value)


def broken(site: Path) -> Iterator[str]:
    """Links of a site to pages, files and anchors that are not there."""
    read: dict[Path, _Reader] = {}
    for path in sorted(site.rglob("*.html")):
        read[path] = _Reader()
        read[path].feed(path.read_text(encoding="utf-8"))
    for path, reader in read.items():
        for link in reader.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{path.relative_to(site)}: {link}: no such file"
            elif parts.fragment and target in read:
                known = read[target].anchors
                if unquote(parts.fragment) not in known | {"__consent", "__skip"}:
                    yield f"{path.relative_to(site)}: {link}: no such anchor"
