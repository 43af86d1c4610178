"""Bordt et al.'s user study for a class: a page to take part in, and what the answers of a class say.

The page is one HTML file that needs no network; answers stay on the machine until their owner hands over the CSV.
A person's answers are a list of rows, dicts from `COLUMNS` to texts. Axes: p persons, a answers of one person.
"""

import base64
import csv
import glob
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from pags import artifacts, attribution, classify, data, strokes, tangent, train
from pags.book.page import digits
from pags.errors import PagsError, UsageError
from pags.files import reading, write_atomically

PICTURES = 50  # drawn digits of the test set
NET = classify.Config(train.Schedule(epochs=5, batch=64, lr=1e-3), net="narrow_mlp", dropout=False)
COLUMNS = ["study", "person", "seed", "task", "trial", "kind", "pair", "left", "answer", "choice", "fraction_a"]
COLUMNS += ["fraction_b", "milliseconds"]
CHOICES = ("A", "B", "undecided")
QUICKEST = 400  # milliseconds; who takes less for half of the decisions is left out
ONE_SIDE = 10  # so many decisions for left or right, and all for one of them, are left out
PATTERN = r"[*?[]"  # a name with these is a pattern, where no file has it
TITLE = "<title>A study on how people see images</title>"  # by which the page is known


@dataclass(frozen=True)
class Task:
    """One of the three tasks: how many decisions a person takes, of how many pairs, and what B counted (N, A, B)."""

    name: str
    decisions: int
    pairs: int
    question: str
    about: str
    counted: tuple[int, int, int]
    fractions: tuple[float, float]


TASKS = {  # Bordt et al. 2022, Table 1 and Appendix E
    "object": Task(
        "CIFAR 1",
        10,
        15,
        "Which of the two images better highlights the object?",
        "You see a drawn digit, the object, and below it two images that both aim to highlight it with red colour.",
        (300, 36, 217),
        (0.27, 0.43),
    ),
    "parts": Task(
        "MNIST 1",
        20,
        100,
        "Which of the two images is more visually structured?",
        "You see two images in red and blue. Decide which of them looks more structured to you.",
        (600, 0, 580),
        (0.0, 1.0),
    ),
    "methods": Task(
        "MNIST 2",
        20,
        200,
        "Which of the two images is more visually structured?",
        "The question is the same as before; the pairs are others.",
        (600, 143, 315),
        (0.32, 0.38),
    ),
}


# The page


def write(directory: Path) -> Path:
    """Write the page, index.html, with its pictures inside; returns it. A net of a few seconds is trained, once.

    UsageError where another page of that name lies there.
    """
    template = resources.files("pags.book").joinpath("study.html").read_text(encoding="utf-8")
    path = directory / "index.html"
    with reading(path), suppress(FileNotFoundError):
        if TITLE not in path.read_text(encoding="utf-8", errors="replace"):
            raise UsageError(f"{path} is another page: name a new directory")
    content = json.dumps(stimuli(), separators=(",", ":")).replace("<", r"\u003c")
    whole = template.replace("STUDY_DATA", content)
    write_atomically(path, lambda temporary: temporary.write_text(whole, encoding="utf-8"))
    return path


