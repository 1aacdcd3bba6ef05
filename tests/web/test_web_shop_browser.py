"""The example shop in a real browser, as a visitor at a desk and one with a phone see it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
CHROME_ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", CHROME_ON_A_MAC)
DRIVER = ("chromedriver", "chromium.chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True}
PATIENCE = 30

TOO_WIDE = """
return [...document.querySelectorAll("body, body *")]
    .filter(each => each.getBoundingClientRect().right > arguments[0] + 0.5 || each.scrollWidth > arguments[0])
    .map(each => each.outerHTML.slice(0, 80))
"""

FAINT = """
const channels = color => color.match(/[\\d.]+/g).map(Number)
const light = ([red, green, blue]) => [red, green, blue].map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0)
const behind = element => {
    const color = channels(getComputedStyle(element).backgroundColor)
    return color[3] === 0 && element.parentElement ? behind(element.parentElement) : color
}
const contrast = element => {
    const lights = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a)
    return (lights[0] + 0.05) / (lights[1] + 0.05)
}
return [...document.querySelectorAll("body *")]
    .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .filter(each => contrast(each) < 4.5)
    .map(each => `${each.outerHTML.slice(0, 80)} ${contrast(each)}`)
"""
"""Text with less contrast than WCAG 2.2, 1.4.3, asks for."""


def program(names):
    """Return the path of a program, or fail with what to install."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            f"{names[0]} is not there, and this test drives a real browser. Install it with: "
            "apt-get install chromium chromium-driver (macOS: brew install --cask google-chrome chromedriver)"
        )
    return found


@pytest.fixture(scope="module")
def address():
    """Give the address of a shop that is open."""
    with subprocess.Popen(
        [sys.executable, "-m", "shop", "--url", "memory://"],
        cwd=SHOP,
        env={name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Give a headless browser; the paths are given, so that selenium downloads nothing."""
    options = ChromeOptions()
    options.binary_location = program(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = Chrome(options, ChromeService(program(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def visitor(driver, address):
    """Give a visitor who has not been here yet."""
    driver.delete_all_cookies()
    return Visitor(driver, address)


class Visitor:
    """Looks at pages and clicks. Each page that comes is looked over."""

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address
        self.screen = DESK

    def hold(self, screen):
        """Look at the shop on this screen from now on."""
        self.screen = screen
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def open(self, path=""):
        self.driver.get(self.address + path)
        self.look_over()

    def back(self):
        page = self.page()
        self.driver.back()
        self.wait_for_another(page)

    def click(self, name):
        """Click what a visitor knows by this name, and wait for the page it leads to."""
        page = self.page()
        clickable = self.driver.find_elements(By.CSS_SELECTOR, "main a, nav a, button")
        [target] = [each for each in clickable if each.accessible_name == name]
        target.click()
        self.wait_for_another(page)

    def type(self, label, text):
        """Type into the field with this label."""
        field = self.driver.find_element(By.XPATH, f"//input[@id = //label[. = '{label}']/@for]")
        page = self.page()
        field.send_keys(text)
        if text.endswith(Keys.ENTER):
            self.wait_for_another(page)

    def page(self):
        """Return when the page that is shown was asked for, which no other page has in common; None: not loaded yet."""
        return self.driver.execute_script("return document.readyState == 'complete' ? performance.timeOrigin : null")

    def wait_for_another(self, page):
        # While one page goes and the other comes the driver may find neither: not an error, but a moment to wait.
        patience = WebDriverWait(self.driver, PATIENCE, ignored_exceptions=[WebDriverException])
        patience.until(lambda _: self.page() not in {None, page})
        self.look_over()

    def look_over(self):
        """See that nothing hangs over the screen's edge, and that the browser has nothing to complain about."""
        assert self.driver.execute_script(TOO_WIDE, self.screen["width"]) == []
        assert self.driver.get_log("browser") == []

    def seen(self, selector):
        """Return the texts of the visible elements."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [each.text for each in found if each.is_displayed()]


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_a_visitor_fills_a_cart_logs_in_looks_at_the_session_and_leaves(screen, visitor):
    """Every page shows what it should, fits the screen and leaves the console empty."""
    visitor.hold(screen)

    visitor.open()
    assert visitor.seen("h1, #visits, #pieces") == ["Paper, four ways", "1"]
    visitor.open()
    assert visitor.seen("h1, #visits") == ["Paper, four ways", "2"]

    visitor.click("Add to cart: Graph pad")
    assert visitor.seen("h1, tbody th, output, #total, #pieces") == ["1", "Your cart", "Graph pad", "1", "€4.80"]
    visitor.click("One more: Graph pad")
    visitor.click("One more: Graph pad")
    visitor.click("One less: Graph pad")
    assert visitor.seen("tbody th, output, #total, #pieces") == ["2", "Graph pad", "2", "€9.60"]

    visitor.click("Look at more papers")
    visitor.click("Add to cart: Airmail envelopes")
    assert visitor.seen("tbody th, output, #total") == ["Graph pad", "2", "Airmail envelopes", "1", "€12.80"]
    visitor.click("Remove: Airmail envelopes")
    assert visitor.seen("tbody th, output, #total") == ["Graph pad", "2", "€9.60"]

    visitor.click("Log in")
    visitor.type("Name", "ada")
    visitor.type("Password", "lovelace" + Keys.ENTER)
    assert visitor.seen("nav > *") == ["Your cart 2", "My session", "Log out Ada"]

    visitor.click("My session")
    assert visitor.seen("td")[:5] == ["Ada", "4 times", *visitor.seen("td")[2:3], "in 1 hour", "in 24 hours"]
    assert re.fullmatch(r"just now|\d+ seconds? ago", visitor.seen("td")[2])

    visitor.click("Log out Ada")
    assert visitor.seen("nav > *, #visits") == ["Your cart", "My session", "Log in", "1"]
    visitor.back()
    assert visitor.seen("h1, td")[:2] == ["My session", "not logged in"]


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_in_dark(scheme, screen, visitor):
    """The contrast is at least 4.5 to 1 on every page, and the two schemes differ."""
    visitor.hold(screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    visitor.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    visitor.open()
    visitor.click("Add to cart: Ruled notebook")

    faint = {}
    for path in ("", "cart", "cart#ruled", "login", "session"):
        visitor.open(path)
        faint[path] = visitor.driver.execute_script(FAINT)
    ground = visitor.driver.execute_script("return getComputedStyle(document.body).backgroundColor")

    assert not any(faint.values()), faint
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 3 * 128) == (scheme == "dark")
