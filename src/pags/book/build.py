"""Build the HTML: book/ and executed notebooks -> one source directory -> Jupyter Book -> gates -> build/html.

A build takes place beside the book that stands; only a build that passed every gate replaces it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import yaml

from pags import paths
from pags.book import (
    chapters,
    claims,
    dress,
    editions,
    exercises,
    front,
    gates,
    places,
    printing,
    results,
    runs,
    scoreboard,
    seeds,
    shipped,
    study,
    terminal,
)
from pags.book.editions import Edition
from pags.book.status import markdown as table_of_runs
from pags.errors import PagsError, UsageError
from pags.files import locked, remove_abandoned, replace_directory, restore_directory

MOST = 4  # changes since a run that the box under a title names
MATHJAX = ("tex-mml-chtml.js", "output/chtml", "input", "a11y", "sre", "ui")  # what a page may ask for
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]

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
    '<summary aria-label="Toggle hidden content">': "<summary>",  # it hides the names that folds have
    'role="doc-biblioentry"': 'role="listitem"',  # deprecated, and no child of a list
    '<div id="pst-primary-sidebar" class=': '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
}
# The theme's way past the navigation ends above a row of buttons; a page of text has a better end for it.
TEXT = '<article class="bd-article"'
SKIP = {'<a href="#main-content">Skip to': '<a href="#text">Skip to', TEXT: f'{TEXT} id="text"'}
# Jupyter Book's own has neither a language nor a word on an icon, for which a browser then asks in vain.
FIRST = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The book's first page</title>
<link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0; url=intro.html">
</head>
<body><main><h1><a href="intro.html">The book's first page</a></h1></main></body>
</html>
"""


def build(
    preset: str = "quick",
    *,
    release: bool = False,
    changed: bool = False,
    pdf: bool = False,
    edition: Edition = editions.reader,
) -> Path:
    """Build the book from the chapters executed at `preset`; returns its first page. PagsError if a gate fails.

    At "best" each chapter is shown as executed at the largest preset at which it was. A `release` has no page that
    earlier code made. With `changed`, runs with changed settings take the place of ordinary ones. With `pdf` every page
    is printed, too. Each `edition` has a folder of its own.
    """
    if release and changed:
        raise UsageError("a release shows no run with changed settings: leave out --release or --changed")
    runs.preset_named(preset)
    target = editions.folder(edition)
    work = paths.BUILD / "running" / target.name
    remove_abandoned(work.parent)
    with locked(work, terminal.tell, "another process is building the pages; waiting for it"):
        shutil.rmtree(work, ignore_errors=True)
        restore_directory(target)
        try:
            source = assemble(work / "source", preset, release=release, changed=changed, edition=edition)
            made = pages(source, work / "made")
            mend(made)
            if (source / "study.md").exists():
                study.write(made / "study")
            printed = printing.print_pages(made) if pdf else []
            # The sources have the solutions: no page of an edition without them leads there.
            link_pages(made, {"url": "", "branch": ""} if edition is editions.student else repository(), printed)
            if complaints := gates.html(made) + gates.names(made, metric_names()):
                raise PagsError(
                    "\n  ".join([f"the pages have {len(complaints)} faults; the book stays as it was", *complaints])
                )
            replace_directory(made, target)
        finally:  # a failed build takes as much of the disk as a book
            shutil.rmtree(work, ignore_errors=True)
    return target / "index.html"