def stimuli() -> dict[str, Any]:
    """The pictures of all pairs, their fractions in the exact tangent space, and the words of the three tasks.

    As B's: Input x Gradient (B) against gradient (A) for the object; an attribution's part in the tangent space (B)
    against the orthogonal one (A); and of two attributions of one image that of the larger fraction (B) against the
    other.
    """
    g = torch.Generator().manual_seed(0)
    digits_ = data.load("strokes", "train", n=2000)
    test = data.load("strokes", "test", n=PICTURES)
    net = classify.load(artifacts.cached(classify.fit, NET, digits_, seed=0))
    assert test.latents is not None  # drawn digits know theirs
    basis = strokes.tangent_basis(test.latents, test.y)
    E = {name: method(net, test.x, generator=g) for name, method in attribution.METHODS.items() if name != "random"}
    fractions = {name: tangent.fraction_in(basis, v) for name, v in E.items()}
    album = Album()
    order = [torch.randperm(PICTURES, generator=g).tolist() for _ in range(8)]
    object_ = [
        [album.add(E[name][i]) for name in ("gradient", "Input x Gradient")]
        + [float(fractions[name][i]) for name in ("gradient", "Input x Gradient")]
        + [album.add(test.x[i])]
        for i in order[0][: TASKS["object"].pairs]
    ]
    parts = []
    for name, i in ((name, i) for name in ("gradient", "Input x Gradient") for i in order[1]):
        inside = tangent.project(basis[i : i + 1], E[name][i : i + 1])[0]
        parts.append([album.add(E[name][i] - inside), album.add(inside), 0.0, 1.0])
    pairs = [(i, a, b) for i in range(PICTURES) for a in E for b in E if fractions[a][i] < fractions[b][i]]
    drawn = torch.randperm(len(pairs), generator=g)[: TASKS["methods"].pairs].tolist()
    methods = [
        [album.add(E[a][i]), album.add(E[b][i]), float(fractions[a][i]), float(fractions[b][i])]
        for i, a, b in (pairs[at] for at in drawn)
    ]
    found = {"object": object_, "parts": parts[: TASKS["parts"].pairs], "methods": methods}
    tasks = [
        {"id": key, "question": task.question, "about": task.about, "decisions": task.decisions}
        | {"pairs": [[*row[:2], *(round(v, 3) for v in row[2:4]), *row[4:]] for row in found[key]]}
        for key, task in TASKS.items()
    ]
    content = {"size": 32, "maps": album.maps, "tasks": tasks, "columns": COLUMNS}
    return content | {"study": hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]}


class Album:
    """Pictures as base64 of signed bytes, each once."""

    def __init__(self) -> None:
        self.maps: list[str] = []
        self.known: dict[str, int] = {}

    def add(self, v: Tensor) -> int:
        """The number of a map (1, h, w); it is cut at a quantile of its size, as B's are."""
        flat = v.detach().flatten().double()
        whole = flat / flat.abs().quantile(0.995).clamp_min(1e-30)
        text = base64.b64encode((127 * whole.clamp(-1, 1)).round().to(torch.int8).numpy().tobytes()).decode()
        if text not in self.known:
            self.known[text] = len(self.maps)
            self.maps.append(text)
        return self.known[text]


# The answers


class UnusableError(Exception):
    """Why a file is left out."""


def read(path: Path) -> list[dict[str, str]]:
    """The rows of one person; `UnusableError` says what is wrong with a file, also with a person who did not attend.

    A table that was saved again with semicolons, and with commas in its numbers, is read as well.
    """
    if path.is_dir():
        raise UnusableError("there is no CSV file in this folder")
    try:
        with reading(path):
            text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        what = "no file has a name like this" if re.search(PATTERN, str(path)) else "there is no such file"
        raise UnusableError(what) from None
    except (PagsError, UnicodeDecodeError):
        raise UnusableError("it cannot be read as text") from None
    try:
        table = _table_of(text)
    except csv.Error:  # a cell that never ends, say
        raise UnusableError("it cannot be read as a table") from None
    if not table or table[0] != COLUMNS:
        raise UnusableError("its first line is not that of this study: hand in the file as the page gave it")
    rows = []
    for number, cells in enumerate(table[1:], 2):
        if len(cells) != len(COLUMNS):
            raise UnusableError(f"line {number} has {len(cells)} cells instead of {len(COLUMNS)}")
        row = dict(zip(COLUMNS, cells, strict=True))
        if wrong := _wrong(row):
            raise UnusableError(f"line {number}: {wrong}")
        rows.append(row)
    _complete(rows)
    return rows


