"""The example shop in Django, opened as its README says, in a real browser: a customer, and somebody at the admin."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import browsers
import pytest
from browsers import driver  # noqa: F401  # a fixture
from selenium.webdriver.common.by import By
from shop_urls import memcached_server, redis_server, store_url  # noqa: F401  # fixtures

SHOP = Path(__file__).resolve().parents[2] / "examples" / "django_shop"


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


@pytest.fixture
def visitor(driver, store_url, tmp_path):  # noqa: F811  # the fixtures
    """Give a visitor of a shop that has just been opened, on every adapter."""
    with open_shop(store_url, tmp_path) as address:
        driver.delete_all_cookies()
        yield Visitor(driver, address)


class Visitor(browsers.Visitor):
    """Looks also at the admin."""

    def target(self, name):
        """Return the first thing of this name; the admin's style sheet writes some names in capitals."""
        clickable = self.found("a, button, input[type=submit]")
        return next(each for each in clickable if each.accessible_name.lower() == name.lower())

    def type(self, field, text):
        """Type into the field of this name, instead of what is in it."""
        found = self.driver.find_element(By.NAME, field)
        found.clear()
        found.send_keys(text)

    def log_in(self, name, password):
        self.type("username", name)
        self.type("password", password)
        with self.another_page():
            self.driver.find_element(By.NAME, "password").submit()

    def complaints(self):
        """Leave out the icon, which the shop does not have."""
        return [entry for entry in super().complaints() if "favicon" not in entry["message"]]

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