def assemble(
    source: Path, preset: str, *, release: bool = False, changed: bool = False, edition: Edition = editions.reader
) -> Path:
    """Everything Jupyter Book reads, in one directory; PagsError names chapters that are not there, or damaged.

    It also names what the ledger names wrongly and, for a `release`, the chapters that earlier code made.
    """
    shutil.copytree(paths.BOOK, source)
    ledger = claims.load()
    read = runs.read(listed_chapters(source / "_toc.yml"), preset, changed=changed)
    stale = [f"{one.chapter} ({one.preset}), changed since: {', '.join(one.changes)}" for one in read if one.changes]
    if release and stale:
        raise PagsError("\n  ".join(["pages that earlier code made are no release; run their chapters again", *stale]))
    # A run here may lack what a published one has, for want of data or weights: either is enough.
    known = [result for place in (paths.RESULTS, paths.PUBLISHED) for result in results.all([place])]
    if wrong := claims.unknown(ledger, known, chapters.names()):
        raise PagsError("\n  ".join(["claims.yml names what is not there; the book stays as it was", *wrong]))
    kept = seeds.all()
    at: dict[tuple[str, str], tuple[str, str]] = {}
    for one in read:
        metrics = [name for claim in ledger if claim.chapter == one.chapter for name in claim.metrics]
        at |= places.mark(one.notebook, one.chapter, metrics)
    glossary = source / "glossary.md"
    words = dress.terms(glossary.read_text(encoding="utf-8")) if glossary.exists() else []
    (source / "chapters").mkdir(exist_ok=True)
    for one in read:
        edition(one.notebook)
        dress.number_title(one.notebook, one.chapter)
        dress.insert_under_title(one.notebook, status(one.notebook, one.files, changed=one.changes))
        dress.fold_parameters(one.notebook)
        dress.link_verdicts(one.notebook, one.files[0], at, kept)
        dress.link_terms(one.notebook, words)
        nbformat.write(one.notebook, source / "chapters" / f"{one.chapter}.ipynb")
    if (teaching := source / "how_to_teach.md").exists():  # a page that was run before may lack an exercise
        texts = [cell.source for one in read for cell in one.notebook.cells if cell.cell_type == "markdown"]
        labels = {label for text in texts for label in re.findall(r"^:label: (ex-[\w-]+)", text, re.MULTILINE)}
        teaching.write_text(exercises.linked(teaching.read_text(encoding="utf-8"), labels), encoding="utf-8")
    places_of_results = [paths.CHANGED / "results"] * changed + [paths.RESULTS, paths.PUBLISHED]
    found = [one.files[0] for one in read if one.files[0]] if release else results.all(places_of_results)
    (source / "scoreboard.md").write_text(scoreboard.whole_page(found, at, kept), encoding="utf-8")
    append_status(source / "status.md", preset if release else None)
    shipped.mathjax(source.parent / "static" / "mathjax", MATHJAX)
    settings = config(source)
    settings["parse"]["myst_substitutions"] = front.substitutions(found, claims.verdicts(found, ledger, kept), settings)
    editions.arrange(source, settings, edition)
    settings.pop("repository", None)  # `link_pages` does what the theme would do wrongly: a chapter's source is text
    (source / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return source


def listed_chapters(toc: Path) -> list[str]:
    """The chapters that the table of contents names, as `chapters/<id>`, in its order."""
    return re.findall(r"^\s*-?\s*file:\s*chapters/(\w+)\s*$", toc.read_text(encoding="utf-8"), re.MULTILINE)


def status(notebook: nbformat.NotebookNode, files: tuple[dict, dict], *, changed: Sequence[str] = ()) -> str:
    """A small box in Markdown: how and when this page was made, and what of its code has `changed` since."""
    result, run = files
    facts = {
        "preset": result.get("preset"),
        "changed": ", ".join(f"{name} = {value}" for name, value in result.get("parameters", {})["overrides"].items())
        if result.get("parameters", {}).get("overrides")
        else None,
        "data": scoreboard.data_words(result.get("data", {})),
        "device": result.get("parameters", {}).get("device"),
        "seed": result.get("parameters", {}).get("seed"),
        **spent(run, notebook.metadata.get("papermill", {}).get("duration")),
        "run on": runs.day(notebook, run),
    }
    line = " · ".join(
        f"{name} **{results.plain(str(value))}**" for name, value in facts.items() if value not in (None, "")
    )
    if changed:
        commit = f" (commit {run['commit'][:10]})" if run.get("commit") else ""
        line += f"\n\n**{gates.EARLIER}**{commit}: numbers and text are those of that run. "
        named = [f"`{one}`" if "." in one else one for one in changed[:MOST]]
        more = [f"{len(changed) - MOST} more modules"] if len(changed) > MOST else []
        line += f"Changed since: {', '.join(named + more)}."
    return f":::{{div}} pags-status\n{line}\n:::"


def spent(run: Mapping[str, Any], seconds: float | None) -> dict[str, str]:
    """What a page took: "time" where the run made everything itself, else the time to make and that of the last run.

    `seconds` is what the notebook took. What was made is counted in seconds of a processor, whenever that was.
    """
    took = terminal.duration(seconds) if seconds else ""
    if not run.get("cached"):
        return {"time": took}
    made = run.get("seconds_to_make")
    models = f"{run['cached']} of {run['artifacts']} models"
    return {
        "time to make": f"{terminal.duration(made)} of a processor" if made else "not recorded",
        "last run": f"{took}, {models} from the cache" if took else f"{models} from the cache",
    }


def append_status(page: Path, preset: str | None) -> None:
    """Put the table of all runs below what the page says, if the book has such a page; of one `preset`, if given."""
    if page.exists():
        text = page.read_text(encoding="utf-8").strip()
        page.write_text(f"{text}\n\n{table_of_runs(preset)}\n", encoding="utf-8")


def config(source: Path) -> dict:
    """`_config.yml` with the styles and scripts of book/style, and with the directory that holds MathJax."""
    settings = yaml.safe_load((paths.ROOT / "_config.yml").read_text(encoding="utf-8"))
    style = source / "style"
    settings["sphinx"]["config"] |= {
        "html_static_path": [str(path) for path in (style, source.parent / "static") if path.exists()],
        "html_css_files": [path.name for path in sorted(style.glob("*.css"))],
        "html_js_files": [path.name for path in sorted(style.glob("*.js"))],
    }
    if (style / "favicon.svg").exists():
        settings["sphinx"]["config"]["html_favicon"] = "style/favicon.svg"
    return settings


def pages(source: Path, out: Path) -> Path:
    """Let Jupyter Book make the pages; PagsError quotes its warnings and errors, of which there must be none."""
    toc = source / "_toc.yml"
    command = [*JUPYTER_BOOK, "build", str(source), "--path-output", str(out), "--toc", str(toc), "-W", "--keep-going"]
    environment = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    said = [plain(line).replace(f"{source}/", "") for line in (done.stdout + done.stderr).splitlines()]
    complaints = list(dict.fromkeys(line for line in said if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)))
    if done.returncode or complaints:
        raise PagsError("\n  ".join(["Jupyter Book complains; the book stays as it was", *(complaints or said[-15:])]))
    return out / "_build" / "html"