def _table_of(text: str) -> list[list[str]]:
    """The cells, without the empty lines at the end; of a table with semicolons, numbers have a point."""
    marked = text.split("\n", 1)[0].count(";") >= len(COLUMNS) - 1
    lines = list(csv.reader(io.StringIO(text, newline=None), delimiter=";" if marked else ","))
    while lines and not any(lines[-1]):
        lines.pop()
    return [[cell.replace(",", ".") for cell in cells] for cells in lines] if marked else lines


def _wrong(row: Mapping[str, str]) -> str | None:
    if row["task"] not in TASKS:
        return f"the task {row['task']!r} is none of the study's"
    if row["kind"] not in ("decision", "check"):
        return f"the kind {row['kind']!r} is neither decision nor check"
    allowed = CHOICES if row["kind"] == "decision" else ("passed", "failed")
    if row["choice"] not in allowed:
        return f"the choice {row['choice']!r} is none of {', '.join(allowed)}"
    sides = {"left": row["left"], "right": "AB"["BA".index(row["left"])]} if row["left"] in ("A", "B") else {}
    if not re.fullmatch(r"[0-9]{1,9}", row["milliseconds"]):
        return f"the time {row['milliseconds']!r} is no whole number of milliseconds"
    if row["kind"] == "decision":
        told = "undecided" if row["answer"] == "similar" else sides.get(row["answer"])
        if told != row["choice"]:
            return f"the answer {row['answer']!r} with {row['left']!r} on the left is not the choice {row['choice']!r}"
        try:
            fractions = [float(row["fraction_a"]), float(row["fraction_b"])]
        except ValueError:
            return "a fraction is no number"
        if not all(0 <= value <= 1 for value in fractions):
            return "a fraction is not between 0 and 1"
    return None


def _complete(rows: Sequence[Mapping[str, str]]) -> None:
    if len({(row["study"], row["person"], row["seed"]) for row in rows}) != 1:
        raise UnusableError("it holds no answers" if not rows else "it holds the answers of several persons")
    for key, task in TASKS.items():
        given = [row["pair"] for row in rows if row["task"] == key and row["kind"] == "decision"]
        if len(given) != task.decisions or len(set(given)) != len(given):
            raise UnusableError(f"of task {key} it has {len(set(given))} decisions instead of {task.decisions}")
    checks = [row["choice"] for row in rows if row["kind"] == "check"]
    if not checks or "failed" in checks:
        raise UnusableError("an attention check was failed" if checks else "the attention checks are missing")


def careless(rows: Sequence[Mapping[str, str]]) -> str | None:
    """Why a person's answers do not count, by a rule that does not know which image was B; None where they do."""
    decided = [row for row in rows if row["kind"] == "decision"]
    quick = sum(int(row["milliseconds"]) < QUICKEST for row in decided)
    if 2 * quick >= len(decided):
        return f"{quick} of {len(decided)} decisions took less than {QUICKEST} ms, in which nobody has looked"
    sides = [row["answer"] for row in decided if row["answer"] != "similar"]
    if len(sides) >= ONE_SIDE and len(set(sides)) == 1:
        return f"all {len(sides)} decisions are for the {sides[0]} image, whichever stood there"
    return None


@dataclass(frozen=True)
class Counts:
    """What a class said in one task: answers, the share of B with an interval, correlation, tests, mean fractions."""

    persons: int
    a: int
    b: int
    undecided: int
    share: float
    low: float
    high: float
    correlation: float | None
    of_answers: float
    of_persons: float
    fraction_a: float
    fraction_b: float


