"""A real browser for tests: headless Chromium, and a visitor who looks at pages, types and clicks.

The fixture `driver` serves all tests of a module, so it is imported by name.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from servers import PATIENCE, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
DRIVER: Final = ("chromedriver", "chromium.chromedriver")
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Give a headless browser; the paths are given, so that selenium downloads nothing."""
    options = ChromeOptions()
    options.binary_location = program(*CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = Chrome(options, ChromeService(program(*DRIVER)))
    yield driver
    driver.quit()


class Visitor:
    """Looks at pages, types and clicks. Each page that comes is looked over."""

    def __init__(self, driver: Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, path: str = "") -> None:
        self.driver.get(self.address + path)
        self.look_over()

    def back(self) -> None:
        with self.another_page():
            self.driver.back()

    def click(self, name: str) -> None:
        """Click what a visitor knows by this name, and wait for the page it leads to."""
        target = self.target(name)
        with self.another_page():
            target.click()

    def type(self, label: str, text: str) -> None:
        """Type into the field with this label; the Enter key at the text's end leads to another page."""
        field = self.driver.find_element(By.XPATH, f"//input[@id = //label[. = '{label}']/@for]")
        if not text.endswith(Keys.ENTER):
            field.send_keys(text)
            return
        with self.another_page():
            field.send_keys(text)

    def target(self, name: str) -> WebElement:
        """Return the one thing to click that a visitor knows by this name."""
        [target] = [each for each in self.found("main a, nav a, button") if each.accessible_name == name]
        return target

    def found(self, selector: str) -> list[WebElement]:
        """Return the elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def seen(self, selector: str) -> list[str]:
        """Return the texts of the visible elements."""
        return [each.text for each in self.found(selector) if each.is_displayed()]

    @contextmanager
    def another_page(self) -> Iterator[None]:
        """Wait for the page that the block leads to."""
        page = self._page()
        yield
        # While one page goes and the other comes the driver may find neither: not an error, but a moment to wait.
        patience = WebDriverWait(self.driver, PATIENCE, ignored_exceptions=[WebDriverException])
        patience.until(lambda _: self._page() not in {None, page})
        self.look_over()

    def look_over(self) -> None:
        """See that the browser has nothing to complain about."""
        assert self.complaints() == []

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the console shows."""
        return self.driver.get_log("browser")

    def _page(self) -> float | None:
        """Return when the page that is shown was asked for, which no other page has in common; None: not loaded yet."""
        return self.driver.execute_script("return document.readyState == 'complete' ? performance.timeOrigin : null")