def metric_names() -> set[str]:
    """The names under which any results file of this build, or a published one, records something."""
    return {name for result in results.all() for name in result["metrics"]}


def repository() -> dict[str, str]:
    """The setting `repository` of `_config.yml`: {url, branch}; url is "" where the book names none."""
    settings = yaml.safe_load((paths.ROOT / "_config.yml").read_text(encoding="utf-8"))
    return {"url": "", "branch": "main"} | (settings.get("repository") or {})


def mend(directory: Path) -> None:
    """Mend small defects of the theme and its extensions in every page of a built book."""
    for name in gates.page_names(directory):
        page = directory / name
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
    (directory / "index.html").write_text(FIRST, encoding="utf-8")
    search = directory / "_static" / "searchtools.js"
    search.write_text(without_contents(search.read_text(encoding="utf-8")), encoding="utf-8")


def mended(page: str) -> str:
    """The page without idle scripts, with sound ARIA roles and names, and with a way past the buttons."""
    page = IDLE.sub("", page)
    for wrong, right in (ROLES | SKIP if TEXT in page else ROLES).items():
        page = page.replace(wrong, right)
    return page


def without_contents(search: str) -> str:
    """Sphinx's search script, made to quote a page's text and neither its list of contents nor its status box."""
    query = 'const removalQuery of [".headerlink", "script", "style"'
    if query not in search:
        raise PagsError("Sphinx's searchtools.js is not the one that this book knows: see build.without_contents")
    return search.replace(query, f'{query}, "#jb-print-docs-body", ".pags-status"')


def link_pages(directory: Path, repository: Mapping[str, str], printed: Sequence[str] = ()) -> None:
    """Put links to its source, to a form for faults and to its PDF, as far as there are such, at each page's foot."""
    for name in gates.page_names(directory):
        path = directory / name
        text = path.read_text(encoding="utf-8")
        if links := page_links(name, repository, printed):
            foot = '<footer class="prev-next-footer'
            text = text.replace(foot, f'<p class="pags-links d-print-none">{" · ".join(links)}</p>\n{foot}', 1)
            path.write_text(text, encoding="utf-8")


def page_links(name: str, repository: Mapping[str, str], printed: Sequence[str]) -> list[str]:
    """The links of one page; a page that Sphinx made, an index say, has no source."""
    stem = name.removesuffix(".html")
    chapter = stem.startswith("chapters/")
    source = paths.NOTEBOOKS / f"{stem.removeprefix('chapters/')}.md" if chapter else paths.BOOK / f"{stem}.md"
    links = []
    if repository["url"] and source.exists():
        url = repository["url"].rstrip("/")
        place = f"{'notebooks' if chapter else 'book'}/{source.name}"
        title = quote(f"{place}: ")
        links.append(f'<a href="{escape(url)}/blob/{escape(repository["branch"])}/{place}">Source of this page</a>')
        links.append(f'<a href="{escape(url)}/issues/new?title={title}">Report a fault</a>')
    if f"{stem}.pdf" in printed:
        links.append(f'<a href="{"../" * stem.count("/")}{printing.FOLDER}/{stem}.pdf">This page as PDF</a>')
    return links


def plain(line: str) -> str:
    """The line without colour codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)
