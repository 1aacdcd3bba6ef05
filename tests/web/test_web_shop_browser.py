"""The example shop in a real browser, as a visitor at a desk and one with a phone see it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import browsers
import pytest
from browsers import driver  # noqa: F401  # a fixture
from selenium.webdriver.common.keys import Keys

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
DESK = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True}

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


@pytest.fixture
def visitor(driver, address):  # noqa: F811  # the fixture
    """Give a visitor who has not been here yet."""
    driver.delete_all_cookies()
    return Visitor(driver, address)


class Visitor(browsers.Visitor):
    """Looks at the shop on a screen of some width."""

    screen = DESK

    def hold(self, screen):
        """Look at the shop on this screen from now on."""
        self.screen = screen
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def look_over(self):
        """See also that nothing hangs over the screen's edge."""
        assert self.driver.execute_script(TOO_WIDE, self.screen["width"]) == []
        super().look_over()


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
