"""One Chromium for all tests of the page, and runs that are served for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viewer import viewing

from . import runs
from .driver import Driver

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; `apt-get install chromium` brings one")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a run in whose frames a disc marks the left knee."""
    with viewing(runs.marked(tmp_path_factory.mktemp("marked"))) as client:
        yield client.address


@pytest.fixture(scope="session")
def walking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three people, to be copied."""
    return runs.walking(tmp_path_factory.mktemp("walking"))


@pytest.fixture
def driver(browser: object) -> Iterator[Driver]:
    """A page; after the test, the console must be clean and no request gone elsewhere."""
    with Driver.opened(browser) as driver:
        yield driver
        driver.check()
