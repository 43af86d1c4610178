"""The gates that need a browser: headless Chromium opens every page, light and dark, with no network behind it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pags.book import gates, printing
from pags.errors import PagsError

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WINDOW = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# What a page says is the same in both colour schemes; what can be read is not.
RULES = {"light": None, "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}}}
EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
TYPESET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"


def chromium() -> str:
    """Path of Chromium; PagsError if there is none."""
    found = printing.chromium()
    if not found:
        raise PagsError("no Chromium here: install it (Debian: apt-get install chromium) or name one in PAGS_CHROMIUM")
    return found


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory on a free port of the loopback; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def complaints(directory: Path, names: list[str] | None = None) -> list[str]:
    """Console errors, requests that leave the book or fail, and axe-core's violations, per page and colour scheme.

    A page that is wider than a phone's window is a complaint, too.
    """
    from playwright.sync_api import sync_playwright

    names = names or [name for name in gates.page_names(directory) if not _forwards(directory / name)]
    found = []
    with served(directory) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for scheme in ("light", "dark"):
            for name in names:
                found += [f"{name} ({scheme}): {complaint}" for complaint in _visit(browser, base, name, scheme)]
        browser.close()
    return found


class Sheet(NamedTuple):
    """A page as it is printed: its text, and what of its code, formulas and tables is wider than the sheet."""

    text: str
    cut: list[str]


# What is shown on paper, and whose right end lies beyond the sheet's.
PRINTED = """() => {
  const wide = [...document.querySelectorAll(".bd-article :is(pre, mjx-container, table)")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && Math.max(box.right, box.left + one.scrollWidth) > document.documentElement.clientWidth + 1;
  });
  return [document.querySelector(".bd-article").innerText, wide.map((one) => one.textContent.trim().slice(0, 60))];
}"""
SHEET = {"width": 718, "height": 1047}  # A4 less Chromium's margins, at 96 dots per inch


def on_paper(directory: Path, names: list[str]) -> dict[str, Sheet]:
    """Pages as they are printed."""
    from playwright.sync_api import sync_playwright

    sheets = {}
    with served(directory) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=SHEET)
        page.emulate_media(media="print")
        for name in names:
            page.goto(base + name, wait_until="networkidle")
            page.evaluate(TYPESET)
            sheets[name] = Sheet(*page.evaluate(PRINTED))
        browser.close()
    return sheets


def _forwards(path: Path) -> bool:
    return 'http-equiv="refresh"' in path.read_text(encoding="utf-8")[:1000].lower()


def _visit(browser, base: str, name: str, scheme: str) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme, viewport=WINDOW, reduced_motion="reduce")
    context.route(lambda url: not url.startswith(base), lambda route: route.abort())
    page, found = context.new_page(), []
    page.on("console", lambda message: found.append(_said(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"script error: {str(error)[:200]}"))
    page.on("requestfailed", lambda request: found.append(f"request failed: {request.url[:200]}"))
    try:
        page.goto(base + name, wait_until="networkidle")
        page.evaluate(TYPESET)
        heard = list(dict.fromkeys(found))  # axe-core itself asks for style sheets at wrong addresses
        heard += [_violation(violation) for violation in Axe().run(page, options=RULES[scheme]).response["violations"]]
        page.set_viewport_size(PHONE)
        if (excess := page.evaluate(EXCESS)) > 0:
            heard.append(f"{excess} px wider than a phone's window")
        return heard
    finally:
        context.close()


def _violation(violation: dict) -> str:
    places = ", ".join(str(node["target"][0]) for node in violation["nodes"][:3])
    return f"axe {violation['id']}: {violation['help']} ({len(violation['nodes'])} places: {places})"


def _said(message) -> str:
    return f"console: {message.text[:200]} ({message.location['url']})"
