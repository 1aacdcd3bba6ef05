"""The example shop in Django on every adapter, by configuration alone."""

import secrets

import pytest
from django_shop import Customer, open_shop
from redis_fixtures import redis_server  # noqa: F401  # a fixture

STORES = {
    "memory": lambda request, folder: "memory://",
    "stream": lambda request, folder: f"stream://{folder}/sessions",
    "redis": lambda request, folder: f"redis://127.0.0.1:{request.getfixturevalue('redis_server').port}",
    "memcached": lambda request, folder: {
        "adapter": "memcached",
        "options": {
            "servers": request.getfixturevalue("memcached_server").address,
            "prefix": secrets.token_hex(8),
        },
    },
}
"""What SESSIONBAG is, a URL or a mapping."""


@pytest.mark.parametrize("adapter", STORES)
def test_a_customer_fills_a_cart_logs_in_and_leaves(adapter, request, tmp_path):
    """The same pages on each store: the cart stays through the login, and the logout ends it with both keys."""
    customer = Customer()
    with open_shop(customer, tmp_path, "sessionbag_django", STORES[adapter](request, tmp_path)):
        customer.ask("GET", "/")
        customer.ask("POST", "/cart/change", product="grid")
        customer.ask("POST", "/cart/change", product="ruled")
        before = dict(customer.cookies)
        customer.log_in()
        logged_in = dict(customer.cookies)
        assert customer.seen() == ("grace", {"ruled": "1", "grid": "1"})
        assert logged_in["sessionid"] != before["sessionid"]

        customer.ask("POST", "/logout")

        for cookies in (before, logged_in):
            customer.cookies = dict(cookies)
            assert customer.seen() == ("nobody", {})
