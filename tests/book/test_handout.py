"""What a class is told: the plan adds up, its minutes are the records', and the first cell installs or says why."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from pags import paths
from pags.book import chapters, course, exercises, handout, plain
from pags.errors import PagsError

PAGE = (paths.BOOK / "how_to_teach.md").read_text(encoding="utf-8")
ALL = {one.label: (chapter, one) for chapter in chapters.names() for one in exercises.read(chapter)}
REF = re.compile(r"\{ref\}`(ex-[\w-]+)`")


def table(heads, text=PAGE):
    """The rows of the table with this first line, as lists of cells."""
    body = text.split(f"{heads}\n", 1)[1]
    lines = body[: body.index("\n\n")].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


PLAN = table("| session | lab | minutes | homework | minutes | reading before | minutes |")
HANDED = table("| session | hand in | when | points by machine | points by hand |")
TIMES = table("| chapter | all cells above *Exercises*, the first time | grading one hand-in | thirty hand-ins |")
SESSIONS = dict(re.findall(r"^### Session (\d+):[^\n]*\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))


def minutes(label):
    """What the exercise says that it takes."""
    found = re.search(r"\*\*about (an hour|(\d+) minutes)", ALL[label][1].text)
    return int(found[2] or 60)


def record(number):
    """The published run of a chapter at quick: minutes of the first time, seconds of the next."""
    (path,) = (paths.PUBLISHED / "quick").glob(f"{number}_*.run.json")
    run = json.loads(path.read_text())
    return (run["seconds"] + run["seconds_to_make"]) / 60, run["seconds"]


def near(said, measured):
    """Within a factor of three, as machines and their load differ; half a minute counts as one."""
    return said / 3 <= max(measured, 0.5) <= 3 * said


def test_every_exercise_stands_once_in_the_plan():
    named = REF.findall(" ".join(lab + home for _, lab, _, home, *_ in PLAN))
    assert sorted(named) == sorted(ALL)


@pytest.mark.parametrize("row", PLAN, ids=lambda row: row[0])
def test_a_lab_fits_its_minutes_and_the_table_says_what_the_session_says(row):
    session, lab, of_lab, home, of_home, _, _ = row
    text = SESSIONS[session]
    needed, there = map(int, of_lab.split(" of "))
    assert sum(map(minutes, REF.findall(lab))) == needed <= there
    assert sum(map(minutes, REF.findall(home))) == int(of_home)
    (asked,) = re.findall(r"\*\*Exercises:\*\*(.*)", text)
    assert REF.findall(asked) == REF.findall(lab)
    (spent,) = re.findall(r"\*\*Minutes:\*\*(.*)", text)
    parts = [part.strip() for part in re.split(r"[;:] (?=\d)|; ", spent)]
    assert [int(part.split()[0]) for part in parts if re.fullmatch(r"\d+ lab\b.*", part)] == [there] * bool(there)
    assert sum(int(number) for number in re.findall(r"(?:^|; )(\d+) ", spent.strip())) == 90


@pytest.mark.parametrize("row", PLAN, ids=lambda row: row[0])
def test_before_a_lab_the_notebooks_of_its_exercises_are_run_for_as_long_as_the_records_say(row):
    found = re.search(r"run all cells above \*Exercises\* of ([\w ]+) \(about (\d+) minutes? on", SESSIONS[row[0]])
    labels = REF.findall(row[1])
    assert bool(found) == bool(labels)
    if found:
        numbers = found[1].split(" and ")
        assert {ALL[label][0].split("_")[0] for label in labels} == set(numbers)
        assert near(int(found[2]), sum(record(number)[0] for number in numbers))


@pytest.mark.parametrize("row", TIMES, ids=lambda row: row[0])
def test_times_to_make_and_to_grade_are_those_of_the_records(row):
    first, again, thirty = (int(cell.split()[0]) for cell in row[1:])
    makes, seconds = record(row[0])
    assert near(first, makes)
    assert again / 3 <= seconds <= 3 * again
    assert thirty == pytest.approx(30 * again / 60, abs=1)


def test_every_chapter_has_its_times():
    assert [row[0] for row in TIMES] == [chapter.split("_")[0] for chapter in chapters.names()]


def test_hand_ins_name_the_notebooks_and_the_points_of_their_exercises():
    known, points = plain.names(), {}
    for chapter in chapters.names():
        for cell in course.teacher(chapter, known).cells:
            own = cell.metadata.get("nbgrader", {})
            if own.get("grade"):
                label = re.sub(r"-(test|words)$", "", own["grade_id"])
                points.setdefault(label, [0, 0])[own["solution"]] += own["points"]
    sums = [0, 0]
    for plan, (session, what, when, *told) in zip(PLAN, HANDED, strict=False):
        labels = REF.findall(plan[1] + plan[3])
        asked = sorted({ALL[label][0].split("_")[0] for label in labels}, key=str)
        assert what == f"notebooks {', '.join(asked)}"
        assert when
        assert session == plan[0]
        own = [sum(points[label][i] for label in labels) for i in (0, 1)]
        assert [int(cell) for cell in told] == own
        sums = [total + more for total, more in zip(sums, own, strict=True)]
    assert [int(cell) for cell in HANDED[-1][3:]] == sums == [sum(both[i] for both in points.values()) for i in (0, 1)]


def test_the_rubric_adds_up_to_the_points_of_open_exercises():
    rows = table("| an open answer | passes with at least | of 6 | of 4 |")
    assert len(rows) == 3
    assert [sum(int(row[i]) for row in rows) for i in (2, 3)] == [6, 4]
    free = [one for _, one in ALL.values() if not (one.checks and one.code)]
    assert {2 * one.difficulty for one in free} == {6, 4}
    assert len(free) == 4


# What students get


def test_students_read_how_to_install_with_the_versions_that_are_in_the_archive():
    text = handout.page(plain.names())
    for word in ("python3 -m venv", "py -3.11 -m venv", "externally-managed-environment", "## A hosted notebook"):
        assert word in text
    assert text.count("--constraint pags/constraints.txt") == 2
    with zipfile.ZipFile(io.BytesIO(course.package())) as archive:
        pins = archive.read("constraints.txt").decode().splitlines()
        extras = archive.read("pyproject.toml").decode()
    assert all(pin in pins for pin in re.findall(r"`(torch\w*==[^`]+)`", text))
    assert len(re.findall(r"`(torch\w*==[^`]+)`", text)) == 2
    assert "jupyter = [" in extras
    assert "exercise 1.1 " in text
    assert "goes wrong" not in text
    assert not re.search(r"\{\w+\}`|https?://", text)


def test_a_teacher_s_page_without_the_plan_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("# Teaching\n")
    with pytest.raises(PagsError, match="no section 'The plan as a table'"):
        handout.plan(tmp_path / "page.md")


@pytest.fixture
def bare(tmp_path):
    """Runs the first cell where pags is not installed but the archive is there, after some lines of Python."""
    with zipfile.ZipFile(tmp_path / "pags.zip", "w") as archive:
        archive.writestr("constraints.txt", "")

    def run(before):
        words = [sys.executable, "-S", "-c", f"{before}\n{handout.SETUP}"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_first_cell_says_time_and_size_and_installs_with_constraints(bare):
    fake = "import subprocess\nsubprocess.run = lambda words: print(words) or subprocess.CompletedProcess(words, {})"
    own = "import sys; sys.prefix = 'an environment'\n"
    done = bare(own + fake.format(0))
    assert done.returncode == 0
    assert done.stdout.index("GB of download") < done.stdout.index("'--constraint', 'pags/constraints.txt'")
    assert "README.md of the student's folder says" in bare(own + fake.format(1)).stderr


def test_the_first_cell_leaves_a_system_s_python_and_an_old_one_alone(bare, tmp_path):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    lie = "import sys, sysconfig; sys.prefix = sys.base_prefix; sysconfig.get_path = lambda *_: '.'"
    done = bare(lie)
    assert "belongs to the system" in done.stderr
    assert "Installing" not in done.stdout
    assert "Python 3.11 or later is needed" in bare("import sys; sys.version_info = (3, 10)").stderr
