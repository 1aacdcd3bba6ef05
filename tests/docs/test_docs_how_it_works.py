"""The guide page "How it works": its drawings show what is there."""

import importlib.util
import re
from pathlib import Path

import pytest
from sessionbag import SessionHandler

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
DRAWINGS = sorted((DOCS / "drawings").glob("*.svg"))


def test_every_drawing_is_on_the_page():
    """None is left over, and each moves sideways where a screen is narrow."""
    shown = re.findall(r'<div class="drawing">\n\n```\{raw\} html\n:file: drawings/(\S+)\n```\n\n</div>', PAGE)

    assert sorted(shown) == [drawing.name for drawing in DRAWINGS]


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.stem)
def test_a_drawing_has_the_colours_of_its_page(drawing):
    """It has none of its own, so that it can be seen in the dark, and is told in words to whoever cannot see it."""
    text = drawing.read_text(encoding="utf-8")

    assert set(re.findall(r'(?:fill|stroke)="([^"]+)"', text)) <= {"none", "currentColor"}
    assert re.search(r'<svg [^>]*role="img" aria-label="[^"]{10,}"', text)


def test_every_room_of_the_drawing_is_a_module():
    """Whoever looks for it in the code finds it under that name."""
    text = (DOCS / "drawings" / "rooms.svg").read_text(encoding="utf-8")
    rooms = {
        room
        for names in re.findall(r'font-weight="600">([^<]+)<', text)
        for room in re.split(r", | · ", names)
        if room != "the command line"
    }

    assert {"lifecycle", "handler", "merge"} <= rooms
    assert [room for room in sorted(rooms) if importlib.util.find_spec(f"sessionbag.{room}") is None] == []


def test_a_store_is_reached_through_six_methods():
    """As the page says."""
    methods = [name for name, member in vars(SessionHandler).items() if callable(member) and not name.startswith("_")]

    assert "through six methods" in PAGE
    assert sorted(methods) == ["close", "destroy", "gc", "open", "read", "write"]
