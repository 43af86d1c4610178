"""One meaning a symbol: what book/notation.md reserves stands for nothing else in the formulas of a chapter."""

import re

import pytest

from pags import paths
from pags.book import chapters

# Where a reserved symbol may stand: the chapters that speak of densities on the manifold, or of blocks.
PLACES = {
    r"\epsilon": set(),  # it is \varepsilon everywhere
    "l": set(),  # looks like the level \ell
    "q": {"01b_manifold_theory", "02_mnist32_generation"},
    "m": {"01_theory_checks", "01d_leakage_theory", "05_blockmnist"},
}
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+(?:\n[^$\n]+)?\$", re.DOTALL)


def formulas(text):
    """Every formula of a text notebook or page outside its code."""
    return FORMULA.findall(re.sub(r"```(?:\{code-cell\}|python).*?\n```", "", text, flags=re.DOTALL))


def symbols(formula):
    """The letters and commands of a formula, without its words."""
    bare = re.sub(r"\\(?:text|operatorname|mathrm|label|begin|end)\*?\{[^}]*\}", " ", formula)
    return set(re.findall(r"\\[A-Za-z]+|(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", bare))


@pytest.mark.parametrize("chapter", chapters.names())
def test_a_reserved_symbol_stands_for_nothing_else(chapter):
    for formula in formulas(chapters.source(chapter).read_text(encoding="utf-8")):
        wrong = {name for name in symbols(formula) & PLACES.keys() if chapter not in PLACES[name]}
        assert not wrong, f"{wrong} in {formula!r}: book/notation.md keeps this symbol for something else"


def test_every_symbol_is_explained_once():
    text = (paths.BOOK / "notation.md").read_text(encoding="utf-8").split("## Axes")[0]
    named = [name for row in re.findall(r"^\| (.*?) \|", text, re.MULTILINE) for name in FORMULA.findall(row)]
    assert len(named) == len(set(named)) > 20


def test_letters_are_found_in_formulas_alone():
    assert symbols(r"$\sum_l q(z_l) \text{ of k}$") == {r"\sum", "l", "q", "z"}
    assert formulas("a $x$ and\n```python\ny = '$m$'\n```\n$$\nz\n$$") == ["$x$", "$$\nz\n$$"]
