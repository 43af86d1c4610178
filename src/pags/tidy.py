"""Small defects of the theme and its extensions, mended in the finished pages: idle scripts and wrong ARIA roles."""

import re
from pathlib import Path

from pags import gates

# Thebe runs code on a server elsewhere. The book starts none, and its script is declared twice, which is an error.
IDLE = re.compile(
    r"\s*<script>const THEBE_JS_URL.*?</script>"
    r"|\s*<script[^>]*sphinx-thebe\.js[^>]*></script>"
    r"|\s*<link[^>]*sphinx-thebe\.css[^>]*/>"
    r'|\s*<script type="text/x-thebe-config">.*?</script>'
    r"|\s*<script>kernelName = .*?</script>",
    re.DOTALL,
)
ROLES = {
    'role="doc-biblioentry"': 'role="listitem"',  # deprecated, and no child of a list
    '<div id="pst-primary-sidebar" class=': '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
}


def tidy(directory: Path) -> None:
    """Mend every page of a built book in place."""
    for name in gates.pages(directory):
        page = directory / name
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")


def mended(page: str) -> str:
    """The page without idle scripts and with sound roles."""
    page = IDLE.sub("", page)
    for wrong, right in ROLES.items():
        page = page.replace(wrong, right)
    return page
