"""Build the HTML: book/ and executed notebooks -> one source directory -> Jupyter Book -> gates -> build/html.

A build takes place beside the book that stands; only a build that passed every gate replaces it.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import yaml

from pags import PRESETS, paths
from pags.book import chapters, claims, editions, gates, origin, results, scoreboard, study, terminal
from pags.book.editions import Edition
from pags.errors import PagsError, UsageError
from pags.files import locked, reading, remove_abandoned, replace_directory, restore_directory

BEST = "best"  # in place of a preset: each chapter's largest
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
    'role="doc-biblioentry"': 'role="listitem"',  # deprecated, and no child of a list
    '<div id="pst-primary-sidebar" class=': '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
}


def build(preset: str = "quick", *, release: bool = False, edition: Edition = editions.reader) -> Path:
    """Build the book from the chapters executed at `preset`; returns its first page. PagsError if a gate fails.

    At "best" each chapter is shown as executed at the largest preset at which it was. A `release` has no page that
    earlier code made. Each `edition` has a folder of its own.
    """
    if preset not in (*PRESETS, BEST):
        raise UsageError(f"preset {preset!r} is unknown: write one of {', '.join((*PRESETS, BEST))}")
    target = editions.folder(edition)
    work = paths.BUILD / "running" / target.name
    remove_abandoned(work.parent)
    with locked(work, terminal.tell, "another process is building the pages; waiting for it"):
        shutil.rmtree(work, ignore_errors=True)
        restore_directory(target)
        try:
            source = assemble(work / "source", preset, release=release, edition=edition)
            made = pages(source, work / "made")
            mend(made)
            if (source / "study.md").exists():
                study.write(made / "study")
            if complaints := gates.html(made):
                raise PagsError(
                    "\n  ".join([f"the pages have {len(complaints)} faults; the book stays as it was", *complaints])
                )
            replace_directory(made, target)
        finally:  # a failed build takes as much of the disk as a book
            shutil.rmtree(work, ignore_errors=True)
    return target / "index.html"


def assemble(source: Path, preset: str, *, release: bool = False, edition: Edition = editions.reader) -> Path:
    """Everything Jupyter Book reads, in one directory; PagsError names chapters that are not there, or damaged.

    It also names what the ledger names wrongly and, for a `release`, the chapters that earlier code made.
    """
    shutil.copytree(paths.BOOK, source)
    listed = listed_chapters(source / "_toc.yml")
    found = {chapter: path for chapter in listed if (path := executed(chapter, preset))}
    if missing := [chapter for chapter in listed if chapter not in found]:
        words = " ".join(missing)
        raise PagsError(f"not executed at preset {preset}: {words}; run: pags run {words} --preset {preset}")
    (source / "chapters").mkdir(exist_ok=True)
    stale, complaints, shown = [], [], []
    for chapter, path in found.items():
        try:
            notebook, files = page(chapter, path)
        except PagsError as error:
            complaints.append(str(error))
            continue
        shown.append(files[0])
        changed = origin.changes(chapter, notebook, files[0])
        if changed:
            stale.append(f"{chapter} ({path.parent.name}), changed since: {', '.join(changed)}")
        notebook = edition(notebook)
        insert_status(notebook, status(notebook, files, changed=changed))
        nbformat.write(notebook, source / "chapters" / f"{chapter}.ipynb")
    if complaints:
        raise PagsError("\n  ".join(["the book stays as it was", *complaints]))
    if release and stale:
        raise PagsError("\n  ".join(["pages that earlier code made are no release; run their chapters again", *stale]))
    # A run here may lack what a published one has, for want of data or weights: either is enough.
    known = [result for place in (paths.RESULTS, paths.PUBLISHED) for result in results.all([place])]
    if wrong := claims.unknown(claims.load(), known, chapters.names()):
        raise PagsError("\n  ".join(["claims.yml names what is not there; the book stays as it was", *wrong]))
    board = scoreboard.whole_page([result for result in shown if result] if release else None)
    (source / "scoreboard.md").write_text(board, encoding="utf-8")
    copy_mathjax(source.parent / "static" / "mathjax")
    (source / "_config.yml").write_text(yaml.safe_dump(config(source)), encoding="utf-8")
    return source


def listed_chapters(toc: Path) -> list[str]:
    """The chapters that the table of contents names, as `chapters/<id>`, in its order."""
    return re.findall(r"^\s*-?\s*file:\s*chapters/(\w+)\s*$", toc.read_text(encoding="utf-8"), re.MULTILINE)


def executed(chapter: str, preset: str) -> Path | None:
    """The executed notebook: the one run here, else the published one, else None; at "best" of the largest preset."""
    some = reversed(PRESETS) if preset == BEST else (preset,)
    places = [place / one / f"{chapter}.ipynb" for one in some for place in (paths.EXECUTED, paths.PUBLISHED)]
    return next((place for place in places if place.exists()), None)


def page(chapter: str, path: Path) -> tuple[nbformat.NotebookNode, tuple[dict, dict]]:
    """An executed notebook with its results and run record; PagsError names the file that cannot be used, and why."""
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8")
        notebook = nbformat.v4.reads(text)
        nbformat.validate(notebook, version=4)
    except PagsError:
        raise
    except Exception as error:  # nbformat stumbles over what is no notebook in many ways
        raise results.damaged(path, error) from error
    files = result_files(chapter, path)
    stamp = notebook.metadata.get("pags", {}).get("results")
    if stamp and stamp != fingerprint(result_path(chapter, path)):
        raise PagsError(
            f"{path} and {result_path(chapter, path)} are not of the same run: "
            f"make both again with `pags run {chapter} --preset {path.parent.name}`"
        )
    return notebook, files


def result_path(chapter: str, notebook: Path) -> Path:
    """Where the results of an executed notebook lie."""
    whole = paths.RESULTS if notebook.is_relative_to(paths.EXECUTED) else paths.PUBLISHED
    return whole / notebook.parent.name / f"{chapter}.json"


def fingerprint(path: Path) -> str:
    """What an executed notebook says of the results file that was made with it; "none" where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def result_files(chapter: str, notebook: Path) -> tuple[dict, dict]:
    """Results and run record beside an executed notebook; empty where they are missing. PagsError: damaged."""
    path = result_path(chapter, notebook)
    return results.load(path) if path.exists() else {}, results.record(path)


