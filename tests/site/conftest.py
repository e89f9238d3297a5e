"""Fixtures of the tests that look at the documentation in a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from . import browser

HERE = Path(__file__).parent
NO_INDEX = 'var __index = {"config": {"lang": ["en"], "separator": " "}, "items": []}'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a plain word, where no browser was asked for or is there."""
    reason = "these start a browser: `make test-site` runs them"
    if os.environ.get("TEST_SITE") == "1":
        missing = browser.why_missing()
        if missing is None:
            return
        reason = missing
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window. Pages are ours, so it needs no sandbox."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=browser.unpacked(),
            args=["--no-sandbox", "--disable-gpu"],
            env=dict(browser.environment()),
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A reader who prefers that nothing moves: what fades in is pale while it does.

    The index of the search is empty, since a browser takes as long for it as for all the rest.
    """
    made = chromium.new_context(reduced_motion="reduce")
    made.route("**/search.js", lambda route: route.fulfill(body=NO_INDEX))
    yield made
    made.close()
