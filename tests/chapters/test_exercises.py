"""All exercises of all chapters: the check accepts the solution, refuses the stub, and refuses answers made wrong."""

import ast
import contextlib
import inspect
import io
import math
from functools import cache

import jupytext
import numpy as np
import pytest
import torch

from pags.book import chapters, exercises

ALL = {one.label: (chapter, one) for chapter in chapters.names() for one in exercises.read(chapter)}
CHECKED = [label for label, (_, one) in ALL.items() if one.checks and one.code]
# What these checks ask of the chapter's run, the chapters' own tests give them.
ASK_THE_RUN = {"ex-02-beta", "ex-02-chance", "ex-02-threshold", "ex-02-reach", "ex-02-instrument"}
ASK_THE_RUN |= {"ex-03-polish", "ex-03-completeness", "ex-05-fool"}
SLOW = {"ex-01-ratio", "ex-04-peak"}  # a second for each answer


@cache
def page(chapter):
    """The chapter's imports, functions and classes; `k` is the default of an argument."""
    space, kept = {"k": 10}, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    for cell in jupytext.read(chapters.source(chapter)).cells:
        if cell.cell_type == "code":
            body = [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
            exec(compile(ast.Module(body, []), chapter, "exec"), space)
    return space


def passes(space, calls):
    """Whether all these calls of checks say "right"; an error does not."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            for call in calls:
                exec(call, space)
    except Exception:
        return False
    return "right" in said.getvalue() and "not yet" not in said.getvalue()


def solved(label):
    """The page with the solution run in it."""
    chapter, one = ALL[label]
    space = dict(page(chapter))
    exec(one.code, space)
    return space


def answer(one):
    """The names that the first check is called with."""
    return [node.id for node in ast.parse(one.checks[0]).body[0].value.args if isinstance(node, ast.Name)]


@pytest.mark.parametrize("chapter", chapters.names())
def test_a_chapter_has_five_exercises_with_a_check_and_a_solution(chapter):
    found = [one for one in exercises.read(chapter) if one.checks]
    assert len(found) >= 5
    for one in exercises.read(chapter):
        assert one.answer, one.label
        assert "minutes" in one.text or "an hour" in one.text, one.label


def test_labels_are_the_chapters_own():
    assert len(ALL) == sum(len(exercises.read(chapter)) for chapter in chapters.names())
    assert all(label.split("-")[1] == chapter[:2] for label, (chapter, _) in ALL.items())


@pytest.mark.parametrize("label", CHECKED)
def test_the_stub_is_the_solution_minus_lines_and_fails(label):
    chapter, one = ALL[label]
    marked = exercises.marked(one)
    opened = [line for line in marked.split("\n") if line.strip() not in (exercises.BEGIN, exercises.END)]
    assert "".join(opened) == one.code.replace("\n", "")
    stub = exercises.cleared(marked)
    lines = iter(one.code.split("\n"))
    assert all(line in lines for line in stub.split("\n") if line and line.strip() not in exercises.STUB)
    assert stub.count(exercises.STUB[1]) == marked.count(exercises.BEGIN) >= 1
    space = dict(page(chapter))
    with pytest.raises(NotImplementedError):
        begin(stub, space, answer(one))
    assert not passes(space, one.checks)


def begin(stub, space, names):
    """Run a stub, and what it defines."""
    exec(stub, space)
    for name in names:
        space[name](*[None] * space[name].__code__.co_argcount)


@pytest.mark.parametrize("label", [label for label in CHECKED if label not in ASK_THE_RUN])
def test_the_check_accepts_the_solution(label):
    assert passes(solved(label), ALL[label][1].checks)


def each(change):
    """The change made to a number, an array or a tensor, or to all of several answers."""

    def changed(found):
        if isinstance(found, tuple):
            return tuple(changed(part) for part in found)
        if isinstance(found, list):
            return [changed(part) for part in found]
        if isinstance(found, bool | np.bool_):
            return changed(int(found))
        return change(found) if found is not None else change(1.0)

    return changed


def scale(found):
    """How large an answer is."""
    size = torch.as_tensor(np.asarray(found, float)).abs()
    return float(size[size.isfinite()].max()) if size.isfinite().any() else 1.0


WRONG = {  # eleven ways to change whatever a solution returns
    "nothing": lambda found: None,
    "words": lambda found: "forty-two",
    "not a number": each(lambda found: found * math.nan),
    "infinite": each(lambda found: found + math.inf),
    "zero": each(lambda found: found * 0),
    "negative": each(lambda found: -abs(found) - scale(found) - 1),
    "turned": lambda found: not found if isinstance(found, bool | np.bool_) else each(lambda part: -part)(found),
    "shifted": each(lambda found: found + 0.3 * scale(found) + 0.3),
    "too large": each(lambda found: 3 * found + 1),
    "one axis more": each(lambda found: torch.stack([torch.as_tensor(found)] * 2)),
    "the first only": each(lambda found: found[:1] + 1 if getattr(found, "ndim", 0) else found + 1),
}
STILL_RIGHT = {  # what is asked has no scale, is an order, or leaves room
    "ex-01-a-bend": ["turned", "too large", "one axis more"],
    "ex-01-b-distance": ["turned"],  # only its square is looked at
    "ex-01-often": ["turned"],  # up to a common factor
    "ex-01-third": ["turned"],
    "ex-06-traitor": ["negative", "turned", "shifted", "too large"],
    "ex-07-bent": ["turned"],
}


@pytest.mark.parametrize("label", [label for label in CHECKED if label not in ASK_THE_RUN | SLOW])
def test_the_check_refuses_answers_made_wrong(label):
    _, one = ALL[label]
    accepted = []
    for way, change in WRONG.items():
        space = solved(label)
        for name in answer(one):
            right = space[name]
            space[name] = lambda *given, right=right, change=change: change(right(*given))
        if passes(space, one.checks):
            accepted.append(way)
    assert accepted == STILL_RIGHT.get(label, [])


@pytest.mark.parametrize("label", [label for label in CHECKED if label not in ASK_THE_RUN | SLOW])
def test_the_check_refuses_the_answer_of_another_exercise_and_one_answer_for_all_questions(label):
    chapter, one = ALL[label]
    others = [other for other, (where, _) in ALL.items() if where == chapter and other in CHECKED and other != label]
    accepted = []
    for other in others:
        space = solved(label)
        name, found = answer(one)[0], solved(other)[answer(ALL[other][1])[0]]
        space[name] = found
        if passes(space, one.checks):
            accepted.append(other)
    assert accepted == []
    asked = []
    space = solved(label)
    for name in answer(one):
        right, kept = space[name], []

        def first(*given, right=right, kept=kept):
            asked.append(given)
            kept[:] = kept or [right(*given)]
            return kept[0]

        space[name] = first
    assert not passes(space, one.checks) or len(asked) == 1


DEFINED = {  # answers that a student might give, and whether they are right
    "ex-04-penalty": {
        "automatic differentiation": """
            def penalty(W, x, y):
                x = x.detach().requires_grad_()
                loss = nn.functional.cross_entropy(x @ W.mT, y, reduction="sum")
                return torch.autograd.grad(loss, x)[0].square().sum(1)
        """,
    },
    "ex-04-shift": {
        "one logit, in the network that goes in": """
            def shift(net, x, v):
                added, old = v - gradient(net, x, "sum of logits")[0], net.forward

                def forward(z):
                    first = torch.eye(4, dtype=z.dtype)[0]
                    return old(z) + (z * added).flatten(1).sum(1, keepdim=True) * first

                net.forward = forward
                return net
        """,
    },
    "ex-06-reverse": {
        "right: in place": """
            def reverse(ranks):
                ranks *= -1
                ranks += ranks[0].numel() - 1
                return ranks
        """,
    },
    "ex-06-runs": {
        "as large as the effect": """
            def runs_needed(effect, s_R, s_n, n):
                left = effect**2 / 4 - s_n**2 / n
                return max(1, int(np.ceil(s_R**2 / left))) if left > 0 else None
        """,
    },
    "ex-07-bent": {
        "right: the first point again at the end": """
            def bent(n):
                angle = torch.linspace(0, 2 * torch.pi, n)
                return torch.stack([angle.sin(), angle.cos() - 1], 1)
        """,
    },
    "ex-08-backward": {
        "automatic differentiation": """
            def gradient(layers, x, c):
                z = x.clone().requires_grad_()
                return torch.autograd.grad(forward(layers, z)[0][c], z)[0]
        """,
    },
    "ex-08-fool": {
        "far away": """
            def fool(logits, u):
                return 0 * u + 2.5
        """,
    },
}


@pytest.mark.parametrize(("label", "named"), [(label, named) for label, codes in DEFINED.items() for named in codes])
def test_what_a_student_might_answer(label, named):
    space = solved(label)
    exec(inspect.cleandoc("\n" + DEFINED[label][named]), space)
    assert passes(space, ALL[label][1].checks) == named.startswith("right")


def test_what_a_check_says_is_plain():
    space = solved("ex-07-share")
    space["share"] = lambda log_w: 1.0
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(ALL["ex-07-share"][1].checks[0], space)
    assert said.getvalue() == "not yet: it is 1 for the log-weights 0, -800\n"
