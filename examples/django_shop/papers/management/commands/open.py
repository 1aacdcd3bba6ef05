"""``python manage.py open``: prepare the shop's database, with two people in it, and serve it with waitress."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import waitress
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import BaseCommand, call_command
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from argparse import ArgumentParser

PEOPLE = {"ada": ("lovelace", True), "grace": ("hopper", False)}
"""Names and passwords, for a demonstration, and who may use the admin."""


class Command(BaseCommand):
    """Opens the shop."""

    help = "Prepares the database, with two people in it, and serves the shop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, default=0, help="the port to listen at (a free one)")

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002  # as Django calls it
        """Serve until the process is interrupted."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        call_command("check", fail_level="WARNING")
        call_command("migrate", verbosity=0)
        people = get_user_model().objects
        for name, (password, is_admin) in PEOPLE.items():
            if not people.filter(username=name).exists():
                people.create_user(name, password=password, is_staff=is_admin, is_superuser=is_admin)
        listening = socket.create_server(("127.0.0.1", int(str(options["port"]))))
        self.stdout.write(f"The shop is open at http://127.0.0.1:{listening.getsockname()[1]}/ (Ctrl-C closes it)")
        self.stdout.flush()
        with suppress(KeyboardInterrupt):
            waitress.serve(StaticFilesHandler(get_wsgi_application()), sockets=[listening], threads=8)
