"""A Django site on a store that can be interrupted and counts what it is asked."""

import django_site
import django_views
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from faults import Between


@pytest.fixture(scope="session", autouse=True)
def database():
    """Make the tables, with two people."""
    call_command("migrate", verbosity=0)
    for name, password in (("ada", "lovelace"), ("grace", "hopper")):
        get_user_model().objects.create_user(name, password=password)
    yield
    connections.close_all()
    django_site.FOLDER.cleanup()


@pytest.fixture
def store():
    """Give an empty store, which the site uses for one test."""
    store = Between()
    with override_settings(SESSIONBAG={"adapter": store}):
        yield store
    django_views.meanwhile.clear()


@pytest.fixture
def visitor(store):
    """Give a visitor of the site."""
    return django_site.Visitor()


@pytest.fixture
def our_middleware(store):
    """Put our middleware in the place of Django's."""
    with django_site.with_middleware(django_site.OURS):
        yield
