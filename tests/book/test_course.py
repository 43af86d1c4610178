"""Editions and the course: nothing that a student gets holds a solution, and a grader's cells are as it wants them."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from unittest.mock import MagicMock

import browser
import jsonschema
import nbformat
import pytest
import test_book
from nbclient import NotebookClient
from nbformat import v4

from pags import paths
from pags.book import build, chapters, cli, course, editions, exercises, handout, plain, slides, study
from pags.errors import PagsError, UsageError

NAMES = chapters.names()
KNOWN = plain.names()
# nbgrader's nbgraderformat/v3.json, and what its validator asks beyond it
SCHEMA = {
    "type": "object",
    "properties": {
        "schema_version": {"type": "integer", "minimum": 3, "maximum": 3},
        **{name: {"type": "boolean"} for name in ("grade", "locked", "solution", "task")},
        "grade_id": {"type": "string", "pattern": r"^[a-zA-Z0-9_\-]+$"},
        "points": {"type": "number", "minimum": 0},
    },
    "required": ["schema_version", "grade", "locked", "solution"],
    "additionalProperties": False,
}


def words(text):
    """The text without blanks, marks and line ends."""
    return re.sub(r"[\s\\]+", "", text)


def secrets(chapter):
    """What must be nowhere: the code between the marks and the answer in words, of each exercise."""
    for one in exercises.read(chapter):
        for code in re.findall(f"{exercises.BEGIN}\n(.*?)\n *{exercises.END}", exercises.marked(one), re.DOTALL):
            yield one.label, words(code)
        yield one.label, words(plain.plain(one.answer, KNOWN))[:60]


def leaks(chapter, text):
    """The exercises whose solution stands in a text."""
    text = words(text)
    return [label for label, secret in secrets(chapter) if secret in text]


def whole(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


@pytest.fixture(params=NAMES)
def pair(request):
    """A chapter with the notebooks of the teacher and of the student."""
    return request.param, course.teacher(request.param, KNOWN), course.student(request.param, KNOWN)


def test_students_get_everything_but_the_solutions(pair):
    chapter, teacher, student = pair
    assert leaks(chapter, whole(student)) == []
    assert len(set(leaks(chapter, whole(teacher)))) == len(exercises.read(chapter))
    assert len(teacher.cells) == len(student.cells)
    for given, own in zip(student.cells, teacher.cells, strict=True):
        if not own.metadata.get("nbgrader", {}).get("solution"):
            assert given.source == own.source
    nbformat.validate(student)
    for cell in student.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            ast.parse(cell.source)
        assert not re.search(r"\{[a-z:]+\}`|^[:`]{3,}\{", cell.source if cell.cell_type == "markdown" else "", re.M)
    assert "zip" in student.cells[0].source


def test_the_grader_s_cells_are_what_its_schema_and_its_validator_ask_for(pair):
    chapter, teacher, student = pair
    for notebook in (teacher, student):
        seen = set()
        for cell in notebook.cells:
            if "nbgrader" not in cell.metadata:
                assert exercises.BEGIN not in cell.source
                continue
            own = cell.metadata["nbgrader"]
            jsonschema.validate(own, SCHEMA)
            assert own["grade_id"] not in seen
            seen.add(own["grade_id"])
            assert ("points" in own) == own["grade"]
            assert cell.cell_type == "code" or own["grade"] == own["solution"]
            assert not (own["solution"] and own["locked"])
    tests = [cell for cell in student.cells if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-test")]
    graded = [one for one in exercises.read(chapter) if one.checks and one.code]  # the others are marked by hand
    assert len(tests) == len(graded) >= 4
    assert all(cell.metadata["nbgrader"]["locked"] and cell.source.startswith("graded(lambda: ") for cell in tests)


@pytest.mark.parametrize("chapter", chapters.names())
def test_a_test_stands_behind_the_check_that_it_calls_and_behind_its_answer(chapter):
    cells = course.teacher(chapter, plain.names()).cells
    at = {cell.metadata.get("nbgrader", {}).get("grade_id"): i for i, cell in enumerate(cells)}
    for i, cell in enumerate(cells):
        for name in re.findall(r"^graded\(lambda: (\w+)\(", cell.source, re.MULTILINE):
            assert any(f"def {name}(" in one.source for one in cells[:i]), name
            assert at["graded"] < i
            assert at[cell.metadata["nbgrader"]["grade_id"].removesuffix("-test")] < i


def test_a_test_cell_fails_for_the_stub_and_for_a_wrong_answer_and_passes_for_the_right_one(capsys):
    space = {}
    exec(course.GRADED, space)

    def check(value):
        print("right" if value == 3 else "not yet: it is not 3")

    graded = space["graded"]
    graded(lambda: check(3))
    graded(lambda: check(abs(-3)))  # a name of Python's own is no missing answer
    graded(lambda: check((3).real))  # nor is an attribute
    assert capsys.readouterr().out == 3 * "right\n"
    with pytest.raises(AssertionError) as wrong:
        graded(lambda: check(4))
    assert wrong.value._render_traceback_() == ["not yet"]
    with pytest.raises(AssertionError):
        graded(lambda: None)  # a check that says nothing
    with pytest.raises(NotImplementedError, match="not answered yet: replace this line"):
        exec(exercises.cleared(f"{exercises.BEGIN}\n3\n{exercises.END}"), {})


def test_a_test_of_what_is_not_answered_says_so_in_one_line():
    stub = exercises.cleared(f"def half(x):\n    {exercises.BEGIN}\n    return x / 2\n    {exercises.END}")
    code = f"{course.GRADED}\n\n{stub}\n\n\ndef check(f):\n    print('right' if f(2) == 1 else 'not yet')\n"
    code += "\n\ndef broken(f):\n    nowhere\n\n\ndef unable(f):\n    raise NotImplementedError('on this device')\n"
    for call, error, said in [
        ("check(half)", "NotYet", "not answered yet: replace this line"),
        ("check(double)", "NotYet", "not answered yet: there is no double"),
        ("broken(half)", "NameError", "name 'nowhere' is not defined"),  # an answer's own error keeps its traceback
        ("unable(half)", "NotImplementedError", "on this device"),
    ]:
        space = {}
        exec(code, space)
        with pytest.raises(Exception, match=said) as found:
            exec(f"graded(lambda: {call})", space)
        assert found.type.__name__ == error
        assert hasattr(found.value, "_render_traceback_") == (error == "NotYet")


def test_a_run_of_all_cells_goes_past_what_is_not_answered_and_names_it(tmp_path):
    nb = course.student("01_theory_checks", KNOWN)
    at = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells].index("graded")
    cells = [cell for cell in nb.cells[at:] if cell.cell_type == "code"][:3]  # what grades, an answer and its test
    check = v4.new_code_cell(cells[2].source.split(": ")[1].split("(")[0] + " = lambda answer: answer(1, 2, 3)")
    done = v4.new_notebook(cells=[check, *cells, v4.new_code_cell("print('behind')")])
    NotebookClient(done, timeout=60, kernel_name="python3").execute()
    _, test, last = done.cells[2:]
    assert last.outputs[0].text == "behind\n"
    assert test.outputs[0].traceback == ["not answered yet: replace this line"]
    assert all(
        "raises-exception" not in cell.metadata.get("tags", [])
        for cell in course.teacher("01_theory_checks", KNOWN).cells
    )


def test_the_package_for_students_has_no_solutions_and_begins_a_run(tmp_path):
    with zipfile.ZipFile(io.BytesIO(course.package())) as archive:
        archive.extractall(tmp_path)
    for chapter in NAMES:
        text = (tmp_path / "notebooks" / f"{chapter}.md").read_text()
        assert "{solution}" not in text
        assert leaks(chapter, text) == []
    code = "from pags.book import results; import pags; print(pags.__file__); print(results.begin('07_exact_score'))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    words_ = [sys.executable, "-c", code]
    done = subprocess.run(words_, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert str(tmp_path) in done.stdout
    assert "preset quick" in done.stdout


def test_a_course_is_written_beside_what_a_grader_keeps_and_over_nothing_else(tmp_path, monkeypatch):
    some = ["01_theory_checks", "07_exact_score"]
    monkeypatch.setattr(chapters, "names", lambda: some)
    presets = []
    monkeypatch.setattr(slides, "write", lambda directory, preset: presets.append(preset) or directory.mkdir())
    monkeypatch.setattr(study, "write", lambda directory: directory.mkdir())
    folder = tmp_path / "course"
    course.write(folder)
    (folder / "gradebook.db").write_text("marks")
    (folder / "student" / "07_exact_score" / "old.txt").write_text("old")
    course.write(folder, "quick")
    assert presets == ["best", "quick"]
    assert (folder / "gradebook.db").read_text() == "marks"
    assert not (folder / "student" / "07_exact_score" / "old.txt").exists()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["README.md", "gradebook.db", "nbgrader_config.py", "pags.zip", "slides", "student", "study", "teacher"]
    )
    assert all((folder / kind / c / f"{c}.ipynb").exists() for kind in ("student", "teacher") for c in some)
    config = MagicMock()
    exec((folder / "nbgrader_config.py").read_text(), {"get_config": lambda: config})
    assert config.ClearSolutions.code_stub == {"python": "\n".join(exercises.STUB)}  # as in the student's folder
    assert "venv" in (folder / "student" / "README.md").read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "nbgrader_config.py").write_text("somebody's own course")
    with pytest.raises(UsageError, match="holds no course"):
        course.write(other)
    with pytest.raises(UsageError, match="unknown preset 'foo': write one of quick"):
        course.write(tmp_path / "new", "foo")
    assert not (tmp_path / "new").exists()


SOLVED = """# The title