def status(notebook: nbformat.NotebookNode, files: tuple[dict, dict], *, changed: Sequence[str] = ()) -> str:
    """A small box in Markdown: how and when this page was made, and what of its code has `changed` since."""
    result, run = files
    papermill = notebook.metadata.get("papermill", {})
    facts = {
        "preset": result.get("preset"),
        "data": ", ".join(result.get("data", {})),
        "device": result.get("parameters", {}).get("device"),
        "seed": result.get("parameters", {}).get("seed"),
        "time": f"{papermill['duration']:.0f} s" if papermill.get("duration") else None,
        "read from the cache": reused(run),
        "run on": (run.get("date") or papermill.get("end_time") or "")[:10],
    }
    line = " · ".join(
        f"{name} **{results.plain(str(value))}**" for name, value in facts.items() if value not in (None, "")
    )
    if changed:
        commit = f" (commit {run['commit'][:10]})" if run.get("commit") else ""
        line += f"\n\n**Earlier code made this page**{commit}: numbers and text are those of that run. "
        line += f"Changed since: {', '.join(f'`{one}`' if '.' in one else one for one in changed)}."
    return f":::{{div}} pags-status\n{line}\n:::"


def reused(run: dict) -> str | None:
    """What a run had not to make: how many models, and how long all of its models took when they were made."""
    if not run.get("cached"):
        return None
    spent = f", made in {run['seconds_to_make']:.0f} s of a processor" if run.get("seconds_to_make") else ""
    return f"{run['cached']} of {run['artifacts']} models{spent}"


def insert_status(notebook: nbformat.NotebookNode, box: str) -> None:
    """Put the box right under the chapter's title."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := re.search(r"^# .+$", cell.source, re.MULTILINE)):
            cell.source = f"{cell.source[: title.end()]}\n\n{box}\n{cell.source[title.end() :]}"
            return
    raise PagsError("an executed chapter has no title: begin it with a line `# ...`")


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


def copy_mathjax(target: Path) -> None:
    """Copy MathJax out of the package that ships it, which is found but never imported."""
    spec = importlib.util.find_spec("mathjax")
    if spec is None or not spec.submodule_search_locations:
        raise PagsError("MathJax is not installed: pip install -c constraints.txt django-static-mathjax")
    origin = Path(next(iter(spec.submodule_search_locations))) / "static" / "mathjax" / "es5"
    for name in MATHJAX:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (origin / name).is_dir() else shutil.copyfile
        copy(origin / name, target / name)


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


def mend(directory: Path) -> None:
    """Mend small defects of the theme and its extensions in every page of a built book."""
    for name in gates.page_names(directory):
        page = directory / name
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")


def mended(page: str) -> str:
    """The page without idle scripts and with sound ARIA roles."""
    page = IDLE.sub("", page)
    for wrong, right in ROLES.items():
        page = page.replace(wrong, right)
    return page


def plain(line: str) -> str:
    """The line without colour codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)
