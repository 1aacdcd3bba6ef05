"""The guide as it was built, in a real browser: at a desk and on a phone, in the light and in the dark.

``python3 dev.py docs`` runs this when it has built the pages; it is no part of the other tests, which build none.
"""

import functools
import http.server
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from browsers import driver  # noqa: F401  # a fixture
from servers import HOST

BUILT = Path(__file__).resolve().parents[2] / "build" / "docs"
PAGES = [
    page.relative_to(BUILT).as_posix()
    for page in sorted(BUILT.rglob("*.html"))
    if "_static" not in page.parts and page.name != "search.html"
]
SCREENS = {"desk": (1280, 900), "phone": (375, 800)}
THEMES = ("light", "dark")

FACTS = """
const wide = document.documentElement.clientWidth;
function moves(element) {
  for (let each = element.parentElement; each.tagName !== 'ARTICLE'; each = each.parentElement) {
    if (['auto', 'scroll'].includes(getComputedStyle(each).overflowX)) return true;
  }
  return false;
}
return {
  title: document.title,
  language: document.documentElement.lang,
  headings: document.querySelectorAll('h1').length,
  overhang: document.documentElement.scrollWidth - wide,
  cut: [...document.querySelectorAll('article *')]
    .filter(each => each.getBoundingClientRect().right > wide + 1 && !moves(each))
    .map(each => each.outerHTML.slice(0, 80)),
  links: [...document.querySelectorAll('a[href]')].map(each => each.href),
  anchors: [...document.querySelectorAll('[id]')].map(each => each.id),
  nameless: [...document.querySelectorAll('article img, article svg')]
    .filter(each => !each.closest('.copybtn') && !(each.alt || each.getAttribute('aria-label')))
    .map(each => each.outerHTML.slice(0, 80)),
}
"""

FAINT = """
function parts(color) {
  const found = color.match(/[0-9.]+/g).map(Number);
  return found.length > 3 ? found : [...found, 1];
}
function behind(element) {
  for (let each = element; each; each = each.parentElement) {
    const color = parts(getComputedStyle(each).backgroundColor);
    if (color[3] === 1) return color;
  }
  return [255, 255, 255, 1];
}
function light([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map(part => {
    part /= 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const faint = [];
for (const element of document.querySelectorAll('article *')) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  const box = element.getBoundingClientRect();
  if (!own || box.width === 0 || element.closest('.headerlink, .copybtn, style, script')) continue;
  const style = getComputedStyle(element);
  const color = parts(element instanceof SVGElement ? style.fill : style.color);
  const found = contrast(color, behind(element));
  if (found < 4.5) faint.push(`${found.toFixed(2)} ${element.tagName} ${element.textContent.slice(0, 30)}`);
}
return faint;
"""

SMALL = """
return [...document.querySelectorAll('article svg text')]
  .filter(each => each.getBoundingClientRect().height < arguments[0]).map(each => each.textContent);
"""

LOWEST = 10
"""Pixels of a line of words in a drawing."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, has no icon for the browser's tab, and writes no log."""

    def do_GET(self):  # the base class looks for it by this name
        """Answer; the icon, which browsers ask for by themselves, with nothing."""
        if self.path != "/favicon.ico":
            super().do_GET()
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def site():
    """Serve the built pages, and return their address."""
    serve = functools.partial(Quiet, directory=str(BUILT))
    with http.server.ThreadingHTTPServer((HOST, 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def look(driver, site):  # noqa: F811  # the fixture
    """Give what opens a page on a screen and in a theme."""

    def look(page, screen="desk", theme="light"):
        width, height = SCREENS[screen]
        # Not as "mobile", which would make the page as wide as the widest thing on it.
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        driver.get(site + page)
        return driver

    return look


def test_the_guide_was_built():
    """There is something to look at."""
    assert "index.html" in PAGES
    assert len(PAGES) > 30


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_fits_its_screen_and_has_its_names(look, page, screen):
    """Nothing hangs over, whatever is wide moves by itself; there is one heading, and drawings are told in words."""
    facts = look(page, screen).execute_script(FACTS)

    assert facts["overhang"] <= 0
    assert facts["cut"] == []
    assert facts["headings"] == 1
    assert facts["title"]
    assert facts["language"] == "en"
    assert facts["nameless"] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("theme", THEMES)
def test_a_page_can_be_read_in_its_theme(look, page, theme):
    """All words stand out from what is behind them, as WCAG 2.2 asks for (AA: 4.5 to 1), and the browser is content."""
    browser = look(page, theme=theme)

    assert browser.execute_script(FAINT) == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("screen", SCREENS)
def test_the_words_in_drawings_can_be_read(look, screen):
    """They are no smaller than the smallest print, also on a phone."""
    assert look("how-it-works.html", screen).execute_script(SMALL, LOWEST) == []


def test_every_link_between_pages_leads_to_an_anchor_that_is_there(look, site):
    """Those that Sphinx made of names in docstrings, too."""
    seen = {page: look(page).execute_script(FACTS) for page in PAGES}
    there = {urljoin(site, page): set(facts["anchors"]) for page, facts in seen.items()}
    there |= {site: there[f"{site}index.html"], f"{site}search.html": set()}

    broken = []
    for page, facts in seen.items():
        for link in facts["links"]:
            target, anchor = urldefrag(link)
            inside = target.startswith(site)
            if inside and (target not in there or (anchor and unquote(anchor) not in there[target])):
                broken.append((page, link.removeprefix(site)))

    assert broken == []
