"""``python -m django_served wsgi|asgi PORT`` serves the Django site of the tests, with its sessions in files."""

from __future__ import annotations

import sys

import django_site  # noqa: F401  # it sets Django up
import uvicorn
import waitress
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

if __name__ == "__main__":
    kind, port = sys.argv[1:]
    if kind == "wsgi":
        waitress.serve(get_wsgi_application(), host="127.0.0.1", port=int(port), threads=8)
    else:
        uvicorn.run(get_asgi_application(), host="127.0.0.1", port=int(port), lifespan="off", log_level="warning")
