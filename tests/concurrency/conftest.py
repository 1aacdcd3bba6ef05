"""Stores, and workers on their sessions."""

import pytest
from deployments import DEPLOYMENTS, deploy
from redis_fixtures import redis_cluster, redis_server, sentinel_set  # noqa: F401  # fixtures
from sessionbag import ManagerFactory
from workforce import Workforce


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request, tmp_path):
    """Give each store in turn, with nothing in it."""
    return deploy(request.param, request, tmp_path)


@pytest.fixture
def factory(deployment):
    """Give a factory of sessions in that store."""
    with ManagerFactory.from_config(deployment.config) as made:
        yield made


@pytest.fixture
def begin(factory):
    """Give what stores a session and returns its id."""

    def begin():
        session = factory.new_instance()
        session.update(n=0, cart={})
        session.close()
        return session.cookie_change().session_id

    return begin


@pytest.fixture
def visit(begin):
    """Give the id of a stored session."""
    return begin()


@pytest.fixture(scope="session")
def pool():
    """Give the processes that wait for work."""
    waiting = []
    yield waiting
    for worker in waiting:
        worker.kill()


@pytest.fixture
def workforce(pool, deployment, factory, record_property):
    """Give workers on that store."""
    made = Workforce(pool, deployment, factory, record_property)
    yield made
    made.dismiss()