def pooled(people: Sequence[Sequence[Mapping[str, str]]], key: str) -> Counts:
    """The answers of p persons to one task.

    The interval is Wilson's for as many independent answers as theirs are worth: a answers that correlate with rho in
    a person are worth a / (1 + (a - 1) rho), where rho is estimated from the answers, and is 1 where it cannot be.
    `of_answers` is the p-value of a sign test as if all answers were independent, `of_persons` that of a sign test
    whose unit is a person. ValueError where nobody decided.
    """
    given = [[row for row in rows if row["task"] == key and row["kind"] == "decision"] for rows in people]
    chosen = [Counter(row["choice"] for row in rows) for rows in given]
    a, b = (sum(count[word] for count in chosen) for word in "AB")
    if a + b == 0:
        raise ValueError("nobody has decided")
    decided = [(count["A"], count["B"]) for count in chosen if count["A"] + count["B"]]
    rho = correlation(decided)
    share, low, high = clustered(decided, 1.0 if rho is None else rho)
    above, below = sum(y > x for x, y in decided), sum(y < x for x, y in decided)
    means = [float(np.mean([float(row[f"fraction_{side}"]) for rows in given for row in rows])) for side in "ab"]
    return Counts(
        len(people),
        a,
        b,
        sum(count["undecided"] for count in chosen),
        *(share, low, high, rho),
        float(stats.binomtest(b, a + b, alternative="greater").pvalue),
        float(stats.binomtest(above, above + below, alternative="greater").pvalue) if above + below else 1.0,
        *means,
    )


def correlation(decided: Sequence[tuple[int, int]]) -> float | None:
    """The correlation of one person's answers, by the analysis of variance, in [0, 1]; None where it has no estimate.

    `decided` are the counts (A, B) of persons with at least one decision.
    """
    sizes = np.array([x + y for x, y in decided], float)
    shares = np.array([y for _, y in decided], float) / sizes
    p, total = len(sizes), sizes.sum()
    whole = (sizes * shares).sum() / total
    if p < 2 or total <= p or whole in (0, 1):
        return None
    between = (sizes * (shares - whole) ** 2).sum() / (p - 1)
    within = (sizes * shares * (1 - shares)).sum() / (total - p)
    typical = (total - (sizes**2).sum() / total) / (p - 1)
    return float(np.clip((between - within) / (between + (typical - 1) * within), 0, 1))


def clustered(decided: Sequence[tuple[int, int]], rho: float) -> tuple[float, float, float]:
    """The share of B and Wilson's interval for so many independent answers as these are worth."""
    sizes = np.array([x + y for x, y in decided], float)
    share = sum(y for _, y in decided) / sizes.sum()
    worth = (sizes / (1 + (sizes - 1) * rho)).sum()
    z2 = stats.norm.ppf(0.975) ** 2 / worth
    centre, reach = (share + z2 / 2) / (1 + z2), (z2 * (share * (1 - share) + z2 / 4)) ** 0.5 / (1 + z2)
    return float(share), float(max(centre - reach, 0)), float(min(centre + reach, 1))


def analyse(files: Sequence[Path]) -> str:
    """A table of a class beside B's Table 1, what it says in sentences, and what was left out, each with its reason.

    A folder stands for its CSV files, a pattern that no shell has expanded for the files it fits. PagsError where no
    file can be used.
    """
    able: dict[str, tuple[Path, list[dict[str, str]]]] = {}
    skipped: list[str] = []
    for path in _found(files):
        try:
            rows = read(path)
        except UnusableError as error:
            skipped.append(f"{path}: {error}")
            continue
        if rows[0]["person"] in able:
            skipped.append(f"{path}: this person's answers were read already")
        elif why := careless(rows):
            skipped.append(f"{path}: {why}")
        else:
            able[rows[0]["person"]] = path, rows
    if not able:
        raise PagsError("\n  ".join(["no file has answers that can be used", *skipped]))
    (study, most), *others = Counter(rows[0]["study"] for _, rows in able.values()).most_common()
    if others and others[0][1] == most:
        names = [
            next(str(path) for path, rows in able.values() if rows[0]["study"] == one) for one in (study, others[0][0])
        ]
        raise PagsError(
            f"as many saw one version of the page as another, {names[0]} and {names[1]}: analyse them apart"
        )
    people = {person: rows for person, (_, rows) in able.items() if rows[0]["study"] == study}
    skipped += [
        f"{path}: its pictures are those of another version of the page"
        for path, rows in able.values()
        if rows[0]["study"] != study
    ]
    left_out = [f"{len(skipped)} left out:", *(f"  {line}" for line in skipped)] if skipped else []
    told = list(people.values())
    count = f"{len(people)} person{'s' * (len(people) > 1)}"
    sentences = [sentence(key, told) for key in TASKS]
    return "\n".join([count, "", *_table(told), "", *sentences, "", *NOTE, *left_out])


