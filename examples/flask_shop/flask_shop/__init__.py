"""The shop in Flask: ``python -m flask_shop`` starts it, and ``flask --app flask_shop run`` as well."""

import sys
from pathlib import Path

# All shops have the same goods and pages. Copy the folder `shop` beside this one to take this one elsewhere.
sys.path.append(str(Path(__file__).resolve().parents[2] / "shop"))

from flask_shop.app import create_app  # the pages have to be found first

__all__ = ["create_app"]
