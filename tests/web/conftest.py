"""A browser for the tests of pages; a test file gives the fixture `url`, the address of a service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpers.browser import Tab, browser_tab, find_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = find_browser()
    if program is None:
        pytest.skip("needs Chromium or Chrome (on Debian: apt install chromium)")
    with browser_tab(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab, url: str) -> Iterator[Tab]:
    """The page, freshly opened; afterwards the browser must have had nothing to complain about."""
    browser.complaints.clear()
    browser.open(url)
    browser.until("document.querySelectorAll('#options label').length === 3")
    yield browser
    assert browser.complaints == []