def _found(files: Sequence[Path]) -> list[Path]:
    """The files that are meant, each once, in their order."""
    found: list[Path] = []
    for path in files:
        inside: list[Path] = []
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() == ".csv")
        elif not path.exists() and re.search(PATTERN, str(path)):
            inside = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        found += inside or [path]
    return list(dict.fromkeys(found))


def sentence(key: str, people: Sequence[Sequence[Mapping[str, str]]]) -> str:
    """What a class says in one task, in words, and how much the hypothesis had to say about it."""
    number = list(TASKS).index(key) + 1
    name, task = f"Task {number} (A: {SHOWN[key][0]}, B: {SHOWN[key][1]})", TASKS[key]
    try:
        found = pooled(people, key)
    except ValueError:
        return f"{name}: nobody preferred one of them in {task.decisions * len(people)} decisions."
    side = "more often than by a coin" if found.low > 0.5 else "less often than by a coin"
    if found.low <= 0.5 <= found.high:
        side = "as often as a coin might: its interval holds 0.5"
    text = f"{name}: B was preferred in {found.b} of {found.a + found.b} decided answers, {side}."
    apart = found.fraction_b - found.fraction_a
    if abs(apart) < CLOSE:
        text += f" The fractions differ by {abs(apart):.2f}: the hypothesis predicts almost nothing here."
    elif apart < 0:
        text += " A has the larger fraction: the hypothesis predicts A."
    return text


SHOWN = {  # what A and B are
    "object": ("gradient", "Input x Gradient"),
    "parts": ("the part across the manifold", "the part along it"),
    "methods": ("the method with the smaller fraction", "that with the larger one"),
}
CLOSE = 0.05  # fractions that differ by less are about equal
HEADS = ["task", "N", "A", "B", "undecided", "share of B", "rho", "p, answers", "p, persons", "T A", "T B"]
NOTE = [
    "share of B: of the decided answers; the interval respects that one person's answers go together (rho).",
    "p, answers: sign test as if all answers were independent; p, persons: sign test with one vote a person.",
    "T A, T B: mean fraction in the tangent space. Every second row: Bordt et al. 2022, Table 1, on other pictures;",
    "their interval is that of independent answers, for want of each person's.",
]


def _table(people: Sequence[Sequence[Mapping[str, str]]]) -> list[str]:
    rows = [HEADS]
    for number, (key, task) in enumerate(TASKS.items(), 1):
        shown, a, b = task.counted
        wilson = stats.binomtest(b, a + b).proportion_ci(method="wilson")
        theirs = [f"{b / (a + b):.2f} [{wilson.low:.2f}, {wilson.high:.2f}]", "", "< 0.01", ""]
        fractions = [f"{value:.2f}" for value in task.fractions]
        try:
            rows.append([f"task {number}, here", *_row(pooled(people, key))])
        except ValueError as error:
            rows.append([f"task {number}, here", str(error), *[""] * 9])
        rows.append([f"Bordt et al., {task.name}", str(shown), str(a), str(b), str(shown - a - b), *theirs, *fractions])
    widths = [max(len(row[i]) for row in rows if row[1] != "nobody has decided") for i in range(len(HEADS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(found: Counts) -> list[str]:
    rho = "–" if found.correlation is None else f"{found.correlation:.2f}"
    tests = [digits(p) if p >= 1e-4 else "< 0.0001" for p in (found.of_answers, found.of_persons)]
    counts = [str(n) for n in (found.a + found.b + found.undecided, found.a, found.b, found.undecided)]
    share = f"{found.share:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return [*counts, share, rho, *tests, f"{found.fraction_a:.2f}", f"{found.fraction_b:.2f}"]
