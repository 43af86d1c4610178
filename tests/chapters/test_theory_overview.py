"""Chapter 01: exercises whose checks tell, and a table that names every statement with a proof."""

import itertools
import re

import numpy as np
import pages
import pytest
import scipy.optimize
import scipy.stats
import torch

from pags import tangent, theory
from pags.book import chapters

PARTS = {"A": "01a_robustness_theory", "B": "01b_manifold_theory", "D": "01d_leakage_theory"}


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"torch": torch, "scipy": scipy, "itertools": itertools, "tangent": tangent, "theory": theory}
    return pages.defined("01_theory_checks", names)


def independent():
    """All alike: t is independent of everything."""
    return torch.full((2, 2, 2), 1 / 8)


def copy():
    """The label is t, and t alone says so."""
    return torch.eye(2).expand(2, 2, 2) / 4


def best_mixture(values, p):
    """The largest margin itself, whatever the weights."""
    n, many = values.shape
    at_least = np.c_[-values.numpy(), np.ones(n)], np.zeros(n)
    whole = np.r_[np.ones(many), 0][None], [1]
    bounds = [(0, None)] * many + [(None, None)]
    return -scipy.optimize.linprog(np.r_[np.zeros(many), -1], *at_least, *whole, bounds).fun


def blind_neurons(m, width, generator):
    """Every entry sees the neurons that its own weight switches on."""
    r = 2 * torch.rand(width, m, generator=generator) - 1
    b = 2 * torch.rand(width, 1, generator=generator) - 1
    w = ((b + r).relu() - (b - r).relu()).sum(1)
    gradient = (w[:, None] * (b + r > 0) * r).mean(0)
    return gradient[0] / gradient[1:].mean()


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-01-above": (
        "check_above",
        "above_chance",
        [lambda rho, k, d: (1 - rho) ** 0.5 > (k / d) ** 0.5, lambda rho, k, d: rho < 1 - k / d],
    ),
    "ex-01-lucky": (
        "check_lucky",
        "lucky",
        [
            lambda k, d, rho: scipy.stats.beta(k / 2, (d - k) / 2).cdf(1 - rho),
            lambda k, d, rho: scipy.stats.beta(k, d - k).sf(1 - rho),
            lambda k, d, rho: float("nan"),
        ],
    ),
    "ex-01-joint": ("check_joint", "joint", [independent, copy, lambda: torch.ones(2, 2, 2)]),
    "ex-01-bound": (
        "check_bound",
        "bound",
        [
            lambda v, p: (p @ v).mean(),
            lambda v, p: v.max(),
            lambda v, p: v.amin(0).max(),
            lambda v, p: (p @ v).max() - 0.02,
            best_mixture,
            lambda v, p: float("nan"),
        ],
    ),
    "ex-01-ratio": (
        "check_ratio",
        "lazy_ratio",
        [blind_neurons, lambda m, width, g: 1.0, lambda m, width, g: 25 / 28, lambda m, width, g: 0.87],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def test_the_table_has_every_theorem_and_proposition_under_its_title():
    proved = {}
    for letter, part in PARTS.items():
        text = chapters.source(part).read_text(encoding="utf-8")
        found = re.findall(r"\{prf:(?:theorem|proposition)\} (.+)\n:label: (\S+)", text)
        proved |= {(letter, label): title.split(" (")[0] for title, label in found}
    own = chapters.source("01_theory_checks").read_text(encoding="utf-8")
    rows = re.findall(r'^check\(\n    (\w),\n    "([\w-]+)",\n    "[^"]+",\n    "([^"]+)"', own, re.MULTILINE)
    assert {(chapter, label): title for chapter, label, title in rows} == proved
