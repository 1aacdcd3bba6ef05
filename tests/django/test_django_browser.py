"""The example shop in Django, opened as its README says, in a real browser: a customer, and somebody at the admin."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from servers import program

SHOP = Path(__file__).resolve().parents[2] / "examples" / "django_shop"
CHROME_ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
FLAGS = (
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
PATIENCE = 30


@contextmanager
def open_shop(url, folder):
    """Open the shop on a store, and give its address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    with subprocess.Popen(
        [sys.executable, "manage.py", "open"],
        cwd=SHOP,
        env={**kept, "SESSIONBAG_URL": url, "SHOP_FOLDER": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Give a headless browser; the paths are given, so that selenium downloads nothing."""
    options = ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome", CHROME_ON_A_MAC)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = Chrome(options, ChromeService(program("chromedriver", "chromium.chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def visitor(driver, tmp_path):
    """Give a visitor of a shop that has just been opened."""
    with open_shop(f"stream://{tmp_path}/sessions", tmp_path) as address:
        driver.delete_all_cookies()
        yield Visitor(driver, address)


class Visitor:
    """Looks at pages, types and clicks."""

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address

    def open(self, path=""):
        self.driver.get(self.address + path)

    def click(self, name):
        """Click what a visitor knows by this name, and wait for the page it leads to."""
        page = self.page()
        clickable = self.driver.find_elements(By.CSS_SELECTOR, "a, button, input[type=submit]")
        # The admin's style sheet writes some names in capitals.
        next(each for each in clickable if each.accessible_name.lower() == name.lower()).click()
        self.wait_for_another(page)

    def type(self, field, text):
        found = self.driver.find_element(By.NAME, field)
        found.clear()
        found.send_keys(text)

    def wait_for_another(self, page):
        # While one page goes and the other comes the driver may find neither: not an error, but a moment to wait.
        patience = WebDriverWait(self.driver, PATIENCE, ignored_exceptions=[WebDriverException])
        patience.until(lambda _: self.page() not in {None, page})

    def log_in(self, name, password):
        self.type("username", name)
        self.type("password", password)
        page = self.page()
        self.driver.find_element(By.NAME, "password").submit()
        self.wait_for_another(page)

    def page(self):
        """Return when the page that is shown was asked for, which no other page has in common; None: not loaded yet."""
        return self.driver.execute_script("return document.readyState == 'complete' ? performance.timeOrigin : null")

    def seen(self, selector):
        return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]

    def key(self):
        return self.driver.get_cookie("sessionid")["value"]


def test_a_customer_fills_a_cart_logs_in_and_leaves_and_ada_works_at_the_admin(visitor):
    """The cart and its messages live in the session, the login changes its key, the logout ends it; the admin works."""
    visitor.open()
    visitor.open()
    assert visitor.seen("h1, #visits") == ["Paper, four ways", "2"]
    visitor.click("Add to cart: Graph pad")
    visitor.click("One more: Graph pad")
    assert visitor.seen("[role=status], output, #total, #pieces") == [
        "2",
        "Graph pad: 2 in your cart.",
        "2",
        "€9.60",
    ]
    before = visitor.key()
    visitor.click("Log in")
    visitor.log_in("grace", "hopper")
    assert visitor.key() != before
    visitor.click("My session")
    assert visitor.seen("#who, #visits, #pieces") == ["2", "grace", "3"]
    visitor.click("Log out grace")
    assert visitor.seen("#visits, #pieces") == ["1"]

    visitor.open("admin/")
    visitor.log_in("ada", "lovelace")
    visitor.open("admin/papers/product/add/")
    visitor.type("name", "Blank book")
    visitor.type("key", "blank")
    visitor.type("about", "Nothing but paper.")
    visitor.type("cents", "700")
    visitor.click("Save")
    assert visitor.seen(".messagelist .success") == ["The product “Blank book” was added successfully."]
    assert "Blank book" in visitor.seen("#result_list th")
    visitor.click("Log out")
    visitor.open("admin/")
    assert visitor.seen("#id_username") == [""]
    visitor.open()
    assert "Blank book" in visitor.seen("h2")
    assert [entry for entry in visitor.driver.get_log("browser") if "favicon" not in entry["message"]] == []
