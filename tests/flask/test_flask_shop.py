"""The example shop in Flask, started as a program, on every adapter by configuration alone, also in a real browser."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import browsers
from browsers import driver  # noqa: F401  # a fixture
from selenium.webdriver.common.keys import Keys
from shop_urls import memcached_server, redis_server, store_url  # noqa: F401  # fixtures

SHOP = Path(__file__).resolve().parents[2] / "examples" / "flask_shop"
COMMAND = [sys.executable, "-W", "error", "-m", "flask_shop"]


def environment(url):
    """Return the environment of a shop that is configured by one variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SESSIONBAG_", "SHOP_"))}
    return {**kept, "SHOP_SESSIONBAG_URL": url}


@contextmanager
def opened(url):
    """Open the shop, and give its address."""
    with subprocess.Popen(COMMAND, cwd=SHOP, env=environment(url), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_a_customer_fills_a_cart_logs_in_and_out_in_a_browser(store_url, driver):  # noqa: F811  # the fixture
    """The console stays empty, and the id that the browser keeps changes at the login."""
    with opened(store_url) as address:
        driver.delete_all_cookies()
        visitor = browsers.Visitor(driver, address)
        visitor.open()
        visitor.open()
        assert visitor.seen("h1, #visits") == ["Paper, four ways", "2"]

        visitor.click("Add to cart: Graph pad")
        visitor.click("One more: Graph pad")
        assert visitor.seen("tbody th, output, #total") == ["Graph pad", "2", "€9.60"]
        before = driver.get_cookie("session")

        visitor.click("Log in")
        visitor.type("Name", "ada")
        visitor.type("Password", "lovelace" + Keys.ENTER)
        assert visitor.seen("nav > *") == ["Your cart 2", "My session", "Log out Ada"]
        after = driver.get_cookie("session")
        assert before["value"] != after["value"]
        assert (after["httpOnly"], after["sameSite"], after["secure"]) == (True, "Lax", False)

        visitor.click("My session")
        assert visitor.seen("td")[0] == "Ada"

        visitor.click("Log out Ada")
        assert visitor.seen("nav > *, #visits") == ["Your cart", "My session", "Log in", "1"]
        assert driver.get_cookie("session")["value"] not in {before["value"], after["value"]}


def test_once_finds_everything_in_order(store_url):  # noqa: F811  # the fixture
    """The same visit as to the shop without Flask, with the same expectations, on every adapter."""
    done = subprocess.run(
        [*COMMAND, "--once", "--url", store_url],
        check=False,
        cwd=SHOP,
        env=environment(store_url),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Everything went well.\n")
    assert " NO\n" not in done.stdout


def test_a_wrong_configuration_is_told_in_one_line():
    """Before anything is served, with the setting's name."""
    done = subprocess.run(
        COMMAND, check=False, cwd=SHOP, env=environment("nosuch://"), capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 2
    assert done.stderr.startswith("The shop cannot open: SESSIONBAG_URL: ")
    assert "Traceback" not in done.stderr
