"""What a chapter defines on its page, without running it: functions and constants, and the solutions of exercises."""

import ast
import re

import jupytext

from pags.book import chapters


def defined(chapter, names, constants=(), functions=None):
    """`names` with the page's functions (these, or all) and these constants, each made by its own statement."""
    space = dict(names)
    for cell in jupytext.read(chapters.source(chapter)).cells:
        if cell.cell_type == "code":
            kept = [node for node in ast.parse(cell.source).body if _wanted(node, constants, functions)]
            exec(compile(ast.Module(kept, []), chapter, "exec"), space)
    assert space.keys() >= {*constants, *(functions or ())}
    return space


def _wanted(node, constants, functions):
    if isinstance(node, ast.FunctionDef):
        return functions is None or node.name in functions
    stored = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    return isinstance(node, ast.Assign) and bool(stored) and stored <= set(constants)


def answers(page, label):
    """A copy of the namespace `page` in which the solution of the exercise `label`, ex-NN-..., was run."""
    own = [name for name in chapters.names() if name.startswith(label.split("-")[1])]  # 01, 01a, ... for ex-01-...
    text = "".join(chapters.source(chapter).read_text(encoding="utf-8") for chapter in own)
    (block,) = re.findall(rf"\{{solution\}} {label}\n.*?```python\n(.*?)```", text, re.DOTALL)
    space = dict(page)
    exec(compile(block, label, "exec"), space)
    return space


def judged(page, label, check, name, wrong, capsys):
    """Assert that the page's `check` accepts what the solution calls `name`, and none of the answers `wrong`."""
    page[check](answers(page, label)[name])
    assert capsys.readouterr().out == "right\n"
    for other in wrong:
        page[check](other)
        assert capsys.readouterr().out.startswith("not yet")
