"""A test client of Flask with cookies that can be given and looked at, whatever release of Werkzeug it is made of."""

from __future__ import annotations

from importlib.metadata import version

from flask.testing import FlaskClient

_OLD = version("werkzeug").startswith(("2.0", "2.1", "2.2"))


class Visitor(FlaskClient):
    """Somebody who visits an application."""

    def bring(self, value, name="session"):
        """Come with this cookie from now on."""
        if _OLD:
            self.set_cookie("localhost", name, value)
        else:
            self.set_cookie(name, value)

    def cookie(self, name="session"):
        """Return the value of a cookie, or None."""
        if _OLD:
            return next((each.value for each in self.cookie_jar if each.name == name), None)
        found = self.get_cookie(name)
        return None if found is None else found.value
