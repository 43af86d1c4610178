"""Whoever runs a notebook of the course from top to bottom meets no name that nothing has made."""

import ast
import builtins
import re
import symtable
from importlib.util import find_spec

import pytest
from nbformat import v4

from pags.book import chapters, course, exercises, plain

KNOWN = plain.names()
NAMES = chapters.names()
WRITTEN = re.compile(r"(?<!`)`([a-zA-Z_][^`\n]*)`(?!`)")  # code in a text


def scopes(table):
    """The module's scope and all within it."""
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


def made(code):
    """The names that a cell leaves behind."""
    module = symtable.symtable(code, "cell", "exec")
    return {one.get_name() for one in module.get_symbols() if one.is_assigned() or one.is_imported()}


def needed(code):
    """The names that a cell, or a function that it defines, asks of the notebook or of Python."""
    module, *inner = scopes(symtable.symtable(code, "cell", "exec"))
    names = {one.get_name() for one in module.get_symbols() if one.is_referenced()}
    return names | {one.get_name() for table in inner for one in table.get_symbols() if one.is_global()}


def arguments(code):
    """The names of the arguments of all functions of a cell."""
    return {one.arg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.arguments) for one in node.args}


def asked(text):
    """The names in the code of an exercise's text, and the calls of its checks."""
    found, calls = set(), exercises.CALL.findall(text)
    for code in WRITTEN.findall(text):
        try:
            tree = ast.parse(code, mode="eval")
        except SyntaxError:
            continue
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        # letters are the text's own symbols; a text may name a module that its reader is to import
        found |= {name for name in names if code in calls or (len(name) > 1 and not find_spec(name))}
    return found, calls


def own(cell):
    return cell.metadata.get("nbgrader", {})


def unmade(notebook):
    """Where a cell or the text of an exercise asks for a name that nothing above it makes, and the name.

    A text may ask for what the answer below it makes.
    """
    known, faults = set(dir(builtins)), []
    for at, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            known |= made(cell.source)
            faults += [(own(cell).get("grade_id", at), name) for name in sorted(needed(cell.source) - known)]
        elif cell.source.startswith("### Exercise"):
            below = (one for one in notebook.cells[at:] if one.cell_type == "code" and own(one).get("solution"))
            answer = next(below).source
            names, calls = asked(cell.source)
            ready = known | made(answer) | arguments(answer)
            faults += [(at, name) for name in sorted(names - ready)]
            checks = {call.split("(")[0] for call in calls}
            faults += [(at, name) for name in sorted(checks - known)]
    return faults


@pytest.mark.parametrize("chapter", NAMES)
def test_every_name_of_a_teacher_s_notebook_is_made_above_its_use(chapter):
    assert unmade(course.teacher(chapter, KNOWN)) == []


@pytest.mark.parametrize("chapter", NAMES)
def test_a_student_s_notebook_lacks_only_the_variables_that_its_tests_wait_for(chapter):
    teacher, student = (kind(chapter, KNOWN).cells for kind in (course.teacher, course.student))
    answered = [cell for cell in teacher if cell.cell_type == "code" and own(cell).get("solution")]
    answers = {own(cell)["grade_id"]: made(cell.source) for cell in answered}
    for place, name in unmade(v4.new_notebook(cells=[cell for cell in student if cell.cell_type == "code"])):
        assert str(place).endswith("-test"), (place, name)
        assert name in answers[place.removesuffix("-test")]


def notebook(*cells):
    """A notebook of code; a text begins with a #."""
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell(source)
            if source.startswith("###")
            else v4.new_code_cell(source, metadata={"nbgrader": {"solution": "answer" in source}})
            for source in cells
        ]
    )


def test_names_that_nothing_makes_are_found():
    late = notebook(
        "### Exercise 2.3: A\n\nUse `levels`, run `check_it(t)`.", "t = levels[0]  # answer", "levels = [1]"
    )
    assert {name for _, name in unmade(late)} == {"levels", "check_it"}
    assert [name for _, name in unmade(notebook("def change(x):\n    return replace(x)  # answer"))] == ["replace"]
    text = "### Exercise 2.1: A\n\nWrite `total(x, many)`, run `check_it(total)`."
    assert unmade(notebook("def check_it(f): ...", text, "def total(x, many): return x  # answer")) == []
    assert {name for _, name in unmade(notebook("def check_it(f): ...", text, "t = 1  # answer"))} == {"total", "many"}
