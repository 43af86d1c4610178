"""The exercises of a chapter: text, calls of checking functions, solution, and the stub that a student begins with.

An exercise is a directive `{exercise} Title` of a markdown cell with a `:label:`, a difficulty of one to three and,
where a computer can tell right from wrong, a call like `check_share(share)`; `{solution} LABEL` has code and words.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pags.book import chapters
from pags.errors import PagsError

BLOCK = re.compile(r"^(:{3,})\{(exercise|solution)\} ?([^\n]*)\n(.*?)^\1$\n?", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:(\w+): *(.*)\n", re.MULTILINE)
CODE = re.compile(r"^```python\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"`(check_\w+\([^`]+\))`")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's marks
STUB = ("# YOUR CODE HERE", 'raise NotImplementedError("not answered yet: replace this line")')  # between them


@dataclass(frozen=True)
class Exercise:
    """One exercise; `checks` are calls in Python, `code` is the solution's, `answer` its words."""

    label: str
    title: str
    text: str
    difficulty: int
    checks: tuple[str, ...] = ()
    code: str = ""
    answer: str = ""


def read(chapter: str) -> list[Exercise]:
    """The chapter's exercises in their order; PagsError names one without label, difficulty or solution."""
    found: dict[str, Exercise] = {}
    for cell in chapters.read(chapter).cells:
        if cell.cell_type == "markdown":
            for kind, name, options, body in blocks(cell.source):
                if kind == "exercise":
                    one = _exercise(name, options, body)
                    found[one.label] = one
                elif name in found:
                    found[name] = _solved(found[name], body)
    if bare := [one.label or one.title for one in found.values() if not (one.label and one.code + one.answer)]:
        raise PagsError(f"{chapter}: exercises without a label or a solution: {', '.join(bare)}")
    return list(found.values())


def linked(text: str, shown: set[str]) -> str:
    """MyST with a link to each exercise of the pages that are `shown`, by label; of others it keeps the title.

    PagsError for a label that no chapter has.
    """
    titles = {one.label: one.title for chapter in chapters.names() for one in read(chapter)}

    def link(match: re.Match) -> str:
        if match[1] not in titles:
            raise PagsError(f"no chapter has the exercise {match[1]!r} that a page names: mend its label")
        return match[0] if match[1] in shown else f"*{titles[match[1]]}*"

    return re.sub(r"\{ref\}`(ex-[\w-]+)`", link, text)


def blocks(text: str) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Kind, argument, options and body of each exercise and each solution in Markdown."""
    for match in BLOCK.finditer(text):
        _, kind, name, inner = match.groups()
        head = re.match(r"(?::\w+:[^\n]*\n)*", inner)
        options = dict(OPTION.findall(head[0] if head else ""))
        yield kind, name, options, inner[head.end() if head else 0 :].strip()


def _exercise(title: str, options: dict[str, str], body: str) -> Exercise:
    label = options.get("label", "")
    dots = body.count("●")
    if not dots:
        raise PagsError(f"the exercise {label or title} does not state its difficulty: write ●○○, ●●○ or ●●●")
    return Exercise(label, title, body, dots, tuple(dict.fromkeys(CALL.findall(body))))


def _solved(one: Exercise, body: str) -> Exercise:
    code = "\n\n".join(match[1].rstrip() for match in CODE.finditer(body))
    return replace(one, code=code, answer=re.sub(r"\n{3,}", "\n\n", CODE.sub("", body)).strip())


def marked(one: Exercise) -> str:
    """The solution's code with nbgrader's marks around what a student has to write; without code, all of it."""
    if not one.code:
        return f"{BEGIN}\n# in words, below\n{END}"
    lines, parts, end = one.code.split("\n"), [], 0
    for node in ast.parse(one.code).body:
        first = next(i for i in range(end, len(lines)) if lines[i].strip())  # comments and decorators go with it
        end = node.end_lineno or node.lineno
        own = lines[first:end]
        if isinstance(node, ast.Import | ast.ImportFrom):
            parts.append(("kept", own))
        elif isinstance(node, ast.FunctionDef) and _told(one, node.name):
            head = node.body[0].lineno - 1 - first  # lines of the signature
            if node.body[0].lineno == node.lineno:
                raise PagsError(
                    f"{one.label}: write the body of {node.name} below its head, so that a stub can stand there"
                )
            indent = " " * node.body[0].col_offset
            parts.append(("function", [*own[:head], f"{indent}{BEGIN}", *own[head:], f"{indent}{END}"]))
        else:
            parts.append(("written", own))
    return "\n".join(_joined(parts))


def _told(one: Exercise, name: str) -> bool:
    return re.search(rf"`{name}\(", one.text) is not None or any(
        re.search(rf"\b{name}\b", call.split("(", 1)[1]) for call in one.checks
    )


def _joined(parts: list[tuple[str, list[str]]]) -> Iterator[str]:
    """The parts' lines: functions two lines apart, what is written in one go between one pair of marks."""
    for i, (kind, lines) in enumerate(parts):
        before = parts[i - 1][0] if i else None
        after = parts[i + 1][0] if i + 1 < len(parts) else None
        if before and "function" in (kind, before):
            yield from ("", "")
        if kind == "written" and before != kind:
            yield BEGIN
        yield from lines
        if kind == "written" and after != kind:
            yield END


def cleared(text: str, stub: tuple[str, ...] = STUB) -> str:
    """The text with the stub in place of all that stands between nbgrader's marks, as `generate_assignment` does it."""
    kept, inside = [], False
    for line in text.split("\n"):
        if BEGIN in line:
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + word for word in stub]
            inside = True
        elif END in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