:::::{exercise} A sum
:label: ex-sum

**Difficulty** ●○○ · **about 5 minutes**

Write `total(x)`. See {numref}`fig-slide`.
:::::

:::::{solution} ex-sum
:label: sol-sum
:class: dropdown

Hornswoggle.

```python
def total(x):
    return x.sum() + 0 * 4711
```
:::::
"""


def test_each_edition_has_its_folder_and_the_student_s_has_no_solution_in_any_file(house, monkeypatch):
    test_book.put(paths.EXECUTED, paths.RESULTS, "quick")
    nbformat.write(test_book.chapter(SOLVED), paths.EXECUTED / "quick" / "01_good.ipynb")
    for name, said in (("student", False), ("teacher", True)):
        first = build.build(edition=editions.named(name))
        assert first == paths.BUILD / name / "index.html"
        files = [path for path in first.parent.rglob("*") if path.suffix in (".html", ".js", ".ipynb")]
        assert len(files) > 5
        for word in ("Hornswoggle", "4711"):
            found = [path.name for path in files if word.lower() in path.read_text(errors="ignore").lower()]
            assert bool(found) == said, (name, found)
    assert not paths.HTML.exists()
    page = (paths.BUILD / "teacher" / "chapters" / "01_good.html").read_text()
    assert "solution dropdown" not in page
    assert "A sum" in (paths.BUILD / "student" / "chapters" / "01_good.html").read_text()


def test_the_teacher_s_page_is_not_in_the_student_s_edition_and_every_page_says_whose_it_is(house):
    test_book.put(paths.EXECUTED, paths.RESULTS, "quick")
    text = "# The title\n\nSee more. {doc}`/how_to_teach` has it, and {doc}`the plan <../how_to_teach>` too.\n"
    nbformat.write(test_book.chapter(text), paths.EXECUTED / "quick" / "01_good.ipynb")
    (paths.BOOK / "how_to_teach.md").write_text("# Teaching\n\n**What goes wrong:** Humdinger.\n")
    toc = paths.BOOK / "_toc.yml"
    toc.write_text(toc.read_text() + "  - file: how_to_teach\n")
    for name, mark in (("student", "no solutions"), ("teacher", "not for students")):
        folder = build.build(edition=editions.named(name)).parent
        assert (folder / "how_to_teach.html").exists() == (name == "teacher")
        pages = [path for path in folder.rglob("*") if path.suffix in (".html", ".js", ".ipynb", ".txt")]
        told = [
            path.name for path in pages if re.search("how_to_teach|humdinger", path.read_text(errors="ignore"), re.I)
        ]
        assert bool(told) == (name == "teacher"), told
        page = (folder / "chapters" / "01_good.html").read_text()
        assert mark in page
        assert f"({name} edition)" in page
        assert ("See more. The teacher's page has it, and the teacher's page too." in page.replace("’", "'")) == (
            name == "student"
        )
        assert browser.complaints(folder, ["chapters/01_good.html"]) == []


def test_the_real_pages_lead_students_to_no_page_for_teachers(tmp_path):
    for path in paths.BOOK.iterdir():
        if path.suffix in (".md", ".yml"):
            (tmp_path / path.name).write_text(path.read_text())
    settings = {"title": "A book"}
    editions.arrange(tmp_path, settings, editions.student)
    assert settings["title"] == "A book (student edition)"
    assert not (tmp_path / "how_to_teach.md").exists()
    assert [path.name for path in tmp_path.iterdir() if "how_to_teach" in path.read_text()] == []
    assert "file: study" in (tmp_path / "_toc.yml").read_text()
    for chapter in NAMES:
        assert "how_to_teach" not in whole(editions.student(chapters.read(chapter)))


def test_an_unknown_edition_is_refused(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["build", "--edition", "pupil"])
    assert left.value.code == 2
    assert "reader, student, teacher" in capsys.readouterr().err


@pytest.mark.parametrize("chapter", NAMES)
def test_the_student_edition_of_a_chapter_leaves_no_solution(chapter):
    notebook = chapters.read(chapter)
    assert len(set(leaks(chapter, whole(notebook)))) >= 5
    student = editions.student(notebook)
    assert leaks(chapter, json.dumps(student.cells)) == leaks(chapter, whole(student)) == []
    assert whole(student).count("{exercise}") == len(exercises.read(chapter))


def test_the_teacher_edition_opens_the_solutions():
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(SOLVED + "\n```{admonition} A\n:class: dropdown\n```\n")])
    assert editions.reader(notebook).cells[0].source.count(":class: dropdown") == 2
    assert editions.teacher(notebook).cells[0].source.count(":class: dropdown") == 1


def test_an_exercise_is_linked_where_its_page_has_it_and_named_elsewhere():
    text = exercises.linked("{ref}`ex-07-bent`, {ref}`ex-07-odds`, {ref}`fig-x`", {"ex-07-odds"})
    assert text == "*A score that points across*, {ref}`ex-07-odds`, {ref}`fig-x`"


def test_plain_text_has_no_role_and_no_directive_left():
    text = "As {cite:t}`bordt2022` say ({eq}`eq-x`, {doc}`03_tangent_fractions`):\n\n$$\nx\n$$ (eq-x)\n\n"
    text += "::::{dropdown} The proof\n:::{prf:proof}\n{prf:ref}`thm-01-chance`.\n:::\n::::\n"
    got = plain.plain(text, KNOWN)
    assert got.startswith("As Bordt et al. (2022) say ((x), chapter 03):")
    assert "\\tag{x}\n$$" in got
    assert "<details><summary>The proof</summary>" in got
    assert "> The theorem *Chance level (to B, Section 3.3)*." in got
    assert "{" not in got.replace("\\tag{x}", "")


def test_every_work_has_people_and_a_year_and_one_without_is_named(monkeypatch, tmp_path):
    assert all(people.strip() and re.fullmatch(r"\d{4}", year) for people, year in KNOWN.works.values())
    assert not any("\\" in people for people, _ in KNOWN.works.values())
    assert plain.plain("{cite:p}`haufe2014`", KNOWN) == "(Haufe et al., 2014)"
    (tmp_path / "references.bib").write_text("@misc{nobody1999,\n  author  = {},\n  year = {1999}\n}\n")
    monkeypatch.setattr(paths, "BOOK", tmp_path)
    with pytest.raises(PagsError, match=r"references\.bib: nobody1999 needs an author and a year"):
        plain.names()


def test_a_sentence_begins_with_a_capital_and_a_figure_has_the_number_of_its_page():
    text = "{doc}`05_blockmnist` has it. {doc}`03_tangent_fractions` too, e.g. {doc}`05_blockmnist`, {doc}`tests <x>`."
    assert plain.plain(text, KNOWN) == "Chapter 05 has it. Chapter 03 too, e.g. chapter 05, tests."
    assert plain.plain("Back to {numref}`fig-07-aligned`.", KNOWN) == "Back to [Figure 7.2](#fig-07-aligned)."


def test_every_figure_that_a_text_names_has_a_number():
    text = "\n".join(chapters.source(name).read_text() for name in NAMES)
    named = set(re.findall(r"\{numref\}`(?:[^`<]*<)?(fig-[\w-]+)>?`", text))
    assert named
    assert named <= KNOWN.figures.keys()


def test_a_page_that_names_an_exercise_which_no_chapter_has_is_refused():
    assert exercises.linked("{ref}`ex-02-beta`", {"ex-02-beta"}) == "{ref}`ex-02-beta`"
    with pytest.raises(PagsError, match="ex-02-betta"):
        exercises.linked("{ref}`ex-02-betta`", set())


def test_the_set_up_cell_takes_a_folder_of_that_name_for_no_package(tmp_path):
    (tmp_path / "pags").mkdir()
    words_, bare = (
        [sys.executable, "-SE", "-c", handout.SETUP],
        {k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    done = subprocess.run(words_, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
    assert "pags is not installed: put" in done.stderr


@pytest.mark.parametrize(
    ("label", "number"),
    [("ex-01-above", "1.1"), ("ex-01-d-overtaken", "1d.4"), ("ex-02-beta", "2.1"), ("ex-02-reach", "2.4")],
)
def test_exercises_have_the_numbers_that_the_pages_give_them(label, number):
    """Read off the built pages; the plan of a course names exercises by these numbers."""
    assert KNOWN.exercises[label] == number
    assert KNOWN.labels[label] == f"exercise {number}"
    assert f"### Exercise {number}: A title" in plain.plain(
        f":::{{exercise}} A title\n:label: {label}\n\nDo it.\n:::\n", KNOWN
    )
