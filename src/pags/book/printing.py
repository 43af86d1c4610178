"""Every page as a PDF, printed by Chromium; how a page looks on paper, `@media print` in book/style/book.css says."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pags.book import gates, terminal
from pags.errors import PagsError

FOLDER = "pdf"  # below the built pages
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PATIENCE = 120  # seconds for one page
# Virtual milliseconds in which scripts may work before a page is printed: formulas are typeset in them.
BUDGET = 30_000


def chromium() -> str | None:
    """Path of Chromium: $PAGS_CHROMIUM, or the system's, or None."""
    return os.environ.get("PAGS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def print_pages(directory: Path) -> list[str]:
    """Print the pages of a built book into its folder `pdf`; returns the files below it.

    Where there is no Chromium it says so in one line, and prints none. PagsError names a page that cannot be printed.
    """
    browser = chromium()
    if not browser:
        terminal.tell("no PDF: there is no Chromium here; install it, or name one in PAGS_CHROMIUM")
        return []
    made = []
    with tempfile.TemporaryDirectory() as profile:
        for name in gates.page_names(directory):
            if 'http-equiv="refresh"' in (directory / name).read_text(encoding="utf-8")[:1000].lower():
                continue
            stem = name.removesuffix(".html")
            terminal.tell(f"printing {stem}", passing=True)
            print_page(browser, directory / name, directory / FOLDER / f"{stem}.pdf", profile)
            made.append(f"{stem}.pdf")
    return made


def print_page(browser: str, page: Path, pdf: Path, profile: str) -> None:
    """Print one page; `profile` is an empty directory that the browser may fill."""
    pdf.parent.mkdir(parents=True, exist_ok=True)
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--no-pdf-header-footer", "--run-all-compositor-stages"]
    command[-1] += "-before-draw"
    command += [f"--virtual-time-budget={BUDGET}", f"--print-to-pdf={pdf}", page.resolve().as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False)
        why = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
    except subprocess.TimeoutExpired:
        why = f"it took more than {PATIENCE} s"
    if not pdf.exists() or pdf.stat().st_size == 0:
        raise PagsError(f"{page.name} cannot be printed by {browser}: {why}")
