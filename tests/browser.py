"""The gates that need a browser: headless Chromium opens every page, light and dark, with no network behind it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pags import machine
from pags.book import gates, printing
from pags.errors import PagsError

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WINDOW = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# What a page says is the same in both colour schemes; what can be read is not.
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
TYPESET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"
# Of the words of code, which are most of a page's elements, the first of each kind in each kind of place stays marked:
# the others have its colours.
THIN = """() => {
  const seen = new Set();
  for (const word of document.querySelectorAll(".highlight pre span[class]")) {
    const places = [...Array(4)].reduce((all) => [...all, all.at(-1)?.parentElement], [word]);
    const kind = places.map((one) => one?.className).join("/") + word.closest(".cell_output, .admonition")?.className;
    if (seen.has(kind) && !word.firstElementChild) word.replaceWith(word.textContent);
    seen.add(kind);
  }
}"""
THEME = "document.documentElement.dataset.theme"
SWITCH = "document.querySelector('.theme-switch-button')?.click()"


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
    """What is wrong with each page: in light, and after its switch to dark.

    In light console errors, requests that leave the book or fail, violations of axe-core's rules, and a page that is
    wider than a phone's window; in dark script errors and contrast. Browsers, one a core, share the pages.
    """
    if names is None:
        names = [name for name in gates.page_names(directory) if not _forwards(directory / name)]
    workers = max(1, min(machine.cores(), len(names)))
    with served(directory) as base, ThreadPoolExecutor(workers) as pool:
        found = dict(
            pair for part in pool.map(_visited, [(base, names[i::workers]) for i in range(workers)]) for pair in part
        )
    return [f"{name} {complaint}" for name in names for complaint in found[name]]


def _visited(share: tuple[str, list[str]]) -> list[tuple[str, list[str]]]:
    """The complaints about each of some pages, by a browser of their own."""
    from playwright.sync_api import sync_playwright

    base, names = share
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        found = [(name, _visit(browser, base, name)) for name in names]
        browser.close()
    return found


@contextmanager
def opened(address: str, window: dict[str, int] = WINDOW) -> Iterator[Any]:
    """A page of the book in a window, its formulas typeset."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=window, reduced_motion="reduce")
        page.goto(address, wait_until="networkidle")
        page.evaluate(TYPESET)
        yield page
        browser.close()


class Walk(NamedTuple):
    """A page by the Tab key: what the stops are, which of them show no ring, and whether the way ends."""

    stops: list[str]
    unseen: list[str]
    ends: bool


# How what has the focus, its label and its card are drawn around, and whether that is otherwise without it. The next
# Tab goes on from there. Some of the book's buttons have a `blur` that keeps the focus: this is the elements' own.
LOOKS = """() => {
  const around = (one) => [one, one.labels?.[0], one.closest(".sd-card")].map((part) => {
    if (!part) return "";
    const style = getComputedStyle(part);
    const line = style.outlineStyle === "none" ? "" : `${style.outlineStyle} ${style.outlineWidth}`;
    return `${line} ${style.boxShadow}`;
  }).join("; ");
  window.stop = () => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const name = one.getAttribute("aria-label") || one.innerText || one.name || one.id;
    const focused = around(one);
    (one instanceof SVGElement ? SVGElement : HTMLElement).prototype.blur.call(one);
    return [`${one.tagName} ${name.trim().slice(0, 40)}`, focused !== around(one)];
  };
}"""
FAR = 1000  # stops: no page of the book has as many


def walked(directory: Path, names: list[str]) -> dict[str, Walk]:
    """Pages as somebody goes through them by the Tab key."""
    walks = {}
    with served(directory) as base:
        for name in names:
            stops: list[tuple[str, bool]] = []
            with opened(base + name) as page:
                page.add_style_tag(content="* { transition: none !important }")
                page.evaluate(LOOKS)
                while len(stops) < FAR:
                    page.keyboard.press("Tab")
                    if (stop := page.evaluate("stop()")) is None:
                        break
                    stops.append(stop)
            unseen = [stop for stop, seen in stops if not seen]
            walks[name] = Walk([stop for stop, _ in stops], unseen, len(stops) < FAR)
    return walks


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
            page.evaluate("dispatchEvent(new Event('beforeprint'))")  # as a browser does that prints
            sheets[name] = Sheet(*page.evaluate(PRINTED))
        browser.close()
    return sheets


def _forwards(path: Path) -> bool:
    return 'http-equiv="refresh"' in path.read_text(encoding="utf-8")[:1000].lower()


def _visit(browser, base: str, name: str) -> list[str]:
    context = browser.new_context(color_scheme="light", viewport=WINDOW, reduced_motion="reduce")
    context.route(lambda url: not url.startswith(base), lambda route: route.abort())
    page, found = context.new_page(), []
    page.on("console", lambda message: found.append(_said(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"script error: {str(error)[:200]}"))
    page.on("requestfailed", lambda request: found.append(f"request failed: {request.url[:200]}"))
    try:
        page.goto(base + name, wait_until="networkidle")
        page.evaluate(TYPESET)
        page.set_viewport_size(PHONE)
        excess = page.evaluate(EXCESS)
        page.set_viewport_size(WINDOW)
        light = list(dict.fromkeys(found))  # before axe-core, which itself asks for style sheets at wrong addresses
        light += [f"{excess} px wider than a phone's window"] * (excess > 0)
        page.evaluate(THIN)
        light += _violations(page)
        found.clear()
        page.emulate_media(color_scheme="dark")
        if page.evaluate(THEME):  # a page of the book: from automatic by light to dark
            for _ in range(2):
                if page.evaluate(THEME) != "dark":
                    page.evaluate(SWITCH)
        dark = [one for one in dict.fromkeys(found) if one.startswith("script error")]
        if page.evaluate(THEME) not in (None, "dark"):
            dark.append("its switch does not lead to dark")
        dark += _violations(page, CONTRAST)
        return [f"({scheme}): {one}" for scheme, heard in (("light", light), ("dark", dark)) for one in heard]
    finally:
        context.close()


def _violations(page, options: dict | None = None) -> list[str]:
    """What axe-core finds."""
    from axe_playwright_python.sync_playwright import Axe

    return [_violation(violation) for violation in Axe().run(page, options=options).response["violations"]]


def _violation(violation: dict) -> str:
    places = ", ".join(str(node["target"][0]) for node in violation["nodes"][:3])
    return f"axe {violation['id']}: {violation['help']} ({len(violation['nodes'])} places: {places})"


def _said(message) -> str:
    return f"console: {message.text[:200]} ({message.location['url']})"
