"""What a class needs, in one folder: notebooks for students and for the teacher, the package, slides and the study.

The notebooks carry nbgrader's cell metadata (schema version 3), in folders that its commands know by the configuration
beside them; `generate_assignment` makes of a teacher's notebook what the student's folder holds.
"""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from pags import paths
from pags.book import chapters, editions, exercises, handout, plain, runs, slides, study
from pags.errors import PagsError
from pags.files import filling

ARCHIVE = handout.ARCHIVE
PACKED = (
    "src/pags",
    "book/claims.yml",
    "book/references.bib",
    "constraints.txt",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
GRADED = """\
import builtins
import contextlib
import dis
import io


class NotYet(AssertionError):
    \"\"\"An error, for which a grader waits; a notebook shows it as one line.\"\"\"

    def _render_traceback_(self):
        return [str(self)]


def graded(call):
    \"\"\"Show what the call of a check says; NotYet where an answer is missing or it does not say "right".\"\"\"
    asked = [one.argval for one in dis.get_instructions(call) if one.opname == "LOAD_GLOBAL"]
    missing = [name for name in asked if name not in globals() and not hasattr(builtins, name)]
    if missing:
        raise NotYet("not answered yet: there is no " + " and no ".join(missing))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            call()
    except NotImplementedError as stub:
        if "not answered yet" not in str(stub):
            raise
        raise NotYet(str(stub)) from None
    print(said.getvalue(), end="")
    if "not yet" in said.getvalue() or "right" not in said.getvalue():
        raise NotYet("not yet")
"""
CONFIG = """\
# nbgrader, started in this folder: nbgrader generate_assignment 03_tangent_fractions --create --force
c = get_config()
c.CourseDirectory.course_id = "pags"
c.CourseDirectory.source_directory = "teacher"
c.CourseDirectory.release_directory = "student"
c.ExecutePreprocessor.timeout = 1800  # seconds of one cell; a chapter trains its networks in one
c.ClearSolutions.code_stub = {stub!r}
"""
READ_ME = """\
# A course on input gradients and data manifolds

| folder | for whom |
| --- | --- |
| `student/` | a notebook a chapter, with stubs, without solutions and outputs; `README.md`: installing, and the plan |
| `teacher/` | the same with solutions, marked as nbgrader wants them |
| `slides/` | a deck a chapter: open the HTML in a browser; S opens the speaker's window |
| `study/` | the user study: open `index.html`, or share the folder; answers stay where they are given, as a CSV |
| `{archive}` | the package, for machines without a copy of the repository |

Give students `student/` and `{archive}`, for the study the folder `study/`, and nothing else of this folder; the pages
without any solution are made by `pags build --edition student`. `student/README.md` has the lines to install {archive}
on Linux, macOS, Windows and a hosted notebook service, with the versions of its `constraints.txt`, and what to do for
each session; where nothing is installed, the first cell of a notebook installs {archive} from beside it. The notebooks
run at preset `quick`, on drawn digits, without a data set: a chapter takes minutes on two cores. The slides show other
numbers where they are of another preset; their title slides name it, with its data. The exercises use what the chapter
has computed: run all cells above them first. An exercise without an answer says so, and stops no run of all cells.

A second `pags course` replaces these folders with all that was changed in them; what lies beside them stays. Work on
copies.

With nbgrader installed, in this folder: `nbgrader generate_assignment CHAPTER --create --force` writes
`student/CHAPTER` again and enters it in nbgrader's data base, which `nbgrader autograde CHAPTER` needs; it runs the
chapter for each `submitted/NAME/CHAPTER/CHAPTER.ipynb`. Answers in words, and exercises without a checking function,
wait for `nbgrader formgrade`.

| chapter | exercises | points by machine | points by hand |
| --- | --- | --- | --- |
{rows}
"""


def write(directory: Path, preset: str = runs.BEST) -> Path:
    """Write the course into a directory that is not there, or that an earlier course is in; returns it.

    Only what the course has made is replaced: what a grader keeps beside it stays. The slides are of the chapters as
    executed at `preset`, or at the largest of each ("best"). UsageError where the directory holds something else or
    there is no such preset, PagsError where a chapter was not executed at it.
    """
    runs.preset_named(preset)
    with filling(directory, ARCHIVE, "course") as work:
        _make(work, preset)
    return directory


def _make(work: Path, preset: str) -> None:
    """The whole course in an empty directory."""
    rows, known = [], plain.names()
    for chapter in chapters.names():
        made = {"teacher": teacher(chapter, known), "student": student(chapter, known)}
        for kind, notebook in made.items():
            folder = work / kind / chapter
            folder.mkdir(parents=True)
            nbformat.write(notebook, folder / f"{chapter}.ipynb")
        rows.append(_row(chapter, made["student"]))
    (work / "nbgrader_config.py").write_text(
        CONFIG.format(stub={"python": "\n".join(exercises.STUB)}), encoding="utf-8"
    )
    (work / "README.md").write_text(READ_ME.format(archive=ARCHIVE, rows="\n".join(rows)), encoding="utf-8")
    (work / "student" / "README.md").write_text(handout.page(known), encoding="utf-8")
    (work / ARCHIVE).write_bytes(package())
    slides.write(work / "slides", preset)
    study.write(work / "study")


def _row(chapter: str, notebook: NotebookNode) -> str:
    cells = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    points = [sum(c["points"] for c in cells if c["grade"] and c["solution"] == by_hand) for by_hand in (False, True)]
    return f"| {chapter} | {len(exercises.read(chapter))} | {points[0]} | {points[1]} |"


def student(chapter: str, known: plain.Names) -> NotebookNode:
    """The teacher's notebook as nbgrader would release it: stubs for solutions, locked cells, no outputs.

    Its answers and tests have the tag that lets a run of all cells go on behind an error: a stub stops nobody.
    """
    notebook = teacher(chapter, known)
    for cell in notebook.cells:
        own = cell.metadata.get("nbgrader")
        if own is None:
            continue
        if own["solution"]:
            cell.source = exercises.cleared(cell.source) if cell.cell_type == "code" else "YOUR ANSWER HERE"
        if cell.cell_type == "code" and (own["solution"] or own["grade"]):
            cell.metadata["tags"] = ["raises-exception"]
        cell.metadata["deletable"] = False
        if own["locked"]:
            cell.metadata["editable"] = False
    return notebook


def teacher(chapter: str, known: plain.Names) -> NotebookNode:
    """The chapter without outputs, its exercises as cells: text, answer, test, and an answer in words."""
    solved = {one.label: one for one in exercises.read(chapter)}
    cells = [v4.new_code_cell(handout.SETUP, metadata={"tags": ["setup"]})]
    for cell in chapters.read(chapter).cells:
        if cell.cell_type == "code":
            cells.append(_code(cell))
            continue
        at = 0
        for match in exercises.BLOCK.finditer(cell.source):
            cells += _text(cell.source[at : match.start()], known)
            at = match.end()
            if match[2] == "exercise":
                _, _, options, _ = next(exercises.blocks(match[0]))
                cells += _text(match[0], known) + answers(solved[options["label"]], known)
        cells += _text(cell.source[at:], known)
    first = next((i for i, cell in enumerate(cells) if _is_answer(cell)), None)
    if first is None:
        raise PagsError(f"chapter {chapter} has no exercise: a class needs some")
    cells.insert(first, v4.new_code_cell(GRADED, metadata={"nbgrader": grader("graded", locked=True)}))
    for number, cell in enumerate(cells):
        cell["id"] = f"{chapter[:40]}-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _text(text: str, known: plain.Names) -> list[NotebookNode]:
    text = plain.plain(text.strip(), known).strip()
    return [v4.new_markdown_cell(text)] if text else []


def _code(cell: NotebookNode) -> NotebookNode:
    """A chapter's cell; one that defines checking functions cannot be changed by who is checked."""
    tags = list(cell.metadata.get("tags", ()))
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    found = re.search(r"^def (check_\w+)\(", cell.source, re.MULTILINE)
    if found:
        metadata["nbgrader"] = grader(found[1].replace("_", "-"), locked=True)
    return v4.new_code_cell(cell.source, metadata=metadata)


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def answers(one: exercises.Exercise, known: plain.Names) -> list[NotebookNode]:
    """The cells below an exercise: the solution between nbgrader's marks, a graded test or none, words or none."""
    by_hand, points = not (one.checks and one.code), 2 * one.difficulty
    own = grader(one.label, solution=True, grade=by_hand, points=points)
    cells = [v4.new_code_cell(exercises.marked(one), metadata={"nbgrader": own})]
    if not by_hand:
        test = "\n".join(f"graded(lambda: {call})" for call in one.checks)
        own = grader(f"{one.label}-test", grade=True, locked=True, points=points)
        cells.append(v4.new_code_cell(test, metadata={"nbgrader": own}))
    if one.answer:
        own = grader(f"{one.label}-words", grade=True, solution=True, points=1)
        cells.append(v4.new_markdown_cell(plain.plain(one.answer, known), metadata={"nbgrader": own}))
    return cells


def grader(
    name: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: int | None = None
) -> dict[str, Any]:
    """A cell's nbgrader metadata, schema version 3: `points` where it is graded, and only there."""
    own = {"schema_version": 3, "grade_id": name, "grade": grade, "solution": solution, "locked": locked, "task": False}
    return own | ({"points": points} if grade else {})


def package() -> bytes:
    """The package as a zip file that can be installed where it was unpacked; its chapters have no solutions."""
    with zipfile.ZipFile(out := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PACKED:
            place = paths.ROOT / name
            found = sorted(place.rglob("*")) if place.is_dir() else [place]
            for path in (path for path in found if path.is_file() and "__pycache__" not in path.parts):
                _add(archive, path.relative_to(paths.ROOT).as_posix(), path.read_bytes())
        for chapter in chapters.names():
            text = editions.without_solutions(chapters.source(chapter).read_text(encoding="utf-8"))
            _add(archive, f"notebooks/{chapter}.md", text.encode())
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A file with a fixed date, so that two archives of one tree are equal."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
