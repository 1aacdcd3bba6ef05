"""Every link from one page of the repository to another leads to something that is there, and every other one could."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "core/*.md", "plugins/*/*.md", "examples/*/*.md")
    for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
UNSEEN = re.compile(r"^\[[^\]]+\]:|\]\([^)\s]+\s|\]\(<|<(?:https?|mailto):|<a\b|\]\[", re.MULTILINE)
"""Links in a form that `LINK` does not see."""

HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page):
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Return the anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page):
    """Return where a page's links lead that stay in the repository."""
    return [link for link in LINK.findall(prose(page)) if not urlsplit(link).scheme]


def links_outside(page):
    """Return where a page's links lead that do not."""
    return [link for link in LINK.findall(prose(page)) if urlsplit(link).scheme]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    """The file is there, and so is the heading."""
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_to_the_outside_are_addresses(page):
    """They are https, and name a host that can be one; whether it answers is not asked from here."""
    odd = []
    for link in links_outside(page):
        scheme, host, path, _, _ = urlsplit(link)
        if scheme != "https" or not HOST.fullmatch(host) or re.search(r"[^!-~]|//", path):
            odd.append(link)

    assert odd == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_links_of_one_form_only(page):
    """A link of another form would not be looked at here."""
    text = re.sub(r"`[^`]*`", "", prose(page))

    assert UNSEEN.findall(text) == []


def test_the_pages_are_linked_at_all():
    """The search finds links, on the first page of all for one, and to the outside."""
    assert "docs/start.md" in links(ROOT / "README.md")
    assert links_outside(ROOT / "docs" / "reference" / "django.md")


def test_every_page_of_the_guide_can_be_reached_from_its_first_one():
    """By a link in the text, and not in the list at the side alone; the reference has a first page of its own."""
    index = ROOT / "docs" / "index.md"
    seen, waiting = set(), [index]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]

    assert [page.name for page in sorted((ROOT / "docs").glob("**/*.md")) if page.resolve() not in seen] == []


def test_the_first_page_leads_to_every_how_to():
    """One step, and no search: each page beside the reference stands on the first one."""
    there = {link.partition("#")[0] for link in links(ROOT / "docs" / "index.md")}

    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= there
