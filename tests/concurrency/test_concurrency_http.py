"""The shop under gunicorn and its async twin under uvicorn, with several processes, on every store.

Parallel clients share a session; at the end the session holds what was acknowledged to them, and nothing else.
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from deployments import DEPLOYMENTS, deploy
from servers import HOST, Server, accepts, free_port, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
SUPPORT = Path(__file__).parents[1] / "support"
CLIENTS = 6
TIMES = 10 if os.environ.get("SESSIONBAG_SOAK") else 4
GUNICORN = ["gunicorn", "--threads", "4", "--log-level", "error"]
UVICORN = ["uvicorn", "--factory", "--log-level", "error", "--lifespan", "off"]
LOGGED_IN = "<td>Ada</td>"
SHARED = [name for name in DEPLOYMENTS if name != "memory"]
SITES = {
    "gunicorn-4": ([*GUNICORN, "--workers", "4", "shop_site:wsgi()", "--bind", f"{HOST}:PORT"], SHARED),
    "uvicorn-2": ([*UVICORN, "--workers", "2", "shop_site:asgi", "--host", HOST, "--port", "PORT"], SHARED),
    "gunicorn-threads": ([*GUNICORN, "--workers", "1", "shop_site:wsgi()", "--bind", f"{HOST}:PORT"], ["memory"]),
    "uvicorn-1": ([*UVICORN, "--workers", "1", "shop_site:asgi", "--host", HOST, "--port", "PORT"], ["memory"]),
}


class Site(Server):
    """The shop in a server with several processes, which end with it."""

    def __init__(self, folder, command, stores):
        self.port = free_port()
        super().__init__([sys.executable, "-m", *command], folder, lambda: accepts(self.port))
        self.command[:] = [part.replace("PORT", str(self.port)) for part in self.command]
        self.gates = folder / "gates"
        self.gates.mkdir(parents=True)
        path = os.pathsep.join(map(str, (SUPPORT, EXAMPLES / "shop", EXAMPLES / "async_shop")))
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "STORES": json.dumps(stores),
            "GATES": str(self.gates),
        }

    def __exit__(self, kind, error, trace):
        """Ask the first process to end, because it ends the others."""
        self.stop()


@pytest.fixture(scope="module")
def shop_client():
    """Give the client of the example."""
    sys.path.insert(0, str(EXAMPLES / "shop"))
    try:
        from shop.client import Client  # noqa: PLC0415  # the example is no package that is installed
        from shop.server import Address  # noqa: PLC0415
    finally:
        sys.path.remove(str(EXAMPLES / "shop"))
    return SimpleNamespace(Client=Client, Address=Address)


@pytest.fixture(scope="module")
def site_of(request, tmp_path_factory):
    """Start a server at its first use."""
    running = {}

    def start(name):
        if name not in running:
            command, names = SITES[name]
            folder = tmp_path_factory.mktemp(name)
            stores = {each: deploy(each, request, folder).config for each in names}
            running[name] = Site(folder, command, stores).start()
        return running[name]

    yield start
    for site in running.values():
        site.stop()


@pytest.fixture(params=[(name, store) for name, (_, stores) in SITES.items() for store in stores], ids="-".join)
def place(request, site_of):
    """Give each server with each store."""
    name, store = request.param
    return SimpleNamespace(site=site_of(name), store=store, name="-".join(request.param))


@pytest.fixture
def visitor(place, shop_client):
    """Give a visitor who saw the first page."""

    class Visitor(shop_client.Client):
        def _ask(self, method, path, body=None):
            return super()._ask(method, f"/{place.store}{path}", body)

    visitor = Visitor(shop_client.Address(HOST, place.site.port))
    assert visitor.get("/").of("visits") == "1"
    return visitor


@pytest.fixture
def slow(place):
    """Send a slow request of a visitor; returns what lets it go on and gives the answer."""
    with ThreadPoolExecutor(8) as threads:
        gates = []

        def send(visitor):
            gate = place.site.gates / f"gate{len(gates)}-{threading.get_ident()}"
            gates.append(gate)
            answer = threads.submit(visitor.copy().get, f"/slow/{gate.name}")
            wait_until(gate.exists, "the slow request")

            def go_on():
                gate.unlink()
                return answer.result()

            return go_on

        yield send
        for gate in gates:
            gate.unlink(missing_ok=True)


def hammer(visitor):
    """Let clients with the visitor's cookie add to the cart and visit the shop at once; returns all answers."""
    with ThreadPoolExecutor(CLIENTS) as threads:
        return [
            answer for answers in threads.map(add_and_look, [visitor] * CLIENTS, range(CLIENTS)) for answer in answers
        ]


def add_and_look(visitor, number):
    client = visitor.copy()
    product = ["ruled", "grid", "dotted", "airmail"][number % 4]
    answers = []
    for _ in range(TIMES):
        answers += [("add", client.post("/cart", product=product, by=1)), ("visit", client.get("/"))]
    return answers


def count(answers, kind, status):
    return sum(1 for what, answer in answers if (what, answer.status) == (kind, status))


@pytest.mark.soak
def test_what_parallel_clients_were_told_is_there(place, visitor, record_property):
    """Every addition that was answered is in the cart, every visit is counted, and nobody got another cookie."""
    answers = hammer(visitor)

    quantities = sum(visitor.get("/cart").quantities().values())
    visits = int(visitor.get("/").of("visits")) - 1
    asked = CLIENTS * TIMES
    lost = asked - quantities + asked + 1 - visits
    record_property("figures", f"HTTP on {place.name}: {2 * asked} requests, lost {lost}")
    assert (count(answers, "add", 303), count(answers, "visit", 200)) == (asked, asked)
    assert (quantities, visits) == (asked, asked + 1)
    assert [answer.cookie for _, answer in answers if answer.cookie is not None] == []


@pytest.mark.soak
def test_a_login_among_parallel_clients_loses_nothing_and_keeps_its_cookie(place, visitor, slow):
    """What was answered before the login is in the session afterwards, and no slower answer replaces its cookie."""
    former = visitor.copy()
    before = count(hammer(visitor), "add", 303)
    go_on = slow(former)
    with ThreadPoolExecutor(1) as threads:
        racing = threads.submit(hammer, former)
        login = visitor.post("/login", name="ada", password="lovelace")
        raced = racing.result()
    late = go_on()

    assert login.status == 303
    assert login.cookie is not None
    assert (late.status, late.cookie) == (200, None)
    assert [answer.cookie for _, answer in raced if answer.cookie is not None] == []
    quantities = sum(visitor.get("/cart").quantities().values())
    assert before <= quantities <= before + count(raced, "add", 303)
    assert LOGGED_IN in visitor.get("/session").text
    assert former.get("/cart").quantities() == {}


@pytest.mark.soak
def test_a_logout_among_parallel_clients_ends_the_session(place, visitor, slow):
    """A request that had the session in its hands at the logout revives nothing and sets no cookie."""
    visitor.post("/cart", product="grid", by=3)
    visitor.post("/login", name="ada", password="lovelace")
    visitor.get("/")
    former = visitor.copy()
    go_on = slow(former)

    with ThreadPoolExecutor(1) as threads:
        racing = threads.submit(hammer, former)
        logout = visitor.post("/logout")
        raced = racing.result()
    late = go_on()

    assert logout.cookie["max-age"] == "0"
    assert late.cookie is None
    cookies = [answer.cookie.value for _, answer in raced if answer.cookie is not None]
    assert former.cookie.partition("=")[2] not in cookies
    again = former.copy()
    assert LOGGED_IN not in again.get("/session").text
    assert again.get("/cart").quantities() == {}
